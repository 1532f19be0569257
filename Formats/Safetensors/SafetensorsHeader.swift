import ByteIO
import FormatKit
import JSON
import ModelIR

/// The header of a file, with every rule about it and the bytes that it describes checked.
struct SafetensorsHeader {
    struct Row {
        var name: String
        var dtype: DType
        var shape: [Int]
        /// From the end of the header, in bytes.
        var begin: UInt64
        var end: UInt64
    }

    /// Size of the JSON text with its padding.
    let byteCount: UInt64
    /// In the order of their bytes.
    private(set) var rows: [Row] = []
    private(set) var metadata: [(key: String, text: String)] = []

    /// Where the tensors' bytes begin in the file.
    var dataOffset: UInt64 { UInt64(SafetensorsFormat.lengthByteCount) + byteCount }

    /// Tensors whose dtype Ingot's tensors can't have.
    private var unsupported: [String] = []

    init(_ input: ByteRegion, limits: Limits) throws {
        let lengthByteCount = SafetensorsFormat.lengthByteCount
        guard input.count >= lengthByteCount else {
            throw safetensorsError("truncated", "S1", at: 0, expected: "8 bytes for the header's size", found: "\(input.count) bytes")
        }
        byteCount = SafetensorsFormat.headerByteCount(try input.bytes(0..<lengthByteCount))
        guard byteCount <= SafetensorsFormat.maximumHeaderByteCount else {
            throw safetensorsError(
                "header-too-large", "S2", at: 0, expected: "at most \(SafetensorsFormat.maximumHeaderByteCount) bytes",
                found: "\(byteCount)")
        }
        guard byteCount <= UInt64(input.count - lengthByteCount) else {
            throw safetensorsError(
                "truncated", "S3", at: 8, expected: "a header of \(byteCount) bytes", found: "\(input.count - lengthByteCount) bytes")
        }
        let members = try Self.members(try input.bytes(lengthByteCount..<lengthByteCount + Int(byteCount)), limits: limits)
        guard members.count <= limits.objectCount else {
            throw safetensorsError("too-large", "S13", at: 8, expected: "at most \(limits.objectCount) tensors", found: "\(members.count)")
        }
        for member in members {
            if member.key == SafetensorsFormat.Key.metadata {
                metadata = try Self.metadata(member.value)
            } else {
                try addRow(member.key, member.value, limits: limits)
            }
        }
        guard unsupported.isEmpty else { throw UnsupportedError("dtypes that Ingot's tensors can't have", items: unsupported) }
        rows.sort { ($0.begin, $0.end) < ($1.begin, $1.end) }
        try checkCoverage(UInt64(input.count) - dataOffset)
    }

    private static func members(_ bytes: [UInt8], limits: Limits) throws -> [JSONObject.Member] {
        // The parser would also take a byte order mark, and white space, before it.
        guard bytes.first == UInt8(ascii: "{") else {
            throw safetensorsError("bad-header", "S4", at: 8, expected: "`{`", found: bytes.first.map { "byte \($0)" } ?? "an empty header")
        }
        do {
            let value = try JSONValue.parse(
                bytes, limits: JSONLimits(depth: limits.depth, byteCount: Int(SafetensorsFormat.maximumHeaderByteCount)))
            return value.object?.members ?? []
        } catch {
            let code: FormatError.Code = error.code == "bad-json" ? "bad-header" : error.code
            throw safetensorsError(
                code, "S4", at: (error.offset ?? 0) + UInt64(SafetensorsFormat.lengthByteCount), expected: error.expected,
                found: error.found)
        }
    }

    private static func metadata(_ value: JSONValue) throws(FormatError) -> [(key: String, text: String)] {
        guard let object = value.object else {
            throw safetensorsError("bad-metadata", "S5", expected: "an object of strings", found: value.serialized().shortened)
        }
        var entries: [(key: String, text: String)] = []
        for member in object.members {
            guard let text = member.value.string else {
                throw safetensorsError(
                    "bad-metadata", "S5", expected: "text for `\(member.key)`", found: member.value.serialized().shortened)
            }
            entries.append((member.key, text))
        }
        return entries
    }

