/* Products of a few rows with the weights of a layer, as decoding needs them.
 *
 * A weight is read once, in the order in which it lies: blocks of NB outputs, in each the numbers of one input after the
 * other. All rows of a tile are multiplied with a number while it is in a register. A sum is always made in the order
 * of the inputs, whatever the other rows are, so that a row's result does not depend on its neighbours. */
#include "../kernels/vector.h"

#define NB (2 * WIDTH)
#if ROWS == 8
#define TALL 12 /* rows of a tile of many: 24 sums, the two vectors of weights and a number fit into 32 registers */
#else
#define TALL ROWS
#endif
#define MANY 64          /* above it, products are no longer the reading of weights from memory */
#define NEAR (512 << 10) /* bytes of weights that a core's own cache holds beside all else */

/* Places of two vectors, those of the second counted on. */
#if defined(__clang__)
#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PICK(a, b, ...) __builtin_shuffle(a, b, (ivec){__VA_ARGS__})
#endif
#if WIDTH == 16
#define BY_8(a, b) (PICK(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) + \
                    PICK(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
#define BY_4(a, b) (PICK(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27) + \
                    PICK(a, b, 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31))
#define BY_2(a, b) (PICK(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29) + \
                    PICK(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31))
#define BY_1(a, b) (PICK(a, b, 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30) + \
                    PICK(a, b, 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31))
#elif WIDTH == 8
#define BY_4(a, b) (PICK(a, b, 0, 1, 2, 3, 8, 9, 10, 11) + PICK(a, b, 4, 5, 6, 7, 12, 13, 14, 15))
#define BY_2(a, b) (PICK(a, b, 0, 1, 8, 9, 4, 5, 12, 13) + PICK(a, b, 2, 3, 10, 11, 6, 7, 14, 15))
#define BY_1(a, b) (PICK(a, b, 0, 8, 2, 10, 4, 12, 6, 14) + PICK(a, b, 1, 9, 3, 11, 5, 13, 7, 15))
#else
#define BY_2(a, b) (PICK(a, b, 0, 1, 4, 5) + PICK(a, b, 2, 3, 6, 7))
#define BY_1(a, b) (PICK(a, b, 0, 4, 2, 6) + PICK(a, b, 1, 5, 3, 7))
#endif

/* The sums of WIDTH vectors, each in its place: halves are added to halves until one number of each is left. */
INLINE vec folded(vec *of) {
#if WIDTH == 16
    for (int i = 0; i < 8; i++) of[i] = BY_8(of[i], of[i + 8]);
#endif
#if WIDTH >= 8
    for (int i = 0; i < 4; i++) of[i] = BY_4(of[i], of[i + 4]);
#endif
    for (int i = 0; i < 2; i++) of[i] = BY_2(of[i], of[i + 2]);
    return BY_1(of[0], of[1]);
}

typedef int32_t fours __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));

/* W of K inputs and N outputs: [N / NB][K][NB], N filled up with zeros to whole blocks. Either `plain` or `tiny`, which
 * is [N / NB][K / 4][NB][4], K filled up to whole fours. */
typedef struct {
    const float *plain;
    const signed char *tiny;
    const float *scale; /* of each output, with tiny */
    const float *bias;  /* or null */
    long inputs, outputs;
} matrix;

/* What an adapter adds to a matrix: scale (x A) B. A is [K][padded rank], B [N / NB][rank][NB]. Rank 0: nothing. */
typedef struct {
    const float *a, *b;
    long rank, padded;
    float scale;
} update;

/* The numbers of one of the four inputs that lie in each place: no shuffle, which compilers make badly of bytes. */
INLINE vec part_of(ivec four, int which) { return __builtin_convertvector((four << (24 - 8 * which)) >> 24, vec); }

static long blocks_of(const matrix *w) { return (w->outputs + NB - 1) / NB; }

#define TINY_STEP(R, J)                                                                                                \
    {                                                                                                                  \
        const vec w0 = part_of(q0, J), w1 = part_of(q1, J);                                                            \
        for (int r = 0; r < R; r++) {                                                                                  \
            const vec s = splat(x[r * stride + k + J]);                                                                \
            a[r] += s * w0;                                                                                            \
            b[r] += s * w1;                                                                                            \
        }                                                                                                              \
    }
