// Huffman coding in zstd's frames. Section numbers are those of RFC 8878.
#include "CCLiterals.h"
#include <stdbool.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the bit streams assume a little-endian machine"
#endif

// A block's limit, 3.1.1.2.4.
#define BLOCK_SIZE (128u << 10)
// The longest code of literals, 4.2.1.
#define MAX_BITS 11
// Literals below this go into one stream, 3.1.1.3.1.1; sizes then take 10 bits each.
#define ONE_STREAM_LIMIT 1024

typedef struct {
    // For each byte value: the length of its code in bits, 0 if it doesn't occur, and the code, low 8 bits and the rest.
    _Alignas(64) uint8_t length[256];
    _Alignas(64) uint8_t low[256];
    _Alignas(64) uint8_t high[256];
    int max_length;
    int last_symbol;
} code_table;

// MARK: Instruction sets

static int best_level(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("bmi2"))
        return 1;
#endif
    return 0;
}

// -1: not chosen yet. Written by tests only; a relaxed atomic costs a plain load.
static int chosen_level = -1;

int cc_literals_level(int level) {
    int best = best_level();
    if (level < 0 || level > best) level = best;
    __atomic_store_n(&chosen_level, level, __ATOMIC_RELAXED);
    return level;
}

static bool has_vectors(void) {
    int level = __atomic_load_n(&chosen_level, __ATOMIC_RELAXED);
    return (level < 0 ? cc_literals_level(-1) : level) == 1;
}

// MARK: Counting

// Above so many different values most pairs occur only a few times, and counting pairs takes more memory than it saves work.
#define PAIR_RANGE 80

// One by one, in eight tables, so that equal neighbours don't wait for each other.
static void count_singly(const uint8_t *restrict source, size_t n, uint32_t *restrict counts) {
    uint32_t tables[8][256];
    memset(tables, 0, sizeof tables);
    for (size_t i = 0; i < n; i += 8) {
        uint64_t w;
        memcpy(&w, source + i, 8);
        for (int k = 0; k < 8; k++) tables[k][w >> 8 * k & 255]++;
    }
    for (int s = 0; s < 256; s++) {
        uint32_t sum = 0;
        for (int t = 0; t < 8; t++) sum += tables[t][s];
        counts[s] = sum;
    }
}

// Two by two, for at most BLOCK_SIZE values from `least` to `greatest`, which differ: no pair then comes 65536 times.
static void count_pairs(const uint8_t *restrict source, size_t n, uint8_t least, uint8_t greatest, uint32_t *restrict counts) {
    uint16_t table[PAIR_RANGE * 256];
    size_t range = (size_t)greatest - least + 1;
    memset(table, 0, range * 256 * sizeof table[0]);
    // A pair is a number of 16 bits, the second value, less the least, in its upper half.
    const uint64_t shift = 0x0100010001000100 * (uint64_t)least;
    for (size_t i = 0; i < n; i += 8) {
        uint64_t w;
        memcpy(&w, source + i, 8);
        w -= shift;
        table[w & 0xFFFF]++;
        table[w >> 16 & 0xFFFF]++;
        table[w >> 32 & 0xFFFF]++;
        table[w >> 48]++;
    }
    memset(counts, 0, 256 * sizeof counts[0]);
    for (size_t row = 0; row < range; row++) {
        const uint16_t *restrict cells = table + 256 * row;
        uint32_t sum = 0;
        for (size_t s = 0; s < 256; s++) {
            counts[s] += cells[s];
            sum += cells[s];
        }
        counts[least + row] += sum;
    }
}

#if defined(__x86_64__)
#include <immintrin.h>

// Neighbouring values that are counted in a vector each: the exponents of most weights.
#define WINDOW 12
// Bytes of which a sample tells where the window is best.
#define WINDOW_SAMPLE 2048

