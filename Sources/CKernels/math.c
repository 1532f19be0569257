// f32 mathematics for each instruction set, chosen at run time.
// For syscall.
#define _GNU_SOURCE
#pragma clang diagnostic ignored "-Wpsabi"
#include "CKMath.h"
#include <sched.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

#define CK_NAME2(name, suffix) name##suffix
#define CK_NAME1(name, suffix) CK_NAME2(name, suffix)
#define CK_NAME(name) CK_NAME1(name, CK_SUFFIX)

// Waits until all threads have come here the `count`th time. A step takes microseconds, of which a runtime's barrier would be a large part. A thread
// whose processor is the waiting one's, as it is if there are more threads than processors, is let run; for others it would be of no use, and what
// else wants the processor would have it for milliseconds, at every step. Beside how often a thread has come, its line says where from.
static void meet(uint32_t *arrived, size_t thread, size_t threads, uint32_t count) {
    const uint32_t here = (uint32_t)sched_getcpu();
    __atomic_store_n(arrived + 16 * thread + 1, here, __ATOMIC_RELAXED);
    __atomic_store_n(arrived + 16 * thread, count, __ATOMIC_RELEASE);
    for (size_t other = 0; other < threads; other++)
        for (uint32_t turns = 0; __atomic_load_n(arrived + 16 * other, __ATOMIC_ACQUIRE) < count; turns++) {
            const int is_here = turns > 4096 && __atomic_load_n(arrived + 16 * other + 1, __ATOMIC_RELAXED) == here;
            if (is_here || turns > 1 << 20) sched_yield();
#if defined(__x86_64__)
            else _mm_pause();
#endif
        }
}

// A product is done tile by tile: `height` rows or fewer of a panel's columns, block of rows after block. Each thread has an equal share, of every block
// the same panels; one that is done with its own takes from the ends of the others', as it does where another program or the other half of a core
// holds one of them up.
typedef struct {
    // Tiles of a panel in a block; the share: tiles `from` ..< from + count of each block.
    size_t tiles, from, count, blocks;
} ck_share;

// Some tiles of one panel in a block.
typedef struct {
    size_t block, panel, tile, count;
} ck_tiles;

// Takes tiles of one panel from a share's front or back, half of what is left at most but for the last `least`; count 0 where none is left. The numbers
// taken so far from the front and the back are the halves of `taken`.
static ck_tiles take(uint64_t *taken, const ck_share *s, int is_back, size_t least) {
    uint64_t old = __atomic_load_n(taken, __ATOMIC_RELAXED), new;
    ck_tiles found;
    do {
        const size_t front = old & UINT32_MAX, back = old >> 32, left = s->count * s->blocks - front - back;
        if (left == 0) return (ck_tiles){0, 0, 0, 0};
        const size_t at = is_back ? s->count * s->blocks - back - 1 : front, place = at % s->count, number = s->from + place;
        // To the end of the share in this block, and of the panel.
        const size_t share = is_back ? place + 1 : s->count - place, panel = is_back ? number % s->tiles + 1 : s->tiles - number % s->tiles;
        size_t count = share < panel ? share : panel;
        if (count > left) count = left;
        if (count > left / 2 && count > least) count = left / 2 > least ? left / 2 : least;
        found = (ck_tiles){at / s->count, number / s->tiles, number % s->tiles - (is_back ? count - 1 : 0), count};
        new = old + (is_back ? (uint64_t)count << 32 : count);
    } while (!__atomic_compare_exchange_n(taken, &old, new, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return found;
}

// A thread's part of a product, of which a panel is given at most `row_block` rows at a time.
static void share(
    const ck_product *p, size_t thread, size_t threads, size_t row_block, size_t height,
    void (*multiply)(const ck_product *p, size_t panel, size_t first, size_t last, float *space)
) {
    // Packing a panel on the way is done once for a block.
    if (p->right) height = row_block;
    const size_t blocks = (p->rows + row_block - 1) / row_block, panels = (p->columns + ck_product_panel - 1) / ck_product_panel;
    const size_t tiles = ((p->rows + blocks - 1) / blocks + height - 1) / height, all = panels * tiles;
    // Taking tiles must be little beside multiplying them.
    const size_t least = 1 + (1 << 15) / (height * p->inner * ck_product_panel);
    for (size_t turn = 0; turn < threads; turn++) {
        const size_t owner = (thread + turn) % threads, from = all * owner / threads;
        const ck_share s = {tiles, from, all * (owner + 1) / threads - from, blocks};
        if (s.count == 0) continue;
        for (ck_tiles part; (part = take(p->taken + 8 * owner, &s, turn > 0, least)).count > 0;) {
            const size_t top = p->rows * part.block / blocks, rows = p->rows * (part.block + 1) / blocks - top;
            const size_t first = rows * part.tile / tiles, last = rows * (part.tile + part.count) / tiles;
            if (first < last) multiply(p, part.panel, top + first, top + last, p->space + (p->right ? thread * ck_product_space : 0));
        }
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
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("amx-tile,amx-bf16,avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi2"), min_vector_width(512))), apply_to = function)
#include "multiply_tiles.inc"
#pragma clang attribute pop
#undef INLINE
#undef vf
#undef CK_PART
#undef MULTIPLY_ADD
#undef CK_SUFFIX
#undef CK_ROWS
#undef CK_LANES
#undef CK_KEYS
#undef CK_PRODUCTS
#endif

#if defined(__x86_64__) && defined(__linux__)
// Whether the processor has tiles of bf16, and the system lets this process use them: they have to be asked for.
static int may_use_tiles(void) {
    enum { tiles = 1 << 24, products = 1 << 22, ask = 0x1023, tile_data = 18 };
    unsigned a, b, c, d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & tiles) && (d & products) && syscall(SYS_arch_prctl, ask, tile_data) == 0;
}
#endif

static int best_level(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")) {
#if defined(__linux__)
        if (__builtin_cpu_supports("avx512bf16") && may_use_tiles()) return 3;
#endif
        return 2;
    }
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
    if (level >= 2) return &table_avx512;
    if (level == 1) return &table_avx2;
#endif
    return &table_base;
}

ck_pair_product ck_product_of_pairs(void) {
#if defined(__x86_64__)
    if (ck_math_table() == &table_avx512 && __builtin_cpu_supports("avx512bf16")) {
        const int has_tiles = __atomic_load_n(&chosen_level, __ATOMIC_RELAXED) == 3;
        return has_tiles ? (ck_pair_product){multiply_tiles, 16, 31, 1} : (ck_pair_product){multiply_pairs, 1, 0, 0};
    }
#endif
    return (ck_pair_product){NULL, 1, 0, 0};
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
