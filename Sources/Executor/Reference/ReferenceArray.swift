import ByteIO
import ModelIR

/// A value of the reference backend: floats as `Double`, integers and bools as `Int64`; row-major.
struct ReferenceArray: Sendable {
    enum Elements: Sendable {
        case real([Double])
        case integer([Int64])
    }

    var type: ConcreteType
    var elements: Elements

    var shape: [Int] { type.shape }
    var count: Int {
        switch elements {
        case .real(let values): values.count
        case .integer(let values): values.count
        }
    }

    init(_ type: ConcreteType, _ values: [Double]) {
        self.type = type
        self.elements = .real(values)
    }

    init(_ type: ConcreteType, _ values: [Int64]) {
        self.type = type
        self.elements = .integer(values)
    }

    /// Elements as `Double`, whatever they are stored as.
    var doubles: [Double] {
        switch elements {
        case .real(let values): values
        case .integer(let values): values.map { Double($0) }
        }
    }

    /// Elements as `Int64`; floats are truncated as `cast` does.
    var integers: [Int64] {
        switch elements {
        case .real(let values): values.map { truncatedInteger($0, .i64) }
        case .integer(let values): values
        }
    }

    /// `Double` values as elements of `type`.
    init(_ type: ConcreteType, converting values: [Double]) {
        if type.dtype.isFloat {
            self.init(type, values)
        } else {
            self.init(type, values.map { type.dtype == .bool ? ($0 != 0 ? 1 : 0) : truncatedInteger($0, type.dtype) })
        }
    }
}

// MARK: - Tensors

extension ReferenceArray {
    /// A parameter, or an input that has been converted.
    init(_ type: ConcreteType, _ tensor: Tensor) throws {
        if type.dtype.isFloat {
            self.init(type, try tensor.doubles())
        } else {
            guard let values = try tensor.exactIntegers() else { throw GraphError("a parameter holds integers past 2^63") }
            self.init(type, type.dtype == .bool ? values.map { $0 == 0 ? 0 : 1 } : values)
        }
    }

    /// The tensor of an output: f32 for f32 and narrower floats, f64 for f64, integers and bool in their own dtype.
    func outputTensor() -> Tensor {
        switch elements {
        case .real(let values): type.dtype == .f64 ? Tensor(values, shape: shape) : Tensor(values.map { Float($0) }, shape: shape)
        case .integer(let values): integerTensor(values, type)
        }
    }

    /// The tensor of a captured value: f64, i64 or bool.
    func capturedTensor() -> Tensor {
        switch elements {
        case .real(let values): Tensor(values, shape: shape)
        case .integer(let values): type.dtype == .bool ? integerTensor(values, type) : Tensor(values, shape: shape)
        }
    }
}

/// Integers in the bytes of `type`'s dtype.
func integerTensor(_ values: [Int64], _ type: ConcreteType) -> Tensor {
    let size = type.dtype.size
    var bytes = [UInt8](repeating: 0, count: values.count * size)
    bytes.withUnsafeMutableBytes { raw in
        for (i, value) in values.enumerated() {
            // Little-endian: the low bytes come first.
            withUnsafeBytes(of: value.littleEndian) { source in
                for k in 0..<size { raw[i * size + k] = source[k] }
            }
        }
    }
    return Tensor(dtype: type.dtype, shape: type.shape, bytes: bytes)
}

// MARK: - Integer dtypes

/// `x` cut towards zero, held within the dtype's range; NaN gives 0.
func truncatedInteger(_ x: Double, _ dtype: DType) -> Int64 {
    if x.isNaN { return 0 }
    let range = dtype.integerRange
    if x <= Double(range.lowerBound) { return range.lowerBound }
    if x >= Double(range.upperBound) { return range.upperBound }
    return Int64(x)
}

extension DType {
    /// What `Int64` can hold of the dtype's integers (u64 ends at 2^63 - 1); 0 and 1 for bool.
    var integerRange: ClosedRange<Int64> {
        switch self {
        case .bool: 0...1
        case .u8: 0...Int64(UInt8.max)
        case .u16: 0...Int64(UInt16.max)
        case .u32: 0...Int64(UInt32.max)
        case .i8: Int64(Int8.min)...Int64(Int8.max)
        case .i16: Int64(Int16.min)...Int64(Int16.max)
        case .i32: Int64(Int32.min)...Int64(Int32.max)
        case .u64: 0...Int64.max
        case .i64, .f8e4m3, .f8e5m2, .f16, .bf16, .f32, .f64: Int64.min...Int64.max
        }
    }

    /// An integer wrapped around to the dtype's width, as machine arithmetic does.
    func wrapped(_ x: Int64) -> Int64 {
        switch self {
        case .bool: x == 0 ? 0 : 1
        case .u8: Int64(UInt8(truncatingIfNeeded: x))
        case .u16: Int64(UInt16(truncatingIfNeeded: x))
        case .u32: Int64(UInt32(truncatingIfNeeded: x))
        case .i8: Int64(Int8(truncatingIfNeeded: x))
        case .i16: Int64(Int16(truncatingIfNeeded: x))
        case .i32: Int64(Int32(truncatingIfNeeded: x))
        case .u64, .i64, .f8e4m3, .f8e5m2, .f16, .bf16, .f32, .f64: x
        }
    }
}
