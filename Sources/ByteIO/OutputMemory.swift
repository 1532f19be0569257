import CProcess
import Glibc

/// What takes bytes from the first to the last: a file, or memory.
public protocol ByteSink: AnyObject {
    /// Bytes appended so far.
    var position: UInt64 { get }

    /// - Throws: `FileError` of kind `output`.
    func append(_ bytes: UnsafeRawBufferPointer) throws
}

extension ByteSink {
    public func append(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try append($0) } }
}

extension OutputFile: ByteSink {}

/// Bytes written to memory, which grows with them. Not to be appended to by several threads at once, nor after it became a `ByteStore`.
public final class OutputMemory: ByteSink, @unchecked Sendable {
    private var base: UnsafeMutableRawPointer?
    private var capacity: Int
    private var count = 0

    /// - Parameter capacity: bytes to begin with.
    public init(capacity: Int = 1 << 20) {
        self.capacity = 0
        grow(to: max(capacity, 1))
    }

    deinit { if let base { munmap(base, capacity) } }

    public var position: UInt64 { UInt64(count) }

    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    /// - Throws: `FileError` if there is no memory.
    public func append(_ bytes: UnsafeRawBufferPointer) throws {
        if capacity - count < bytes.count { grow(to: max(count + bytes.count, 2 * capacity)) }
        guard capacity - count >= bytes.count, let base else {
            throw FileError(.output, path: "memory", message: "there is no more memory")
        }
        if let source = bytes.baseAddress { memcpy(base + count, source, bytes.count) }
        count += bytes.count
    }

    /// Moves pages, not bytes; in large pages where the system has them, which take a tenth of the time to come into being.
    private func grow(to size: Int) {
        let pageSize = 2 << 20
        let rounded = (size + pageSize - 1) / pageSize * pageSize
        guard let grown = cp_grow_pages(base, capacity, rounded) else { return }
        base = grown
        capacity = rounded
    }
}