// Compares 64 bytes at a time with each value of the window; what lies outside is put aside and counted one by one. False, with nothing
// counted, where that would be too many.
__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi2,bmi2,popcnt"), min_vector_width(512))) static bool count_in_window(
    const uint8_t *restrict source, size_t n, uint32_t *restrict counts) {
    uint32_t sample[256] = {0};
    size_t step = n / WINDOW_SAMPLE;
    for (size_t i = 0; i < WINDOW_SAMPLE; i++) sample[source[i * step]]++;
    uint32_t inside = 0, most = 0;
    int first = 0;
    for (int s = 0; s < 256; s++) {
        inside += sample[s];
        if (s >= WINDOW) inside -= sample[s - WINDOW];
        if (inside > most) {
            most = inside;
            first = s < WINDOW ? 0 : s - WINDOW + 1;
        }
    }
    if (most < WINDOW_SAMPLE * 15 / 16) return false;

    uint8_t outside[BLOCK_SIZE + 64];
    size_t outside_count = 0;
    uint64_t totals[WINDOW] = {0};
    const __m512i begin = _mm512_set1_epi8((char)first), one = _mm512_set1_epi8(1), width = _mm512_set1_epi8(WINDOW);
    for (size_t i = 0; i < n;) {
        // A lane's count is a byte.
        size_t end = n - i > 255 * 64 ? i + 255 * 64 : n;
        __m512i sums[WINDOW];
        for (int k = 0; k < WINDOW; k++) sums[k] = _mm512_setzero_si512();
        for (; i < end; i += 64) {
            __m512i bytes = _mm512_loadu_si512(source + i);
            __m512i place = _mm512_sub_epi8(bytes, begin);
#pragma clang loop unroll(full)
            for (int k = 0; k < WINDOW; k++) {
                __mmask64 equal = _mm512_cmpeq_epi8_mask(place, _mm512_set1_epi8((char)k));
                sums[k] = _mm512_mask_add_epi8(sums[k], equal, sums[k], one);
            }
            __mmask64 out = _mm512_cmpge_epu8_mask(place, width);
            _mm512_storeu_si512(outside + outside_count, _mm512_maskz_compress_epi8(out, bytes));
            outside_count += (size_t)__builtin_popcountll(out);
        }
        for (int k = 0; k < WINDOW; k++)
            totals[k] += (uint64_t)_mm512_reduce_add_epi64(_mm512_sad_epu8(sums[k], _mm512_setzero_si512()));
    }
    for (int s = 0; s < 256; s++) counts[s] = 0;
    for (size_t i = 0; i < outside_count; i++) counts[outside[i]]++;
    for (int k = 0; k < WINDOW && first + k < 256; k++) counts[first + k] += (uint32_t)totals[k];
    return true;
}
#endif

static void count_bytes(const uint8_t *source, size_t n, uint32_t *counts) {
    size_t whole = n & ~(size_t)63;
    bool is_counted = false;
#if defined(__x86_64__)
    is_counted = has_vectors() && whole >= 4 * WINDOW_SAMPLE && count_in_window(source, whole, counts);
#endif
    if (!is_counted) {
        uint8_t least = 255, greatest = 0;
        for (size_t i = 0; i < whole; i++) {
            least = source[i] < least ? source[i] : least;
            greatest = source[i] > greatest ? source[i] : greatest;
        }
        if (whole > 4096 && least < greatest && greatest - least < PAIR_RANGE)
            count_pairs(source, whole, least, greatest, counts);
        else
            count_singly(source, whole, counts);
    }
    for (size_t i = whole; i < n; i++) counts[source[i]]++;
}

// MARK: Codes

// The number of codes of each length by Huffman's algorithm, for `n` >= 2 counts in ascending order. False if one is longer than MAX_BITS.
static bool choose_lengths(const uint64_t *sorted, int n, int *number_of_length) {
    // Two queues: the leaves, and the inner nodes, which come out in ascending order by themselves.
    uint64_t weight[512];
    uint16_t parent[512];
    uint8_t depth[512];
    for (int i = 0; i < n; i++) weight[i] = sorted[i] >> 8;
    int leaf = 0, inner = n;
    for (int node = n; node < 2 * n - 1; node++) {
        uint64_t sum = 0;
        for (int k = 0; k < 2; k++) {
            int least = leaf < n && (inner >= node || weight[leaf] <= weight[inner]) ? leaf++ : inner++;
            sum += weight[least];
            parent[least] = (uint16_t)node;
        }
        weight[node] = sum;
    }
    memset(number_of_length, 0, (MAX_BITS + 1) * sizeof *number_of_length);
    depth[2 * n - 2] = 0;
    for (int node = 2 * n - 3; node >= 0; node--) {
        depth[node] = (uint8_t)(depth[parent[node]] + 1);
        if (node >= n) continue;
        if (depth[node] > MAX_BITS) return false;
        number_of_length[depth[node]]++;
    }
    return true;
}

