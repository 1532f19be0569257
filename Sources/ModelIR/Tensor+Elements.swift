/// Elements as numbers. Every dtype converts to `Double` without loss but 64-bit integers past 2^53.
extension Tensor {
    /// Elements widened to `Double`; bool gives 0 and 1.
    public func doubles() throws -> [Double] {
        let bytes = try bytes()
        return [Double](unsafeUninitializedCapacity: count) { result, n in
            n = count
            bytes.withUnsafeBytes { dtype.widen($0, into: UnsafeMutableBufferPointer(rebasing: result[..<n])) }
        }
    }

    /// Visits all elements in order, widened to `Double`, in blocks of at most `size` elements: in memory that doesn't grow with the tensor.
    public func forEachBlock(ofSize size: Int = 1 << 14, _ body: (UnsafeBufferPointer<Double>) throws -> Void) throws {
        guard count > 0 else { return }
        let block = UnsafeMutableBufferPointer<Double>.allocate(capacity: min(size, count))
        defer { block.deallocate() }
        try forEachPiece(ofSize: block.count * dtype.size) { bytes in
            let filled = UnsafeMutableBufferPointer(rebasing: block[..<(bytes.count / dtype.size)])
            dtype.widen(bytes, into: filled)
            try body(UnsafeBufferPointer(filled))
        }
    }

    /// Elements as `Float`; f64 and wide integers are rounded to nearest.
    public func floats() throws -> [Float] {
        switch dtype {
        case .f32:
            return try [Float](unsafeUninitializedCapacity: count) { buffer, n in
                try storage.read(into: UnsafeMutableRawBufferPointer(buffer), at: 0)
                n = count
            }
        case .f16:
            return try bytes().withUnsafeBytes { raw in
                (0..<count).map { decodeFloat16(raw.loadUnaligned(fromByteOffset: $0 * 2, as: UInt16.self)) }
            }
        case .bool, .u8, .u16, .u32, .u64, .i8, .i16, .i32, .i64, .f8e4m3, .f8e5m2, .bf16, .f64:
            return try doubles().map { Float($0) }
        }
    }

    /// Elements as `Int64`, for integer and bool tensors exactly.
    /// - Returns: nil if an element has no exact `Int64`: a fraction, NaN, or a number out of range.
    public func exactIntegers() throws -> [Int64]? {
        if dtype == .i64 {
            return try [Int64](unsafeUninitializedCapacity: count) { buffer, n in
                try storage.read(into: UnsafeMutableRawBufferPointer(buffer), at: 0)
                n = count
            }
        }
        if dtype == .u64 {
            let bytes = try bytes()
            var result: [Int64] = []
            for i in 0..<count {
                let value = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: i * 8, as: UInt64.self) }
                guard let exact = Int64(exactly: value) else { return nil }
                result.append(exact)
            }
            return result
        }
        var result: [Int64] = []
        for value in try doubles() {
            guard let exact = Int64(exactly: value) else { return nil }
            result.append(exact)
        }
        return result
    }
}

extension DType {
    /// Little-endian elements as `Double`, one for each place in `result`.
    fileprivate func widen(_ bytes: UnsafeRawBufferPointer, into result: UnsafeMutableBufferPointer<Double>) {
        func all<T: BitwiseCopyable>(_ type: T.Type, _ convert: (T) -> Double) {
            for i in result.indices { result[i] = convert(bytes.loadUnaligned(fromByteOffset: i * MemoryLayout<T>.size, as: T.self)) }
        }
        switch self {
        case .bool: all(UInt8.self) { $0 == 0 ? 0 : 1 }
        case .u8: all(UInt8.self) { Double($0) }
        case .u16: all(UInt16.self) { Double($0) }
        case .u32: all(UInt32.self) { Double($0) }
        case .u64: all(UInt64.self) { Double($0) }
        case .i8: all(Int8.self) { Double($0) }
        case .i16: all(Int16.self) { Double($0) }
        case .i32: all(Int32.self) { Double($0) }
        case .i64: all(Int64.self) { Double($0) }
        case .f8e4m3: all(UInt8.self) { decodeFloat8($0, exponentBits: 4) }
        case .f8e5m2: all(UInt8.self) { decodeFloat8($0, exponentBits: 5) }
        case .f16: all(UInt16.self) { Double(decodeFloat16($0)) }
        case .bf16: all(UInt16.self) { Double(Float(bitPattern: UInt32($0) << 16)) }
        case .f32: all(Float.self) { Double($0) }
        case .f64: all(Double.self) { $0 }
        }
    }
}

/// IEEE 754 binary16 to binary32, exact (also subnormals, infinities and NaN payloads).
public func decodeFloat16(_ bits: UInt16) -> Float {
    let sign = UInt32(bits & 0x8000) << 16
    let exponent = UInt32(bits >> 10) & 31
    let fraction = UInt32(bits) & 0x3FF
    switch exponent {
    case 0:
        let magnitude = Float(fraction) * 0x1p-24
        return sign == 0 ? magnitude : -magnitude
    case 31: return Float(bitPattern: sign | 0x7F80_0000 | fraction << 13)
    default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
    }
}

/// OCP 8-bit floats: e4m3 ("fn": no infinity, NaN is all ones) and e5m2 (IEEE-like), exact.
func decodeFloat8(_ bits: UInt8, exponentBits: Int) -> Double {
    let fractionBits = 7 - exponentBits
    let exponent = Int(bits & 0x7F) >> fractionBits
    let fraction = Int(bits) & ((1 << fractionBits) - 1)
    let bias = (1 << (exponentBits - 1)) - 1
    let sign: Double = bits & 0x80 == 0 ? 1 : -1
    if exponentBits == 5 && exponent == 31 { return fraction == 0 ? sign * .infinity : .nan }
    if exponentBits == 4 && bits & 0x7F == 0x7F { return .nan }
    let scale = Double(sign: .plus, exponent: max(exponent, 1) - bias - fractionBits, significand: 1)
    return sign * scale * Double(exponent == 0 ? fraction : fraction + (1 << fractionBits))
}
