#pragma once
#include <stddef.h>
#include <stdint.h>

// Frames of zstd (RFC 8878) whose blocks hold literals alone, each with a Huffman table of its own: for bytes that are skewed but don't repeat,
// as the exponents of weights. Any decoder of zstd reads them. The bytes are the same at every level of the instruction set.

// Bytes beyond a frame's end that `cc_literals_encode` may scribble on.
#define CC_LITERALS_SLACK 64

// Encodes `count` bytes, fewer than 2^32, as one frame with content size and without checksum.
// Gives its length, or 0 if it isn't shorter than `count`. `target` has room for `count` + CC_LITERALS_SLACK bytes. No overlap.
size_t cc_literals_encode(const uint8_t *source, size_t count, uint8_t *target);

// Decodes one frame of `length` bytes to exactly `count` bytes at `target`, if its blocks are of the forms that `cc_literals_encode` writes, whoever
// wrote them: literals in four streams and no sequences, one repeated byte, or bytes as they are. Gives 1, or 0 for any other frame, damaged
// ones among them, which is then for libzstd to decode or to refuse; what is in `target` is undefined. It accepts none that libzstd
// refuses, reads nothing outside `source`, and writes nothing outside `target`. No overlap.
int cc_literals_decode(const uint8_t *source, size_t length, uint8_t *target, size_t count);

// For tests: 0 baseline, 1 BMI2, -1 the best there is (the default). Returns the level in force.
int cc_literals_decode_level(int level);

// For tests, of `cc_literals_encode`: 0 baseline, 1 AVX-512 with VBMI and VBMI2, -1 the best there is (the default). Returns the level in force.
int cc_literals_level(int level);
