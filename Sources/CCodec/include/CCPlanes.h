#pragma once
#include <stddef.h>
#include <stdint.h>

// Byte planes: plane k of n elements is byte k of each element, in element order; plane 0 is the lowest byte.
// `rotate` turns each element left by one bit first (widths 2 and 4 only), which makes the exponent of f32 and bf16 one byte.

// Splits `count` elements of `width` (1, 2, 4, 8) bytes at `source` into `width` planes, one after another at `planes`. No overlap.
void cc_planes_split(const uint8_t *source, uint8_t *planes, size_t count, int width, int rotate);

// Puts `width` planes of `count` bytes each back together at `target`. No overlap.
void cc_planes_merge(const uint8_t *const *planes, uint8_t *target, size_t count, int width, int rotate);

// For tests: 0 baseline, 1 AVX2, 2 AVX-512, -1 the best there is (the default). Returns the level in force.
int cc_planes_level(int level);
