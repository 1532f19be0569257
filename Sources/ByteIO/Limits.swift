/// Upper bounds on what a file may ask for, checked before anything is allocated.
///
/// The defaults admit every real checkpoint we know with a wide margin; each is here because a damaged or hostile file could otherwise
/// exhaust memory, stack or time.
public struct Limits: Hashable, Sendable {
    /// Objects (tensors and groups) in one file.
    public var objectCount = 1_000_000
    /// Attributes on one object.
    public var attributeCount = 10_000
    /// Bytes of one name or path.
    public var nameByteCount = 4_096
    /// Bytes of one attribute or document; a Keras configuration of 100 MB is unheard of.
    public var documentByteCount = 256 << 20
    /// Bytes of all attributes, documents and index entries together.
    public var metadataByteCount = 1 << 30
    /// Depth of groups, of JSON and of the graph's text.
    public var depth = 512
    /// Dimensions of a tensor.
    public var rank = 32
    /// A file that declares more tensor bytes than this, and more than `expansionFactor` times what it stores, is a bomb.
    public var expansionFloor: UInt64 = 512 << 20
    /// See `expansionFloor`.
    public var expansionFactor: UInt64 = 1_000
    /// Layers of a model, nodes of a graph.
    public var nodeCount = 200_000

    public init() {}

    /// Whether `declared` bytes of tensors out of `stored` bytes of file are believable.
    public func isShapeBomb(declared: UInt64, stored: UInt64) -> Bool {
        guard declared > expansionFloor else { return false }
        let (bound, overflow) = stored.multipliedReportingOverflow(by: expansionFactor)
        return !overflow && declared > bound
    }
}
