import ByteIO
import CHDF5
import FormatKit
import ModelIR

extension HDF5Walker {
    /// All attributes of an object; those that no `AttributeValue` can say, apart.
    mutating func readAttributes(of object: hid_t, path: String) throws -> ([Attribute], [HDF5Index.OpaqueAttribute]) {
        var attributes: [Attribute] = []
        var opaque: [HDF5Index.OpaqueAttribute] = []
        for name in try attributeNames(of: object, path: path) {
            let shown = "attribute \(name) of \(path)"
            let attribute = try HDF5Handle(H5Aopen(object, name, 0), "open \(shown)")
            let type = try HDF5Handle(H5Aget_type(attribute.id), "read the type of \(shown)")
            let space = try HDF5Handle(H5Aget_space(attribute.id), "read the shape of \(shown)")
            let element = try elementType(type.id)
            try addMetadata(UInt64(name.utf8.count) + 64)
            if case .other(let description) = element {
                opaque.append(.init(name: name, description: description))
            } else if case .opaque(let byteCount) = element {
                opaque.append(.init(name: name, description: "opaque of \(byteCount) bytes"))
            } else if let shape = try extent(space.id, path: shown) {
                attributes.append(Attribute(name, try readValue(of: attribute.id, type: type.id, element, shape: shape, shown: shown)))
            } else {
                attributes.append(Attribute(name, .null(element.dtype)))
            }
        }
        return (attributes, opaque)
    }

    private mutating func readValue(
        of attribute: hid_t, type: hid_t, _ element: HDF5ElementType, shape: [UInt64], shown: String
    ) throws -> AttributeValue {
        let size = H5Tget_size(type)
        guard let byteCount = checkedProduct(shape, size), byteCount <= limits.documentByteCount else {
            throw HDF5Error.attributeTooLarge(shown, limits)
        }
        try addMetadata(UInt64(byteCount))
        let count = byteCount / size
        let sizes = shape.map { Int($0) }
        switch element {
        case .number(let dtype, let isBigEndian):
            var bytes = try readRaw(attribute, type: type, byteCount: byteCount, shown: shown)
            if isBigEndian { bytes.withUnsafeMutableBytes { swapElements($0, size: dtype.size) } }
            return .numbers(.init(dtype: dtype, shape: sizes, bytes: bytes))
        case .fixedString(let width, let padding, let charset):
            let bytes = try readRaw(attribute, type: type, byteCount: byteCount, shown: shown)
            let values = (0..<count).map { unpadded(bytes[$0 * width..<($0 + 1) * width], padding) }
            return .strings(.init(values: values, shape: sizes, storage: .fixed(byteCount: width, padding: padding), charset: charset))
        case .variableString(let charset):
            let values = try readVariable(attribute, count: count, shown: shown)
            return .strings(.init(values: values, shape: sizes, storage: .variable, charset: charset))
        case .opaque, .other: throw HDF5Error.corrupt(found: "\(shown) of no known kind")
        }
    }

    /// The bytes as they are in the file: reading in the file's own type converts nothing.
    private func readRaw(_ attribute: hid_t, type: hid_t, byteCount: Int, shown: String) throws -> [UInt8] {
        guard byteCount > 0 else { return [] }
        var bytes = [UInt8](repeating: 0, count: byteCount)
        try check(H5Aread(attribute, type, &bytes), "read \(shown)")
        return bytes
    }

    /// Strings of variable length: references in the attribute, which libhdf5 reads, to bytes in the global heap, which it does not.
    private mutating func readVariable(_ attribute: hid_t, count: Int, shown: String) throws -> [[UInt8]] {
        guard count > 0 else { return [] }
        let width = heap.referenceByteCount
        let type = try HDF5Handle(ch_opaque_type(width), "make a type for \(shown)")
        guard count <= limits.documentByteCount / width else { throw HDF5Error.attributeTooLarge(shown, limits) }
        let references = try readRaw(attribute, type: type.id, byteCount: count * width, shown: shown)
        var values: [[UInt8]] = []
        var total = 0
        for i in 0..<count {
            let value = try heap.string(references[i * width..<(i + 1) * width], shown: shown)
            total += value.count
            guard total <= limits.documentByteCount else { throw HDF5Error.attributeTooLarge(shown, limits) }
            try addMetadata(UInt64(value.count))
            values.append(value)
        }
        return values
    }

    private func unpadded(_ bytes: ArraySlice<UInt8>, _ padding: AttributeValue.Strings.Padding) -> [UInt8] {
        switch padding {
        case .nullTerminated: Array(bytes.prefix { $0 != 0 })
        case .nullPadded: Array(bytes[..<((bytes.lastIndex { $0 != 0 } ?? bytes.startIndex - 1) + 1)])
        case .spacePadded: Array(bytes[..<((bytes.lastIndex { $0 != UInt8(ascii: " ") } ?? bytes.startIndex - 1) + 1)])
        }
    }
}

extension HDF5ElementType {
    /// nil for strings and everything else without one.
    var dtype: DType? {
        if case .number(let dtype, _) = self { dtype } else { nil }
    }
}

extension HDF5Error {
    static func attributeTooLarge(_ shown: String, _ limits: Limits) -> FormatError {
        make("attribute-too-large", "H12", expected: "\(shown) of at most \(limits.documentByteCount) bytes", found: "more")
    }
}

/// Reverses the bytes of every element of `size` bytes; a remainder stays as it is.
func swapElements(_ bytes: UnsafeMutableRawBufferPointer, size: Int) {
    func swapAll<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type) {
        for offset in stride(from: 0, through: bytes.count - size, by: size) {
            let value = bytes.loadUnaligned(fromByteOffset: offset, as: T.self)
            bytes.storeBytes(of: value.byteSwapped, toByteOffset: offset, as: T.self)
        }
    }
    switch size {
    case 2: swapAll(UInt16.self)
    case 4: swapAll(UInt32.self)
    case 8: swapAll(UInt64.self)
    default: break
    }
}
