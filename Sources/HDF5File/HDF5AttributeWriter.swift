import ByteIO
import CHDF5
import FormatKit
import ModelIR

/// Types, shapes and attributes on the way to libhdf5; inside `HDF5Library.with` only. Values were checked by `HDF5WritePlan`.
enum HDF5AttributeWriter {
    /// The type of a dataset: opaque bytes where h5py has no name for the dtype.
    static func datasetType(_ dtype: DType) -> hid_t {
        dtype.opaqueTag == nil ? numberType(dtype) : ch_opaque_type(dtype.size)
    }

    /// A little-endian number; bool as h5py's enum, small floats by their fields.
    static func numberType(_ dtype: DType) -> hid_t {
        switch dtype {
        case .bool: ch_bool_type()
        case .u8, .u16, .u32, .u64: ch_integer_type(dtype.size, 0)
        case .i8, .i16, .i32, .i64: ch_integer_type(dtype.size, 1)
        case .f8e4m3: ch_float_type(1, 4)
        case .f8e5m2: ch_float_type(1, 5)
        case .f16: ch_float_type(2, 5)
        case .bf16: ch_float_type(2, 8)
        case .f32: ch_float_type(4, 8)
        case .f64: ch_float_type(8, 11)
        }
    }

    static func space(_ shape: [Int]) throws -> HDF5Handle {
        guard !shape.isEmpty else { return try HDF5Handle(H5Screate(H5S_SCALAR), "make a scalar shape") }
        return try HDF5Handle(H5Screate_simple(Int32(shape.count), shape.map { hsize_t($0) }, nil), "make the shape \(shape)")
    }

    static func write(_ attribute: Attribute, on object: hid_t, path: String) throws {
        let shown = "attribute \(attribute.name) of \(path)"
        let type = try HDF5Handle(type(of: attribute.value), "make a type for \(shown)")
        let space =
            if let shape = attribute.value.shape { try space(shape) } else { try HDF5Handle(H5Screate(H5S_NULL), "make a null shape") }
        let isASCII = attribute.name.utf8.allSatisfy { $0 < 0x80 }
        let handle = try HDF5Handle(
            ch_create_attribute(object, attribute.name, type.id, space.id, isASCII ? 0 : 1), "create \(shown)")
        switch attribute.value {
        case .null: break
        case .numbers(let numbers):
            if !numbers.bytes.isEmpty { try check(H5Awrite(handle.id, type.id, numbers.bytes), "write \(shown)") }
        case .strings(let strings):
            if !strings.values.isEmpty { try write(strings, to: handle, type: type, shown: shown) }
        }
    }

    private static func type(of value: AttributeValue) -> hid_t {
        switch value {
        case .null(let dtype?): return numberType(dtype)
        case .null(nil): return ch_string_type(0, H5T_STR_NULLTERM, H5T_CSET_UTF8)
        case .numbers(let numbers): return numberType(numbers.dtype)
        case .strings(let strings):
            let charset = strings.charset == .utf8 ? H5T_CSET_UTF8 : H5T_CSET_ASCII
            guard case .fixed(let byteCount, let padding) = strings.storage else { return ch_string_type(0, H5T_STR_NULLTERM, charset) }
            switch padding {
            case .nullTerminated: return ch_string_type(byteCount, H5T_STR_NULLTERM, charset)
            case .nullPadded: return ch_string_type(byteCount, H5T_STR_NULLPAD, charset)
            case .spacePadded: return ch_string_type(byteCount, H5T_STR_SPACEPAD, charset)
            }
        }
    }

    private static func write(
        _ strings: AttributeValue.Strings, to attribute: borrowing HDF5Handle, type: borrowing HDF5Handle, shown: String
    ) throws {
        switch strings.storage {
        case .fixed(let byteCount, let padding):
            let filler = padding == .spacePadded ? UInt8(ascii: " ") : 0
            let bytes = strings.values.flatMap { $0 + [UInt8](repeating: filler, count: byteCount - $0.count) }
            try check(H5Awrite(attribute.id, type.id, bytes), "write \(shown)")
        case .variable:
            // All strings in one block, each ended by a zero, and a pointer to each.
            var block: [CChar] = []
            var starts: [Int] = []
            for value in strings.values {
                starts.append(block.count)
                block += value.map { CChar(bitPattern: $0) }
                block.append(0)
            }
            try block.withUnsafeBufferPointer { block in
                let pointers: [UnsafePointer<CChar>?] = starts.map { start in block.baseAddress.map { $0 + start } }
                try check(H5Awrite(attribute.id, type.id, pointers), "write \(shown)")
            }
        }
    }
}

extension AttributeValue {
    /// nil for null.
    var shape: [Int]? {
        switch self {
        case .strings(let strings): strings.shape
        case .numbers(let numbers): numbers.shape
        case .null: nil
        }
    }

    /// Bytes that the value takes in the object header; variable strings lie elsewhere and leave a reference.
    var headerByteCount: Int {
        switch self {
        case .null: return 0
        case .numbers(let numbers): return numbers.bytes.count
        case .strings(let strings):
            if case .fixed(let byteCount, _) = strings.storage { return strings.values.count * byteCount }
            return strings.values.count * 16
        }
    }
}
