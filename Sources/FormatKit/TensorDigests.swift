import ByteIO
import Digests
import ModelIR
import Synchronization

/// SHA-256 of tensors' bytes (dense, row-major, little-endian), each found once however many ask for it.
public final class TensorDigests: Sendable {
    private struct Known {
        /// Kept alive: an identity is good for as long as its storage.
        var storage: any TensorStorage
        var digest: [UInt8]
    }

    private let known = Mutex<[StorageIdentity: Known]>([:])

    public init() {}

    /// The digest, if it was computed before.
    public subscript(_ tensor: Tensor) -> [UInt8]? {
        guard let identity = tensor.storage.identity else { return nil }
        return known.withLock { $0[identity]?.digest }
    }

    /// Takes in a digest that was computed elsewhere.
    public func note(_ digest: [UInt8], of storage: any TensorStorage) {
        guard let identity = storage.identity else { return }
        known.withLock { $0[identity] = Known(storage: storage, digest: digest) }
    }

    /// Digests of 32 bytes, in the order of the tensors; those that aren't known are computed on several threads.
    /// - Throws: what reading the tensors throws.
    public func digests(of tensors: [Tensor], threadCount: Int) throws -> [[UInt8]] {
        var result = tensors.map { self[$0] ?? [] }
        // The largest first, so that no thread is left with it in the end; what several names share only once.
        var seen: Set<StorageIdentity> = []
        let missing = tensors.indices.filter { i in
            result[i].isEmpty && tensors[i].storage.identity.map { seen.insert($0).inserted } ?? true
        }.sorted { (tensors[$1].byteCount, $0) < (tensors[$0].byteCount, $1) }
        let job = DigestJob(missing.map { tensors[$0].storage })
        try inOrder(count: min(threadCount, missing.count), threadCount: threadCount, makeSlot: {}) { _, _ in
            try job.run()
        } consume: { _, _ in
        }
        for (i, digest) in zip(missing, job.digests) {
            result[i] = digest
            note(digest, of: tensors[i].storage)
        }
        for i in tensors.indices where result[i].isEmpty { result[i] = self[tensors[i]] ?? [] }
        return result
    }
}
