#pragma once
#include <stddef.h>
#include <stdint.h>

// SHA-256 (FIPS 180-4) of two messages at once by the processor's own instructions: a round waits for the one before it, so a second
// message is hashed in the time that the first one leaves.

typedef struct {
    uint32_t state[8];
    uint64_t byte_count;
} cc_sha256;

// Whether this processor has the instructions; without them nothing below may be called.
int cc_sha256_is_available(void);

void cc_sha256_start(cc_sha256 *hash);

// Takes in `blocks` times 64 bytes.
void cc_sha256_update(cc_sha256 *hash, const uint8_t *bytes, size_t blocks);

// The same for two messages; neither hash is the other.
void cc_sha256_update_two(cc_sha256 *a, const uint8_t *bytes_a, cc_sha256 *b, const uint8_t *bytes_b, size_t blocks);

// Takes in the message's last `count` bytes, fewer than 64, and gives the digest.
void cc_sha256_finish(cc_sha256 *hash, const uint8_t *rest, size_t count, uint8_t *digest);
