import ByteIO
import Containers

/// The zip form: one folder with a pickle and a member for each storage. Rules P1 to P3 of SPEC.md.
struct TorchArchive {
    let archive: ZipArchive
    let folder: String
    /// Whether torch was told to leave checksums out (`torch.serialization.set_crc32_options(False)`): all of them are 0.
    private let isUnchecked: Bool

    init(_ input: ByteRegion, limits: Limits) throws {
        archive = try Self.underRule("P1") { try ZipArchive(input, limits: limits) }
        guard let folder = Self.folder(of: archive) else {
            throw torchError("zip-no-data", "P2", expected: "one folder with data.pkl", found: "other members")
        }
        self.folder = folder
        isUnchecked = archive.entry("\(folder)/data.pkl")?.crc32 == 0
        if archive.entry("\(folder)/constants.pkl") != nil || archive.entries.contains(where: { $0.name.hasPrefix("\(folder)/code/") }) {
            throw UnsupportedError("a TorchScript archive, which is a program; save the state_dict() of the module it was made from")
        }
        guard let order = archive.entry("\(folder)/byteorder") else { return }
        switch try bytes(of: order, limit: UInt64(limits.nameByteCount)) {
        case Array("little".utf8): break
        case Array("big".utf8): throw UnsupportedError("a file of a big-endian machine")
        default: throw torchError("bad-byteorder", "P2", expected: "`little` or `big`", found: "something else")
        }
    }

    /// Members that have a checksum to be held against.
    var checkedEntries: [ZipArchive.Entry] { archive.entries.filter { !isUnchecked || $0.crc32 != 0 || $0.storedRegion == nil } }

    private func bytes(of entry: ZipArchive.Entry, limit: UInt64) throws -> [UInt8] {
        if isUnchecked, entry.crc32 == 0, entry.size <= limit, let stored = entry.storedRegion { return try stored.bytes() }
        return try Self.underRule("P3") { try archive.bytes(of: entry, limit: limit) }
    }

    /// The folder that all members lie in, if data.pkl is one of them.
    static func folder(of archive: ZipArchive) -> String? {
        guard let first = archive.entries.first, let slash = first.name.firstIndex(of: "/") else { return nil }
        let folder = String(first.name[..<slash])
        guard archive.entry("\(folder)/data.pkl") != nil, archive.entries.allSatisfy({ $0.name.hasPrefix("\(folder)/") }) else {
            return nil
        }
        return folder
    }

    /// Runs the pickle.
    func object(limits: Limits) throws -> (value: PickleValue, machine: PickleMachine) {
        guard let entry = archive.entry("\(folder)/data.pkl") else { throw torchError("zip-no-data", "P2") }
        let bytes = try bytes(of: entry, limit: UInt64(limits.documentByteCount))
        let input = PickleInput(ByteRegion(bytes: bytes), origin: UInt64(entry.storedRegion?.offset ?? 0), limits: limits)
        var machine = PickleMachine(input, limits: limits)
        do {
            return (try machine.run(), machine)
        } catch let error as FormatError where error.code == "unsafe-global" {
            throw PyTorchFormat.moduleError(for: error, in: bytes)
        }
    }

    /// The bytes of every storage that a pickle named, in the order of their numbers.
    func regions(of storages: [TorchStorage], limits: Limits) throws -> [ByteRegion] {
        var left = UInt64(limits.metadataByteCount)
        let members = Dictionary(archive.entries.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        return try storages.map { storage in
            guard let entry = members["\(folder)/data/\(storage.key)"] else {
                throw torchError("missing-storage", "P11", at: storage.position, expected: "a member data/\(storage.key)", found: "none")
            }
            guard entry.size == storage.byteCount else {
                throw torchError(
                    "storage-size-mismatch", "P11", at: storage.position, expected: "\(storage.byteCount) bytes in data/\(storage.key)",
                    found: "\(entry.size)")
            }
            if let stored = entry.storedRegion { return stored }
            let bytes = try bytes(of: entry, limit: left)
            left -= UInt64(bytes.count)
            return ByteRegion(bytes: bytes, name: entry.name)
        }
    }

    /// Errors of the archive carry the rule of this format that they break.
    static func underRule<R>(_ rule: String, _ body: () throws -> R) throws -> R {
        do {
            return try body()
        } catch var error as FormatError {
            error.rule = error.rule ?? rule
            throw error
        }
    }
}