/* FAR: the weights come from memory, as those of a few rows do; of many rows they are near, and asking costs. */
#define TILE(R, FAR)                                                                                                   \
    static __attribute__((noinline)) void tile_##R(long K, const float *x, long stride, const matrix *w, long block,   \
                                                   vec *y) {                                                           \
        vec a[R], b[R];                                                                                                \
        for (int r = 0; r < R; r++) a[r] = b[r] = (vec){0};                                                            \
        if (w->plain) {                                                                                                \
            const float *at = w->plain + block * K * NB;                                                               \
            for (long k = 0; k < K; k++, at += NB) {                                                                   \
                if (FAR) __builtin_prefetch(at + 24 * NB);                                                             \
                if (FAR) __builtin_prefetch(at + 24 * NB + NB / 2);                                                    \
                const vec w0 = load(at), w1 = load(at + WIDTH);                                                        \
                for (int r = 0; r < R; r++) {                                                                          \
                    const vec s = splat(x[r * stride + k]);                                                            \
                    a[r] += s * w0;                                                                                    \
                    b[r] += s * w1;                                                                                    \
                }                                                                                                      \
            }                                                                                                          \
        } else {                                                                                                       \
            const fours *at = (const fours *)w->tiny + block * ((K + 3) / 4) * 2;                                      \
            long k = 0;                                                                                                \
            for (; k + 4 <= K; k += 4, at += 2) {                                                                      \
                if (FAR) __builtin_prefetch(at + 24 * 2);                                                              \
                if (FAR) __builtin_prefetch(at + 24 * 2 + 1);                                                          \
                const ivec q0 = at[0], q1 = at[1];                                                                     \
                TINY_STEP(R, 0) TINY_STEP(R, 1) TINY_STEP(R, 2) TINY_STEP(R, 3)                                        \
            }                                                                                                          \
            if (k < K) {                                                                                               \
                const ivec q0 = at[0], q1 = at[1];                                                                     \
                TINY_STEP(R, 0)                                                                                        \
                if (k + 1 < K) TINY_STEP(R, 1)                                                                         \
                if (k + 2 < K) TINY_STEP(R, 2)                                                                         \
            }                                                                                                          \
        }                                                                                                              \
        for (int r = 0; r < R; r++) {                                                                                  \
            y[2 * r] = a[r];                                                                                           \
            y[2 * r + 1] = b[r];                                                                                       \
        }                                                                                                              \
    }
TILE(1, 1)
TILE(2, 1)
TILE(3, 1)
TILE(4, 1)
#if ROWS == 8
TILE(5, 1)
TILE(6, 1)
TILE(7, 1)
TILE(8, 1)
TILE(9, 0)
TILE(10, 0)
TILE(11, 0)
TILE(12, 0)
#endif

static void tile(int rows, long K, const float *x, long stride, const matrix *w, long block, vec *y) {
    switch (rows) {
    case 1: return tile_1(K, x, stride, w, block, y);
    case 2: return tile_2(K, x, stride, w, block, y);
    case 3: return tile_3(K, x, stride, w, block, y);
    case 4: return tile_4(K, x, stride, w, block, y);
#if ROWS == 8
    case 5: return tile_5(K, x, stride, w, block, y);
    case 6: return tile_6(K, x, stride, w, block, y);
    case 7: return tile_7(K, x, stride, w, block, y);
    case 8: return tile_8(K, x, stride, w, block, y);
    case 9: return tile_9(K, x, stride, w, block, y);
    case 10: return tile_10(K, x, stride, w, block, y);
    case 11: return tile_11(K, x, stride, w, block, y);
    case 12: return tile_12(K, x, stride, w, block, y);
#endif
    }
}

