import ByteIO

/// A file format: bytes to checkpoint and back. Knows nothing of architectures.
public protocol ModelFormat: Sendable {
    /// Name on the command line and in errors: `hdf5`, `ingot`, `keras`.
    static var name: String { get }
    /// One line for `ingot formats`.
    static var summary: String { get }
    /// File name endings, the usual one first: `.h5`.
    static var fileExtensions: [String] { get }
    static var canWrite: Bool { get }

    /// Whether the bytes are this format's, by magic numbers alone: total, and true for at most one format.
    static func matches(_ input: ByteRegion) -> Bool

    /// Reads everything but the tensors' bytes.
    /// - Throws: `FormatError` without a path for a broken file, `UnsupportedError` for one that asks for what is refused.
    static func open(_ input: ByteRegion, limits: Limits) throws -> Checkpoint

    /// The checkpoint without what the format has no place for and a conversion may leave out, and a line for each kind of thing left out.
    static func fitted(_ checkpoint: Checkpoint) -> (checkpoint: Checkpoint, notes: [String])

    /// Writes the whole file, deterministically: equal checkpoints give equal bytes, at any thread count.
    static func write(_ checkpoint: Checkpoint, to output: OutputFile, options: WriteOptions) throws

    /// Whether reading a tensor holds its bytes against the format's checksums, so that `check` beforehand would do the work twice.
    static var verifiesOnReading: Bool { get }

    /// Verifies what only this format knows (checksums, digests), reading every byte.
    /// - Returns: one line for each kind of thing that was verified.
    static func check(_ input: ByteRegion, limits: Limits) throws -> [String]
}

extension ModelFormat {
    public static func fitted(_ checkpoint: Checkpoint) -> (checkpoint: Checkpoint, notes: [String]) { (checkpoint, []) }
    public static func check(_ input: ByteRegion, limits: Limits) throws -> [String] { [] }
    public static var verifiesOnReading: Bool { false }
}

public struct WriteOptions: Hashable, Sendable {
    /// Compression level of formats that compress; nil is the format's default, 0 is none.
    public var level: Int?
    public var threadCount: Int
    /// Whether formats that compress only when they are asked to do so.
    public var compresses: Bool

    public init(level: Int? = nil, threadCount: Int = 1, compresses: Bool = false) {
        self.level = level
        self.threadCount = threadCount
        self.compresses = compresses
    }
}
