import ByteIO
import FormatKit
import ModelIR

/// Reads the decoded index and checks every rule that needs no stored bytes (SPEC.md, I10 to I13 and I18 to I27).
struct IndexDecoder {
    private var limits: Limits
    private var index = Index()
    /// Of groups and tensors together, which one limit bounds; the same for all attributes of the file.
    private var objectCount = 0
    private var attributeCount = 0

    /// - Parameters:
    ///   - bytes: the decoded index.
    ///   - origin: where it lies in the file, so that errors name positions there; of a compressed index, where its frame begins.
    ///   - isCompressed: positions inside are then named as such.
    ///   - minorVersion: of the file.
    static func decode(
        _ bytes: [UInt8], origin: UInt64, isCompressed: Bool, minorVersion: UInt16, limits: Limits
    ) throws -> Index {
        var decoder = IndexDecoder(limits: limits)
        do {
            return try decoder.decode(bytes, origin: isCompressed ? 0 : origin, minorVersion: minorVersion)
        } catch var error as FormatError {
            error.rule = error.rule ?? rule(of: error.code)
            if isCompressed, let position = error.offset {
                error.offset = origin
                error.found = "\(error.found ?? "something else"), at byte \(position) of the decoded index"
            }
            throw error
        }
    }

    private init(limits: Limits) { self.limits = limits }

    /// The rule behind an error of `ByteReader`, which knows only what went wrong.
    private static func rule(of code: FormatError.Code) -> String {
        switch code {
        case "count-too-large": "I26"
        case "bad-text": "I19"
        default: "I10"
        }
    }

    private mutating func decode(_ bytes: [UInt8], origin: UInt64, minorVersion: UInt16) throws -> Index {
        var reader = ByteReader(bytes, format: "ingot", origin: origin)
        for name in IngotLayout.sections {
            var section = try openSection(name, in: &reader)
            switch name {
            case "BLOB":
                // A blob row takes 42 bytes and a chunk row 12 at least, so that the index itself bounds their number.
                let count = try section.count("blobs", limit: 2 * limits.objectCount, minimumSize: 42)
                for _ in 0..<count { index.blobs.append(try blob(&section)) }
            case "SRCE":
                index.source.format = try text(&section, "source format", limit: limits.nameByteCount, rule: "I19")
                index.source.detail = try text(&section, "source detail", limit: limits.nameByteCount, rule: "I19")
            case "GRUP": try readGroups(&section)
            case "TENS": try readTensors(&section, minorVersion: minorVersion)
            case "TIES": try readTies(&section)
            case "DOCS": try readDocuments(&section)
            default:
                if try flag(&section, "whether a record follows") { index.record = try record(&section) }
            }
            try section.finish("section \(name)")
        }
        if minorVersion <= IngotLayout.minorVersion {
            guard reader.remaining == 0 else {
                throw reader.error("bad-section", rule: "I10", expected: "the end of the index", found: "\(reader.remaining) more bytes")
            }
            try checkAllBlobsAreUsed(reader)
        } else {
            while reader.remaining > 0 {
                _ = try reader.take(4, "section name")
                _ = try reader.take(try reader.u64("section length"), "section")
            }
        }
        return index
    }

    private func openSection(_ name: String, in reader: inout ByteReader) throws -> ByteReader {
        let before = reader
        let found = try reader.take(4, "section name")
        guard found.elementsEqual(name.utf8) else {
            throw before.error("bad-section", rule: "I10", expected: "section \(name)", found: "another")
        }
        let length = try reader.u64("length of section \(name)")
        let start = reader.fileOffset
        return ByteReader(Array(try reader.take(length, "section \(name)")), format: "ingot", origin: start)
    }

    // MARK: Blobs

