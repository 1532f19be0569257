import ByteIO

/// Floats of one dtype read as another: to nearest even where the target is narrower, exactly where it is wider. Nothing is held in memory.
final class RoundedStorage: TensorStorage {
    private let source: Tensor
    private let dtype: DType

    var byteCount: Int { source.count * dtype.size }
    var region: ByteRegion? { nil }
    var identity: StorageIdentity? { StorageIdentity(owner: self, byteCount: byteCount) }

    init(source: Tensor, dtype: DType) {
        self.source = source
        self.dtype = dtype
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
        let size = dtype.size
        // Whole elements around what is asked for, a piece at a time.
        var position = offset / size
        let end = (offset + buffer.count + size - 1) / size
        while position < end {
            let count = min(end - position, 1 << 16)
            let piece = try Tensor(
                dtype: source.dtype, shape: [count],
                bytes: [UInt8](unsafeUninitializedCapacity: count * source.dtype.size) { bytes, n in
                    n = count * source.dtype.size
                    try source.storage.read(into: UnsafeMutableRawBufferPointer(bytes), at: position * source.dtype.size)
                }
            ).converted(to: dtype)
            let start = max(offset, position * size)
            let stop = min(offset + buffer.count, (position + count) * size)
            piece.withUnsafeBytes { bytes in
                UnsafeMutableRawBufferPointer(rebasing: buffer[start - offset..<stop - offset])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[start - position * size..<stop - position * size]))
            }
            position += count
        }
    }
}

extension Tensor {
    /// The same elements as another float dtype, rounded to nearest even when they are read.
    /// - Precondition: both dtypes are floats.
    public func rounded(to dtype: DType) -> Tensor {
        dtype == self.dtype ? self : Tensor(dtype: dtype, shape: shape, storage: RoundedStorage(source: self, dtype: dtype))
    }

    /// All elements as bytes of another float dtype.
    fileprivate func converted(to target: DType) throws -> [UInt8] {
        switch (dtype, target) {
        case (.f32, .bf16): return try mapElements(Float.self) { encodeBFloat16($0) }
        case (.f32, .f16): return try mapElements(Float.self) { encodeFloat16($0) }
        case (.bf16, .f32): return try mapElements(UInt16.self) { UInt32($0) << 16 }
        case (.f16, .f32): return try mapElements(UInt16.self) { decodeFloat16($0) }
        default: return try Tensor(doubles(), dtype: target, shape: shape).bytes()
        }
    }

    private func mapElements<A: BitwiseCopyable, B: BitwiseCopyable>(_ type: A.Type, _ convert: (A) -> B) throws -> [UInt8] {
        let bytes = try bytes()
        return bytes.withUnsafeBytes { raw in
            [UInt8](unsafeUninitializedCapacity: count * MemoryLayout<B>.size) { buffer, n in
                n = count * MemoryLayout<B>.size
                let target = UnsafeMutableRawBufferPointer(buffer)
                for i in 0..<count {
                    let value = raw.loadUnaligned(fromByteOffset: i * MemoryLayout<A>.size, as: A.self)
                    target.storeBytes(of: convert(value), toByteOffset: i * MemoryLayout<B>.size, as: B.self)
                }
            }
        }
    }
}
