extension Tensor {
    /// A tensor of `dtype` from numbers that it can hold (`DType.holds`); floats are rounded to nearest even.
    public init(_ values: [Double], dtype: DType, shape: [Int]) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(values.count * dtype.size)
        func append<T: BitwiseCopyable>(_ value: T) { withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) } }
        for value in values {
            switch dtype {
            case .bool: append(UInt8(value == 0 ? 0 : 1))
            case .u8: append(UInt8(clamping: Int64(value)))
            case .u16: append(UInt16(clamping: Int64(value)))
            case .u32: append(UInt32(clamping: Int64(value)))
            case .u64: append(UInt64(value))
            case .i8: append(Int8(clamping: Int64(value)))
            case .i16: append(Int16(clamping: Int64(value)))
            case .i32: append(Int32(clamping: Int64(value)))
            case .i64: append(Int64(value))
            case .f8e4m3: append(UInt8(encodeSmallFloat(value, exponentBits: 4, fractionBits: 3, hasInfinity: false)))
            case .f8e5m2: append(UInt8(encodeSmallFloat(value, exponentBits: 5, fractionBits: 2)))
            case .f16: append(encodeSmallFloat(value, exponentBits: 5, fractionBits: 10))
            case .bf16: append(encodeSmallFloat(value, exponentBits: 8, fractionBits: 7))
            case .f32: append(Float(value))
            case .f64: append(value)
            }
        }
        self.init(dtype: dtype, shape: shape, bytes: bytes)
    }
}

/// A float of at most 16 bits, to nearest even, rounded once. Overflow gives infinity, or NaN where there is none (OCP e4m3).
func encodeSmallFloat(_ value: Double, exponentBits: Int, fractionBits: Int, hasInfinity: Bool = true) -> UInt16 {
    let sign = value.sign == .minus ? UInt16(1) << (exponentBits + fractionBits) : 0
    let top = (UInt16(1) << exponentBits - 1) << fractionBits
    let nan = hasInfinity ? top | UInt16(1) << (fractionBits - 1) : top | (UInt16(1) << fractionBits - 1)
    if value.isNaN { return sign | nan }
    let overflow = hasInfinity ? top : nan
    if value.isInfinite { return sign | overflow }
    if value == 0 { return sign }
    let bias = 1 << (exponentBits - 1) - 1
    let exponent = max(Int(value.exponent), 1 - bias)
    guard exponent <= bias + 1 else { return sign | overflow }
    // In units of the last place the fraction is a whole number, and a carry out of it goes into the exponent by itself.
    let unit = Double(sign: .plus, exponent: exponent - fractionBits, significand: 1)
    let fraction = Int((value.magnitude / unit).rounded(.toNearestOrEven))
    let bits = (exponent + bias - 1) << fractionBits + fraction
    return sign | (bits < Int(overflow) ? UInt16(bits) : overflow)
}

/// Binary32 to IEEE 754 binary16, to nearest even; overflow gives infinity.
public func encodeFloat16(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    let sign = UInt16(bits >> 16) & 0x8000
    let magnitude = bits & 0x7FFF_FFFF
    if magnitude > 0x7F80_0000 { return sign | 0x7E00 | UInt16(magnitude >> 13 & 0x3FF) }
    if magnitude >= 0x4780_0000 { return sign | 0x7C00 }
    if magnitude < 0x3880_0000 {
        // Subnormal: the unit is 2^-24; adding 0.5 in that scale rounds to nearest even.
        let rounded = (Float(bitPattern: magnitude) * 0x1p24).rounded(.toNearestOrEven)
        return sign | UInt16(rounded)
    }
    let rounded = magnitude + 0xFFF + (magnitude >> 13 & 1)
    return sign | UInt16(min((rounded - 0x3800_0000) >> 13, 0x7C00))
}

/// Binary32 to bfloat16, to nearest even.
public func encodeBFloat16(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    if bits & 0x7FFF_FFFF > 0x7F80_0000 { return UInt16(bits >> 16) | 0x40 }
    return UInt16((bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
}
