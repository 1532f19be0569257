import ByteIO
import FormatKit
import JSON
import ModelIR

/// safetensors: a JSON header, then the tensors' bytes; see SPEC.md beside this file.
public enum SafetensorsFormat: ModelFormat {
    public static let name = "safetensors"
    public static let summary = "safetensors: a JSON header, then the tensors' bytes as they are"
    public static let fileExtensions = [".safetensors"]
    public static let canWrite = true

    static let lengthByteCount = 8
    static let maximumHeaderByteCount: UInt64 = 100_000_000

    enum Key {
        static let metadata = "__metadata__"
        static let format = "format"
        static let usualFormat = "pt"
        static let ties = "ingot.ties"
        static let configuration = "config.json"
    }

    /// A header past the limit is claimed too, up to 4 GiB, so that opening can say so.
    public static func matches(_ input: ByteRegion) -> Bool {
        guard input.count > lengthByteCount, let head = try? input.bytes(0..<lengthByteCount + 1), head[8] == UInt8(ascii: "{") else {
            return false
        }
        return !head.starts(with: [0x50, 0x4B, 3, 4]) && headerByteCount(head) < 1 << 32
    }

    /// Reads the header; tensors stay where they lie in the file.
    /// - Throws: `FormatError` with a rule of SPEC.md, `UnsupportedError` with all tensors of dtypes that `DType` doesn't have.
    public static func open(_ input: ByteRegion, limits: Limits) throws -> Checkpoint {
        let header = try SafetensorsHeader(input, limits: limits)
        var checkpoint = Checkpoint(format: name, formatDetail: "safetensors, header of \(header.byteCount) bytes")
        var tensors: [String: Tensor] = [:]
        for row in header.rows {
            // Rows were held against the file's size.
            guard let bytes = input.subregion(offset: header.dataOffset + row.begin, count: row.end - row.begin) else {
                throw safetensorsError("truncated", "S12", at: header.dataOffset + row.begin)
            }
            tensors[row.name] = Tensor(dtype: row.dtype, shape: row.shape, storage: bytes)
        }
        for (key, text) in header.metadata where key != Key.ties && !(key == Key.format && text == Key.usualFormat) {
            checkpoint.attributes.append(Attribute(key, .text(text)))
        }
        checkpoint.ties = try ties(in: header.metadata, tensors: tensors)
        for tie in checkpoint.ties {
            for name in tie.names.dropFirst() { tensors[name] = tensors[tie.names[0]] }
        }
        // Ties that torch noted are no attributes any more.
        checkpoint.attributes.removeAll { tensors[$0.name] != nil }
        checkpoint.tensors = tensors.map { Checkpoint.Entry(name: $0.key, tensor: $0.value) }
            .sorted { precedesInNameOrder($0.name, $1.name) }
        return checkpoint
    }

    public static func check(_ input: ByteRegion, limits: Limits) throws -> [String] {
        let header = try SafetensorsHeader(input, limits: limits)
        return ["header: \(header.rows.count) tensors cover \(UInt64(input.count) - header.dataOffset) bytes, without holes or overlaps"]
    }

    static func headerByteCount(_ head: [UInt8]) -> UInt64 {
        (0..<lengthByteCount).reduce(0) { $0 | UInt64(head[$1]) << UInt64(8 * $1) }
    }
}

/// An error of this format.
func safetensorsError(
    _ code: FormatError.Code, _ rule: String, at offset: UInt64? = nil, expected: String? = nil, found: String? = nil
) -> FormatError {
    FormatError(SafetensorsFormat.name, code, at: offset, rule: rule, expected: expected, found: found)
}
