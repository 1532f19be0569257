import ByteIO
import CHDF5
import FormatKit

extension HDF5Index {
    /// The HDF5 signature.
    static let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]

    /// Position of the superblock: 0, or behind a user block of 512, 1024, 2048, ... bytes; nil if there is none.
    public static func superblockOffset(in region: ByteRegion) -> Int? {
        // Not through the map: a page touched there brings megabytes around it in.
        var offset = 0
        while offset <= region.count - signature.count {
            if (try? region.bytes(offset..<offset + signature.count)) == signature { return offset }
            offset = offset == 0 ? 512 : offset * 2
        }
        return nil
    }

    /// Everything about a file but its raw data, made in another process; see `HDF5Isolation`.
    /// - Throws: `FormatError` with the rules of Formats/HDF5/SPEC.md.
    public static func build(region: ByteRegion, limits: Limits) throws -> HDF5Index {
        guard let offset = superblockOffset(in: region) else { throw missingSignature(region) }
        _ = try superblockVersion(at: offset, in: region)
        return try region.withScatteredAccess { try HDF5Isolation.index(of: region, limits: limits) }
    }

    /// Walks the file once with libhdf5, reading its structure but no raw data (compact data apart, which lies in the structure).
    ///
    /// All of libhdf5's work on a file happens here, inside the call; nothing stays open.
    static func parse(region: ByteRegion, limits: Limits) throws -> HDF5Index {
        guard let offset = superblockOffset(in: region) else { throw missingSignature(region) }
        let version = try superblockVersion(at: offset, in: region)
        return try region.withScatteredAccess {
            try HDF5Image.with(region) { file in
                var walker = HDF5Walker(file: file.id, region: region, limits: limits)
                walker.superblockVersion = version
                return try walker.walk()
            }
        }
    }

    private static func missingSignature(_ region: ByteRegion) -> FormatError {
        // What is left of a file where git-lfs was not installed when it was checked out.
        if region.withBytes({ $0.starts(with: "version https://git-lfs".utf8) }) {
            return HDF5Error.make(
                "git-lfs-pointer", "H1", expected: "the HDF5 signature", found: "a pointer of git-lfs; `git lfs pull` fetches the file")
        }
        return HDF5Error.make("not-hdf5", "H1", expected: "the HDF5 signature at byte 0, 512, 1024, ...", found: "other bytes")
    }

    /// The superblock's version, of which the library knows 0 to 3, and the file as long as the superblock itself at least.
    private static func superblockVersion(at offset: Int, in region: ByteRegion) throws -> Int {
        let rest = region.count - offset
        guard rest > 8 else { throw HDF5Error.make("truncated", "H2", expected: "a superblock", found: "the signature alone") }
        let version = Int(region.withBytes { $0[offset + 8] })
        guard version <= 3 else {
            throw HDF5Error.make(
                "unsupported-version", "H1", at: UInt64(offset) + 8, expected: "a superblock of version 0 to 3", found: "\(version)")
        }
        // With addresses of 8 bytes, as good as all have; shorter ones are left to the library.
        let addressByteCount = rest > 13 ? region.withBytes { $0[offset + (version < 2 ? 13 : 9)] } : 8
        let size = version < 2 ? 96 + 4 * version : 48
        guard addressByteCount < 8 || rest >= size else {
            throw HDF5Error.make("truncated", "H2", expected: "a superblock of \(size) bytes", found: "\(rest)")
        }
        return version
    }
}

/// A file over the bytes of a region, open for the length of a call.
enum HDF5Image {
    static func with<R>(_ region: ByteRegion, _ body: (borrowing HDF5Handle) throws -> R) throws -> R {
        try HDF5Library.with {
            try region.withBytes { bytes in
                var image = ch_image(base: bytes.baseAddress, size: bytes.count)
                return try withUnsafeMutablePointer(to: &image) { image in
                    let file = try HDF5Handle(ch_open_image(image), "open the file")
                    return try body(file)
                }
            }
        }
    }
}

/// The walk over one file: every object once, by address, never through a path, so that no link is ever followed by the library.
struct HDF5Walker {
    let file: hid_t
    let region: ByteRegion
    let limits: Limits
    var superblockVersion = 0
    var addressing = HDF5Addressing()
    /// Bytes of names, attributes, compact data and chunk tables so far.
    private var metadataByteCount: UInt64 = 0
    /// Bytes that all datasets say they have.
    private var declaredByteCount: UInt64 = 0

    /// Where variable-length strings lie.
    var heap: HDF5GlobalHeap

    init(file: hid_t, region: ByteRegion, limits: Limits) {
        self.file = file
        self.region = region
        self.limits = limits
        self.heap = HDF5GlobalHeap(region: region)
    }