// The same with the best codes of at most MAX_BITS: Larmore and Hirschberg's package-merge.
static void choose_limited_lengths(const uint64_t *sorted, int n, int *number_of_length) {
    // A level's items are the leaves and the pairs of the level before, in ascending order.
    uint64_t items[2][512];
    bool is_leaf[MAX_BITS][512];
    int item_count = 0;
    for (int level = 0; level < MAX_BITS; level++) {
        const uint64_t *before = items[(level + 1) & 1];
        uint64_t *now = items[level & 1];
        int pairs = item_count / 2, leaf = 0, pair = 0;
        item_count = 0;
        while (leaf < n || pair < pairs) {
            uint64_t sum = pair < pairs ? before[2 * pair] + before[2 * pair + 1] : UINT64_MAX;
            bool takes_leaf = leaf < n && sorted[leaf] >> 8 <= sum;
            is_leaf[level][item_count] = takes_leaf;
            now[item_count++] = takes_leaf ? sorted[leaf++] >> 8 : (pair++, sum);
        }
    }
    // The first 2n - 2 items of the last level: each time that a leaf is among them, or in one of their pairs, its code is a bit longer.
    int length_of[256] = {0};
    int taken = 2 * n - 2;
    for (int level = MAX_BITS - 1; level >= 0; level--) {
        int leaves = 0;
        for (int i = 0; i < taken; i++) leaves += is_leaf[level][i];
        for (int i = 0; i < leaves; i++) length_of[i]++;
        taken = 2 * (taken - leaves);
    }
    memset(number_of_length, 0, (MAX_BITS + 1) * sizeof *number_of_length);
    for (int i = 0; i < n; i++) number_of_length[length_of[i]]++;
}

// Fills in `table`, and gives the bits that the literals take; 0 if fewer than two values occur.
static uint64_t make_table(const uint32_t *counts, code_table *table) {
    // Count and value in one number, ascending; equal counts by value.
    uint64_t sorted[256];
    int n = 0;
    for (int s = 0; s < 256; s++)
        if (counts[s] > 0) sorted[n++] = (uint64_t)counts[s] << 8 | (uint64_t)s;
    if (n < 2) return 0;
    for (int gap = n > 40 ? 40 : 1;; gap = gap == 40 ? 13 : gap == 13 ? 4 : 1) {
        for (int i = gap; i < n; i++) {
            uint64_t moved = sorted[i];
            int k = i;
            for (; k >= gap && sorted[k - gap] > moved; k -= gap) sorted[k] = sorted[k - gap];
            sorted[k] = moved;
        }
        if (gap == 1) break;
    }
    int number_of_length[MAX_BITS + 1];
    if (!choose_lengths(sorted, n, number_of_length)) choose_limited_lengths(sorted, n, number_of_length);
    memset(table, 0, sizeof *table);
    uint64_t bits = 0;
    int at = 0;
    for (int length = MAX_BITS; length > 0; length--) {
        if (number_of_length[length] > 0 && table->max_length == 0) table->max_length = length;
        for (int k = 0; k < number_of_length[length]; k++, at++) {
            table->length[sorted[at] & 255] = (uint8_t)length;
            bits += (uint64_t)length * (sorted[at] >> 8);
        }
    }
    // Codes ascend from the longest length to the shortest, and in a length by value (4.2.1.3).
    uint32_t next[MAX_BITS + 2];
    uint32_t first = 0;
    for (int length = table->max_length; length > 0; length--) {
        next[length] = first;
        first = (first + (uint32_t)number_of_length[length]) >> 1;
    }
    for (int s = 0; s < 256; s++) {
        if (table->length[s] == 0) continue;
        uint32_t code = next[table->length[s]]++;
        table->low[s] = (uint8_t)code;
        table->high[s] = (uint8_t)(code >> 8);
        table->last_symbol = s;
    }
    return bits;
}

// MARK: The table in the file

// Bits from the lowest up.
typedef struct {
    uint8_t *at;
    uint64_t waiting;
    int count;
} bit_writer;

static inline void put(bit_writer *writer, uint64_t value, int bits) {
    writer->waiting |= value << writer->count;
    writer->count += bits;
    while (writer->count >= 8) {
        *writer->at++ = (uint8_t)writer->waiting;
        writer->waiting >>= 8;
        writer->count -= 8;
    }
}

