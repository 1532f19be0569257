import ByteIO
import CHDF5
import FormatKit
import ModelIR

extension HDF5Walker {
    /// Describes a dataset without reading its elements.
    mutating func readDataset(_ dataset: hid_t, path: String, attributes: [Attribute]) throws -> HDF5Index.Kind {
        // Before anything else is asked: the shape of a virtual dataset may depend on other files.
        let creation = try HDF5Handle(H5Dget_create_plist(dataset), "read the layout of \(path)")
        let layout = H5Pget_layout(creation.id)
        guard layout != H5D_VIRTUAL else {
            throw HDF5Error.make("virtual-dataset", "H6", expected: "elements in the file", found: "\(path), made of other datasets")
        }
        guard H5Pget_external_count(creation.id) == 0 else {
            throw HDF5Error.make("external-storage", "H5", expected: "elements in the file", found: "\(path), stored in other files")
        }
        let type = try HDF5Handle(H5Dget_type(dataset), "read the type of \(path)")
        let space = try HDF5Handle(H5Dget_space(dataset), "read the shape of \(path)")
        let element = try elementType(type.id)
        guard let sizes = try extent(space.id, path: path) else { return .opaque("dataset without elements") }
        guard let byteCount = checkedProduct(sizes, H5Tget_size(type.id)) else {
            throw HDF5Error.shapeBomb(path, found: "\(path) \(sizes)")
        }
        try addDeclared(UInt64(byteCount), path: path)
        let shape = sizes.map { Int($0) }
        guard let (dtype, isBigEndian, encoding) = numbers(element, attributes) else {
            return .opaque("\(element.description) dataset \(shape)")
        }
        let fill = try readFill(creation.id, type: type.id, size: dtype.size, path: path)
        let storage: HDF5Index.Storage
        switch layout {
        case H5D_COMPACT: storage = .compact(try readCompact(dataset, type: type.id, byteCount: byteCount, path: path))
        case H5D_CONTIGUOUS: storage = try contiguousStorage(dataset, byteCount: byteCount, fill: fill, path: path)
        case H5D_CHUNKED:
            storage = .chunked(
                try readChunks(
                    dataset, creation: creation.id, space: space.id, shape: shape, elementSize: dtype.size, fill: fill, path: path))
        default: throw HDF5Error.corrupt("read the layout of \(path)")
        }
        return .dataset(.init(dtype: dtype, isBigEndian: isBigEndian, encoding: encoding, shape: shape, storage: storage))
    }

    /// The dtype behind an element type; the attribute `dtype` speaks for bytes that HDF5 has no name for.
    private func numbers(_ element: HDF5ElementType, _ attributes: [Attribute]) -> (DType, Bool, HDF5Index.Encoding)? {
        let tag = attributes["dtype"]?.text
        switch element {
        case .number(.u16, let isBigEndian) where tag == "bfloat16": return (.bf16, isBigEndian, .taggedInteger)
        case .number(let dtype, let isBigEndian): return (dtype, isBigEndian, .native)
        case .opaque(2): return tag == nil || tag == "bfloat16" ? (.bf16, false, tag == nil ? .bareOpaque : .taggedOpaque) : nil
        case .opaque(1):
            guard let dtype = tag.flatMap({ DType(opaqueTag: $0) }), dtype.size == 1 else { return nil }
            return (dtype, false, .taggedOpaque)
        case .opaque, .fixedString, .variableString, .other: return nil
        }
    }

    /// One element of what is not stored, in the file's byte order; zeros where the file leaves it open.
    private func readFill(_ creation: hid_t, type: hid_t, size: Int, path: String) throws -> [UInt8] {
        var fill = [UInt8](repeating: 0, count: size)
        var status = H5D_FILL_VALUE_ERROR
        try check(H5Pfill_value_defined(creation, &status), "read the fill value of \(path)")
        if status == H5D_FILL_VALUE_USER_DEFINED {
            try check(H5Pget_fill_value(creation, type, &fill), "read the fill value of \(path)")
        }
        return fill
    }

    private mutating func readCompact(_ dataset: hid_t, type: hid_t, byteCount: Int, path: String) throws -> [UInt8] {
        // Compact elements lie in a header message, which has a size of 16 bits.
        let stored = UInt64(H5Dget_storage_size(dataset))
        guard byteCount <= 1 << 16, UInt64(byteCount) <= stored else {
            throw HDF5Error.truncated(path, expected: byteCount, found: "\(stored) bytes in its header")
        }
        try addMetadata(UInt64(byteCount))
        guard byteCount > 0 else { return [] }
        var bytes = [UInt8](repeating: 0, count: byteCount)
        try check(H5Dread(dataset, type, 0, 0, 0, &bytes), "read \(path)")
        return bytes
    }

