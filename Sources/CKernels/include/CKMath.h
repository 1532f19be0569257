#pragma once
#include <stddef.h>
#include <stdint.h>

// Element-wise mathematics, row kernels and recurrent cells in f32, for the instruction sets of the machine, chosen at run time.
// All of them run on the calling thread; results differ between instruction sets by the fusing of multiply and add.

// Activations; parameters a, b, c as ck_activation says.
enum {
    CK_LINEAR, CK_RELU, CK_RELU6, CK_RECTIFIER, CK_LEAKY_RELU, CK_ELU, CK_CELU, CK_SELU, CK_SIGMOID, CK_HARD_SIGMOID, CK_TANH,
    CK_HARD_TANH, CK_TANH_SHRINK, CK_SOFTPLUS, CK_SOFTSIGN, CK_EXPONENTIAL, CK_SILU, CK_HARD_SILU, CK_MISH, CK_GELU, CK_GELU_TANH,
    CK_QUICK_GELU, CK_CLIPPED_GELU, CK_RELU_SQUARED, CK_LAPLACE, CK_SQRT_SOFTPLUS, CK_LOG_SIGMOID, CK_SQUAREPLUS, CK_SOFT_SHRINK, CK_HARD_SHRINK, CK_THRESHOLD, CK_SPARSE_PLUS, CK_SPARSE_SIGMOID
};

// rectifier: a slope, b threshold, c maximum; leaky: a slope; elu, celu: a alpha; hard sigmoid: a slope, b offset; squareplus: a;
// soft and hard shrink: a; threshold: a threshold, b value; clipped GELU: a minimum, b maximum; laplace: a mean, b deviation.
typedef struct {
    int kind;
    float a, b, c;
} ck_activation;

enum { CK_EXP, CK_TANH_OF, CK_ERF, CK_SQRT, CK_RSQRT, CK_RECIPROCAL, CK_NEGATE, CK_ABSOLUTE, CK_SIGN, CK_FLOOR, CK_CEIL, CK_ROUND };
enum { CK_ADD, CK_SUBTRACT, CK_MULTIPLY, CK_DIVIDE, CK_MAXIMUM, CK_MINIMUM };
enum { CK_SUM, CK_GREATEST, CK_LEAST };

enum { CK_SIMPLE, CK_LSTM, CK_GRU_RESET_AFTER, CK_GRU_RESET_BEFORE };

// Vectors of 16 columns that the gates of some units take: each gate's 16 for a whole block, all gates' columns together for what is left.
#define CK_VECTORS(units, gates) ((units) / 16 * (gates) + ((units) % 16 * (gates) + 15) / 16)

// A recurrent layer over time. Units come in blocks of 16; `gates` is the number of gates of the cell (1, 4, 3, 3). Columns are [block][gate][16];
// after the whole blocks come the gates of the units that are left, one after the other, and zeros up to CK_VECTORS.
typedef struct {
    int cell;
    ck_activation activation, recurrent_activation;
    size_t batch, time, units, blocks;
    // Recurrent weights: [block][unit of the state][columns of a block]; of a GRU with reset before those of the first two gates, then the
    // candidate's.
    const float *weights;
    // Recurrent bias [columns], or NULL; 16 more floats can be read.
    const float *recurrent_bias;
    // Steps of this call, in the order of walking: calls follow one another.
    size_t first, last;
    // x W + b, [batch][input_steps][columns], of positions in time from `input_first` on; 16 more floats can be read.
    const float *inputs;
    size_t input_steps, input_first;
    // [batch][time], or NULL: a step of a row with 0 leaves its state.
    const uint8_t *mask;
    int goes_backwards, zeroes_masked_output;
    // Two buffers [batch][blocks * 16] each, used in turn; the first holds the initial state.
    float *hidden[2];
    // LSTM: cell state [batch][blocks * 16]. GRU with reset before: update gate, of the same size. Else NULL.
    float *memory;
    // GRU with reset before: reset gate times state, same size. Else NULL.
    float *scratch;
    // [batch][time][units] in the order of walking.
    float *output;
    // Whether each thread has rows of its own, instead of a part of the units: then none waits for another, but each reads all weights.
    int splits_rows;
    // How often each thread has come to the end of a step in this call, and from which processor, a line of 16 each; 0 before. NULL for one thread.
    uint32_t *arrived;
} ck_recurrence;

// Attention of one head of one batch row: queries that share a list of keys (a strand), each attending to a range of that list.
typedef struct {
    size_t size, value_size;
    float scale;
    const float *query, *key, *value;
    float *output;
    // Floats from one position to the next.
    size_t query_step, key_step, value_step, output_step;
    // Positions of the strand's queries and keys; for each query `from` and `to` in the list of keys.
    const int32_t *queries, *keys, *ranges;
    // Positions of keys that every query attends to besides; not where `weights` or `continues` are asked for.
    const int32_t *common;
    size_t common_count;
    // Added to the scaled scores, or NULL; floats from one position to the next, 0 where one stands for all.
    const float *bias;
    size_t bias_query_step, bias_key_step;
    // [query position][key position], added to what is there; or NULL. Then `tile` is no less than any range.
    float *weights;
    size_t weight_step;
    // [query position][2]: greatest score and sum of exponentials, written; (.., 0) for a query without keys.
    float *state;
    // Whether `output` and `state` hold what earlier strands gave, which this one adds to.
    int continues;
    // Keys whose scores are held at a time.
    size_t tile;
    // Floats of the calling thread: ck_attention_space.
    float *space;
} ck_attention;