static uint8_t *finish(bit_writer *writer) {
    if (writer->count > 0) *writer->at++ = (uint8_t)writer->waiting;
    return writer->at;
}

static int floor_log2(uint32_t x) { return 31 - __builtin_clz(x); }

#define WEIGHT_ACCURACY 6
#define WEIGHT_STATES (1 << WEIGHT_ACCURACY)

// Shares of WEIGHT_STATES in proportion to counts, at least 1 for what occurs. False if only one weight occurs.
static bool share_states(const int *counts, int total, int *shares) {
    int sum = 0, largest = 0;
    for (int w = 0; w <= MAX_BITS; w++) {
        shares[w] = counts[w] == 0 ? 0 : (counts[w] * WEIGHT_STATES + total / 2) / total;
        if (counts[w] > 0 && shares[w] == 0) shares[w] = 1;
        if (counts[w] == total) return false;
        sum += shares[w];
        if (shares[w] > shares[largest]) largest = w;
    }
    // Rounding is put right where it matters least; a share of 12 weights' 64 states is always larger than what is missing.
    shares[largest] += WEIGHT_STATES - sum;
    return shares[largest] > 0;
}

// The shares in the form of 4.1.1.
static uint8_t *write_shares(const int *shares, uint8_t *target) {
    bit_writer writer = {target, 0, 0};
    put(&writer, WEIGHT_ACCURACY - 5, 4);
    int left = WEIGHT_STATES;
    for (int w = 0; left > 0; w++) {
        // A value 0 ... left + 1 in so many bits as left + 1 takes; the smallest take one less.
        uint32_t value = (uint32_t)shares[w] + 1;
        int bits = floor_log2((uint32_t)left + 1) + 1;
        uint32_t short_values = (1u << bits) - 1 - ((uint32_t)left + 1);
        uint32_t half = 1u << (bits - 1);
        if (value < short_values)
            put(&writer, value, bits - 1);
        else
            put(&writer, value < half ? value : value + short_values, bits);
        left -= shares[w];
        if (shares[w] > 0) continue;
        // How many zeros follow this one, three at a time.
        int zeros = 0;
        while (shares[w + 1 + zeros] == 0) zeros++;
        w += zeros;
        for (; zeros >= 3; zeros -= 3) put(&writer, 3, 2);
        put(&writer, (uint64_t)zeros, 2);
    }
    return finish(&writer);
}

// Weights as two interleaved FSE states (4.2.1.2). Gives the bytes written; 0 if weights can't be coded so or take 128 bytes or more.
static size_t code_weights(const uint8_t *weights, int n, uint8_t *target) {
    int counts[MAX_BITS + 1] = {0}, shares[MAX_BITS + 1];
    for (int i = 0; i < n; i++) counts[weights[i]]++;
    if (n < 3 || !share_states(counts, n, shares)) return 0;

    // The decoder's table: which weight a state stands for, and which states follow it (4.1.1).
    uint8_t weight_of[WEIGHT_STATES];
    int position = 0;
    for (int w = 0; w <= MAX_BITS; w++) {
        for (int k = 0; k < shares[w]; k++) {
            weight_of[position] = (uint8_t)w;
            position = (position + (WEIGHT_STATES >> 1) + (WEIGHT_STATES >> 3) + 3) & (WEIGHT_STATES - 1);
        }
    }
    // Turned round: the state of a weight from which the decoder comes to a given state, and the bits that tell it so.
    uint8_t from[MAX_BITS + 1][WEIGHT_STATES];
    uint8_t bits_of[WEIGHT_STATES], base_of[WEIGHT_STATES], first_of[MAX_BITS + 1];
    int next[MAX_BITS + 1];
    memcpy(next, shares, sizeof next);
    for (int state = 0; state < WEIGHT_STATES; state++) {
        int w = weight_of[state];
        int x = next[w]++;
        int bits = WEIGHT_ACCURACY - floor_log2((uint32_t)x);
        int base = (x << bits) - WEIGHT_STATES;
        if (x == shares[w]) first_of[w] = (uint8_t)state;
        bits_of[state] = (uint8_t)bits;
        base_of[state] = (uint8_t)base;
        for (int follower = base; follower < base + (1 << bits); follower++) from[w][follower] = (uint8_t)state;
    }

    bit_writer writer = {write_shares(shares, target), 0, 0};
    // The decoder ends where it would need bits that aren't there. A weight's first state needs at least one.
    int state[2];
    state[(n - 1) & 1] = first_of[weights[n - 1]];
    state[(n - 2) & 1] = first_of[weights[n - 2]];
    for (int i = n - 3; i >= 0; i--) {
        int before = from[weights[i]][state[i & 1]];
        put(&writer, (uint64_t)(state[i & 1] - base_of[before]), bits_of[before]);
        state[i & 1] = before;
    }
    put(&writer, (uint64_t)state[1], WEIGHT_ACCURACY);
    put(&writer, (uint64_t)state[0], WEIGHT_ACCURACY);
    put(&writer, 1, 1);
    size_t length = (size_t)(finish(&writer) - target);
    return length < 128 ? length : 0;
}