    private func contiguousStorage(_ dataset: hid_t, byteCount: Int, fill: [UInt8], path: String) throws -> HDF5Index.Storage {
        // Absolute, the user block included; all ones where nothing was ever allocated.
        let offset = UInt64(H5Dget_offset(dataset))
        guard offset != .max, byteCount > 0 else {
            ch_silence()
            return .unallocated(fill: fill)
        }
        let stored = UInt64(H5Dget_storage_size(dataset))
        guard stored >= UInt64(byteCount) else { throw HDF5Error.truncated(path, expected: byteCount, found: "\(stored) bytes allocated") }
        try checkRange(offset, UInt64(byteCount), path: path)
        return .contiguous(offset)
    }

    private mutating func readChunks(
        _ dataset: hid_t, creation: hid_t, space: hid_t, shape: [Int], elementSize: Int, fill: [UInt8], path: String
    ) throws -> HDF5Index.Chunks {
        var sizes = [hsize_t](repeating: 0, count: max(shape.count, 1))
        let rank = Int(H5Pget_chunk(creation, Int32(shape.count), &sizes))
        guard rank == shape.count, rank > 0, !sizes.contains(0) else {
            throw HDF5Error.corrupt(found: "\(path) with chunks of another rank")
        }
        // A chunk is decoded whole, so it counts for what it takes.
        guard let chunkByteCount = checkedProduct(sizes.map { UInt64($0) }, elementSize), chunkByteCount <= UInt32.max else {
            throw HDF5Error.shapeBomb(path, found: "chunks of \(sizes)")
        }
        try addDeclared(UInt64(chunkByteCount), path: path)
        // libhdf5 has no function that tells where the places of the chunks are written down.
        var info = H5O_info_t()
        try check(H5Oget_info2(dataset, &info, UInt32(H5O_INFO_BASIC)), "find the header of \(path)")
        var header = ObjectHeader(region, addressing, path: path)
        let layout = try ChunkLayout(try header.message(.dataLayout, at: UInt64(info.addr)))
        guard layout.shape == sizes.map({ UInt64($0) }), layout.elementSize == UInt64(elementSize) else {
            throw HDF5Error.corrupt(found: "\(path) with chunks of another shape")
        }
        var maximum = [hsize_t](repeating: 0, count: rank)
        try check(H5Sget_simple_extent_dims(space, nil, &maximum), "read the shape of \(path)")
        return HDF5Index.Chunks(
            shape: sizes.map { Int($0) }, filters: try readFilters(creation, path: path), fill: fill,
            maximumShape: maximum.map { UInt64($0) }, location: shape.contains(0) ? .nowhere : layout.location,
            skipsFiltersAtEdges: layout.skipsFiltersAtEdges)
    }

    private func readFilters(_ creation: hid_t, path: String) throws -> [HDF5Index.Filter] {
        let count = H5Pget_nfilters(creation)
        try check(count, "read the filters of \(path)")
        return try (0..<UInt32(count)).map { number in
            var flags: UInt32 = 0
            var valueCount = 32
            var values = [UInt32](repeating: 0, count: valueCount)
            var name = [CChar](repeating: 0, count: 64)
            let identifier = H5Pget_filter2(creation, number, &flags, &valueCount, &values, name.count, &name, nil)
            try check(identifier, "read the filters of \(path)")
            let text = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            return .init(identifier: Int(identifier), name: text, values: Array(values.prefix(min(valueCount, values.count))))
        }
    }

    /// A range from the file, inside the file.
    private func checkRange(_ offset: UInt64, _ count: UInt64, path: String) throws {
        let (end, overflow) = offset.addingReportingOverflow(count)
        guard !overflow, end <= UInt64(region.count) else {
            throw HDF5Error.make(
                "out-of-bounds", "H17", at: offset, expected: "\(count) bytes of \(path)", found: "a file of \(region.count) bytes")
        }
    }
}

extension HDF5ElementType {
    /// In words, for what is no tensor.
    var description: String {
        switch self {
        case .number(let dtype, _): dtype.rawValue
        case .fixedString, .variableString: "string"
        case .opaque(let byteCount): "opaque of \(byteCount) bytes"
        case .other(let text): text
        }
    }
}

extension DType {
    /// Values of the attribute `dtype`, as Keras 3 writes it: names of ml_dtypes.
    init?(opaqueTag: String) {
        switch opaqueTag {
        case "bfloat16": self = .bf16
        case "float8_e4m3fn": self = .f8e4m3
        case "float8_e5m2": self = .f8e5m2
        default: return nil
        }
    }

    /// The value of the attribute `dtype` for types that are written as opaque bytes; nil for all others.
    var opaqueTag: String? {
        switch self {
        case .bf16: "bfloat16"
        case .f8e4m3: "float8_e4m3fn"
        case .f8e5m2: "float8_e5m2"
        case .bool, .u8, .u16, .u32, .u64, .i8, .i16, .i32, .i64, .f16, .f32, .f64: nil
        }
    }
}

extension HDF5Error {
    static func truncated(_ path: String, expected: Int, found: String) -> FormatError {
        make("truncated", "H2", expected: "\(expected) bytes of \(path)", found: found)
    }
}
