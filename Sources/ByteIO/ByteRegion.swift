import Glibc

/// Immutable bytes with an owner: a mapped file, or an array in memory.
///
/// A file is opened once, its descriptor kept: mapping serves random access and the executor, `pread` serves streaming, because pages
/// that are touched through a map count as resident memory.
public final class ByteStore: Sendable {
    private enum Backing: @unchecked Sendable {
        case file(descriptor: Int32, base: UnsafeRawPointer?)
        case memory([UInt8])
        case output(OutputMemory)
    }

    private let backing: Backing
    /// The path as given when opened; for bytes in memory a description.
    public let path: String
    public let count: Int

    /// Opens and maps a regular file, read only.
    /// - Throws: `FileError` of kind `input` if it can't be opened, is no regular file, or can't be mapped.
    public convenience init(path: String) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError.last(.input, path: path, doing: "can't open") }
        try self.init(descriptor: descriptor, path: path)
    }

    /// Maps a regular file that is open already, and closes it in the end, also where this throws.
    public init(descriptor: Int32, path: String) throws {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            defer { close(descriptor) }
            throw FileError.last(.input, path: path, doing: "can't read its size")
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw FileError(.input, path: path, message: "not a regular file")
        }
        let size = Int(status.st_size)
        var base: UnsafeRawPointer?
        if size > 0 {
            guard let mapped = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), mapped != MAP_FAILED else {
                defer { close(descriptor) }
                throw FileError.last(.input, path: path, doing: "can't map")
            }
            base = UnsafeRawPointer(mapped)
        }
        self.path = path
        self.count = size
        self.backing = .file(descriptor: descriptor, base: base)
    }

    public init(bytes: [UInt8], name: String = "memory") {
        self.path = name
        self.count = bytes.count
        self.backing = .memory(bytes)
    }

    /// What was written to memory, without a copy; nothing is appended to it any more.
    public init(_ output: OutputMemory, name: String = "memory") {
        self.path = name
        self.count = output.bytes.count
        self.backing = .output(output)
    }

    deinit {
        if case .file(let descriptor, let base) = backing {
            if let base { munmap(UnsafeMutableRawPointer(mutating: base), count) }
            close(descriptor)
        }
    }

    /// Lends all bytes; a file's through its mapping.
    public func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        switch backing {
        case .file(_, let base): try body(UnsafeRawBufferPointer(start: base, count: base == nil ? 0 : count))
        case .memory(let bytes): try bytes.withUnsafeBytes(body)
        case .output(let output): try body(output.bytes)
        }
    }

    /// Whether the bytes are in memory of this process's own, so that lending them costs nothing.
    var isInMemory: Bool {
        if case .file = backing { false } else { true }
    }

    /// Tells the kernel to bring in no more than the pages that are touched while `body` runs: structure lies far apart in a large file.
    func withScatteredAccess<R>(_ body: () throws -> R) rethrows -> R {
        guard case .file(_, let base?) = backing else { return try body() }
        let address = UnsafeMutableRawPointer(mutating: base)
        madvise(address, count, MADV_RANDOM)
        defer { madvise(address, count, MADV_NORMAL) }
        return try body()
    }

    /// Gives back the memory of a mapped file's pages that lie whole within `bytes`: they are read again when they are touched.
    public func release(_ bytes: UnsafeRawBufferPointer) {
        guard case .file(_, let base?) = backing, let start = bytes.baseAddress, start >= base, start + bytes.count <= base + count else {
            return
        }
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let first = (Int(bitPattern: start) + page - 1) / page * page
        let end = (Int(bitPattern: start) + bytes.count) / page * page
        if end > first { madvise(UnsafeMutableRawPointer(bitPattern: first), end - first, MADV_DONTNEED) }
    }

    /// Copies `buffer.count` bytes from `offset`; a file's by `pread`.
    /// - Throws: `FileError` if the file ends early or can't be read.
    public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
        switch backing {
        case .memory, .output:
            guard offset >= 0, buffer.count <= count - offset else {
                throw FileError(.input, path: path, message: "read past the end")
            }
            withBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + buffer.count])) }
        case .file(let descriptor, _):
            var done = 0
            while done < buffer.count {
                let n = pread(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset + done))
                if n < 0 && errno == EINTR { continue }
                guard n >= 0 else { throw FileError.last(.input, path: path, doing: "can't read") }
                guard n > 0 else { throw FileError(.input, path: path, message: "file ended early while being read") }
                done += n
            }
        }
    }

    /// The descriptor of a file, for `copy_file_range`; nil for bytes in memory. Valid while the store lives.
    public var fileDescriptor: Int32? {
        if case .file(let descriptor, _) = backing { descriptor } else { nil }
    }
}

/// A range of a byte store: a whole file, or a stored member of an archive.
public struct ByteRegion: Sendable {
    public let store: ByteStore
    /// First byte, relative to the store.
    public let offset: Int
    public let count: Int

    public init(_ store: ByteStore) {
        self.store = store
        self.offset = 0
        self.count = store.count
    }

    private init(store: ByteStore, offset: Int, count: Int) {
        self.store = store
        self.offset = offset
        self.count = count
    }

    public init(path: String) throws { self.init(try ByteStore(path: path)) }
    public init(bytes: [UInt8], name: String = "memory") { self.init(ByteStore(bytes: bytes, name: name)) }

    public var path: String { store.path }

    /// The part `offset ..< offset + count` of this region, or nil if it does not lie inside.
    public func subregion(offset: UInt64, count: UInt64) -> ByteRegion? {
        let (end, overflow) = offset.addingReportingOverflow(count)
        guard !overflow, end <= UInt64(self.count) else { return nil }
        return ByteRegion(store: store, offset: self.offset + Int(offset), count: Int(count))
    }

    public func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try store.withBytes { try body(UnsafeRawBufferPointer(rebasing: $0[offset..<offset + count])) }
    }

    /// Runs `body` while pages of the store are brought in one by one, not with what lies around them.
    public func withScatteredAccess<R>(_ body: () throws -> R) rethrows -> R { try store.withScatteredAccess(body) }

    /// Copies `buffer.count` bytes from `position` of this region.
    public func read(into buffer: UnsafeMutableRawBufferPointer, at position: Int) throws {
        guard position >= 0, buffer.count <= count - position else {
            throw FileError(.input, path: path, message: "read past the end")
        }
        try store.read(into: buffer, at: offset + position)
    }

    /// Lends `range` of this region: bytes in memory as they are, a file's copied into `scratch`, which has room for them.
    public func lend<R>(
        _ range: Range<Int>, scratch: UnsafeMutableRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws -> R
    ) throws -> R {
        guard store.isInMemory, range.lowerBound >= 0, range.upperBound <= count else {
            let target = UnsafeMutableRawBufferPointer(rebasing: scratch[0..<range.count])
            try read(into: target, at: range.lowerBound)
            return try body(UnsafeRawBufferPointer(target))
        }
        return try withBytes { try body(UnsafeRawBufferPointer(rebasing: $0[range])) }
    }

    /// A copy of `range` of this region.
    public func bytes(_ range: Range<Int>) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: range.count) { buffer, n in
            try read(into: UnsafeMutableRawBufferPointer(buffer), at: range.lowerBound)
            n = range.count
        }
    }

    /// A copy of the whole region.
    public func bytes() throws -> [UInt8] { try bytes(0..<count) }
}
