/// Element type of a tensor.
public enum DType: String, CaseIterable, Hashable, Sendable, Codable {
    case bool, u8, u16, u32, u64, i8, i16, i32, i64
    case f8e4m3, f8e5m2, f16, bf16, f32, f64

    /// Bytes of one element.
    public var size: Int {
        switch self {
        case .bool, .u8, .i8, .f8e4m3, .f8e5m2: 1
        case .u16, .i16, .f16, .bf16: 2
        case .u32, .i32, .f32: 4
        case .u64, .i64, .f64: 8
        }
    }

    public var isFloat: Bool {
        switch self {
        case .f8e4m3, .f8e5m2, .f16, .bf16, .f32, .f64: true
        case .bool, .u8, .u16, .u32, .u64, .i8, .i16, .i32, .i64: false
        }
    }

    /// Whether a number is a value of this type, for floats but for rounding.
    public func holds(_ value: Double) -> Bool {
        switch self {
        case .bool: value == 0 || value == 1
        case .u8: UInt8(exactly: value) != nil
        case .u16: UInt16(exactly: value) != nil
        case .u32: UInt32(exactly: value) != nil
        case .u64: UInt64(exactly: value) != nil
        case .i8: Int8(exactly: value) != nil
        case .i16: Int16(exactly: value) != nil
        case .i32: Int32(exactly: value) != nil
        case .i64: Int64(exactly: value) != nil
        case .f8e4m3, .f8e5m2, .f16, .bf16, .f32, .f64: true
        }
    }

    public var isInteger: Bool { !isFloat && self != .bool }
}
