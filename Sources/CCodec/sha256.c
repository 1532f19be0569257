#include "CCSHA256.h"
#include <string.h>

static const uint32_t initial_state[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

void cc_sha256_start(cc_sha256 *hash) {
    memcpy(hash->state, initial_state, sizeof initial_state);
    hash->byte_count = 0;
}

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

static const _Alignas(16) uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

int cc_sha256_is_available(void) {
    // -1: not looked up yet. SHA is bit 29 of leaf 7's EBX; the compiler's own look-up doesn't know it.
    static int known = -1;
    int available = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (available < 0) {
        unsigned a = 0, b = 0, c = 0, d = 0;
        available = __get_cpuid_count(7, 0, &a, &b, &c, &d) && b >> 29 & 1 && __builtin_cpu_supports("avx");
        __atomic_store_n(&known, available, __ATOMIC_RELAXED);
    }
    return available;
}

#define LANE_CODE static inline __attribute__((always_inline, target("sha,avx")))

// The state as the instructions want it: words a, b, e, f and c, d, g, h, the first of each uppermost.
typedef struct {
    __m128i abef, cdgh;
    __m128i words[4];
} lane;

// The instructions have no VEX form: where the upper halves of registers are in use, each waits for what it doesn't change there, which takes
// twice the time.
LANE_CODE void leave_upper_halves(void) { _mm256_zeroupper(); }

LANE_CODE lane open_lane(const cc_sha256 *hash) {
    lane l;
    __m128i abcd = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)hash->state), 0x1B);
    __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(hash->state + 4)), 0x1B);
    l.abef = _mm_unpackhi_epi64(efgh, abcd);
    l.cdgh = _mm_unpacklo_epi64(efgh, abcd);
    return l;
}

LANE_CODE void close_lane(const lane *l, cc_sha256 *hash) {
    __m128i abcd = _mm_unpackhi_epi64(l->cdgh, l->abef), efgh = _mm_unpacklo_epi64(l->cdgh, l->abef);
    _mm_storeu_si128((__m128i *)hash->state, _mm_shuffle_epi32(abcd, 0x1B));
    _mm_storeu_si128((__m128i *)(hash->state + 4), _mm_shuffle_epi32(efgh, 0x1B));
}

// Rounds 4i to 4i + 3, and the four words of the schedule that replace those used up.
LANE_CODE void four_rounds(lane *l, const uint8_t *bytes, int i) {
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0bULL, 0x0405060700010203ULL);
    __m128i *w = l->words;
    if (i < 4) {
        w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(bytes + 16 * i)), big_endian);
    } else {
        __m128i *oldest = &w[i & 3], next = w[(i + 1) & 3], after = w[(i + 2) & 3], latest = w[(i + 3) & 3];
        *oldest = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(*oldest, next), _mm_alignr_epi8(latest, after, 4)), latest);
    }
    __m128i sum = _mm_add_epi32(w[i & 3], _mm_load_si128((const __m128i *)(round_constants + 4 * i)));
    l->cdgh = _mm_sha256rnds2_epu32(l->cdgh, l->abef, sum);
    l->abef = _mm_sha256rnds2_epu32(l->abef, l->cdgh, _mm_shuffle_epi32(sum, 0x0E));
}

__attribute__((target("sha,avx"))) void cc_sha256_update(cc_sha256 *hash, const uint8_t *bytes, size_t blocks) {
    leave_upper_halves();
    lane l = open_lane(hash);
    for (size_t k = 0; k < blocks; k++, bytes += 64) {
        __m128i abef = l.abef, cdgh = l.cdgh;
#pragma clang loop unroll(full)
        for (int i = 0; i < 16; i++) four_rounds(&l, bytes, i);
        l.abef = _mm_add_epi32(l.abef, abef);
        l.cdgh = _mm_add_epi32(l.cdgh, cdgh);
    }
    close_lane(&l, hash);
    hash->byte_count += 64 * (uint64_t)blocks;
}

__attribute__((target("sha,avx"))) void cc_sha256_update_two(
    cc_sha256 *a, const uint8_t *bytes_a, cc_sha256 *b, const uint8_t *bytes_b, size_t blocks) {
    leave_upper_halves();
    lane la = open_lane(a), lb = open_lane(b);
    for (size_t k = 0; k < blocks; k++, bytes_a += 64, bytes_b += 64) {
        __m128i abef_a = la.abef, cdgh_a = la.cdgh, abef_b = lb.abef, cdgh_b = lb.cdgh;
#pragma clang loop unroll(full)
        for (int i = 0; i < 16; i++) {
            four_rounds(&la, bytes_a, i);
            four_rounds(&lb, bytes_b, i);
        }
        la.abef = _mm_add_epi32(la.abef, abef_a);
        la.cdgh = _mm_add_epi32(la.cdgh, cdgh_a);
        lb.abef = _mm_add_epi32(lb.abef, abef_b);
        lb.cdgh = _mm_add_epi32(lb.cdgh, cdgh_b);
    }
    close_lane(&la, a);
    close_lane(&lb, b);
    a->byte_count += 64 * (uint64_t)blocks;
    b->byte_count += 64 * (uint64_t)blocks;
}
#else
int cc_sha256_is_available(void) { return 0; }
void cc_sha256_update(cc_sha256 *hash, const uint8_t *bytes, size_t blocks) { __builtin_trap(); }
void cc_sha256_update_two(cc_sha256 *a, const uint8_t *bytes_a, cc_sha256 *b, const uint8_t *bytes_b, size_t blocks) { __builtin_trap(); }
#endif

void cc_sha256_finish(cc_sha256 *hash, const uint8_t *rest, size_t count, uint8_t *digest) {
    // The rest, a bit of 1, zeros, and the message's length in bits, most significant byte first.
    uint8_t last[128] = {0};
    uint64_t bits = (hash->byte_count + count) * 8;
    size_t length = count + 9 <= 64 ? 64 : 128;
    if (count > 0) memcpy(last, rest, count);
    last[count] = 0x80;
    for (int k = 0; k < 8; k++) last[length - 1 - (size_t)k] = (uint8_t)(bits >> 8 * k);
    cc_sha256_update(hash, last, length / 64);
    for (int k = 0; k < 32; k++) digest[k] = (uint8_t)(hash->state[k / 4] >> (24 - 8 * (k % 4)));
}
