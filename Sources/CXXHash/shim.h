#pragma once
#include <stdint.h>
#include <xxhash.h>
// On x86 the library has variants for each instruction set, which its plain functions don't choose from.
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#endif

static inline uint64_t cxxhash_xxh3(const void *bytes, size_t count) { return XXH3_64bits(bytes, count); }
