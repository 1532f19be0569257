import ByteIO
import CZlib

extension ZipArchive {
    /// The contents of a member, checked against declared size and checksum.
    /// - Throws: `FormatError` of format `zip`: `too-large` past `limit` bytes, `zip-bad-crc`, `zip-bad-deflate`, `zip-bomb` if more comes
    ///   out than was declared, `zip-mismatch` if less.
    public func bytes(of entry: Entry, limit: UInt64 = .max) throws -> [UInt8] {
        guard entry.size <= limit, entry.size <= UInt64(Int.max) else {
            throw ZipFormat.error(
                "too-large", at: entry.headerOffset, expected: "at most \(limit) bytes", found: "\(entry.size) of `\(entry.name)`")
        }
        var bytes: [UInt8] = []
        // What is declared need not come, so no more is set aside than what the compressed bytes make likely.
        bytes.reserveCapacity(Int(min(entry.size, max(entry.compressedSize, 1 << 24))))
        try forEachPiece(of: entry) { bytes.append(contentsOf: $0) }
        return bytes
    }

    /// Reads a member through and checks its size and checksum, in bounded memory.
    public func verify(_ entry: Entry) throws {
        try forEachPiece(of: entry) { _ in }
    }

    /// Visits the contents in order, in bounded memory. Checks size as it goes and checksum at the end.
    public func forEachPiece(of entry: Entry, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        var crc = CRC32()
        let checked = { (piece: UnsafeRawBufferPointer) in
            crc.update(piece)
            try body(piece)
        }
        switch entry.method {
        case .stored: try Self.forEachStoredPiece(of: entry.data, checked)
        case .deflated: try Self.forEachInflatedPiece(of: entry, checked)
        }
        guard crc.value == entry.crc32 else {
            throw ZipFormat.error("zip-bad-crc", at: entry.headerOffset, found: "other contents of `\(entry.name)`")
        }
    }

    static func forEachStoredPiece(of data: ByteRegion, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, min(1 << 20, data.count)), alignment: 64)
        defer { buffer.deallocate() }
        var offset = 0
        while offset < data.count {
            let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[0..<min(buffer.count, data.count - offset)])
            try data.read(into: piece, at: offset)
            try body(UnsafeRawBufferPointer(piece))
            offset += piece.count
        }
    }

    private static func forEachInflatedPiece(of entry: Entry, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        func failure(_ code: FormatError.Code, _ expected: String) -> FormatError {
            ZipFormat.error(code, at: entry.headerOffset, expected: expected, found: "`\(entry.name)`")
        }
        var stream = z_stream()
        guard cz_inflate_init_raw(&stream) == Z_OK else { throw failure("zip-bad-deflate", "memory to inflate") }
        defer { inflateEnd(&stream) }
        let output = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 64)
        defer { output.deallocate() }
        var produced: UInt64 = 0
        var status = Z_OK
        try forEachStoredPiece(of: entry.data) { input in
            guard status != Z_STREAM_END else { throw failure("zip-bad-deflate", "no bytes after the end of the data") }
            stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
            stream.avail_in = UInt32(input.count)
            repeat {
                stream.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
                stream.avail_out = UInt32(output.count)
                status = inflate(&stream, Z_NO_FLUSH)
                guard status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR else {
                    throw failure("zip-bad-deflate", "deflated data")
                }
                let count = output.count - Int(stream.avail_out)
                produced += UInt64(count)
                guard produced <= entry.size else { throw failure("zip-bomb", "\(entry.size) bytes, as declared") }
                try body(UnsafeRawBufferPointer(rebasing: output[0..<count]))
            } while status == Z_OK && (stream.avail_in > 0 || stream.avail_out == 0)
            guard stream.avail_in == 0 else { throw failure("zip-bad-deflate", "no bytes after the end of the data") }
        }
        // zlib keeps pointers into buffers that are gone by now; none may be followed again.
        stream.next_in = nil
        stream.next_out = nil
        guard status == Z_STREAM_END else { throw failure("zip-bad-deflate", "the end of the data") }
        guard produced == entry.size else { throw failure("zip-mismatch", "\(entry.size) bytes, as declared") }
    }
}
