import Glibc
import ModelIR

// What one element of an element-wise op is, in f64 and Int64: the reference for every kernel.

extension UnaryFunction {
    func evaluate(_ x: Double) -> Double {
        switch self {
        case .negate: -x
        case .absolute: abs(x)
        case .sign: x > 0 ? 1 : x < 0 ? -1 : x
        case .reciprocal: 1 / x
        case .sqrt: x.squareRoot()
        case .rsqrt: 1 / x.squareRoot()
        case .exp: Glibc.exp(x)
        case .log: Glibc.log(x)
        case .log1p: Glibc.log1p(x)
        case .sin: Glibc.sin(x)
        case .cos: Glibc.cos(x)
        case .tanh: Glibc.tanh(x)
        case .erf: Glibc.erf(x)
        case .floor: x.rounded(.down)
        case .ceil: x.rounded(.up)
        case .round: x.rounded(.toNearestOrEven)
        case .not: x == 0 ? 1 : 0
        }
    }

    /// Of integers and bools; functions that take floats only leave the element as it is.
    func evaluate(_ x: Int64) -> Int64 {
        switch self {
        case .negate: 0 &- x
        case .absolute: x < 0 ? 0 &- x : x
        case .sign: x.signum()
        case .not: x == 0 ? 1 : 0
        case .reciprocal, .sqrt, .rsqrt, .exp, .log, .log1p, .sin, .cos, .tanh, .erf, .floor, .ceil, .round: x
        }
    }
}

extension BinaryFunction {
    @inline(__always)
    func evaluate(_ a: Double, _ b: Double) -> Double {
        switch self {
        case .add: a + b
        case .subtract: a - b
        case .multiply: a * b
        case .divide: a / b
        case .maximum: a.isNaN || a > b ? a : b
        case .minimum: a.isNaN || a < b ? a : b
        case .power: pow(a, b)
        case .remainder: floorRemainder(a, b)
        case .and: a != 0 && b != 0 ? 1 : 0
        case .or: a != 0 || b != 0 ? 1 : 0
        }
    }

    @inline(__always)
    func evaluate(_ a: Int64, _ b: Int64) -> Int64 {
        switch self {
        case .add: a &+ b
        case .subtract: a &- b
        case .multiply: a &* b
        case .divide: floorQuotient(a, b)
        case .maximum: max(a, b)
        case .minimum: min(a, b)
        case .power: integerPower(a, b)
        case .remainder: b == 0 ? 0 : a &- floorQuotient(a, b) &* b
        case .and: a & b
        case .or: a | b
        }
    }
}

extension Comparison {
    @inline(__always)
    func evaluate<T: Comparable>(_ a: T, _ b: T) -> Bool {
        switch self {
        case .equal: a == b
        case .notEqual: a != b
        case .less: a < b
        case .lessOrEqual: a <= b
        case .greater: a > b
        case .greaterOrEqual: a >= b
        }
    }
}

/// Python's %: the result has the sign of the divisor.
private func floorRemainder(_ a: Double, _ b: Double) -> Double {
    let r = fmod(a, b)
    if r == 0 { return b < 0 ? -0.0 : 0 }
    return (r < 0) != (b < 0) ? r + b : r
}

/// Rounded towards negative infinity, so that it fits the remainder; 0 for a divisor of 0, as NumPy has it.
private func floorQuotient(_ a: Int64, _ b: Int64) -> Int64 {
    if b == 0 { return 0 }
    if b == -1 { return 0 &- a }
    let q = a / b
    return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q
}

/// Wraps around; a negative exponent gives the fraction's integer part.
private func integerPower(_ a: Int64, _ b: Int64) -> Int64 {
    if b < 0 { return a == 1 ? 1 : a == -1 ? (b % 2 == 0 ? 1 : -1) : 0 }
    var (result, base, exponent) = (Int64(1), a, b)
    while exponent > 0 {
        if exponent & 1 == 1 { result = result &* base }
        base = base &* base
        exponent >>= 1
    }
    return result
}