// Floats of work space that a strand takes; `longest` is the length of its longest range, with the common keys.
size_t ck_attention_space(size_t size, size_t value_size, size_t tile, size_t longest);

// Attention of one head of one batch row among vectors that hash alike, for sequences longer than a chunk, which divides them; shorter
// ones are attended whole, with `rounds` 1 and neither `before` nor `after`.
typedef struct {
    size_t positions, size, value_size;
    // Floats from one position to the next; of the output as of the value.
    size_t vector_step, value_step;
    // Query and key in one.
    const float *vectors, *value;
    float *output;
    // Of each position: 0 for what is attended by none.
    const uint8_t *mask;
    size_t chunk, before, after, rounds;
    int is_causal;
    float epsilon, self_score, masked_score;
    // [size][columns]: `width` columns for each round, zeros up to a multiple of 16.
    const float *rotations;
    size_t columns, width;
    // Factors of the number of buckets, and their product.
    const int32_t *factors;
    size_t factor_count, buckets;
    // Of the calling thread: [rounds][positions] twice, buckets + 2, positions, 2 * positions, ck_lsh_space.
    int32_t *order, *bucket, *counts;
    float *norm, *state, *space;
} ck_lsh;

// Floats of work space.
size_t ck_lsh_space(size_t size, size_t value_size, size_t columns);

// activation(left x weights + bias + residual), row-major. What is said of an element of `left` and `weights` holds of a pair of bf16, too: two
// neighbours of a row of `left`, or of a column of the weights.
typedef struct {
    size_t rows, inner, columns;
    // [rows][inner]; from one row to the next `left_step` elements.
    const float *left;
    size_t left_step;
    // [panel][inner][ck_product_panel], zeros past the last column; or NULL, and the weights as they were, f32: each column's `inner` numbers
    // together, the next column's `right_step` further. Then threads pack what they need on their way, in `space`, each in
    // ck_product_space floats.
    const float *weights, *right;
    size_t right_step;
    float *space;
    // [columns] and zeros up to a multiple of ck_product_panel, or NULL.
    const float *bias;
    // [rows][columns] with the result's step, or NULL.
    const float *residual;
    ck_activation activation;
    // [rows][columns]; from one row to the next `result_step` floats.
    float *result;
    size_t result_step;
    // What has been taken of each thread's share, a line of 8 for each; 0 before.
    uint64_t *taken;
} ck_product;

// Columns of a panel of packed weights; how many of their numbers are gone through before those of the next rows.
enum { ck_product_panel = 32, ck_product_inner = 768, ck_product_space = ck_product_panel * ck_product_inner };

typedef struct {
    void (*activate)(ck_activation f, size_t n, const float *x, float *y);
    void (*unary)(int function, size_t n, const float *x, float *y);
    // Steps are 0 (one element for all) or 1.
    void (*binary)(int function, size_t n, const float *a, int a_step, const float *b, int b_step, float *y);
    float (*reduce)(int reduction, size_t n, const float *x);
    // y = y op x, element by element.
    void (*fold)(int reduction, size_t n, const float *x, float *y);
    // Rows of n elements.
    void (*softmax)(size_t rows, size_t n, const float *x, float *y);
    void (*log_softmax)(size_t rows, size_t n, const float *x, float *y);
    // scale and offset may be NULL; uses_rms leaves the mean in.
    void (*layer_norm)(size_t rows, size_t n, const float *x, const float *scale, const float *offset, float epsilon, int uses_rms, float *y);
    // y = x * scale + offset, both [n], for every row.
    void (*scale_rows)(size_t rows, size_t n, const float *x, const float *scale, const float *offset, float *y);
    // The part of a recurrence that `thread` of `threads` has, all of which run at once. The last hidden state is in hidden[last % 2].
    void (*recurrence)(const ck_recurrence *r, size_t thread, size_t threads);
    // Queries first ..< last of a strand; gives how many of them have no key.
    int (*attention)(const ck_attention *a, size_t first, size_t last);
    // To nearest even; a not-a-number stays one.
    void (*round_to_bf16)(size_t n, const float *x, uint16_t *y);
    void (*lsh_attention)(const ck_lsh *a);
    // The part of a product that `thread` of `threads` has; NULL where a library's matmul does better.
    void (*multiply)(const ck_product *p, size_t thread, size_t threads);
} ck_math;

// The table of the best instruction set, or of the one that ck_math_level has set.
const ck_math *ck_math_table(void);

typedef void (*ck_multiply)(const ck_product *p, size_t thread, size_t threads);

// A table's `multiply` with `left` and `weights` in pairs of bf16.
typedef struct {
    // NULL where the processor or the level in force has no instruction for that.
    ck_multiply run;
    // What `inner` has to be a multiple of, with zeros on both sides past the last pair; and rows that `left` has memory for past its last.
    size_t multiple, spare_rows;
    // Whether it multiplies whole tiles, many times as fast as f32.
    int has_tiles;
} ck_pair_product;

ck_pair_product ck_product_of_pairs(void);

// For tests: 0 baseline, 1 AVX2 and FMA, 2 AVX-512, 3 and tiles of bf16 (AMX), -1 the best there is (the default). Returns the level in force.
int ck_math_level(int level);
