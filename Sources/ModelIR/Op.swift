/// The mathematics of one node: a closed set that fits one screen. Composites stay whole in the graph; each has a definition in these
/// primitives (or a reference loop), see `Composite`.
///
/// Shapes are those of the inputs; `[..]` stands for any leading dimensions. No `default:` over this type, anywhere: a new case shows
/// every place that must know it.
public enum Op: Hashable, Sendable {
    /// No input; at most 16 elements, larger ones are parameters.
    case constant(Literal)
    case unary(UnaryFunction)
    /// Two inputs of one dtype, NumPy broadcasting.
    case binary(BinaryFunction)
    /// Two inputs of one dtype, NumPy broadcasting; gives bool.
    case compare(Comparison)
    /// (condition: bool, whenTrue, whenFalse), NumPy broadcasting.
    case select
    /// Floats to integers: cut towards zero, held within the range, NaN gives 0. Integers to narrower ones wrap around. To bool: whether
    /// it isn't 0.
    case cast(DType)
    case reduce(Reduction, axes: [Int], keepsDimensions: Bool)
    /// [.., m, k] x [.., k, n] -> [.., m, n]; leading dimensions broadcast.
    case matmul
    /// Row-major; the product of the dimensions stays.
    case reshape(Shape)
    case transpose([Int])
    case broadcast(Shape)
    /// One range per axis.
    case slice([SliceRange])
    case reverse(axes: [Int])
    /// Elements added before and after along each axis.
    case pad([PadWidth], value: Double)
    case concat(axis: Int)
    /// (data, indices: integer): data's `axis` is replaced by the dimensions of indices.
    case gather(axis: Int)
    /// (data, indices: integer [n], updates): rows of `axis` replaced; a repeated index keeps the last.
    case scatter(axis: Int)
    /// Ascending, NaN last, stable; gives (sorted, indices: i64).
    case sort(axis: Int)
    /// i64; the first of equals; NaN counts as greatest.
    case argmax(axis: Int, keepsDimensions: Bool)
    case cumulativeSum(axis: Int)
    /// 0, 1, 2, ... along `axis`.
    case iota(ValueType, axis: Int)
    /// (x: [batch, spatial.., in], kernel: [sizes.., in / groups, out]) -> [batch, spatial.., out].
    case convolution(Convolution)
    /// x: [batch, spatial.., channels].
    case pool(Pool)
    case composite(Composite)
}

public enum UnaryFunction: String, CaseIterable, Hashable, Sendable {
    case negate, absolute, sign, reciprocal, sqrt, rsqrt, exp, log, log1p, sin, cos, tanh, erf, floor, ceil
    /// To the nearest integer, ties to even.
    case round
    case not
}

public enum BinaryFunction: String, CaseIterable, Hashable, Sendable {
    /// `divide` rounds integers towards negative infinity, as NumPy's // does, and gives 0 for a divisor of 0; `maximum` and `minimum`
    /// give NaN if either is.
    case add, subtract, multiply, divide, maximum, minimum, power
    /// Sign of the divisor (Python's %).
    case remainder
    case and, or
}

public enum Comparison: String, CaseIterable, Hashable, Sendable {
    case equal, notEqual = "not_equal", less, lessOrEqual = "less_or_equal", greater, greaterOrEqual = "greater_or_equal"
}

public enum Reduction: String, CaseIterable, Hashable, Sendable {
    case sum, mean, product, maximum, minimum, any, all
}

/// A small constant: an empty shape is a scalar's.
public struct Literal: Hashable, Sendable {
    public var dtype: DType
    public var shape: [Int]
    /// Row-major; bool as 0 and 1.
    public var values: [Double]

    public init(_ dtype: DType, shape: [Int] = [], _ values: [Double]) {
        self.dtype = dtype
        self.shape = shape
        self.values = values
    }
}

/// `start ..< end` by `step`; negative bounds count from the end, nil is the end itself.
public struct SliceRange: Hashable, Sendable {
    public var start: Int
    public var end: Int?
    /// Positive.
    public var step: Int

    public init(_ start: Int = 0, _ end: Int? = nil, step: Int = 1) {
        self.start = start
        self.end = end
        self.step = step
    }
}

public struct PadWidth: Hashable, Sendable {
    public var before: Int
    public var after: Int
    public init(_ before: Int, _ after: Int) {
        self.before = before
        self.after = after
    }
}

/// How a window meets the borders, as TensorFlow defines it.
public enum Padding: String, CaseIterable, Hashable, Sendable {
    case valid
    /// Output ceil(n / stride); the total is split evenly, the odd element goes to the end.
    case same
    /// All padding before the first step: output t sees inputs up to t (one spatial dimension).
    case causal
}

public struct Convolution: Hashable, Sendable {
    /// Per spatial dimension.
    public var strides: [Int]
    /// Per spatial dimension.
    public var dilations: [Int]
    public var padding: Padding
    public var groups: Int

    public init(strides: [Int], dilations: [Int], padding: Padding, groups: Int) {
        self.strides = strides
        self.dilations = dilations
        self.padding = padding
        self.groups = groups
    }
}

public struct Pool: Hashable, Sendable {
    public enum Kind: String, CaseIterable, Hashable, Sendable {
        case maximum
        /// Padding is not counted.
        case average
    }
    public var kind: Kind
    public var sizes: [Int]
    public var strides: [Int]
    public var padding: Padding

    public init(kind: Kind, sizes: [Int], strides: [Int], padding: Padding) {
        self.kind = kind
        self.sizes = sizes
        self.strides = strides
        self.padding = padding
    }
}

/// Sizes along one spatial dimension, shared by inference and kernels.
public enum Window {
    /// What a window's size, stride or dilation may be; products of two fit 64 bits.
    static let sizes = 1...1 << 31

    /// Output size for input size `n`, window `k`, stride `s`, dilation `d`.
    public static func outputSize(_ n: Dim, k: Int, s: Int, d: Int, padding: Padding) -> Dim {
        switch padding {
        case .same, .causal: n.ceilDivided(by: s)
        case .valid: (n - (k - 1) * d).atLeast(0).ceilDivided(by: s)
        }
    }

    /// Elements of padding before the first input element.
    public static func padBefore(n: Int, k: Int, s: Int, d: Int, padding: Padding) -> Int {
        switch padding {
        case .valid: 0
        case .causal: (k - 1) * d
        case .same: max(((n + s - 1) / s - 1) * s + (k - 1) * d + 1 - n, 0) / 2
        }
    }
}