    mutating func walk() throws -> HDF5Index {
        try readSuperblock()
        var root = H5O_info_t()
        try check(H5Oget_info2(file, &root, UInt32(H5O_INFO_BASIC)), "find the root group")

        var objects: [HDF5Index.Object] = []
        var seen: Set<UInt64> = []
        var linkCount = 0
        // A stack of our own: the depth is the file's choice. Reversed, so that objects come in the order of a depth-first walk.
        var pending = [(address: UInt64(root.addr), path: "", depth: 0)]
        while let next = pending.popLast() {
            guard seen.insert(next.address).inserted else { continue }
            let object = try readObject(at: next.address, path: next.path)
            objects.append(object)
            guard case .group(let links) = object.kind else {
                guard next.address != UInt64(root.addr) else { throw HDF5Error.corrupt(found: "a root that is no group") }
                continue
            }
            linkCount += links.count
            guard linkCount < limits.objectCount else {
                throw HDF5Error.make("too-many-objects", "H10", expected: "at most \(limits.objectCount)", found: "\(linkCount) links")
            }
            for link in links.reversed() {
                guard case .hard(let address) = link.target else { continue }
                let path = next.path + "/" + link.name
                try checkPath(path, depth: next.depth + 1, limits: limits)
                pending.append((address, path, next.depth + 1))
            }
        }
        return HDF5Index(superblockVersion: superblockVersion, addressing: addressing, objects: objects)
    }

    private mutating func readSuperblock() throws {
        let creation = try HDF5Handle(H5Fget_create_plist(file), "read the superblock")
        var size: hsize_t = 0
        try check(H5Pget_userblock(creation.id, &size), "read the superblock")
        addressing.base = UInt64(size)
        try check(H5Pget_sizes(creation.id, &addressing.addressByteCount, &addressing.lengthByteCount), "read the superblock")
        guard (1...8).contains(addressing.addressByteCount), (1...8).contains(addressing.lengthByteCount) else {
            throw HDF5Error.corrupt(found: "addresses of \(addressing.addressByteCount) bytes")
        }
        heap.addressing = addressing
    }

    private mutating func readObject(at address: UInt64, path: String) throws -> HDF5Index.Object {
        let shown = path.isEmpty ? "/" : path
        let object = try HDF5Handle(H5Oopen_by_addr(file, haddr_t(address)), "open \(shown)")
        let (attributes, opaqueAttributes) = try readAttributes(of: object.id, path: shown)
        let kind: HDF5Index.Kind
        switch H5Iget_type(object.id) {
        case H5I_GROUP: kind = .group(try readLinks(of: object.id, path: shown))
        case H5I_DATASET: kind = try readDataset(object.id, path: shown, attributes: attributes)
        case H5I_DATATYPE: kind = .opaque("named datatype")
        default: throw HDF5Error.corrupt(found: "\(shown) of unknown kind")
        }
        return HDF5Index.Object(address: address, kind: kind, attributes: attributes, opaqueAttributes: opaqueAttributes)
    }

    // MARK: Budgets

    /// Counts bytes that stay in memory for as long as the index does.
    mutating func addMetadata(_ count: UInt64) throws {
        let (sum, overflow) = metadataByteCount.addingReportingOverflow(count)
        // Strings that share their bytes in the heap, a million times over, would make much of a small file.
        let bound = min(UInt64(limits.metadataByteCount), 16 << 20 + 8 * UInt64(region.count))
        guard !overflow, sum <= bound else {
            throw HDF5Error.make("metadata-too-large", "H12", expected: "at most \(bound) bytes of names and attributes", found: "more")
        }
        metadataByteCount = sum
    }

    /// Counts bytes that a dataset says it has; the file as a whole must be believable.
    mutating func addDeclared(_ count: UInt64, path: String) throws {
        let (sum, overflow) = declaredByteCount.addingReportingOverflow(count)
        guard !overflow, !limits.isShapeBomb(declared: sum, stored: UInt64(region.count)) else {
            throw HDF5Error.shapeBomb(path, found: overflow ? "more than 2^64 bytes" : "\(sum) bytes in a file of \(region.count)")
        }
        declaredByteCount = sum
    }
}

extension HDF5Error {
    static func shapeBomb(_ path: String, found: String) -> FormatError {
        make("shape-bomb", "H7", expected: "datasets in proportion to the file up to \(path)", found: found)
    }
}

/// A path within the limits for depth and length.
func checkPath(_ path: String, depth: Int, limits: Limits) throws {
    // Keras nests layers a dozen levels deep; other tools walk groups by recursion, so what is written has to stay within their means.
    let deepest = min(limits.depth, 128)
    guard depth <= deepest else {
        throw HDF5Error.make("depth-limit", "H9", expected: "at most \(deepest) levels of groups", found: "more")
    }
    guard path.utf8.count <= limits.nameByteCount else {
        throw HDF5Error.make(
            "name-too-long", "H11", expected: "paths of at most \(limits.nameByteCount) bytes", found: "\(path.utf8.count) bytes")
    }
}
