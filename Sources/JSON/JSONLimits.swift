import ByteIO

/// How much a JSON document may ask for, checked before it is parsed.
public struct JSONLimits: Hashable, Sendable {
    /// Arrays and objects inside one another. Parsing needs no stack for them; releasing and comparing what comes out does.
    public var depth = 512
    /// Size of the document.
    public var byteCount = 256 << 20

    public init(depth: Int = 512, byteCount: Int = 256 << 20) {
        self.depth = depth
        self.byteCount = byteCount
    }

    /// The part of a file's limits that concerns its documents.
    public init(_ limits: Limits) {
        self.init(depth: limits.depth, byteCount: limits.documentByteCount)
    }
}