    private func blob(_ reader: inout ByteReader) throws -> Blob {
        let before = reader
        let layoutCode = try reader.u8("layout")
        let width = try reader.u8("width")
        let byteCount = try reader.u64("blob length")
        guard let layout = BlobLayout(rawValue: layoutCode), [1, 2, 4, 8].contains(width),
            layout != .rotatedPlanes || width == 2 || width == 4
        else {
            throw before.error("bad-blob", rule: "I11", expected: "a known layout and width", found: "layout \(layoutCode), width \(width)")
        }
        guard byteCount % UInt64(width) == 0, byteCount <= UInt64(Int.max) else {
            throw before.error("bad-blob", rule: "I11", expected: "a multiple of \(width) bytes", found: "\(byteCount)")
        }
        var blob = Blob(layout: layout, width: Int(width), byteCount: byteCount)
        blob.digest = Array(try reader.take(32, "SHA-256"))
        let chunkCount = Blob.chunkCount(byteCount)
        let rowSize = UInt64(4 * blob.planeCount + 8)
        guard chunkCount <= UInt64(reader.remaining) / rowSize else {
            throw reader.error("truncated", rule: "I10", expected: "\(chunkCount) chunk rows", found: "\(reader.remaining) bytes")
        }
        blob.planeLengths.reserveCapacity(Int(chunkCount) * blob.planeCount)
        blob.checksums.reserveCapacity(Int(chunkCount))
        for chunk in 0..<Int(chunkCount) {
            let planeLength = blob.chunkLength(chunk) / blob.planeCount
            for plane in 0..<blob.planeCount {
                let before = reader
                let length = try reader.u32("stored length")
                guard length > 0, length <= planeLength, layout != .unsplit || length == planeLength else {
                    throw before.error(
                        "bad-plane-length", rule: "I12",
                        expected: layout == .unsplit ? "\(planeLength) bytes" : "1 to \(planeLength) bytes",
                        found: "\(length) in plane \(plane) of chunk \(chunk)")
                }
                blob.planeLengths.append(length)
            }
            blob.checksums.append(try reader.u64("XXH3"))
        }
        return blob
    }

    /// Blobs are numbered in the order of first use: so none is left out, and none is named too early.
    private mutating func blobReference(_ reader: inout ByteReader, mayShare: Bool) throws -> Int {
        let before = reader
        let number = try reader.u64("blob number")
        let next = UInt64(nextBlob)
        guard number < UInt64(index.blobs.count), number <= next, mayShare || number == next else {
            throw before.error(
                "bad-blob-reference", rule: "I18", expected: "blob \(next)\(mayShare ? " or one before it" : "")", found: "\(number)")
        }
        if number == next { nextBlob += 1 }
        return Int(number)
    }

    private var nextBlob = 0

    private func checkAllBlobsAreUsed(_ reader: ByteReader) throws {
        guard nextBlob == index.blobs.count else {
            throw reader.error(
                "bad-blob-reference", rule: "I18", expected: "every blob in use", found: "\(index.blobs.count - nextBlob) unused")
        }
    }

    // MARK: Groups and tensors

    private mutating func readGroups(_ reader: inout ByteReader) throws {
        var seen: Set<[UInt8]> = []
        let count = try reader.count("groups", limit: limits.objectCount, minimumSize: 16)
        objectCount += count
        for position in 0..<count {
            let before = reader
            let path = try text(&reader, "group path", limit: limits.nameByteCount, rule: "I19")
            let bytes = Array(path.utf8)
            let parent = bytes.lastIndex(of: UInt8(ascii: "/")).map { Array(bytes[..<$0]) } ?? []
            // The root has no parent; every other component must not be empty, or two spellings would name one group.
            let isPlaced = position == 0 ? bytes.isEmpty : !bytes.isEmpty && bytes.last != UInt8(ascii: "/") && seen.contains(parent)
            guard isPlaced, bytes.first != UInt8(ascii: "/"), seen.insert(bytes).inserted else {
                throw before.error(
                    "bad-group", rule: "I20", expected: position == 0 ? "the root" : "a new group after its parent", found: "\"\(path)\"")
            }
            index.groups.append(Checkpoint.Group(path: path, attributes: try attributes(&reader)))
        }
        guard count > 0 else { throw reader.error("bad-group", rule: "I20", expected: "the root", found: "no group") }
    }

