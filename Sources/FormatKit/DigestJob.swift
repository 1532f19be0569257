import ByteIO
import Digests
import ModelIR
import Synchronization

/// SHA-256 of storages' bytes, computed by every thread that runs the job: each takes the next storage as long as there are any.
///
/// A digest is computed from end to end and can't be shared out, but two are computed in the time of one where the processor has
/// instructions for it.
public final class DigestJob: Sendable {
    private let storages: [any TensorStorage]
    private let state: Mutex<State>

    private struct State {
        var next = 0
        var digests: [[UInt8]]
    }

    /// - Parameter storages: best the largest first, so that no thread is left with it in the end.
    public init(_ storages: [any TensorStorage]) {
        self.storages = storages
        state = Mutex(State(digests: Array(repeating: [], count: storages.count)))
    }

    /// Of 32 bytes each, in the order of the storages; empty for what isn't done yet.
    public var digests: [[UInt8]] { state.withLock { $0.digests } }

    /// Ends when there is nothing left to begin, and what this thread began is done.
    /// - Throws: what reading the storages throws.
    public func run() throws {
        guard SHA256Lane.isAvailable else {
            while let index = take() {
                var hasher = SHA256()
                try Tensor.forEachPiece(of: storages[index], ofSize: Message.pieceSize) { hasher.update($0) }
                finish(index, digest: hasher.finish())
            }
            return
        }
        var (first, second) = (try begin(), try begin())
        while let a = first, let b = second {
            try a.withPiece { left in
                try b.withPiece { right in
                    let count = min(left.count, right.count) / SHA256Lane.blockSize * SHA256Lane.blockSize
                    SHA256Lane.update(
                        &a.lane, UnsafeRawBufferPointer(rebasing: left[..<count]), &b.lane,
                        UnsafeRawBufferPointer(rebasing: right[..<count]))
                    a.position += count
                    b.position += count
                }
            }
            if try end(a) { first = try begin() }
            if try end(b) { second = try begin() }
        }
        guard let last = first ?? second else { return }
        while try !end(last) {
            try last.withPiece { piece in
                let count = piece.count / SHA256Lane.blockSize * SHA256Lane.blockSize
                last.lane.update(UnsafeRawBufferPointer(rebasing: piece[..<count]))
                last.position += count
            }
        }
    }

    private func take() -> Int? {
        state.withLock { state in
            guard state.next < storages.count else { return nil }
            state.next += 1
            return state.next - 1
        }
    }

    private func begin() throws -> Message? {
        while let index = take() {
            let message = Message(index: index, storage: storages[index])
            if try !end(message) { return message }
        }
        return nil
    }

    /// Whether nothing but an incomplete block was left, with which the digest is done.
    private func end(_ message: Message) throws -> Bool {
        guard message.restCount < SHA256Lane.blockSize else { return false }
        let digest = try message.withPiece { message.lane.finish($0) }
        finish(message.index, digest: digest)
        return true
    }

    private func finish(_ index: Int, digest: [UInt8]) { state.withLock { $0.digests[index] = digest } }

    /// A storage that is being hashed by one thread.
    private final class Message {
        /// What is hashed at once stays in a core's own cache.
        static let pieceSize = 128 << 10

        let index: Int
        let storage: any TensorStorage
        var lane = SHA256Lane()
        /// Bytes taken in.
        var position = 0
        private let scratch: TransferBuffer
        /// What `scratch` holds, if the storage doesn't lend its own bytes.
        private var held = 0..<0

        init(index: Int, storage: any TensorStorage) {
            self.index = index
            self.storage = storage
            scratch = TransferBuffer(byteCount: max(1, min(Self.pieceSize, storage.byteCount)))
        }

        var restCount: Int { storage.byteCount - position }

        /// Lends the next bytes; what isn't taken in comes again.
        func withPiece<R>(_ body: (UnsafeRawBufferPointer) throws -> R) throws -> R {
            // At least one block, so that the work goes on.
            if held.upperBound - position >= min(SHA256Lane.blockSize, restCount), held.lowerBound <= position, !held.isEmpty {
                return try body(UnsafeRawBufferPointer(rebasing: scratch.bytes[position - held.lowerBound..<held.count]))
            }
            let range = position..<position + min(Self.pieceSize, restCount)
            return try storage.lend(range, scratch: scratch.bytes) { piece in
                held = piece.baseAddress == UnsafeRawPointer(scratch.bytes.baseAddress) ? range : 0..<0
                return try body(piece)
            }
        }
    }
}
