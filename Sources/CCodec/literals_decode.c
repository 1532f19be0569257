// Huffman decoding of zstd's frames, several symbols at a time. Section numbers are those of RFC 8878.
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
#define TABLE_SIZE (1 << MAX_BITS)
// Codes of a table's entry at most, and bytes of it before their symbols.
#define MAX_SYMBOLS 6
#define ENTRY_HEAD 2
// Look-ups between two fillings of a stream's 64 bits: of these 56 are certain to be there.
#define STEPS 5
// Blocks of fewer literals aren't worth a table.
#define MIN_LITERALS 64

// MARK: Instruction sets

static int best_level(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("bmi2") && __builtin_cpu_supports("bmi")) return 1;
#endif
    return 0;
}

// -1: not chosen yet. Written by tests only; a relaxed atomic costs a plain load.
static int chosen_level = -1;

int cc_literals_decode_level(int level) {
    int best = best_level();
    if (level < 0 || level > best) level = best;
    __atomic_store_n(&chosen_level, level, __ATOMIC_RELAXED);
    return level;
}

// MARK: Bytes and bits

static uint64_t load(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

static uint64_t get_bytes(const uint8_t *source, int n) {
    uint64_t value = 0;
    for (int k = 0; k < n; k++) value |= (uint64_t)source[k] << 8 * k;
    return value;
}

static int floor_log2(uint32_t x) { return 31 - __builtin_clz(x); }

// `n` bits, at most 32, from bit `at` on; eight bytes can be read there.
static uint32_t bits_at(const uint8_t *bytes, int at, int n) { return (uint32_t)(load(bytes + (at >> 3)) >> (at & 7) & ((1ull << n) - 1)); }

// MARK: The table in the file

#define WEIGHT_ACCURACY 6
#define WEIGHT_STATES (1 << WEIGHT_ACCURACY)
#define MAX_WEIGHTS 255

typedef struct {
    uint8_t weight, bits, base;
} weight_state;

// Weights as two interleaved FSE states (4.2.1.2), of which there may be MAX_WEIGHTS. Gives how many they are, 0 if they aren't well-formed, or
// use what our writer doesn't: probabilities below 1.
static int read_coded_weights(const uint8_t *source, int length, uint8_t *weights) {
    // Zeros behind, so that eight bytes can be read everywhere. A length is a byte below 128.
    uint8_t bytes[128 + 16] = {0};
    memcpy(bytes, source, (size_t)length);
    int at = 4, accuracy = (int)bits_at(bytes, 0, 4) + 5;
    if (accuracy > WEIGHT_ACCURACY) return 0;

    // Shares of the states (4.1.1).
    int states = 1 << accuracy, left = states, count = 0;
    int shares[MAX_BITS + 1] = {0};
    while (left > 0) {
        if (count > MAX_BITS || at >= 8 * length) return 0;
        // A value 0 ... left + 1 in so many bits as left + 1 takes; the smallest take one less.
        int bits = floor_log2((uint32_t)left + 1) + 1;
        uint32_t short_values = (1u << bits) - 1 - ((uint32_t)left + 1);
        uint32_t half = 1u << (bits - 1);
        uint32_t value = bits_at(bytes, at, bits);
        if ((value & (half - 1)) < short_values) {
            value &= half - 1;
            at += bits - 1;
        } else {
            if (value >= half) value -= short_values;
            at += bits;
        }
        int share = (int)value - 1;
        if (share < 0 || share > left) return 0;
        shares[count++] = share;
        left -= share;
        if (share > 0) continue;
        // How many zeros follow this one, three at a time.
        for (int zeros = 3; zeros == 3;) {
            zeros = (int)bits_at(bytes, at, 2);
            at += 2;
            count += zeros;
            if (count > MAX_BITS || at > 8 * length) return 0;
        }
    }

    // Which weight a state stands for, and which states follow it.
    weight_state table[WEIGHT_STATES];
    int next[MAX_BITS + 1], position = 0;
    memcpy(next, shares, sizeof next);
    for (int w = 0; w < count; w++) {
        for (int k = 0; k < shares[w]; k++) {
            table[position].weight = (uint8_t)w;
            position = (position + (states >> 1) + (states >> 3) + 3) & (states - 1);
        }
    }
    for (int s = 0; s < states; s++) {
        int x = next[table[s].weight]++;
        int bits = accuracy - floor_log2((uint32_t)x);
        table[s].bits = (uint8_t)bits;
        table[s].base = (uint8_t)((x << bits) - states);
    }

    // Read from the end, which the highest bit set marks, down to where the shares end.
    int low = (at + 7) & ~7;
    if (low >= 8 * length || bytes[length - 1] == 0) return 0;
    int top = 8 * (length - 1) + floor_log2(bytes[length - 1]);
    if (top - 2 * accuracy < low) return 0;
    int state[2];
    for (int k = 0; k < 2; k++) {
        top -= accuracy;
        state[k] = (int)bits_at(bytes, top, accuracy);
    }
    int n = 0;
    for (int turn = 0; n <= MAX_WEIGHTS - 2; turn ^= 1) {
        weight_state now = table[state[turn]];
        weights[n++] = now.weight;
        top -= now.bits;
        // The end is where bits would be needed that aren't there; the other state's weight is the last.
        if (top < low) {
            weights[n++] = table[state[turn ^ 1]].weight;
            return n;
        }
        state[turn] = now.base + (int)bits_at(bytes, top, now.bits);
    }
    return 0;
}

typedef struct {
    // Symbols from the longest code to the shortest, and in a length by value, and how many have each weight, which is `max_length` + 1
    // less the code's length.
    uint8_t symbols[256];
    uint32_t number_of_weight[MAX_BITS + 2];
    int max_length;
} code;

// The code that a block's literals begin with (4.2.1). Gives the length of its description, or 0 if it isn't well-formed.
static size_t read_code(const uint8_t *source, size_t n, code *code) {
    uint8_t weights[MAX_WEIGHTS + 1];
    int count;
    size_t length;
    if (n == 0) return 0;
    if (source[0] >= 128) {
        count = source[0] - 127;
        length = 1 + ((size_t)count + 1) / 2;
        if (length > n) return 0;
        for (int i = 0; i < count; i++) weights[i] = i & 1 ? source[1 + i / 2] & 15 : source[1 + i / 2] >> 4;
    } else {
        length = 1 + (size_t)source[0];
        if (length > n || length < 3) return 0;
        count = read_coded_weights(source + 1, source[0], weights);
    }
    uint32_t sum = 0;
    memset(code->number_of_weight, 0, sizeof code->number_of_weight);
    for (int i = 0; i < count; i++) {
        if (weights[i] > MAX_BITS) return 0;
        code->number_of_weight[weights[i]]++;
        sum += 1u << weights[i] >> 1;
    }
    if (sum == 0) return 0;
    // The last value's weight makes the sum a power of two.
    code->max_length = floor_log2(sum) + 1;
    if (code->max_length > MAX_BITS) return 0;
    uint32_t rest = (1u << code->max_length) - sum;
    if ((rest & (rest - 1)) != 0) return 0;
    weights[count] = (uint8_t)(floor_log2(rest) + 1);
    code->number_of_weight[weights[count++]]++;
    if (code->number_of_weight[1] < 2) return 0;

    uint32_t next[MAX_BITS + 2];
    uint32_t position = 0;
    for (int w = 1; w <= MAX_BITS; w++) {
        next[w] = position;
        position += code->number_of_weight[w];
    }
    for (int s = 0; s < count; s++)
        if (weights[s] > 0) code->symbols[next[weights[s]]++] = (uint8_t)s;
    return length;
}

// MARK: The table in memory

typedef struct {
    // For the next MAX_BITS bits, as many codes as lie wholly in them, MAX_SYMBOLS at most. Byte 0: their bits; byte 1: how many they are;
    // from byte 2 on: their symbols. One entry more, since eight bytes are read from byte 2 on.
    _Alignas(64) uint64_t many[TABLE_SIZE + 1];
    // The same for the next r bits, from entry 2^r on; nothing where no code lies wholly in them.
    _Alignas(64) uint64_t rests[TABLE_SIZE];
    // The first code alone: its length, and above its symbol.
    _Alignas(64) uint16_t single[TABLE_SIZE];
} decode_table;

// The entry of a code of `length` bits followed by what `rest` stands for; of its symbols all but the last are kept.
static inline uint64_t entry(uint8_t symbol, int length, uint64_t rest) {
    return ((rest & 0x00FFFFFFFFFF0000) << 8) + (rest & 0xFFFF) + ((uint64_t)symbol << 16 | 1 << 8 | (uint64_t)length);
}

static void make_table(const code *code, decode_table *table) {
    int longest = code->max_length, shortest = 1;
    while (code->number_of_weight[longest + 1 - shortest] == 0) shortest++;
    // Codes of two bits and more are five at most in MAX_BITS; where there is one of one bit no more than five bits are looked at after the first.
    int most = shortest == 1 ? MAX_SYMBOLS - 1 : MAX_BITS - shortest;
    uint64_t *rests = table->rests;
    rests[1] = 0;
    for (int r = 1; r <= most; r++) {
        uint64_t *row = rests + (1u << r);
        uint32_t end = 1u << r;
        // From the last entry, the shortest codes, to where only longer ones than r are left.
        int s = 0;
        for (int w = 1; w <= longest; w++) s += (int)code->number_of_weight[w];
        for (int w = longest; w > 0 && longest + 1 - w <= r; w--) {
            int length = longest + 1 - w;
            uint32_t size = 1u << (r - length);
            const uint64_t *rest = rests + size;
            for (uint32_t k = 0; k < code->number_of_weight[w]; k++) {
                uint8_t symbol = code->symbols[--s];
                end -= size;
                for (uint32_t i = 0; i < size; i++) row[end + i] = entry(symbol, length, rest[i]);
            }
        }
        memset(row, 0, end * sizeof row[0]);
    }
    uint32_t begin = 0;
    int s = 0;
    for (int w = 1; w <= longest; w++) {
        int length = longest + 1 - w;
        int r = MAX_BITS - length, used = r < most ? r : most;
        const uint64_t *rest = rests + (1u << used);
        for (uint32_t k = 0; k < code->number_of_weight[w]; k++) {
            uint8_t symbol = code->symbols[s++];
            uint64_t *many = table->many + begin;
            if (used == r) {
                for (uint32_t i = 0; i < 1u << r; i++) many[i] = entry(symbol, length, rest[i]);
            } else {
                for (uint32_t i = 0; i < 1u << r; i++) many[i] = entry(symbol, length, rest[i >> (r - used)]);
            }
            uint16_t one = (uint16_t)(symbol << 8 | length);
            for (uint32_t i = 0; i < 1u << r; i++) table->single[begin + i] = one;
            begin += 1u << r;
        }
    }
}

// MARK: Streams

typedef struct {
    const uint8_t *start;
    // The eight bytes that `bits` was filled from. The lowest of these is 1 throughout, so that the zeros below it tell how many were taken.
    const uint8_t *at;
    uint64_t bits;
    uint8_t *target, *end;
} stream;

static bool open_stream(stream *stream, const uint8_t *source, size_t length) {
    if (length < 8 || source[length - 1] == 0) return false;
    stream->start = source;
    stream->at = source + length - 8;
    stream->bits = (load(stream->at) | 1) << (8 - floor_log2(source[length - 1]));
    return true;
}

// Decodes what the four streams together left of one. False unless it ends exactly.
static bool finish_stream(const stream *stream, const decode_table *table) {
    uint8_t *target = stream->target;
    // Bits left, the next ones at the top.
    ptrdiff_t left = 8 * (stream->at - stream->start) + 64 - __builtin_ctzll(stream->bits);
    while (stream->end - target >= MAX_SYMBOLS * STEPS + 2 && left >= 64) {
        uint64_t bits = load(stream->start + (left >> 3) - 7) << (8 - (left & 7));
        for (int k = 0; k < STEPS; k++) {
            uint64_t found = table->many[bits >> (64 - MAX_BITS)];
            uint64_t symbols = found >> 8 * ENTRY_HEAD;
            memcpy(target, &symbols, sizeof symbols);
            target += found >> 8 & 255;
            bits <<= found & 63;
            left -= (ptrdiff_t)(found & 63);
        }
    }
    for (; target < stream->end; target++) {
        if (left <= 0) return false;
        uint64_t bits = left >= 64 ? load(stream->start + (left >> 3) - 7) << (8 - (left & 7)) : load(stream->start) << (64 - left);
        uint16_t found = table->single[bits >> (64 - MAX_BITS)];
        *target = (uint8_t)(found >> 8);
        left -= found & 255;
    }
    return left == 0;
}

// Rounds of STEPS look-ups that stay in the stream's own bytes and in its part of the target, whatever is found.
static size_t rounds_within(const stream *stream) {
    size_t room = (size_t)(stream->end - stream->target);
    size_t writable = room < 2 ? 0 : (room - 2) / (MAX_SYMBOLS * STEPS);
    size_t readable = (size_t)(stream->at - stream->start) / 7;
    return writable < readable ? writable : readable;
}

static size_t rounds_within_all(const stream *streams) {
    size_t rounds = SIZE_MAX;
    for (int k = 0; k < 4; k++) {
        size_t own = rounds_within(streams + k);
        if (own < rounds) rounds = own;
    }
    return rounds;
}

// The four streams of a block in turns, so that none waits for the other's look-ups.
#define DECODE_TOGETHER                                                                                                        \
    const uint64_t *many = table->many;                                                                                        \
    for (size_t rounds = rounds_within_all(streams); rounds > 0; rounds = rounds_within_all(streams)) {                        \
        uint64_t bits0 = streams[0].bits, bits1 = streams[1].bits, bits2 = streams[2].bits, bits3 = streams[3].bits;           \
        uint8_t *target0 = streams[0].target, *target1 = streams[1].target;                                                    \
        uint8_t *target2 = streams[2].target, *target3 = streams[3].target;                                                    \
        const uint8_t *at0 = streams[0].at, *at1 = streams[1].at, *at2 = streams[2].at, *at3 = streams[3].at;                  \
        do {                                                                                                                   \
            STEP(0) STEP(1) STEP(2) STEP(3) STEP(0) STEP(1) STEP(2) STEP(3) STEP(0) STEP(1) STEP(2) STEP(3)                    \
            STEP(0) STEP(1) STEP(2) STEP(3) STEP(0) STEP(1) STEP(2) STEP(3)                                                    \
            FILL(0) FILL(1) FILL(2) FILL(3)                                                                                    \
        } while (--rounds > 0);                                                                                                \
        CLOSE(0) CLOSE(1) CLOSE(2) CLOSE(3)                                                                                    \
    }

#define FILL(k)                                                                                                                \
    {                                                                                                                          \
        int taken = __builtin_ctzll(bits##k);                                                                                  \
        at##k -= taken >> 3;                                                                                                   \
        bits##k = (load(at##k) | 1) << (taken & 7);                                                                            \
    }

#define CLOSE(k)                                                                                                               \
    streams[k].bits = bits##k;                                                                                                 \
    streams[k].target = target##k;                                                                                             \
    streams[k].at = at##k;

#define STEP(k)                                                                                                                \
    {                                                                                                                          \
        uint64_t found = many[bits##k >> (64 - MAX_BITS)];                                                                     \
        uint64_t symbols = found >> 8 * ENTRY_HEAD;                                                                            \
        bits##k <<= found & 63;                                                                                                \
        memcpy(target##k, &symbols, sizeof symbols);                                                                           \
        target##k += found >> 8 & 255;                                                                                         \
    }

static void decode_together_base(stream *streams, const decode_table *table) { DECODE_TOGETHER }

#undef STEP

#if defined(__x86_64__)
// The same in seven instructions, of which two shift: the compiler's own take twice as many shifts, or more registers than there are.
#define STEP(k)                                                                                                                \
    __asm__("shrx %[place], %[bits], %%rax\n\t"                                                                                \
            "movq (%[many],%%rax,8), %%rcx\n\t"                                                                                \
            "movq 2(%[many],%%rax,8), %%rdx\n\t"                                                                               \
            "shlx %%rcx, %[bits], %[bits]\n\t"                                                                                 \
            "movq %%rdx, (%[target])\n\t"                                                                                      \
            "movzbl %%ch, %%ecx\n\t"                                                                                           \
            "addq %%rcx, %[target]"                                                                                            \
            : [bits] "+r"(bits##k), [target] "+r"(target##k)                                                                   \
            : [many] "r"(many), [place] "r"((uint64_t)(64 - MAX_BITS))                                                         \
            : "rax", "rcx", "rdx", "memory");

__attribute__((target("bmi,bmi2"))) static void decode_together_bmi2(stream *streams, const decode_table *table) { DECODE_TOGETHER }

#undef STEP
#endif

static bool decode_streams(stream *streams, const decode_table *table) {
    int level = __atomic_load_n(&chosen_level, __ATOMIC_RELAXED);
    if (level < 0) level = cc_literals_decode_level(-1);
#if defined(__x86_64__)
    if (level == 1)
        decode_together_bmi2(streams, table);
    else
        decode_together_base(streams, table);
#else
    decode_together_base(streams, table);
#endif
    for (int k = 0; k < 4; k++)
        if (!finish_stream(streams + k, table)) return false;
    return true;
}

// MARK: Blocks and the frame

typedef struct {
    // Of the literals, which follow the header, and of the bytes that they decode to.
    size_t header, size, count;
} literals_header;

// Whether a compressed block (3.1.1.3) holds literals in four streams, with a code of their own, and no sequences.
static bool read_header(const uint8_t *block, size_t length, literals_header *header) {
    int format = block[0] >> 2 & 3;
    if (length < 8 || (block[0] & 3) != 2 || format < 2) return false;
    int size_bits = format == 2 ? 14 : 18;
    header->header = format == 2 ? 4 : 5;
    uint64_t fields = get_bytes(block, 5) >> 4;
    header->count = fields & ((1u << size_bits) - 1);
    header->size = fields >> size_bits & ((1u << size_bits) - 1);
    return header->count >= MIN_LITERALS && header->count <= BLOCK_SIZE && header->header + header->size + 1 == length && block[length - 1] == 0;
}

// Exactly header.count bytes. False if the block isn't well-formed.
static bool decode_block(const uint8_t *block, const literals_header *header, uint8_t *target, decode_table *table) {
    code code;
    const uint8_t *at = block + header->header;
    size_t left = header->size;
    size_t length = read_code(at, left, &code);
    // The sizes of the first three streams (3.1.1.3.1.6).
    if (length == 0 || left - length < 6) return false;
    const uint8_t *sizes = at + length;
    at = sizes + 6;
    left -= length + 6;
    make_table(&code, table);
    stream streams[4];
    size_t share = (header->count + 3) / 4;
    for (size_t k = 0; k < 4; k++) {
        size_t size = k < 3 ? (size_t)get_bytes(sizes + 2 * k, 2) : left;
        if (size > left || !open_stream(streams + k, at, size)) return false;
        streams[k].target = target + share * k;
        streams[k].end = k < 3 ? streams[k].target + share : target + header->count;
        at += size;
        left -= size;
    }
    return decode_streams(streams, table);
}

// Goes over the blocks from `at` on, to `target` if there is one. False unless all are of the forms that are decoded here, and fill both exactly.
static bool go_over_blocks(const uint8_t *at, const uint8_t *end, uint8_t *target, size_t count, decode_table *table) {
    size_t most = count < BLOCK_SIZE ? count : BLOCK_SIZE;
    for (bool is_last = false; !is_last;) {
        if (end - at < 3) return false;
        uint32_t head = (uint32_t)get_bytes(at, 3);
        at += 3;
        is_last = head & 1;
        size_t size = head >> 3;
        int type = head >> 1 & 3;
        size_t stored = type == 1 ? 1 : size, made = size;
        if (type == 3 || size == 0 || size > most || stored > (size_t)(end - at)) return false;
        literals_header header;
        if (type == 2) {
            if (!read_header(at, stored, &header)) return false;
            made = header.count;
        }
        if (made > count) return false;
        if (target != NULL) {
            if (type == 0) memcpy(target, at, made);
            if (type == 1) memset(target, at[0], made);
            if (type == 2 && !decode_block(at, &header, target, table)) return false;
            target += made;
        }
        count -= made;
        at += stored;
    }
    return at == end && count == 0;
}

int cc_literals_decode(const uint8_t *source, size_t length, uint8_t *target, size_t count) {
    // Magic number; descriptor: a single segment, neither checksum nor dictionary (3.1.1.1).
    if (length < 6 || get_bytes(source, 4) != 0xFD2FB528 || (source[4] & 0x3F) != 1 << 5) return 0;
    size_t size_length = (size_t)1 << (source[4] >> 6);
    if (length < 5 + size_length) return 0;
    if (get_bytes(source + 5, (int)size_length) + (size_length == 2 ? 256 : 0) != count) return 0;
    const uint8_t *blocks = source + 5 + size_length, *end = source + length;
    // First whether it is worth beginning.
    if (!go_over_blocks(blocks, end, NULL, count, NULL)) return 0;
    decode_table table;
    return go_over_blocks(blocks, end, target, count, &table);
}