    private mutating func readTensors(_ reader: inout ByteReader, minorVersion: UInt16) throws {
        var seen: Set<[UInt8]> = []
        let count = try reader.count("tensors", limit: limits.objectCount - objectCount, minimumSize: 33)
        for _ in 0..<count {
            let before = reader
            let name = try text(&reader, "tensor name", limit: limits.nameByteCount, rule: "I19")
            guard !name.isEmpty, seen.insert(Array(name.utf8)).inserted else {
                throw before.error("bad-name", rule: "I19", expected: "a new tensor name that isn't empty", found: "\"\(name)\"")
            }
            let dtype = try dtype(&reader)
            let (shape, byteCount) = try shape(&reader, of: dtype)
            let reference = reader
            let number = try blobReference(&reader, mayShare: true)
            let blob = index.blobs[number]
            guard blob.width == dtype.size, blob.byteCount == byteCount else {
                throw reference.error(
                    "bad-blob-reference", rule: "I18", expected: "a blob of \(byteCount) bytes and width \(dtype.size) for \"\(name)\"",
                    found: "\(blob.byteCount) bytes, width \(blob.width)")
            }
            let attributes = try attributes(&reader)
            index.tensors.append(Index.TensorRow(name: name, dtype: dtype, shape: shape, blob: number, attributes: attributes))
        }
    }

    private mutating func readTies(_ reader: inout ByteReader) throws {
        let count = try reader.count("ties", limit: limits.objectCount, minimumSize: 8)
        for _ in 0..<count {
            let before = reader
            let members = try reader.count("tied tensors", limit: limits.objectCount, minimumSize: 8)
            var tie: [Int] = []
            for _ in 0..<members {
                let number = try reader.u64("tensor number")
                guard number < UInt64(index.tensors.count) else {
                    throw before.error("bad-tie", rule: "I23", expected: "a tensor below \(index.tensors.count)", found: "\(number)")
                }
                tie.append(Int(number))
            }
            guard tie.count > 1, Set(tie).count == tie.count else {
                throw before.error("bad-tie", rule: "I23", expected: "at least two different tensors", found: "\(tie.count)")
            }
            let first = index.tensors[tie[0]]
            for member in tie.dropFirst().map({ index.tensors[$0] })
            where member.blob != first.blob || member.dtype != first.dtype || member.shape != first.shape {
                throw before.error(
                    "bad-tie", rule: "I23", expected: "\"\(member.name)\" like \"\(first.name)\", to which it is tied",
                    found: "another tensor")
            }
            index.ties.append(tie)
        }
    }

    // MARK: Documents

    private mutating func readDocuments(_ reader: inout ByteReader) throws {
        var seen: Set<[UInt8]> = []
        var total: UInt64 = 0
        let count = try reader.count("documents", limit: limits.objectCount, minimumSize: 16)
        for _ in 0..<count {
            let before = reader
            let name = try text(&reader, "document name", limit: limits.nameByteCount, rule: "I24")
            guard isPlainRelativePath(name), seen.insert(Array(name.utf8)).inserted else {
                throw before.error("bad-document", rule: "I24", expected: "a new relative path of plain components", found: "\"\(name)\"")
            }
            let number = try blobReference(&reader, mayShare: false)
            let blob = index.blobs[number]
            guard blob.width == 1 else {
                throw before.error("bad-blob-reference", rule: "I18", expected: "a document of width 1", found: "width \(blob.width)")
            }
            total = total.addingReportingOverflow(blob.byteCount).overflow ? .max : total + blob.byteCount
            guard blob.byteCount <= UInt64(limits.documentByteCount), total <= UInt64(limits.metadataByteCount) else {
                throw before.error(
                    "bad-document", rule: "I24",
                    expected: "at most \(limits.documentByteCount) bytes, and \(limits.metadataByteCount) in all documents",
                    found: "\(blob.byteCount) and \(total)")
            }
            index.documents.append(Index.DocumentRow(name: name, blob: number))
        }
    }

    // MARK: Values

    mutating func countAttributes(_ reader: inout ByteReader) throws -> Int {
        let count = try reader.count("attributes", limit: min(limits.attributeCount, limits.objectCount - attributeCount), minimumSize: 9)
        attributeCount += count
        return count
    }

    var valueByteLimit: Int { limits.documentByteCount }
    var nameByteLimit: Int { limits.nameByteCount }
    var rankLimit: Int { limits.rank }
}

/// Whether a name can become a file below some directory: components that aren't empty, `.` or `..`, without control characters and backslashes.
func isPlainRelativePath(_ path: String) -> Bool {
    path.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { component in
        !component.isEmpty && component != "." && component != ".."
            && component.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F && $0 != "\\" }
    }
}
