import ByteIO
import Containers
import FormatKit
import HDF5File

/// The .keras archive of Keras 3 and of tf.keras 2.12 and later; see SPEC.md beside this file.
public enum KerasFormat: ModelFormat {
    public static let name = "keras"
    public static let summary = "Keras archive: configuration and weights in a zip file"
    public static let fileExtensions = [".keras"]
    public static let canWrite = true

    enum Member {
        static let metadata = "metadata.json"
        static let config = "config.json"
        static let weights = "model.weights.h5"
        /// What Keras may write in place of `weights`, and we don't read.
        static let otherWeights = ["model.weights.npz", "model.weights.json"]
    }

    /// Archives without a configuration or weights, and damaged ones, are claimed too where they begin as Keras begins them, so that opening
    /// can say what is wrong.
    public static func matches(_ input: ByteRegion) -> Bool {
        guard ZipArchive.matches(input) else { return false }
        guard let archive = try? ZipArchive(input) else {
            return [Member.metadata, Member.config, Member.weights].contains(ZipArchive.firstMemberName(input))
        }
        let names = Set(archive.entries.map(\.name))
        let hasWeights = names.contains(Member.weights) || !names.isDisjoint(with: Member.otherWeights)
        return names.contains(Member.metadata) || names.contains(Member.config) && hasWeights
    }

    public static func open(_ input: ByteRegion, limits: Limits) throws -> Checkpoint {
        let archive = try archive(input, limits: limits)
        for (member, code) in [(Member.config, "zip-no-config"), (Member.metadata, "zip-no-metadata")] where archive.entry(member) == nil {
            throw FormatError(name, .init(rawValue: code), rule: "K3", expected: "a member \(member)", found: "none")
        }
        guard let weights = archive.entry(Member.weights) else {
            if let other = Member.otherWeights.first(where: { archive.entry($0) != nil }) {
                throw UnsupportedError("a .keras archive with its weights in \(other)")
            }
            throw FormatError(name, "zip-no-weights", rule: "K4", expected: "a member model.weights.h5", found: "none")
        }
        let documents = try documents(of: archive, limits: limits)
        var checkpoint = try HDF5Checkpoint.read(try region(of: weights, in: archive, limits: limits), format: name, limits: limits)
        checkpoint.documents = documents
        checkpoint.formatDetail = "zip, \(archive.entries.count) members; weights: \(checkpoint.formatDetail)"
        return checkpoint
    }

    /// Reads every member through and compares it with its checksum.
    public static func check(_ input: ByteRegion, limits: Limits) throws -> [String] {
        let archive = try archive(input, limits: limits)
        for entry in archive.entries { try underRule("K2") { try archive.verify(entry) } }
        return ["CRC-32 of \(archive.entries.count) members"]
    }

    private static func archive(_ input: ByteRegion, limits: Limits) throws -> ZipArchive {
        try underRule("K1") { try ZipArchive(input, limits: limits) }
    }

    /// Where the HDF5 file lies: in the archive itself, or in memory if it was deflated.
    private static func region(of weights: ZipArchive.Entry, in archive: ZipArchive, limits: Limits) throws -> ByteRegion {
        if let stored = weights.storedRegion { return stored }
        let bytes = try underRule("K6") { try archive.bytes(of: weights, limit: 4 << 30) }
        return ByteRegion(bytes: bytes, name: weights.name)
    }

    /// Every member but the weights, as it is; directories are implied by what is in them.
    private static func documents(of archive: ZipArchive, limits: Limits) throws -> [Checkpoint.Document] {
        var documents: [Checkpoint.Document] = []
        var left = UInt64(limits.metadataByteCount)
        for entry in archive.entries where entry.name != Member.weights && !entry.isDirectory {
            let bytes = try underRule("K5") { try archive.bytes(of: entry, limit: min(left, UInt64(limits.documentByteCount))) }
            left -= UInt64(bytes.count)
            documents.append(.init(name: entry.name, bytes: bytes))
        }
        return documents
    }

    /// Errors of the archive carry the rule of this format that they break.
    private static func underRule<R>(_ rule: String, _ body: () throws -> R) throws -> R {
        do {
            return try body()
        } catch var error as FormatError {
            if ["zip-bad-crc", "zip-bad-deflate", "zip-mismatch", "zip-bomb"].contains(error.code.rawValue), rule != "K1" {
                error.rule = "K2"
            } else {
                error.rule = error.rule ?? rule
            }
            throw error
        }
    }
}
