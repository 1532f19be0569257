import ByteIO

/// What a JSON document may ask for.
public struct JSONLimits: Hashable, Sendable {
    /// Arrays and objects inside each other; a document of one scalar has depth 0.
    public var depth: Int
    /// Bytes of the whole document.
    public var byteCount: Int

    public init(depth: Int = 512, byteCount: Int = 256 << 20) {
        self.depth = depth
        self.byteCount = byteCount
    }

    /// The part of a file's limits that bears on a document inside it.
    public init(_ limits: Limits) { self.init(depth: limits.depth, byteCount: limits.documentByteCount) }
}
