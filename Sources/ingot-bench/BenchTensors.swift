import ByteIO
import ModelIR

/// Numbers that depend on a tensor's name alone: uniform, of a given mean and deviation.
struct BenchTensors: TensorStorage {
    let seed: UInt32
    let (mean, width): (Float, Float)
    let count: Int

    var byteCount: Int { count * 4 }
    var region: ByteRegion? { nil }

    /// Element i is mean + ((i * 2654435761 + FNV-1a of the name) mod 2^32, its high 24 bits) / 2^24 - 1/2, times sqrt(12) deviations.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
        let values = buffer.bindMemory(to: Float.self)
        for i in values.indices {
            let bits = UInt32(truncatingIfNeeded: offset / 4 + i) &* 2_654_435_761 &+ seed
            values[i] = mean + (Float(bits >> 8) / 16_777_216 - 0.5) * width
        }
    }

    static func tensor(named name: String, shape: [Int], deviation: Double, mean: Double = 0) throws -> Tensor {
        let seed = name.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        let storage = BenchTensors(
            seed: seed, mean: Float(mean), width: Float(deviation * 12.0.squareRoot()), count: shape.reduce(1, *))
        return Tensor(dtype: .f32, shape: shape, bytes: try Tensor(dtype: .f32, shape: shape, storage: storage).bytes())
    }

    /// Token ids below a vocabulary.
    static func ids(_ shape: [Int], vocabulary: Int) -> Tensor {
        Tensor((0..<shape.reduce(1, *)).map { Int64(($0 * 7_919 + 13) % vocabulary) }, shape: shape)
    }
}
