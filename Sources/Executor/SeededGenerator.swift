import Glibc

/// Random numbers that are the same everywhere and for ever: files carry proofs made from them, so no line of this may change its results.
///
/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): the state grows by 0x9E3779B97F4A7C15, the
/// output is the state mixed by two multiplications. `1234567` gives 6457827717110365317 first.
public struct SeededGenerator: RandomNumberGenerator, Hashable, Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// Uniform in 0 ..< 1: the top 53 bits of one output.
    public mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// Uniform in lower ..< upper.
    public mutating func uniform(_ range: Range<Double>) -> Double {
        range.lowerBound + (range.upperBound - range.lowerBound) * uniform()
    }

    /// Standard normal, near enough for probes: the sum of 12 uniforms less 6 (Irwin and Hall). Only additions, so that no libm can change it.
    public mutating func normal() -> Double {
        var sum = -6.0
        for _ in 0..<12 { sum += uniform() }
        return sum
    }

    /// An integer of the range: the high half of output x size. The bias is below size / 2^64.
    /// - Precondition: the range isn't empty.
    public mutating func integer(in range: Range<Int>) -> Int {
        precondition(!range.isEmpty, "no integer in an empty range")
        let size = UInt64(bitPattern: Int64(range.upperBound &- range.lowerBound))
        return range.lowerBound &+ Int(bitPattern: UInt(next().multipliedFullWidth(by: size).high))
    }

    /// +1 or -1, by the top bit.
    public mutating func sign() -> Double { next() >> 63 == 0 ? 1 : -1 }
}
