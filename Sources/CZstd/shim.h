#pragma once
#include <stdbool.h>
#include <stdint.h>
// The reading of frame headers is in zstd's experimental part: this file is the only one to name it.
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
