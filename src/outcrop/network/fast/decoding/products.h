/* Products of a few rows with the weights of a layer, as decoding needs them.
 *
 * A weight is read once, in the order in which it lies: blocks of NB outputs, in each the numbers of one input after the
 * other. All rows of a tile are multiplied with a number while it is in a register. A sum is always made in the order
 * of the inputs, whatever the other rows are, so that a row's result does not depend on its neighbours. */
#include "../kernels/vector.h"

#define NB (2 * WIDTH)

typedef signed char tiny __attribute__((vector_size(WIDTH), aligned(1), may_alias));

/* W of K inputs and N outputs: [N / NB][K][NB], N filled up with zeros to whole blocks. Either `plain` or `tiny`. */
typedef struct {
    const float *plain;
    const signed char *tiny;
    const float *scale; /* of each output, with tiny */
    const float *bias;  /* or null */
    long inputs, outputs;
} matrix;

/* What an adapter adds to a matrix: scale (x A) B. A is [K][padded rank], B [rank][N]. Rank 0: nothing. */
typedef struct {
    const float *a, *b;
    long rank, padded;
    float scale;
} update;

INLINE vec widened(const signed char *from) {
    return __builtin_convertvector(*(const tiny *)from, vec);
}

/* Rows in tiles of ROWS, each tile [K][rows of it]: what `few_rows` reads. */
static void lay_in_tiles(long num_rows, long width, const float *x, long stride, float *tiles) {
    for (long first = 0; first < num_rows; first += ROWS) {
        const long rows = num_rows - first < ROWS ? num_rows - first : ROWS;
        for (long row = 0; row < rows; row++) {
            const float *from = x + (first + row) * stride;
            for (long k = 0; k < width; k++) tiles[k * rows + row] = from[k];
        }
        tiles += rows * width;
    }
}

#define TILE(R)                                                                                                        \
    static __attribute__((noinline)) void tile_##R(long K, const float *x, const matrix *w, long block, vec *y) {      \
        vec a[R], b[R];                                                                                                \
        for (int r = 0; r < R; r++) a[r] = b[r] = (vec){0};                                                            \
        if (w->plain) {                                                                                                \
            const float *at = w->plain + block * K * NB;                                                               \
            for (long k = 0; k < K; k++, at += NB, x += R) {                                                           \
                __builtin_prefetch(at + 24 * NB);                                                                      \
                __builtin_prefetch(at + 24 * NB + NB / 2);                                                             \
                const vec w0 = load(at), w1 = load(at + WIDTH);                                                        \
                for (int r = 0; r < R; r++) {                                                                          \
                    const vec s = splat(x[r]);                                                                         \
                    a[r] += s * w0;                                                                                    \
                    b[r] += s * w1;                                                                                    \
                }                                                                                                      \
            }                                                                                                          \
        } else {                                                                                                       \
            const signed char *at = w->tiny + block * K * NB;                                                          \
            for (long k = 0; k < K; k++, at += NB, x += R) {                                                           \
                __builtin_prefetch(at + 48 * NB);                                                                      \
                const vec w0 = widened(at), w1 = widened(at + WIDTH);                                                  \
                for (int r = 0; r < R; r++) {                                                                          \
                    const vec s = splat(x[r]);                                                                         \
                    a[r] += s * w0;                                                                                    \
                    b[r] += s * w1;                                                                                    \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
        for (int r = 0; r < R; r++) {                                                                                  \
            y[2 * r] = a[r];                                                                                           \
            y[2 * r + 1] = b[r];                                                                                       \
        }                                                                                                              \
    }
TILE(1)
TILE(2)
TILE(3)
TILE(4)
#if ROWS == 8
TILE(5)
TILE(6)
TILE(7)
TILE(8)
#endif

static void tile(int rows, long K, const float *x, const matrix *w, long block, vec *y) {
    switch (rows) {
    case 1: return tile_1(K, x, w, block, y);
    case 2: return tile_2(K, x, w, block, y);
    case 3: return tile_3(K, x, w, block, y);
    case 4: return tile_4(K, x, w, block, y);
#if ROWS == 8
    case 5: return tile_5(K, x, w, block, y);
    case 6: return tile_6(K, x, w, block, y);
    case 7: return tile_7(K, x, w, block, y);
    case 8: return tile_8(K, x, w, block, y);
#endif
    }
}

/* y = x W + bias for one block of outputs; rows of y lie `stride` apart. */
static void few_rows(long num_rows, const float *tiles, const matrix *w, long block, float *y, long stride) {
    const long first = block * NB, left = w->outputs - first;
    for (long row = 0; row < num_rows; row += ROWS) {
        const int rows = num_rows - row < ROWS ? (int)(num_rows - row) : ROWS;
        vec sums[2 * ROWS];
        tile(rows, w->inputs, tiles + row * w->inputs, w, block, sums);
        for (int half = 0; half < 2; half++) {
            const long at = first + half * WIDTH, num = left - half * WIDTH;
            if (num <= 0) break;
            const vec scale = w->scale ? get(w->scale + at, num) : splat(1), bias = w->bias ? get(w->bias + at, num) : splat(0);
            for (int r = 0; r < rows; r++) put(y + (row + r) * stride + at, num, sums[2 * r + half] * scale + bias);
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

/* y += s B for the outputs first..end of one row. */
static void out_of_rank(const update *u, long outputs, const float *s, long first, long end, float *y) {
    for (long n = first; n < end; n += WIDTH) {
        vec sum = {0};
        for (long j = 0; j < u->rank; j++) sum += splat(s[j]) * get(u->b + j * outputs + n, outputs - n);
        put(y + n, end - n, get(y + n, end - n) + sum);
    }
}
