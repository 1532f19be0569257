import ByteIO
import CZstd
import Digests
import ModelIR
import Testing

@testable import IngotFormat

/// A file taken apart, to be put together again with one deviation and right checksums.
struct IngotParts {
    /// Header's minor version; the footer repeats it.
    var minorVersion = IngotLayout.minorVersion
    var data: [UInt8]
    /// Decoded.
    var index: [UInt8]
    /// How the index is stored; by default as it is.
    var storedIndex: [UInt8]?
    /// Changes the footer after it was made, before its own checksum is.
    var footerChange: ((inout [UInt8]) -> Void)?
    var headerChange: ((inout [UInt8]) -> Void)?

    init(_ bytes: [UInt8]) throws {
        let input = ByteRegion(bytes: bytes)
        let footer = try Footer(of: input, limits: Limits())
        data = Array(bytes[IngotLayout.headerSize..<Int(footer.indexOffset)])
        let stored = Array(bytes[Int(footer.indexOffset)..<Int(footer.indexOffset + footer.storedLength)])
        if footer.storedLength == footer.indexLength {
            index = stored
        } else {
            let decompressor = try ZstdDecompressor()
            index = [UInt8](repeating: 0, count: Int(footer.indexLength))
            let flaw = index.withUnsafeMutableBytes { target in stored.withUnsafeBytes { decompressor.decompress($0, into: target) } }
            #expect(flaw == nil)
        }
    }

    var bytes: [UInt8] {
        var header = IngotLayout.header(minorVersion: minorVersion)
        headerChange?(&header)
        let stored = storedIndex ?? index
        var footer = Footer(
            indexOffset: UInt64(header.count + data.count), storedLength: UInt64(stored.count), indexLength: UInt64(index.count),
            indexChecksum: xxh3(stored))
        footer.minorVersion = minorVersion
        var footerBytes = footer.encoded()
        if let footerChange {
            footerChange(&footerBytes)
            var checksum = ByteWriter()
            checksum.append(xxh3(Array(footerBytes[0..<48])))
            footerBytes.replaceSubrange(48..<56, with: checksum.bytes)
        }
        return header + data + stored + footerBytes
    }

    /// The index as a value; setting it encodes it.
    func decodedIndex() throws -> Index {
        try IndexDecoder.decode(index, origin: 0, isCompressed: false, minorVersion: minorVersion, limits: Limits())
    }

    mutating func change(_ body: (inout Index) throws -> Void) throws {
        var value = try decodedIndex()
        try body(&value)
        index = try value.encoded()
    }

    /// Makes the XXH3 of every chunk that of the data as it is now.
    mutating func fixChunkChecksums() {
        let data = data
        _ = try? change { value in
            let (offsets, _) = try IngotFile.place(value.blobs, upTo: UInt64(IngotLayout.headerSize + data.count))
            for blob in value.blobs.indices {
                for chunk in 0..<value.blobs[blob].chunkCount {
                    let start = Int(offsets[blob][chunk]) - IngotLayout.headerSize
                    let end = Int(offsets[blob][chunk + 1]) - IngotLayout.headerSize
                    value.blobs[blob].checksums[chunk] = xxh3(Array(data[start..<end]))
                }
            }
        }
    }

    /// Where a section's content begins in the index.
    func section(_ name: String) -> Int {
        var position = 0
        while position < index.count {
            let length = (0..<8).reduce(0) { $0 | Int(index[position + 4 + $1]) << (8 * $1) }
            if Array(index[position..<position + 4]) == Array(name.utf8) { return position + 12 }
            position += 12 + length
        }
        return position
    }

    /// Replaces a section's content, its length with it.
    mutating func replace(_ name: String, with content: [UInt8]) {
        let start = section(name)
        let length = (0..<8).reduce(0) { $0 | Int(index[start - 8 + $1]) << (8 * $1) }
        index.replaceSubrange(start - 8..<start + length, with: u64(UInt64(content.count)) + content)
    }
}

func u64(_ value: UInt64) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
func u32(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
func text(_ value: String) -> [UInt8] { u64(UInt64(value.utf8.count)) + Array(value.utf8) }

/// A frame by libzstd with all that can be asked of it.
func frame(_ bytes: [UInt8], contentSize: Bool = true, windowLog: Int32? = nil, checksum: Bool = false, dictionary: [UInt8]? = nil)
    -> [UInt8]
{
    let context = ZSTD_createCCtx()
    defer { ZSTD_freeCCtx(context) }
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, contentSize ? 1 : 0)
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, checksum ? 1 : 0)
    if let windowLog { ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, windowLog) }
    if let dictionary { ZSTD_CCtx_loadDictionary(context, dictionary, dictionary.count) }
    var output = [UInt8](repeating: 0, count: ZSTD_compressBound(bytes.count) + 64)
    let capacity = output.count
    // Streamed, so that the window is the one asked for and not the content's size.
    let count = output.withUnsafeMutableBytes { target in
        bytes.withUnsafeBytes { source in
            var input = ZSTD_inBuffer(src: source.baseAddress, size: windowLog == nil ? source.count : source.count / 2, pos: 0)
            var result = ZSTD_outBuffer(dst: target.baseAddress, size: capacity, pos: 0)
            if windowLog == nil {
                ZSTD_CCtx_setPledgedSrcSize(context, UInt64(source.count))
            } else {
                ZSTD_compressStream2(context, &result, &input, ZSTD_e_continue)
                ZSTD_compressStream2(context, &result, &input, ZSTD_e_flush)
                input.size = source.count
            }
            ZSTD_compressStream2(context, &result, &input, ZSTD_e_end)
            return result.pos
        }
    }
    output.removeLast(output.count - count)
    return output
}
