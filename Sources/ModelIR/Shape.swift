/// One dimension of a shape: a number, a symbol bound when the graph is planned, or a small expression of them.
///
/// Built through the static functions, which fold constants, so that equal sizes mostly become equal trees.
public indirect enum Dim: Hashable, Sendable {
    case fixed(Int)
    case symbol(String)
    case sum(Dim, Dim)
    case product(Dim, Dim)
    /// Rounded towards negative infinity; the divisor is positive.
    case floorQuotient(Dim, Int)
    /// Rounded towards positive infinity; the divisor is positive.
    case ceilQuotient(Dim, Int)
    /// The larger of two; pooling and cropping never go below zero.
    case maximum(Dim, Int)

    /// An overflowing sum stays a sum: `evaluate` refuses it.
    public static func + (a: Dim, b: Dim) -> Dim {
        switch (a, b) {
        case (.fixed(let x), .fixed(let y)):
            let (sum, overflow) = x.addingReportingOverflow(y)
            return overflow ? .sum(a, b) : .fixed(sum)
        case (.fixed(0), let other), (let other, .fixed(0)): return other
        case (.fixed, let other): return other + a
        case (.sum(let inner, .fixed(let x)), .fixed(let y)):
            let (sum, overflow) = x.addingReportingOverflow(y)
            return overflow ? .sum(a, b) : inner + .fixed(sum)
        case (.sum(let inner, .fixed(let x)), let other): return (inner + other) + .fixed(x)
        default: return .sum(a, b)
        }
    }

    public static func - (a: Dim, b: Int) -> Dim { b == .min ? .sum(.sum(a, .fixed(.max)), .fixed(1)) : a + .fixed(-b) }

    /// An overflowing product stays a product: `evaluate` refuses it.
    public static func * (a: Dim, b: Dim) -> Dim {
        switch (a, b) {
        case (.fixed(let x), .fixed(let y)):
            let (product, overflow) = x.multipliedReportingOverflow(by: y)
            return overflow ? .product(a, b) : .fixed(product)
        case (.fixed(1), let other), (let other, .fixed(1)): return other
        case (.fixed(0), _), (_, .fixed(0)): return .fixed(0)
        case (.fixed, let other): return other * a
        case (.product(let inner, .fixed(let x)), .fixed(let y)):
            let (product, overflow) = x.multipliedReportingOverflow(by: y)
            return overflow ? .product(a, b) : inner * .fixed(product)
        case (.product(let inner, .fixed(let x)), let other): return (inner * other) * .fixed(x)
        default: return .product(a, b)
        }
    }

    /// - Precondition: `n` is positive.
    public func floorDivided(by n: Int) -> Dim {
        if n == 1 { return self }
        if case .fixed(let x) = self { return .fixed(Self.floorQuotient(x, n)) }
        if case .product(let inner, .fixed(let x)) = self, x % n == 0 { return inner * .fixed(x / n) }
        return .floorQuotient(self, n)
    }

    /// - Precondition: `n` is positive.
    public func ceilDivided(by n: Int) -> Dim {
        if n == 1 { return self }
        if case .fixed(let x) = self { return .fixed(Self.ceilQuotient(x, n)) }
        if case .product(let inner, .fixed(let x)) = self, x % n == 0 { return inner * .fixed(x / n) }
        return .ceilQuotient(self, n)
    }

    private static func floorQuotient(_ x: Int, _ n: Int) -> Int { x / n - (x % n < 0 ? 1 : 0) }
    private static func ceilQuotient(_ x: Int, _ n: Int) -> Int { x / n + (x % n > 0 ? 1 : 0) }

    public func atLeast(_ bound: Int) -> Dim {
        if case .fixed(let x) = self { return .fixed(max(x, bound)) }
        return .maximum(self, bound)
    }

    /// The number, if this is one.
    public var fixedValue: Int? { if case .fixed(let n) = self { n } else { nil } }

    /// True or false where it is certain, nil where it depends on symbols.
    public func equals(_ other: Dim) -> Bool? {
        if self == other { return true }
        if let a = fixedValue, let b = other.fixedValue { return a == b }
        return nil
    }

    /// The size under `bindings`.
    /// - Throws: `GraphError` for an unbound symbol, overflow, or a negative result.
    public func evaluate(_ bindings: [String: Int]) throws(GraphError) -> Int {
        func go(_ dim: Dim) throws(GraphError) -> Int {
            func checked(_ result: (partialValue: Int, overflow: Bool)) throws(GraphError) -> Int {
                guard !result.overflow else { throw GraphError("dimension \(self) overflows") }
                return result.partialValue
            }
            switch dim {
            case .fixed(let n): return n
            case .symbol(let name):
                guard let n = bindings[name] else { throw GraphError("dimension '\(name)' has no size") }
                return n
            case .sum(let a, let b): return try checked(go(a).addingReportingOverflow(go(b)))
            case .product(let a, let b): return try checked(go(a).multipliedReportingOverflow(by: go(b)))
            case .floorQuotient(let a, let n):
                return Self.floorQuotient(try go(a), n)
            case .ceilQuotient(let a, let n):
                return Self.ceilQuotient(try go(a), n)
            case .maximum(let a, let n): return max(try go(a), n)
            }
        }
        let value = try go(self)
        guard value >= 0 else { throw GraphError("dimension \(self) is negative: \(value)") }
        return value
    }
}