// The Huffman table in the shorter of its forms (4.2.1). Gives the bytes written; 0 if it has none.
static size_t write_table(const code_table *table, uint8_t *target) {
    // The last value's weight follows from the others.
    uint8_t weights[256] = {0};
    int n = table->last_symbol;
    for (int s = 0; s < n; s++) weights[s] = table->length[s] == 0 ? 0 : (uint8_t)(table->max_length + 1 - table->length[s]);
    uint8_t coded[512];
    size_t length = code_weights(weights, n, coded);
    size_t direct = n <= 128 ? (size_t)(n + 1) / 2 : 0;
    if (length > 0 && (direct == 0 || length < direct)) {
        target[0] = (uint8_t)length;
        memcpy(target + 1, coded, length);
        return 1 + length;
    }
    if (direct == 0) return 0;
    target[0] = (uint8_t)(127 + n);
    for (size_t k = 0; k < direct; k++) target[1 + k] = (uint8_t)(weights[2 * k] << 4 | weights[2 * k + 1]);
    return 1 + direct;
}

// MARK: Streams

// A decoder reads a stream from its end, so the last literal is written first, and a bit of 1 closes it (4.2.2).
typedef struct {
    uint8_t *at;
    uint64_t waiting;
    // Fewer than 8 between appends.
    uint64_t count;
} stream_writer;

// `bits` is at most 56. Writes 8 bytes, of which the next append keeps what is whole.
static inline void append(stream_writer *writer, uint64_t value, uint64_t bits) {
    uint64_t waiting = writer->waiting | value << writer->count;
    uint64_t count = writer->count + bits;
    memcpy(writer->at, &waiting, 8);
    writer->at += count >> 3;
    writer->waiting = waiting >> (count & 56);
    writer->count = count & 7;
}

static inline void append_symbol(stream_writer *writer, const code_table *table, uint8_t symbol) {
    append(writer, table->low[symbol] | (uint64_t)table->high[symbol] << 8, table->length[symbol]);
}

static uint8_t *close_stream(stream_writer *writer) {
    append(writer, 1, 1);
    if (writer->count > 0) *writer->at++ = (uint8_t)writer->waiting;
    return writer->at;
}

static uint8_t *encode_stream_base(const uint8_t *source, size_t n, const code_table *table, uint8_t *target) {
    stream_writer writer = {target, 0, 0};
    size_t i = n;
    // Four codes of at most 11 bits fit into one append.
    for (; i >= 4; i -= 4) {
        uint64_t value = 0, bits = 0;
        for (size_t k = 1; k <= 4; k++) {
            uint8_t symbol = source[i - k];
            value |= (table->low[symbol] | (uint64_t)table->high[symbol] << 8) << bits;
            bits += table->length[symbol];
        }
        append(&writer, value, bits);
    }
    while (i > 0) append_symbol(&writer, table, source[--i]);
    return close_stream(&writer);
}

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,bmi2"), min_vector_width(512))), apply_to = function)

typedef struct {
    __m512i t[4];
} lookup;

static inline lookup load_lookup(const uint8_t *values) {
    lookup result;
    for (int k = 0; k < 4; k++) result.t[k] = _mm512_load_si512(values + 64 * k);
    return result;
}

static inline __m512i look_up(const lookup *l, __m512i symbols, bool is_wide) {
    __m512i result = _mm512_permutex2var_epi8(l->t[0], symbols, l->t[1]);
    if (!is_wide) return result;
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(symbols), result, _mm512_permutex2var_epi8(l->t[2], symbols, l->t[3]));
}

