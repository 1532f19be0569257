import Glibc

/// The random numbers that PyTorch draws on a CPU: a Mersenne Twister (Matsumoto and Nishimura 1998, MT19937) and the normals that
/// `torch.randn` makes of its draws (`aten/src/ATen/native/cpu/DistributionTemplates.h`).
///
/// Draws are PyTorch's bit for bit. Normals are within 2e-6 of it: it computes them in f32, by approximations that differ between processors.
public struct TorchGenerator: Sendable {
    private static let size = 624
    private static let shift = 397

    private var state: [UInt32]
    private var next = TorchGenerator.size

    /// - Parameter seed: as given to `torch.manual_seed`, of which only the lowest 32 bits count.
    public init(seed: Int) {
        var word = UInt32(truncatingIfNeeded: seed)
        state = [word]
        state.reserveCapacity(Self.size)
        for i in 1..<Self.size {
            word = 1_812_433_253 &* (word ^ (word >> 30)) &+ UInt32(i)
            state.append(word)
        }
    }

    /// The next 32 bits.
    public mutating func draw() -> UInt32 {
        if next == Self.size { refill() }
        var word = state[next]
        next += 1
        word ^= word >> 11
        word ^= (word << 7) & 0x9D2C_5680
        word ^= (word << 15) & 0xEFC6_0000
        return word ^ (word >> 18)
    }

    private mutating func refill() {
        for i in 0..<Self.size {
            let mixed = (state[i] & 0x8000_0000) | (state[(i + 1) % Self.size] & 0x7FFF_FFFF)
            state[i] = state[(i + Self.shift) % Self.size] ^ (mixed >> 1) ^ (mixed & 1 == 0 ? 0 : 0x9908_B0DF)
        }
        next = 0
    }

    /// In [0, 1), of 24 bits.
    private mutating func uniform() -> Double { Double(draw() & 0xFF_FFFF) * 0x1p-24 }

    /// In [0, 1), of 53 bits.
    private mutating func preciseUniform() -> Double {
        let high = UInt64(draw())
        return Double((high << 32 | UInt64(draw())) & 0x1F_FFFF_FFFF_FFFF) * 0x1p-53
    }

    /// `torch.randn(count)` of a generator that has drawn nothing else since it was seeded.
    ///
    /// From 16 numbers on, uniforms are drawn for all of them first, and each block of 16 becomes normals: the first eight with the last
    /// eight. What a last, incomplete block would need is drawn again for the last 16 places.
    public mutating func normals(_ count: Int) -> [Float] {
        guard count >= 16 else { return fewNormals(count) }
        var values = [Double](repeating: 0, count: count)
        for i in 0..<count { values[i] = uniform() }
        for start in stride(from: 0, through: count - 16, by: 16) { Self.makeNormal(&values, start) }
        if count % 16 != 0 {
            for i in count - 16..<count { values[i] = uniform() }
            Self.makeNormal(&values, count - 16)
        }
        return values.map { Float($0) }
    }

    /// Sixteen uniforms to normals, by Box and Muller.
    private static func makeNormal(_ values: inout [Double], _ start: Int) {
        for i in start..<start + 8 {
            let radius = (-2 * log(1 - values[i])).squareRoot()
            let angle = 2 * Double.pi * values[i + 8]
            (values[i], values[i + 8]) = (radius * cos(angle), radius * sin(angle))
        }
    }

    /// Pairs, one after another, in double precision.
    private mutating func fewNormals(_ count: Int) -> [Float] {
        var values: [Float] = []
        while values.count < count {
            let angle = 2 * Double.pi * preciseUniform()
            let radius = (-2 * log1p(-preciseUniform())).squareRoot()
            values += [Float(radius * cos(angle)), Float(radius * sin(angle))]
        }
        return Array(values.prefix(count))
    }
}