extension Dim: ExpressibleByIntegerLiteral, CustomStringConvertible {
    public init(integerLiteral value: Int) { self = .fixed(value) }

    /// `12`, `batch`, `(time + -2)`, `(batch * time)`, `floor(time / 2)`, `ceil(time / 2)`, `max(time, 0)`; parses back.
    public var description: String {
        switch self {
        case .fixed(let n): "\(n)"
        case .symbol(let name): TextName.symbolText(name)
        case .sum(let a, let b): "(\(a) + \(b))"
        case .product(let a, let b): "(\(a) * \(b))"
        case .floorQuotient(let a, let n): "floor(\(a) / \(n))"
        case .ceilQuotient(let a, let n): "ceil(\(a) / \(n))"
        case .maximum(let a, let n): "max(\(a), \(n))"
        }
    }
}

/// Sizes of a value's dimensions, outermost first.
public struct Shape: Hashable, Sendable, ExpressibleByArrayLiteral, CustomStringConvertible {
    public var dims: [Dim]

    public init(_ dims: [Dim]) { self.dims = dims }
    public init(fixed sizes: [Int]) { self.dims = sizes.map { .fixed($0) } }
    public init(arrayLiteral elements: Dim...) { self.dims = elements }

    public var rank: Int { dims.count }
    public subscript(axis: Int) -> Dim { dims[axis < 0 ? dims.count + axis : axis] }

    /// Product of all dimensions.
    public var elementCount: Dim { dims.reduce(.fixed(1), *) }

    /// All sizes, if none is open.
    public var fixedSizes: [Int]? {
        let sizes = dims.compactMap(\.fixedValue)
        return sizes.count == dims.count ? sizes : nil
    }

    public func evaluate(_ bindings: [String: Int]) throws(GraphError) -> [Int] {
        var sizes: [Int] = []
        for dim in dims { sizes.append(try dim.evaluate(bindings)) }
        return sizes
    }

    /// NumPy broadcasting of two shapes; nil if they definitely disagree. An open dimension against another is taken as equal, and
    /// checked again with numbers when the graph is planned.
    public static func broadcast(_ a: Shape, _ b: Shape) -> Shape? {
        let rank = max(a.rank, b.rank)
        var dims: [Dim] = []
        for i in 0..<rank {
            let x = i < rank - a.rank ? Dim.fixed(1) : a.dims[i - (rank - a.rank)]
            let y = i < rank - b.rank ? Dim.fixed(1) : b.dims[i - (rank - b.rank)]
            if x == .fixed(1) {
                dims.append(y)
            } else if y == .fixed(1) {
                dims.append(x)
            } else {
                guard x.equals(y) != false else { return nil }
                dims.append(x.fixedValue != nil ? x : y)
            }
        }
        return Shape(dims)
    }

    public var description: String { "[\(dims.map(\.description).joined(separator: ", "))]" }
}

/// Element type and shape of a value in a graph.
public struct ValueType: Hashable, Sendable, CustomStringConvertible {
    public var dtype: DType
    public var shape: Shape

    public init(_ dtype: DType, _ shape: Shape) {
        self.dtype = dtype
        self.shape = shape
    }

    public var description: String { "\(dtype.rawValue)\(shape)" }
}

/// A graph that breaks a rule of the IR: types that don't fit, an unbound dimension, a name used twice.
public struct GraphError: Error, Hashable, Sendable, CustomStringConvertible {
    public var message: String
    /// Name of the layer that the offending node comes from.
    public var origin: String?

    public init(_ message: String, origin: String? = nil) {
        self.message = message
        self.origin = origin
    }

    public var description: String { origin.map { "\($0): \(message)" } ?? message }
}
