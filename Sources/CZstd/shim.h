#pragma once
#include <stdbool.h>
#include <stdint.h>
// The reading of frame headers, and later frames made of sequences, are in zstd's experimental part: this file is the only one to name them.
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

/// What the header of a frame says; `is_valid` is false for anything but one whole standard frame that fills the bytes.
typedef struct {
    bool is_valid;
    bool has_content_size;
    bool is_single_segment;
    uint64_t content_size;
    uint64_t window_size;
    uint32_t dictionary;
} czstd_frame;

/// Blocks of a frame of literals: zstd's own limit.
#define CZSTD_BLOCK (128 << 10)
/// Bytes that `czstd_compress_literals` takes at most.
#define CZSTD_LITERALS_LIMIT (16 * CZSTD_BLOCK)

/// One frame whose blocks hold literals alone, each with a Huffman table of its own: no search for matches, which bytes of weights don't have.
/// Gives an error code of zstd; ZSTD_isError tells.
static inline size_t czstd_compress_literals(ZSTD_CCtx *context, void *target, size_t capacity, const void *source, size_t count) {
    ZSTD_Sequence blocks[CZSTD_LITERALS_LIMIT / CZSTD_BLOCK];
    size_t number = 0;
    // A block ends with a sequence without match.
    for (size_t at = 0; at < count; at += CZSTD_BLOCK) {
        size_t rest = count - at;
        ZSTD_Sequence block = {0, (unsigned)(rest < CZSTD_BLOCK ? rest : CZSTD_BLOCK), 0, 0};
        blocks[number++] = block;
    }
    ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters);
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, 1);
    ZSTD_CCtx_setParameter(context, ZSTD_c_blockDelimiters, ZSTD_sf_explicitBlockDelimiters);
    ZSTD_CCtx_setParameter(context, ZSTD_c_literalCompressionMode, ZSTD_lcm_huffman);
    return ZSTD_compressSequences(context, target, capacity, blocks, number, source, count);
}

static inline czstd_frame czstd_inspect(const void *bytes, size_t count) {
    czstd_frame result = {0};
    ZSTD_frameHeader header;
    if (ZSTD_getFrameHeader(&header, bytes, count) != 0 || header.frameType != ZSTD_frame) return result;
    // Walks the block headers: a frame that ends early or is followed by more bytes has another size.
    if (ZSTD_findFrameCompressedSize(bytes, count) != count) return result;
    result.is_valid = true;
    result.has_content_size = header.frameContentSize != ZSTD_CONTENTSIZE_UNKNOWN;
    // Bit 5 of the frame header descriptor, which follows the four bytes of the magic number (RFC 8878, 3.1.1.1.1).
    result.is_single_segment = ((const uint8_t *)bytes)[4] >> 5 & 1;
    result.content_size = header.frameContentSize;
    result.window_size = header.windowSize;
    result.dictionary = header.dictID;
    return result;
}
