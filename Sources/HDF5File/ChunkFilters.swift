import ByteIO
import CZlib
import CZstd

/// Undoes a chunk's filters, in bounded memory: what comes out is never larger than the chunk.
struct ChunkFilters: Sendable {
    let filters: [HDF5Index.Filter]
    /// Bytes of a decoded chunk.
    let byteCount: Int
    /// For errors.
    let path: String

    private static let deflate = 1
    private static let shuffle = 2
    private static let fletcher32 = 3
    private static let lzf = 32_000
    private static let zstd = 32_015

    /// - Throws: `FormatError` `unknown-filter` if one of the filters is none of deflate, shuffle, fletcher32, lzf and zstd.
    func checkKnown() throws {
        let known = [Self.deflate, Self.shuffle, Self.fletcher32, Self.lzf, Self.zstd]
        for filter in filters where !known.contains(filter.identifier) {
            let name = filter.name.isEmpty ? "" : " (\(filter.name))"
            throw HDF5Error.make(
                "unknown-filter", "H13", expected: "deflate, shuffle, fletcher32, lzf or zstd",
                found: "filter \(filter.identifier)\(name) on \(path)")
        }
    }

    /// The bytes of a chunk as they were before the filters.
    func decode(_ stored: [UInt8], mask: UInt32) throws -> [UInt8] {
        try checkKnown()
        var bytes = stored
        for number in filters.indices.reversed() where number >= 32 || mask & (1 << UInt32(number)) == 0 {
            switch filters[number].identifier {
            case Self.deflate: bytes = try inflated(bytes, limit: limit(before: number, mask: mask))
            case Self.zstd: bytes = try zstdDecompressed(bytes, limit: limit(before: number, mask: mask))
            case Self.shuffle: bytes = unshuffled(bytes, elementSize: filters[number].values.first ?? 1)
            case Self.lzf:
                guard let undone = lzfDecompressed(bytes, limit: limit(before: number, mask: mask)) else {
                    throw HDF5Error.filterFailed(path, expected: "lzf data", found: "other bytes")
                }
                bytes = undone
            default: bytes = try withoutChecksum(bytes)
            }
        }
        guard bytes.count == byteCount else {
            throw HDF5Error.chunkSize(path, expected: byteCount, found: "\(bytes.count)")
        }
        return bytes
    }

    /// Greatest size that the filters before this one can have left: a checksum each on top of the chunk.
    private func limit(before number: Int, mask: UInt32) -> Int {
        byteCount + 4 * filters[..<number].count { $0.identifier == Self.fletcher32 }
    }

    private func inflated(_ bytes: [UInt8], limit: Int) throws -> [UInt8] {
        var stream = z_stream()
        guard cz_inflate_init(&stream) == Z_OK else { throw HDF5Error.filterFailed(path, expected: "memory for zlib", found: "none") }
        defer { inflateEnd(&stream) }
        // One byte more than allowed, so that a stream that is too long shows; and no more than deflate can make of what is there.
        let most = bytes.count.multipliedReportingOverflow(by: 1_032)
        var result = [UInt8](repeating: 0, count: most.overflow ? limit + 1 : min(limit, most.partialValue + 64) + 1)
        let (status, produced) = bytes.withUnsafeBytes { input in
            result.withUnsafeMutableBytes { output in
                stream.next_in = UnsafeMutablePointer(mutating: input.bindMemory(to: UInt8.self).baseAddress)
                stream.next_out = output.bindMemory(to: UInt8.self).baseAddress
                var status = Z_OK
                var consumed = 0
                var produced = 0
                // zlib counts in 32 bits.
                while status == Z_OK, produced < output.count {
                    let offered = UInt32(clamping: input.count - consumed)
                    let room = UInt32(clamping: output.count - produced)
                    stream.avail_in = offered
                    stream.avail_out = room
                    status = inflate(&stream, Z_NO_FLUSH)
                    let taken = Int(offered - stream.avail_in)
                    let made = Int(room - stream.avail_out)
                    consumed += taken
                    produced += made
                    if taken == 0 && made == 0 { break }
                }
                return (status, produced)
            }
        }
        guard produced <= limit else { throw HDF5Error.chunkSize(path, expected: byteCount, found: "more") }
        guard status == Z_STREAM_END else { throw HDF5Error.filterFailed(path, expected: "a whole deflate stream", found: "other bytes") }
        result.removeLast(result.count - produced)
        return result
    }