/* y = x W + bias for one tile of rows and one block of outputs. */
static void tile_of_block(int rows, const float *x, long apart, const matrix *w, long block, float *y, long stride) {
    vec sums[2 * TALL];
    tile(rows, w->inputs, x, apart, w, block, sums);
    for (int half = 0; half < 2; half++) {
        const long at = block * NB + half * WIDTH, num = w->outputs - at;
        if (num <= 0) break;
        const vec scale = w->scale ? get(w->scale + at, num) : splat(1), bias = w->bias ? get(w->bias + at, num) : splat(0);
        for (int r = 0; r < rows; r++) put(y + r * stride + at, num, sums[2 * r + half] * scale + bias);
    }
}

/* Weights from a block on, as bytes. */
typedef struct {
    const char *at, *end;
} stretch;

static long bytes_of_block(const matrix *w) { return w->plain ? 4 * w->inputs * NB : (w->inputs + 3) / 4 * 4 * NB; }
static long near_together(const matrix *w) { /* blocks */
    const long bytes = bytes_of_block(w);
    return bytes < NEAR ? NEAR / bytes : 1;
}
static stretch blocks_from(const matrix *w, long first, long end) {
    const long bytes = bytes_of_block(w);
    const char *at = w->plain ? (const char *)w->plain : (const char *)w->tiny;
    return (stretch){at + first * bytes, at + end * bytes};
}

/* Ask for one of so many parts of what comes next: it travels from memory while others are computed with. */
static void ask_part(stretch *next, long parts) {
    const long lines = (next->end - next->at + 64 * parts - 1) / (64 * parts);
    for (long i = 0; i < lines; i++, next->at += 64) __builtin_prefetch(next->at, 0, 2);
}

/* y = x W + bias for the blocks of outputs from `first` to `end`; rows of x and of y lie so far apart. `then`: weights
 * that are wanted after them.
 *
 * A tile of many rows stays near while it is multiplied with as many blocks as stay near for the next tile. */
static void blocks_of_rows(long num_rows, const float *x, long apart, const matrix *w, long first, long end, float *y,
                           long stride, stretch then) {
    const int many = num_rows > MANY;
    const long height = many ? TALL : ROWS, together = many ? near_together(w) : 1;
    for (long start = first; start < end; start += together) {
        const long stop = start + together < end ? start + together : end;
        const long after = stop + together < end ? stop + together : end;
        stretch next = stop < end ? blocks_from(w, stop, after) : then;
        long tiles = (num_rows + height - 1) / height;
        for (long row = 0, rows; row < num_rows; row += rows, tiles--) {
            rows = (num_rows - row + tiles - 1) / tiles; /* of like height: the last tile is not a single row */
            for (long block = start; block < stop; block++) {
                if (many && next.at < next.end) ask_part(&next, (tiles - 1) * (stop - start) + stop - block);
                tile_of_block((int)rows, x + row * apart, apart, w, block, y + row * stride, stride);
            }
        }
    }
}

/* s = scale (x A) of one row. */
static void into_rank(const update *u, long width, const float *x, float *s) {
    for (long j = 0; j < u->padded; j += WIDTH) {
        vec sum[4] = {{0}, {0}, {0}, {0}};
        const float *a = u->a + j;
        long k = 0;
        for (; k + 4 <= width; k += 4)
            for (int i = 0; i < 4; i++) sum[i] += splat(x[k + i]) * load(a + (k + i) * u->padded);
        for (; k < width; k++) sum[0] += splat(x[k]) * load(a + k * u->padded);
        store(s + j, ((sum[0] + sum[1]) + (sum[2] + sum[3])) * splat(u->scale));
    }
}

/* y += s B for one block of the outputs of one row. */
static void out_of_rank(const update *u, long outputs, const float *s, long block, float *y) {
    vec sums[2] = {{0}, {0}};
    const float *b = u->b + block * u->rank * NB;
    for (long j = 0; j < u->rank; j++, b += NB)
        for (int half = 0; half < 2; half++) sums[half] += splat(s[j]) * load(b + half * WIDTH);
    for (int half = 0; half < 2; half++) {
        const long at = block * NB + half * WIDTH, left = outputs - at;
        if (left > 0) put(y + at, left, get(y + at, left) + sums[half]);
    }
}
