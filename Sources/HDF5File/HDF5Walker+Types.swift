import ByteIO
import CHDF5
import FormatKit
import ModelIR

/// An element type as the file spells it.
enum HDF5ElementType {
    case number(DType, isBigEndian: Bool)
    /// Fixed strings of this many bytes.
    case fixedString(Int, AttributeValue.Strings.Padding, AttributeValue.Strings.Charset)
    case variableString(AttributeValue.Strings.Charset)
    case opaque(byteCount: Int)
    /// Something that no tensor or attribute holds, in words.
    case other(String)
}

extension HDF5Walker {
    /// Describes a datatype; reads nothing but the datatype.
    func elementType(_ type: hid_t) throws -> HDF5ElementType {
        let size = H5Tget_size(type)
        guard size > 0 else { throw HDF5Error.corrupt("read a datatype") }
        switch H5Tget_class(type) {
        case H5T_INTEGER: return integerType(type, size: size)
        case H5T_FLOAT: return floatType(type, size: size)
        case H5T_ENUM: return try enumType(type, size: size)
        case H5T_STRING: return try stringType(type, size: size)
        case H5T_OPAQUE: return .opaque(byteCount: size)
        case H5T_BITFIELD: return .other("bit field")
        case H5T_TIME: return .other("time")
        case H5T_COMPOUND: return .other("compound")
        case H5T_REFERENCE: return .other("reference")
        case H5T_VLEN: return .other("variable-length")
        case H5T_ARRAY: return .other("array")
        default: throw HDF5Error.corrupt("read a datatype")
        }
    }

    /// Whether the elements are big-endian; nil for orders that are neither (VAX, mixed).
    private func isBigEndian(_ type: hid_t, size: Int) -> Bool? {
        switch H5Tget_order(type) {
        case H5T_ORDER_LE: false
        case H5T_ORDER_BE: size > 1
        case H5T_ORDER_NONE: size == 1 ? false : nil
        default: nil
        }
    }

    private func integerType(_ type: hid_t, size: Int) -> HDF5ElementType {
        let isSigned = H5Tget_sign(type) == H5T_SGN_2
        let name = "\(8 * size)-bit \(isSigned ? "" : "unsigned ")integer"
        guard H5Tget_precision(type) == 8 * size, H5Tget_offset(type) == 0, let isBig = isBigEndian(type, size: size) else {
            return .other("padded \(name)")
        }
        let dtype: DType
        switch (size, isSigned) {
        case (1, true): dtype = .i8
        case (2, true): dtype = .i16
        case (4, true): dtype = .i32
        case (8, true): dtype = .i64
        case (1, false): dtype = .u8
        case (2, false): dtype = .u16
        case (4, false): dtype = .u32
        case (8, false): dtype = .u64
        default: return .other(name)
        }
        return .number(dtype, isBigEndian: isBig)
    }

    private func floatType(_ type: hid_t, size: Int) -> HDF5ElementType {
        var sign = 0
        var exponent = 0
        var exponentBits = 0
        var fraction = 0
        var fractionBits = 0
        let name = "\(8 * size)-bit float of another layout"
        guard H5Tget_fields(type, &sign, &exponent, &exponentBits, &fraction, &fractionBits) >= 0,
            H5Tget_precision(type) == 8 * size, H5Tget_offset(type) == 0, H5Tget_norm(type) == H5T_NORM_IMPLIED,
            sign == 8 * size - 1, fraction == 0, exponent == fractionBits, exponentBits + fractionBits == sign,
            let isBig = isBigEndian(type, size: size)
        else { return .other(name) }
        switch (size, exponentBits, H5Tget_ebias(type)) {
        case (1, 4, 7): return .number(.f8e4m3, isBigEndian: isBig)
        case (1, 5, 15): return .number(.f8e5m2, isBigEndian: isBig)
        case (2, 5, 15): return .number(.f16, isBigEndian: isBig)
        case (2, 8, 127): return .number(.bf16, isBigEndian: isBig)
        case (4, 8, 127): return .number(.f32, isBigEndian: isBig)
        case (8, 11, 1023): return .number(.f64, isBigEndian: isBig)
        default: return .other(name)
        }
    }

    /// h5py's bool is an enum of one byte with FALSE = 0 and TRUE = 1; every other enum is none of ours.
    private func enumType(_ type: hid_t, size: Int) throws -> HDF5ElementType {
        let count = H5Tget_nmembers(type)
        guard size == 1, count == 2 else { return .other("enum") }
        for (name, expected) in [("FALSE", UInt8(0)), ("TRUE", UInt8(1))] {
            let index = H5Tget_member_index(type, name)
            var value: UInt8 = 0xFF
            guard index >= 0 else {
                ch_silence()
                return .other("enum")
            }
            try check(H5Tget_member_value(type, UInt32(index), &value), "read an enum")
            guard value == expected else { return .other("enum") }
        }
        return .number(.bool, isBigEndian: false)
    }

    private func stringType(_ type: hid_t, size: Int) throws -> HDF5ElementType {
        let charset: AttributeValue.Strings.Charset = H5Tget_cset(type) == H5T_CSET_UTF8 ? .utf8 : .ascii
        let isVariable = H5Tis_variable_str(type)
        try check(isVariable, "read a string type")
        if isVariable > 0 { return .variableString(charset) }
        switch H5Tget_strpad(type) {
        case H5T_STR_NULLTERM: return .fixedString(size, .nullTerminated, charset)
        case H5T_STR_NULLPAD: return .fixedString(size, .nullPadded, charset)
        case H5T_STR_SPACEPAD: return .fixedString(size, .spacePadded, charset)
        default: return .other("string of unknown padding")
        }
    }

    /// Sizes of a dataspace's dimensions; nil for the null dataspace, which has no elements and no shape.
    func extent(_ space: hid_t, path: String) throws -> [UInt64]? {
        switch H5Sget_simple_extent_type(space) {
        case H5S_NULL: return nil
        case H5S_SCALAR: return []
        case H5S_SIMPLE: break
        default: throw HDF5Error.corrupt("read the shape of \(path)")
        }
        let rank = Int(H5Sget_simple_extent_ndims(space))
        guard rank >= 0 else { throw HDF5Error.corrupt("read the shape of \(path)") }
        guard rank <= limits.rank else {
            throw HDF5Error.corrupt(found: "\(path) of \(rank) dimensions", expected: "at most \(limits.rank)")
        }
        var sizes = [hsize_t](repeating: 0, count: rank)
        try check(H5Sget_simple_extent_dims(space, &sizes, nil), "read the shape of \(path)")
        return sizes.map { UInt64($0) }
    }
}

/// The product of sizes; nil where it does not fit an `Int`, even if one of them is zero.
func checkedProduct(_ sizes: [UInt64], _ factor: Int) -> Int? {
    var product = UInt64(factor)
    for size in sizes where size != 0 {
        let (next, overflow) = product.multipliedReportingOverflow(by: size)
        guard !overflow else { return nil }
        product = next
    }
    guard Int(exactly: product) != nil else { return nil }
    return sizes.contains(0) ? 0 : Int(product)
}