    private func zstdDecompressed(_ bytes: [UInt8], limit: Int) throws -> [UInt8] {
        // What the frames say they hold, or at most; room is made only for what they can hold.
        let bound = bytes.withUnsafeBytes { ZSTD_decompressBound($0.baseAddress, $0.count) }
        guard bound <= UInt64(Int.max) else { throw HDF5Error.filterFailed(path, expected: "zstd frames", found: "other bytes") }
        let size = min(limit, Int(bound)) + 1
        let status: (count: Int, isError: Bool)
        var result = [UInt8](repeating: 0, count: size)
        status = bytes.withUnsafeBytes { input in
            result.withUnsafeMutableBytes { output in
                let count = ZSTD_decompress(output.baseAddress, output.count, input.baseAddress, input.count)
                return ZSTD_isError(count) != 0 ? (0, true) : (count, false)
            }
        }
        guard !status.isError else { throw HDF5Error.filterFailed(path, expected: "zstd frames within \(limit) bytes", found: "others") }
        guard status.count <= limit else { throw HDF5Error.chunkSize(path, expected: byteCount, found: "more") }
        result.removeLast(result.count - status.count)
        return result
    }

    /// Puts the bytes of each element together again; a remainder that fills no element is at the end, untouched.
    private func unshuffled(_ bytes: [UInt8], elementSize: UInt32) -> [UInt8] {
        let size = Int(elementSize)
        guard size > 1, bytes.count >= size else { return bytes }
        let count = bytes.count / size
        var result = bytes
        bytes.withUnsafeBufferPointer { source in
            result.withUnsafeMutableBufferPointer { target in
                for plane in 0..<size {
                    for i in 0..<count { target[i * size + plane] = source[plane * count + i] }
                }
            }
        }
        return result
    }

    private func withoutChecksum(_ bytes: [UInt8]) throws -> [UInt8] {
        guard bytes.count >= 4 else { throw HDF5Error.filterFailed(path, expected: "a checksum of 4 bytes", found: "\(bytes.count)") }
        let stored = bytes.suffix(4).enumerated().reduce(UInt32(0)) { $0 | UInt32($1.element) << UInt32(8 * $1.offset) }
        let found = fletcher32Checksum(bytes[..<(bytes.count - 4)])
        // Version 1.6.2 of the library stored the two bytes of each half in the other order.
        let swapped = (found & 0x00FF_00FF) << 8 | (found >> 8) & 0x00FF_00FF
        guard stored == found || stored == swapped else {
            throw HDF5Error.make(
                "checksum-mismatch", "H16", expected: "\(String(stored, radix: 16)) over a chunk of \(path)",
                found: String(found, radix: 16))
        }
        return Array(bytes.dropLast(4))
    }
}

/// Fletcher's checksum over 16-bit big-endian words, with ones' complement sums, as HDF5 uses it.
func fletcher32Checksum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    func fold(_ sum: UInt32) -> UInt32 { (sum & 0xFFFF) + (sum >> 16) }
    var low: UInt32 = 0
    var high: UInt32 = 0
    var position = bytes.startIndex
    while bytes.endIndex - position >= 2 {
        // 360 words are the most whose sums can't overflow 32 bits.
        let end = position + 2 * min(360, (bytes.endIndex - position) / 2)
        while position < end {
            low &+= UInt32(bytes[position]) << 8 | UInt32(bytes[position + 1])
            high &+= low
            position += 2
        }
        low = fold(low)
        high = fold(high)
    }
    if position < bytes.endIndex {
        low &+= UInt32(bytes[position]) << 8
        high &+= low
        low = fold(low)
        high = fold(high)
    }
    return fold(high) << 16 | fold(low)
}

extension HDF5Error {
    static func filterFailed(_ path: String, expected: String, found: String) -> FormatError {
        make("filter-failed", "H16", expected: "\(expected) in a chunk of \(path)", found: found)
    }

    static func chunkSize(_ path: String, expected: Int, found: String) -> FormatError {
        make("chunk-size-mismatch", "H16", expected: "\(expected) bytes in each chunk of \(path)", found: found)
    }
}
