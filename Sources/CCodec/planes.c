// Byte planes for each instruction set, chosen at run time. The loops are plain; the compiler vectorises them.
#include "CCPlanes.h"
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the byte-plane loops assume a little-endian machine"
#endif

typedef struct {
    void (*split)(const uint8_t *, uint8_t *, size_t, int, int);
    void (*merge)(const uint8_t *const *, uint8_t *, size_t, int, int);
} planes_table;

#define CC_NAME2(name, suffix) name##suffix
#define CC_NAME1(name, suffix) CC_NAME2(name, suffix)
#define CC_NAME(name) CC_NAME1(name, CC_SUFFIX)

#define CC_SUFFIX _base
#include "planes.inc"
#undef CC_SUFFIX

#if defined(__x86_64__)
#define CC_SUFFIX _avx2
#pragma clang attribute push(__attribute__((target("avx2,bmi2"))), apply_to = function)
#include "planes.inc"
#pragma clang attribute pop
#undef CC_SUFFIX

#define CC_SUFFIX _avx512
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi2"), min_vector_width(512))), apply_to = function)
#include "planes.inc"
#pragma clang attribute pop
#undef CC_SUFFIX
#endif

static int best_level(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return 2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2")) return 1;
#endif
    return 0;
}

// -1: not chosen yet. Written by tests only; a relaxed atomic costs a plain load.
static int chosen_level = -1;

static const planes_table *table(void) {
    int level = __atomic_load_n(&chosen_level, __ATOMIC_RELAXED);
    if (level < 0) {
        level = best_level();
        __atomic_store_n(&chosen_level, level, __ATOMIC_RELAXED);
    }
#if defined(__x86_64__)
    if (level == 2) return &planes_avx512;
    if (level == 1) return &planes_avx2;
#endif
    return &planes_base;
}

int cc_planes_level(int level) {
    int best = best_level();
    if (level < 0 || level > best) level = best;
    __atomic_store_n(&chosen_level, level, __ATOMIC_RELAXED);
    return level;
}

void cc_planes_split(const uint8_t *source, uint8_t *planes, size_t count, int width, int rotate) {
    table()->split(source, planes, count, width, rotate);
}

void cc_planes_merge(const uint8_t *const *planes, uint8_t *target, size_t count, int width, int rotate) {
    table()->merge(planes, target, count, width, rotate);
}