    private mutating func addRow(_ name: String, _ value: JSONValue, limits: Limits) throws(FormatError) {
        guard name.utf8.count <= limits.nameByteCount else {
            throw safetensorsError(
                "too-large", "S13", expected: "a name of at most \(limits.nameByteCount) bytes", found: "\(name.utf8.count)")
        }
        guard let object = value.object, object.count == 3, let dtypeText = object["dtype"]?.string,
            let dimensions = object["shape"]?.array,
            let offsets = object["data_offsets"]?.array
        else {
            throw safetensorsError(
                "bad-entry", "S6", expected: "dtype, shape and data_offsets of `\(name)`", found: value.serialized().shortened)
        }
        guard dimensions.count <= limits.rank else {
            throw safetensorsError(
                "too-large", "S13", expected: "at most \(limits.rank) dimensions of `\(name)`", found: "\(dimensions.count)")
        }
        var shape: [Int] = []
        for dimension in dimensions {
            guard let size = dimension.wholeNumber.flatMap(Int.init(exactly:)) else {
                throw safetensorsError(
                    "bad-shape", "S8", expected: "whole numbers for the shape of `\(name)`", found: dimension.serialized().shortened)
            }
            shape.append(size)
        }
        guard offsets.count == 2, let begin = offsets[0].wholeNumber, let end = offsets[1].wholeNumber, begin <= end else {
            throw safetensorsError(
                "bad-offsets", "S9", expected: "data_offsets of `\(name)` as [BEGIN, END]",
                found: JSONValue.array(offsets).serialized().shortened)
        }
        guard let dtype = DType(safetensors: dtypeText) else {
            guard DType.unsupportedSafetensors.contains(dtypeText) else {
                throw safetensorsError("unknown-dtype", "S7", expected: "a dtype of the format for `\(name)`", found: dtypeText.shortened)
            }
            unsupported.append("\(name): \(dtypeText)")
            return
        }
        guard let byteCount = checkedByteCount(shape, dtype) else {
            throw safetensorsError("shape-overflow", "S8", expected: "a size below 2^63 bytes for `\(name)`", found: "\(shape)")
        }
        guard UInt64(byteCount) == end - begin else {
            throw safetensorsError(
                "size-mismatch", "S10", at: dataOffset &+ begin, expected: "\(byteCount) bytes for \(dtypeText) \(shape) of `\(name)`",
                found: "\(end - begin)")
        }
        rows.append(Row(name: name, dtype: dtype, shape: shape, begin: begin, end: end))
    }

    /// Bytes without a tensor could hide another file; bytes with two would change under both.
    private func checkCoverage(_ available: UInt64) throws(FormatError) {
        var position: UInt64 = 0
        for row in rows {
            guard row.begin == position else {
                throw safetensorsError(
                    row.begin < position ? "overlap" : "hole", "S11", at: dataOffset &+ min(row.begin, position),
                    expected: "`\(row.name)` at \(position)", found: "\(row.begin)")
            }
            position = row.end
        }
        guard position == available else {
            throw safetensorsError(
                position > available ? "truncated" : "trailing-bytes", "S12", at: dataOffset + min(position, available),
                expected: "\(position) bytes of tensors", found: "\(available)")
        }
    }
}

/// Bytes of a dense tensor; nil if any product on the way there overflows.
func checkedByteCount(_ shape: [Int], _ dtype: DType) -> Int? {
    var count = 1
    for size in shape + [dtype.size] {
        let (product, overflow) = count.multipliedReportingOverflow(by: size)
        guard !overflow else { return nil }
        count = product
    }
    return count
}

extension JSONValue {
    /// A number spelled in digits alone, as serde_json takes it for an unsigned integer.
    fileprivate var wholeNumber: UInt64? {
        guard let literal = number?.literal, literal.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            return nil
        }
        return UInt64(literal)
    }
}

extension String {
    /// For an error line.
    fileprivate var shortened: String { count > 60 ? "`\(prefix(60))...`" : "`\(self)`" }
}