// 64 literals' codes joined: neighbours to pairs, pairs to fours, fours to eights, the later literal always in the lower bits.
static inline __attribute__((always_inline)) uint8_t *encode_stream_vectors(
    const uint8_t *source, size_t n, const code_table *table, uint8_t *target, bool is_wide) {
    lookup lengths = load_lookup(table->length), lows = load_lookup(table->low), highs = load_lookup(table->high);
    const __m512i low_byte = _mm512_set1_epi16(0x00FF), low_half = _mm512_set1_epi32(0xFFFF), low_word = _mm512_set1_epi64(0xFFFFFFFF);
    stream_writer writer = {target, 0, 0};
    size_t i = n;
    while (i & 63) append_symbol(&writer, table, source[--i]);
    while (i > 0) {
        i -= 64;
        __m512i symbols = _mm512_loadu_si512(source + i);
        __m512i length = look_up(&lengths, symbols, is_wide);
        __m512i low = look_up(&lows, symbols, is_wide), high = look_up(&highs, symbols, is_wide);
        // In lanes of 16 bits: codes of the first and of the second of each pair.
        __m512i first = _mm512_or_si512(_mm512_and_si512(low, low_byte), _mm512_slli_epi16(high, 8));
        __m512i second = _mm512_or_si512(_mm512_srli_epi16(low, 8), _mm512_andnot_si512(low_byte, high));
        __m512i second_length = _mm512_srli_epi16(length, 8);
        __m512i pair_length = _mm512_add_epi16(_mm512_and_si512(length, low_byte), second_length);
        // In lanes of 32 bits: the first and the second pair of each four.
        __m512i pair0 = _mm512_or_si512(
            _mm512_sllv_epi32(_mm512_and_si512(first, low_half), _mm512_and_si512(second_length, low_half)), _mm512_and_si512(second, low_half));
        __m512i pair1 = _mm512_or_si512(
            _mm512_sllv_epi32(_mm512_srli_epi32(first, 16), _mm512_srli_epi32(second_length, 16)), _mm512_srli_epi32(second, 16));
        __m512i pair1_length = _mm512_srli_epi32(pair_length, 16);
        __m512i four_length = _mm512_add_epi32(_mm512_and_si512(pair_length, low_half), pair1_length);
        // In lanes of 64 bits: the first and the second four of each eight.
        __m512i four0 = _mm512_or_si512(
            _mm512_sllv_epi64(_mm512_and_si512(pair0, low_word), _mm512_and_si512(pair1_length, low_word)), _mm512_and_si512(pair1, low_word));
        __m512i four1 = _mm512_or_si512(
            _mm512_sllv_epi64(_mm512_srli_epi64(pair0, 32), _mm512_srli_epi64(pair1_length, 32)), _mm512_srli_epi64(pair1, 32));
        __m512i four0_length = _mm512_and_si512(four_length, low_word), four1_length = _mm512_srli_epi64(four_length, 32);
        __m512i eight_length = _mm512_add_epi64(four0_length, four1_length);
        _Alignas(64) uint64_t value[8], bits[8];
        if (_mm512_cmpgt_epu64_mask(eight_length, _mm512_set1_epi64(56)) == 0) {
            _mm512_store_si512(value, _mm512_or_si512(_mm512_sllv_epi64(four0, four1_length), four1));
            _mm512_store_si512(bits, eight_length);
            for (int k = 7; k >= 0; k--) append(&writer, value[k], bits[k]);
        } else {
            _Alignas(64) uint64_t value1[8], bits1[8];
            _mm512_store_si512(value, four0);
            _mm512_store_si512(bits, four0_length);
            _mm512_store_si512(value1, four1);
            _mm512_store_si512(bits1, four1_length);
            for (int k = 7; k >= 0; k--) {
                append(&writer, value1[k], bits1[k]);
                append(&writer, value[k], bits[k]);
            }
        }
    }
    return close_stream(&writer);
}

static uint8_t *encode_stream_avx512(const uint8_t *source, size_t n, const code_table *table, uint8_t *target) {
    return table->last_symbol < 128 ? encode_stream_vectors(source, n, table, target, false)
                                    : encode_stream_vectors(source, n, table, target, true);
}
#pragma clang attribute pop
#endif

