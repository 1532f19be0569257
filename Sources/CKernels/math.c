// f32 mathematics for each instruction set, chosen at run time.
#pragma clang diagnostic ignored "-Wpsabi"
#include "CKMath.h"
#include <sched.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define CK_NAME2(name, suffix) name##suffix
#define CK_NAME1(name, suffix) CK_NAME2(name, suffix)
#define CK_NAME(name) CK_NAME1(name, CK_SUFFIX)

// Waits until all threads have come here the `count`th time. A step takes microseconds, of which a runtime's barrier would be a large part; where
// a thread has to wait long, as it does if there are more threads than processors, it lets others run.
static void meet(uint32_t *arrived, size_t thread, size_t threads, uint32_t count) {
    __atomic_store_n(arrived + 16 * thread, count, __ATOMIC_RELEASE);
    for (size_t other = 0; other < threads; other++)
        for (uint32_t turns = 0; __atomic_load_n(arrived + 16 * other, __ATOMIC_ACQUIRE) < count; turns++) {
            if (turns > 4096) sched_yield();
#if defined(__x86_64__)
            else _mm_pause();
#endif
        }
}

// Rows that share what is read of recurrent weights, and the tile of attention (attention.inc): as many as the registers hold.
#define CK_SUFFIX _base
#define CK_ROWS 1
#define CK_LANES 1
#define CK_KEYS 2
#define CK_PRODUCTS NULL
#include "math.inc"
#include "attention.inc"
#include "lsh.inc"
#include "recurrence.inc"
#undef CK_SUFFIX
#undef CK_ROWS
#undef CK_LANES
#undef CK_KEYS
#undef CK_PRODUCTS

#if defined(__x86_64__)
#define CK_SUFFIX _avx2
#define CK_ROWS 1
#define CK_LANES 1
#define CK_KEYS 6
#define CK_PRODUCTS NULL
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi2"), min_vector_width(256))), apply_to = function)
#include "math.inc"
#include "attention.inc"
#include "lsh.inc"
#include "recurrence.inc"
#pragma clang attribute pop
#undef CK_SUFFIX
#undef CK_ROWS
#undef CK_LANES
#undef CK_KEYS
#undef CK_PRODUCTS

#define CK_SUFFIX _avx512
#define CK_ROWS 6
#define CK_LANES 2
#define CK_KEYS 8
#define CK_PRODUCTS multiply_avx512
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi2"), min_vector_width(512))), apply_to = function)
#include "math.inc"
#include "attention.inc"
#include "lsh.inc"
#define CK_PART CK_NAME
#define MULTIPLY_ADD(sum, x, y) sum += x * y;
#include "multiply.inc"
#undef CK_PART
#undef MULTIPLY_ADD
#include "recurrence.inc"
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi2"), min_vector_width(512))), apply_to = function)
#define INLINE static inline __attribute__((always_inline))
#define vf CK_NAME(vf)
#define CK_PART(name) CK_NAME2(name, _pairs)
#define MULTIPLY_ADD(sum, x, y) sum = (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)x, (__m512bh)y);
#include "multiply.inc"
#undef INLINE
#undef vf
#undef CK_PART
#undef MULTIPLY_ADD
#pragma clang attribute pop
#undef CK_SUFFIX
#undef CK_ROWS
#undef CK_LANES
#undef CK_KEYS
#undef CK_PRODUCTS
#endif

static int best_level(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
        return 2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")) return 1;
#endif
    return 0;
}

// -1: not chosen yet. Two threads may both choose: they choose the same.
static int chosen_level = -1;

const ck_math *ck_math_table(void) {
    int level = __atomic_load_n(&chosen_level, __ATOMIC_RELAXED);
    if (level < 0) level = ck_math_level(-1);
#if defined(__x86_64__)
    if (level == 2) return &table_avx512;
    if (level == 1) return &table_avx2;
#endif
    return &table_base;
}

ck_multiply ck_multiply_bf16(void) {
#if defined(__x86_64__)
    if (ck_math_table() == &table_avx512 && __builtin_cpu_supports("avx512bf16")) return multiply_pairs;
#endif
    return NULL;
}

int ck_math_level(int level) {
    int best = best_level();
    if (level < 0 || level > best) level = best;
    __atomic_store_n(&chosen_level, level, __ATOMIC_RELAXED);
    return level;
}

size_t ck_attention_space(size_t size, size_t value_size, size_t tile, size_t longest) {
    size_t block = (size + value_size + tile + 8) * 32;
    return block > longest + 32 ? block : longest + 32;
}

size_t ck_lsh_space(size_t size, size_t value_size, size_t columns) {
    // A block of 32 queries with a tile of 128 keys; before them, the products with the rotations.
    size_t block = (size + value_size + 128) * 32;
    return block > columns ? block : columns;
}
