import ByteIO
import Testing

@testable import ModelIR

@Suite struct TensorTests {
    @Test func knownBitPatterns() {
        let halves: [(UInt16, Float)] = [
            (0x0000, 0), (0x3C00, 1), (0xC000, -2), (0x3555, 0.333251953125), (0x7BFF, 65504), (0x0400, 0x1p-14), (0x03FF, 0x1.FF8p-15),
            (0x0001, 0x1p-24), (0x8001, -0x1p-24), (0x7C00, .infinity), (0xFC00, -.infinity),
        ]
        for (bits, value) in halves {
            #expect(decodeFloat16(bits) == value)
            #expect(encodeFloat16(value) == bits)
        }
        #expect(decodeFloat16(0x8000).sign == .minus && decodeFloat16(0x7E00).isNaN && decodeFloat16(0xFC01).isNaN)
        let e4m3: [(UInt8, Double)] = [
            (0x00, 0), (0x38, 1), (0xC0, -2), (0x7E, 448), (0xFE, -448), (0x01, 0x1p-9), (0x07, 0x1.Cp-7), (0x08, 0x1p-6), (0x3C, 1.5),
            (0x78, 256),
        ]
        for (bits, value) in e4m3 { #expect(decodeFloat8(bits, exponentBits: 4) == value) }
        #expect(decodeFloat8(0x7F, exponentBits: 4).isNaN && decodeFloat8(0xFF, exponentBits: 4).isNaN)
        let e5m2: [(UInt8, Double)] = [
            (0x00, 0), (0x3C, 1), (0xC0, -2), (0x7B, 57344), (0x01, 0x1p-16), (0x03, 0x1.8p-15), (0x04, 0x1p-14), (0x7C, .infinity),
            (0xFC, -.infinity),
        ]
        for (bits, value) in e5m2 { #expect(decodeFloat8(bits, exponentBits: 5) == value) }
        #expect((0x7D...0x7F).allSatisfy { decodeFloat8($0, exponentBits: 5).isNaN })
    }

    @Test func everyHalfReadsBack() {
        for bits in UInt16.min...UInt16.max {
            let value = decodeFloat16(bits)
            if value.isNaN {
                // A signalling NaN may become quiet; payload and sign stay.
                #expect(encodeFloat16(value) == bits | 0x200)
            } else if encodeFloat16(value) != bits || encodeSmallFloat(Double(value), exponentBits: 5, fractionBits: 10) != bits {
                Issue.record("\(bits) is \(value) and comes back as \(encodeFloat16(value))")
            }
        }
    }

    @Test func everyBFloatAndFloat8ReadsBack() {
        for bits in UInt16.min...UInt16.max {
            let value = Float(bitPattern: UInt32(bits) << 16)
            if value.isNaN { continue }
            #expect(encodeBFloat16(value) == bits)
            #expect(encodeSmallFloat(Double(value), exponentBits: 8, fractionBits: 7) == bits)
        }
        for bits in UInt8.min...UInt8.max {
            let (a, b) = (decodeFloat8(bits, exponentBits: 4), decodeFloat8(bits, exponentBits: 5))
            if !a.isNaN { #expect(encodeSmallFloat(a, exponentBits: 4, fractionBits: 3, hasInfinity: false) == UInt16(bits)) }
            if !b.isNaN { #expect(encodeSmallFloat(b, exponentBits: 5, fractionBits: 2) == UInt16(bits)) }
        }
    }

    @Test func rounding() {
        let cases: [(Float, UInt16)] = [
            // Ties go to the even neighbour, of normal and subnormal numbers alike.
            (1 + 0x1p-11, 0x3C00), (1 + 0x3p-11, 0x3C02), ((1 + 0x1p-11).nextUp, 0x3C01), ((1 + 0x3p-11).nextDown, 0x3C01),
            (0x1p-25, 0x0000), (Float(0x1p-25).nextUp, 0x0001), (0x1.8p-24, 0x0002), (0x1.4p-23, 0x0002), (-0x1p-25, 0x8000),
            // Up into the next power, into the normal numbers, and into infinity.
            (1.99951171875 + 0x1p-12, 0x4000), (0x1.FFEp-15, 0x0400), (65504, 0x7BFF), (65519.996, 0x7BFF), (65520, 0x7C00), (1e10, 0x7C00),
            (-65520, 0xFC00), (.greatestFiniteMagnitude, 0x7C00), (.leastNonzeroMagnitude, 0), (-0.0, 0x8000),
        ]
        for (value, bits) in cases {
            #expect(encodeFloat16(value) == bits, "\(value)")
            #expect(encodeSmallFloat(Double(value), exponentBits: 5, fractionBits: 10) == bits, "\(value)")
        }
        #expect(encodeBFloat16(1 + 0x1p-8) == 0x3F80 && encodeBFloat16(1 + 0x3p-8) == 0x3F82)
        #expect(encodeBFloat16(.greatestFiniteMagnitude) == 0x7F80 && encodeBFloat16(.nan) == 0x7FC0)
        // Rounded once: by way of binary32 this would be a tie.
        #expect(encodeSmallFloat(1 + 0x1p-11 + 0x1p-40, exponentBits: 5, fractionBits: 10) == 0x3C01)
        // OCP e4m3 has no infinity; 464 lies between 448 and the place of NaN.
        func e4m3(_ value: Double) -> UInt16 { encodeSmallFloat(value, exponentBits: 4, fractionBits: 3, hasInfinity: false) }
        #expect([464, 465, 1e9, -.infinity, .nan].map(e4m3) == [0x7E, 0x7F, 0x7F, 0xFF, 0x7F])
        #expect([57344, 61439, 61440, .nan].map { encodeSmallFloat($0, exponentBits: 5, fractionBits: 2) } == [0x7B, 0x7B, 0x7C, 0x7E])
    }

    @Test(arguments: DType.allCases) func elements(_ dtype: DType) throws {
        let values: [Double] =
            switch dtype {
            case .bool: [0, 1, 1, 0]
            case .u8: [0, 1, 200, 255]
            case .u16: [0, 1, 200, 65535]
            case .u32: [0, 1, 200, 4_294_967_295]
            case .u64: [0, 1, 200, 0x1p63]
            case .i8: [-128, -1, 0, 127]
            case .i16: [-32768, -1, 0, 32767]
            case .i32: [-2_147_483_648, -1, 0, 2_147_483_647]
            case .i64: [-0x1p63, -1, 0, 0x1p53]
            case .f8e4m3, .f8e5m2, .f16, .bf16, .f32, .f64: [-0.5, 0, 1.5, 192]
            }
        let tensor = Tensor(values, dtype: dtype, shape: [2, 2])
        #expect(tensor.count == 4 && tensor.byteCount == 4 * dtype.size)
        let bytes = try tensor.bytes()
        #expect(bytes.count == tensor.byteCount)
        #expect(values.allSatisfy(dtype.holds))
        #expect(try tensor.doubles() == values)
        #expect(try tensor.floats() == values.map { Float($0) })
        let integers = try tensor.exactIntegers()
        #expect(integers == (dtype.isFloat || dtype == .u64 ? nil : values.map { Int64($0) }))
        var pieces: [UInt8] = []
        try tensor.forEachPiece(ofSize: 8) { pieces += $0 }
        #expect(pieces == bytes)
    }

    @Test func whatATypeHolds() {
        #expect(!DType.bool.holds(2) && !DType.u8.holds(-1) && !DType.i8.holds(128) && !DType.i32.holds(0.5) && !DType.i64.holds(.nan))
        #expect(!DType.u64.holds(0x1p64) && !DType.i64.holds(0x1p63) && DType.i64.holds(-0x1p63) && DType.f16.holds(.infinity))
        #expect(DType.allCases.count { $0.isFloat } == 6 && DType.allCases.count { $0.isInteger } == 8)
        #expect(DType.allCases.map(\.size) == [1, 1, 2, 4, 8, 1, 2, 4, 8, 1, 1, 2, 2, 4, 8])
    }

    @Test func literalsOfArrays() throws {
        #expect(try Tensor([1.5, -2] as [Float], shape: [2]).doubles() == [1.5, -2])
        #expect(try Tensor([0.1] as [Double], shape: []).doubles() == [0.1])
        #expect(try Tensor([Int64.min, .max], shape: [2]).exactIntegers() == [.min, .max])
        #expect(try Tensor([2, 3], dtype: .f16, shape: [2]).exactIntegers() == [2, 3])
        let unsigned = Tensor(dtype: .u64, shape: [2], bytes: [5, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 127])
        #expect(try unsigned.exactIntegers() == [5, .max])
        #expect(Tensor([], dtype: .f32, shape: [0, 3]).count == 0)
        #expect(try Tensor(dtype: .bool, shape: [3], bytes: [0, 1, 255]).doubles() == [0, 1, 1])
    }
}