static uint8_t *encode_stream(const uint8_t *source, size_t n, const code_table *table, uint8_t *target) {
#if defined(__x86_64__)
    if (has_vectors()) return encode_stream_avx512(source, n, table, target);
#endif
    return encode_stream_base(source, n, table, target);
}

// MARK: Blocks and the frame

static void put_bytes(uint8_t *target, uint64_t value, int n) {
    for (int k = 0; k < n; k++) target[k] = (uint8_t)(value >> 8 * k);
}

// The content of a compressed block (3.1.1.3): literals, and no sequences. 0 if it wouldn't be shorter than the literals are.
static size_t encode_block(const uint8_t *source, size_t n, const uint32_t *counts, uint8_t *target) {
    code_table table;
    uint64_t bits = make_table(counts, &table);
    if (bits == 0) return 0;
    uint8_t description[260];
    size_t description_length = write_table(&table, description);
    bool is_single = n < ONE_STREAM_LIMIT;
    int size_bits = is_single ? 10 : n < 1 << 14 ? 14 : 18;
    size_t header_length = ((size_t)size_bits * 2 + 4) / 8;
    size_t stream_count = is_single ? 1 : 4;
    size_t jump_length = is_single ? 0 : 6;
    // Each stream ends with a bit of 1 and is filled up to a byte.
    size_t most = header_length + description_length + jump_length + (size_t)(bits / 8) + 2 * stream_count + 1;
    if (description_length == 0 || most >= n) return 0;

    uint8_t *at = target + header_length;
    memcpy(at, description, description_length);
    uint8_t *jump = at + description_length;
    at = jump + jump_length;
    size_t share = is_single ? n : (n + 3) / 4;
    for (size_t k = 0; k < stream_count; k++) {
        size_t begin = k * share, length = k + 1 < stream_count ? share : n - begin;
        uint8_t *end = encode_stream(source + begin, length, &table, at);
        if (k + 1 < stream_count) put_bytes(jump + 2 * k, (uint64_t)(end - at), 2);
        at = end;
    }
    // Type 2, compressed literals; then how many streams there are and how long the sizes (3.1.1.3.1.1).
    uint64_t format = is_single ? 0 : size_bits == 14 ? 2 : 3;
    uint64_t size = (uint64_t)(at - target) - header_length;
    put_bytes(target, 2 | format << 2 | (uint64_t)n << 4 | size << (4 + size_bits), (int)header_length);
    *at++ = 0;
    return (size_t)(at - target);
}

size_t cc_literals_encode(const uint8_t *source, size_t count, uint8_t *target) {
    // Magic number; descriptor: a single segment with a content size of 1, 2 or 4 bytes (3.1.1.1).
    uint8_t *at = target;
    int size_length = count < 256 ? 1 : count < 65536 + 256 ? 2 : 4;
    if (count < 16 || count > UINT32_MAX) return 0;
    put_bytes(at, 0xFD2FB528, 4);
    at[4] = (uint8_t)((size_length == 1 ? 0 : size_length == 2 ? 1 : 2) << 6 | 1 << 5);
    put_bytes(at + 5, size_length == 2 ? count - 256 : count, size_length);
    at += 5 + size_length;
    for (size_t begin = 0; begin < count; begin += BLOCK_SIZE) {
        size_t n = count - begin < BLOCK_SIZE ? count - begin : BLOCK_SIZE;
        // What is left of the room that the frame may take, this block's header counted: an encoded block is at most as long as its literals.
        if ((size_t)(at - target) + 3 + n > count + CC_LITERALS_SLACK) return 0;
        uint32_t counts[256];
        count_bytes(source + begin, n, counts);
        uint64_t is_last = begin + n == count;
        size_t length = encode_block(source + begin, n, counts, at + 3);
        if (length > 0) {
            put_bytes(at, is_last | 2 << 1 | (uint64_t)length << 3, 3);
        } else if (counts[source[begin]] == n) {
            put_bytes(at, is_last | 1 << 1 | (uint64_t)n << 3, 3);
            at[3] = source[begin];
            length = 1;
        } else {
            put_bytes(at, is_last | (uint64_t)n << 3, 3);
            memcpy(at + 3, source + begin, n);
            length = n;
        }
        at += 3 + length;
    }
    size_t length = (size_t)(at - target);
    return length < count ? length : 0;
}
