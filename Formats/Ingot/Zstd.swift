import ByteIO
import CCodec
import CZstd

/// Owner of a zstd compression context.
struct ZstdCompressor: ~Copyable {
    private let context: OpaquePointer

    /// - Throws: `UnsupportedError` if there is no memory for it.
    init() throws {
        guard let context = ZSTD_createCCtx() else { throw UnsupportedError("libzstd can't allocate a compression context") }
        self.context = context
    }

    deinit { ZSTD_freeCCtx(context) }

    /// Bytes that a frame of `count` bytes takes at most.
    static func bound(_ count: Int) -> Int { ZSTD_compressBound(count) }

    /// Writes one frame with content size, without checksum.
    /// - Returns: its length in bytes; nil if it doesn't fit into `target`.
    func compress(_ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer, level: Int) -> Int? {
        let count = ZSTD_compressCCtx(context, target.baseAddress, target.count, source.baseAddress, source.count, Int32(level))
        return ZSTD_isError(count) == 0 ? count : nil
    }
}

/// Owner of a zstd decompression context.
struct ZstdDecompressor: ~Copyable {
    private let context: OpaquePointer

    /// - Throws: `UnsupportedError` if there is no memory for it.
    init() throws {
        guard let context = ZSTD_createDCtx() else { throw UnsupportedError("libzstd can't allocate a decompression context") }
        self.context = context
    }

    deinit { ZSTD_freeDCtx(context) }

    /// Decodes exactly one standard frame that fills `source` and gives exactly `target.count` bytes.
    /// - Returns: nil, or what is wrong with the frame (rule I16).
    func decompress(_ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) -> String? {
        Self.decompressLiterals(source, into: target) ? nil : decompressAny(source, into: target)
    }

    /// What our own writer makes, faster than libzstd does it.
    /// - Returns: false for any other frame; libzstd has the last word on those, damaged ones among them.
    static func decompressLiterals(_ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) -> Bool {
        guard let bytes = source.baseAddress, let place = target.baseAddress else { return false }
        return cc_literals_decode(
            bytes.assumingMemoryBound(to: UInt8.self), source.count, place.assumingMemoryBound(to: UInt8.self), target.count) == 1
    }

    /// The same as `decompress` by libzstd alone.
    func decompressAny(_ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) -> String? {
        let frame = czstd_inspect(source.baseAddress, source.count)
        guard frame.is_valid else { return "no standard zstd frame of \(source.count) bytes" }
        guard frame.has_content_size else { return "a zstd frame without content size" }
        guard frame.content_size == UInt64(target.count) else { return "a zstd frame of \(frame.content_size) bytes" }
        guard frame.dictionary == 0 else { return "a zstd frame with a dictionary" }
        guard frame.is_single_segment || frame.window_size <= IngotLayout.largestWindow else {
            return "a zstd frame with a window of \(frame.window_size) bytes"
        }
        let count = ZSTD_decompressDCtx(context, target.baseAddress, target.count, source.baseAddress, source.count)
        guard ZSTD_isError(count) == 0 else { return "a damaged zstd frame (\(String(cString: ZSTD_getErrorName(count))))" }
        return count == target.count ? nil : "a zstd frame of \(count) bytes"
    }
}
