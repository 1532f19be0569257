import ByteIO

/// Where a tensor's elements lie. Elements are delivered dense, row-major and little-endian, whatever the file does.
public protocol TensorStorage: Sendable {
    /// Size of all elements, in bytes.
    var byteCount: Int { get }

    /// Copies the elements' bytes from `offset` on; `offset + buffer.count` is at most `byteCount`.
    /// - Throws: `FormatError` where stored bytes turn out damaged, `FileError` where they can't be read.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws

    /// Lends the elements' bytes of `range`: from `scratch`, which has room for them, unless they are in memory as they are. Only storages that
    /// have a `region` lend memory of their own.
    /// - Throws: what `read` and `body` throw.
    func lend<R>(
        _ range: Range<Int>, scratch: UnsafeMutableRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws -> R
    ) throws -> R

    /// The file range that holds exactly these bytes, if there is one: for mapping, `copy_file_range` and random access.
    var region: ByteRegion? { get }

    /// Equal for storages that are one and the same; nil where that can't be told.
    var identity: StorageIdentity? { get }
}

/// Which bytes a storage holds, not what they are; holds good while the storage lives.
public struct StorageIdentity: Hashable, Sendable {
    private let owner: ObjectIdentifier
    private let offset: Int
    private let byteCount: Int

    public init(owner: AnyObject, offset: Int = 0, byteCount: Int) {
        self.owner = ObjectIdentifier(owner)
        self.offset = offset
        self.byteCount = byteCount
    }
}

extension TensorStorage {
    public func lend<R>(
        _ range: Range<Int>, scratch: UnsafeMutableRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws -> R
    ) throws -> R {
        let target = UnsafeMutableRawBufferPointer(rebasing: scratch[0..<range.count])
        try read(into: target, at: range.lowerBound)
        return try body(UnsafeRawBufferPointer(target))
    }

    public var identity: StorageIdentity? {
        region.map { StorageIdentity(owner: $0.store, offset: $0.offset, byteCount: $0.count) }
    }
}

extension ByteRegion: TensorStorage {
    public var byteCount: Int { count }
    public var region: ByteRegion? { self }
}

/// A dense array of elements: dtype, shape and lazily read bytes.
public struct Tensor: Sendable {
    public var dtype: DType
    /// Sizes of the dimensions, outermost first; empty for a scalar.
    public var shape: [Int]
    public var storage: any TensorStorage

    /// - Precondition: the storage holds exactly `shape`'s number of elements; readers check it before they build a tensor.
    public init(dtype: DType, shape: [Int], storage: any TensorStorage) {
        precondition(storage.byteCount == shape.reduce(1, *) * dtype.size, "tensor storage and shape disagree")
        self.dtype = dtype
        self.shape = shape
        self.storage = storage
    }

    public init(dtype: DType, shape: [Int], bytes: [UInt8]) {
        self.init(dtype: dtype, shape: shape, storage: ByteRegion(bytes: bytes))
    }

    public init(_ values: [Float], shape: [Int]) {
        self.init(dtype: .f32, shape: shape, bytes: values.withUnsafeBytes { Array($0) })
    }

    public init(_ values: [Double], shape: [Int]) {
        self.init(dtype: .f64, shape: shape, bytes: values.withUnsafeBytes { Array($0) })
    }

    public init(_ values: [Int64], shape: [Int]) {
        self.init(dtype: .i64, shape: shape, bytes: values.withUnsafeBytes { Array($0) })
    }

    /// Number of elements.
    public var count: Int { shape.reduce(1, *) }
    public var byteCount: Int { storage.byteCount }

    /// All bytes, dense, row-major, little-endian.
    public func bytes() throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, n in
            try storage.read(into: UnsafeMutableRawBufferPointer(buffer), at: 0)
            n = byteCount
        }
    }

    /// Visits all bytes in order, in pieces of at most `pieceSize` bytes (a multiple of every element size), in bounded memory.
    public func forEachPiece(ofSize pieceSize: Int = 1 << 20, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        try Self.forEachPiece(of: storage, ofSize: pieceSize, body)
    }

    public static func forEachPiece(
        of storage: any TensorStorage, ofSize pieceSize: Int = 1 << 20, _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let byteCount = storage.byteCount
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, min(pieceSize, byteCount)), alignment: 64)
        defer { buffer.deallocate() }
        var offset = 0
        while offset < byteCount {
            let end = offset + min(buffer.count, byteCount - offset)
            try storage.lend(offset..<end, scratch: buffer, body)
            offset = end
        }
    }
}
