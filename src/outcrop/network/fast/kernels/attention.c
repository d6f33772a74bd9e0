/* Causal attention of whole records that lie one behind the other, and its gradient.
 *
 * The sums are those of Dao 2023 (arXiv:2307.08691), section 3.1, without the running maximum: scores of a block of
 * queries with all keys they see are small enough to stay in a core's cache, for records as long as people train on.
 *
 * All numbers are fp32. A tensor is given by its address and its strides, in floats, of heads and of tokens; the numbers
 * of one token of one head lie together. Shapes: H query heads, K key heads, T tokens, D head width, a multiple of WIDTH.
 */
#include "vector.h"

#define QUERIES 32 /* in a block */
#define DEPTH 128  /* of a product at a time: what it reads of its right factor stays in the first cache */

/* c (+)= a b for `rows` rows and `cols` vectors of columns. a has any strides, rows of b and c lie together. */
INLINE void tile(const int rows, const int cols, long depth, const float *a, long a_row, long a_col, const float *b,
                 long b_row, float *c, long c_row, int add) {
    vec sum[ROWS][2];
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++) sum[i][j] = splat(0);
    for (long k = 0; k < depth; k++) {
        vec right[2];
        for (int j = 0; j < cols; j++) right[j] = load(b + k * b_row + j * WIDTH);
        for (int i = 0; i < rows; i++) {
            const float left = a[i * a_row + k * a_col];
            for (int j = 0; j < cols; j++) sum[i][j] += left * right[j];
        }
    }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++) {
            float *at = c + i * c_row + j * WIDTH;
            store(at, add ? load(at) + sum[i][j] : sum[i][j]);
        }
}

INLINE void column(const int cols, long rows, long depth, const float *a, long a_row, long a_col, const float *b,
                   long b_row, float *c, long c_row, int add) {
    long i = 0;
    for (; i + ROWS <= rows; i += ROWS)
        tile(ROWS, cols, depth, a + i * a_row, a_row, a_col, b, b_row, c + i * c_row, c_row, add);
    if (ROWS > 4 && i + 4 <= rows) {
        tile(4, cols, depth, a + i * a_row, a_row, a_col, b, b_row, c + i * c_row, c_row, add);
        i += 4;
    }
    if (i + 2 <= rows) {
        tile(2, cols, depth, a + i * a_row, a_row, a_col, b, b_row, c + i * c_row, c_row, add);
        i += 2;
    }
    if (i < rows) tile(1, cols, depth, a + i * a_row, a_row, a_col, b, b_row, c + i * c_row, c_row, add);
}

/* c = a b, or c += a b; width is a multiple of WIDTH. */
static void product(long rows, long width, long depth, const float *a, long a_row, long a_col, const float *b,
                    long b_row, float *c, long c_row, int add) {
    for (long k = 0; k < depth; k += DEPTH) {
        const long part = depth - k < DEPTH ? depth - k : DEPTH;
        const float *left = a + k * a_col, *right = b + k * b_row;
        const int more = add || k > 0;
        long j = 0;
        for (; j + 2 * WIDTH <= width; j += 2 * WIDTH)
            column(2, rows, part, left, a_row, a_col, right + j, b_row, c + j, c_row, more);
        if (j < width) column(1, rows, part, left, a_row, a_col, right + j, b_row, c + j, c_row, more);
    }
}

/* x_TD to t_DT, with zeros where its rows are longer. */
static void transpose(long tokens, long width, const float *x, long x_token, float *t, long t_row) {
    for (long start = 0; start < tokens; start += 16) {
        const long end = start + 16 < tokens ? start + 16 : tokens;
        for (long d = 0; d < width; d++)
            for (long j = start; j < end; j++) t[d * t_row + j] = x[j * x_token + d];
    }
    for (long d = 0; d < width; d++)
        for (long j = tokens; j < t_row; j++) t[d * t_row + j] = 0;
}

static long padded(long n) { return (n + 2 * WIDTH - 1) / (2 * WIDTH) * (2 * WIDTH); }
/* Of rows so many numbers long: not a power of two, which would put all of them in the same places of a cache. */
static long row_of(long n) { return padded(n) + WIDTH; }

static long longest(long num, const int64_t *lengths) {
    long most = 0;
    for (long r = 0; r < num; r++) most = lengths[r] > most ? lengths[r] : most;
    return most;
}

typedef struct {
    float *at;
    long head, token;
} tensor;

static float *numbers_of(tensor x, long head, long token) { return x.at + head * x.head + token * x.token; }

typedef struct {
    long first, end; /* keys that any query of the block sees */
    long queries, start;
} block;

/* The block of queries that begins at `start`, of a record. */
static block block_at(long start, long length, long window) {
    const long queries = length - start < QUERIES ? length - start : QUERIES;
    const long seen = window ? start - window + 1 : 0;
    /* Whole tiles: what lies before is masked like what lies behind. */
    const long first = seen > 0 ? seen / (2 * WIDTH) * (2 * WIDTH) : 0;
    return (block){first, start + queries, queries, start};
}

/* Numbers of the block's keys that query i sees: from..to, counted from block.first. */
static long from_of(block b, long i, long window) {
    const long seen = window ? b.start + i - window + 1 : 0;
    return (seen > b.first ? seen : b.first) - b.first;
}
static long to_of(block b, long i) { return b.start + i + 1 - b.first; }

static void mask(float *row, long from, long to, long end) {
    for (long j = 0; j < from; j++) row[j] = -INFINITY;
    for (long j = to; j < end; j++) row[j] = -INFINITY;
}

/* o_HTD, and lse_HT: the logarithm of the sum of each query's exponentials. 0, or 1 if there is no memory. */
int outcrop_attend(long num, const int64_t *lengths, long heads, long key_heads, long width, float scale, long window,
                   tensor q, tensor k, tensor v, tensor o, tensor lse) {
    const long most = row_of(longest(num, lengths)), shared = heads / key_heads;
    float *memory = malloc(4 * most * (width + QUERIES));
    if (!memory) return 1;
    float *keys = memory, *scores = memory + most * width;
    for (long r = 0, token = 0; r < num; token += lengths[r++]) {
        const long length = lengths[r], keys_row = row_of(length);
        for (long head = 0; head < heads; head++) {
            const long own = head / shared;
            if (head % shared == 0) transpose(length, width, numbers_of(k, own, token), k.token, keys, keys_row);
            for (long start = 0; start < length; start += QUERIES) {
                const block b = block_at(start, length, window);
                const long num_keys = b.end - b.first, end = padded(num_keys), row = end + WIDTH;
                const float *queries = numbers_of(q, head, token + start);
                float *out = numbers_of(o, head, token + start), *logs = numbers_of(lse, head, token + start);
                float parts[QUERIES];
                product(b.queries, end, width, queries, q.token, 1, keys + b.first, keys_row, scores, row, 0);
                for (long i = 0; i < b.queries; i++) {
                    float *s = scores + i * row;
                    const long from = from_of(b, i, window), to = to_of(b, i);
                    mask(s, from, to, end);
                    vec top = load(s);
                    for (long j = WIDTH; j < end; j += WIDTH) top = larger(load(s + j), top);
                    const float largest = largest_of(top);
                    vec total = splat(0);
                    for (long j = 0; j < end; j += WIDTH) {
                        const vec e = exp_of((load(s + j) - largest) * scale);
                        total += e;
                        store(s + j, e);
                    }
                    const float sum = sum_of(total);
                    logs[i] = largest * scale + logf(sum);
                    parts[i] = 1 / sum;
                }
                const float *values = numbers_of(v, own, token + b.first);
                product(b.queries, width, num_keys, scores, row, 1, values, v.token, out, o.token, 0);
                for (long i = 0; i < b.queries; i++)
                    for (long d = 0; d < width; d += WIDTH) {
                        float *at = out + i * o.token + d;
                        store(at, load(at) * parts[i]);
                    }
            }
        }
    }
    free(memory);
    return 0;
}

/* From the gradient of o those of q, k and v, which are written over. 0, or 1 if there is no memory. */
int outcrop_attend_back(long num, const int64_t *lengths, long heads, long key_heads, long width, float scale,
                        long window, tensor q, tensor k, tensor v, tensor o, tensor lse, tensor d_o, tensor d_q,
                        tensor d_k, tensor d_v) {
    const long most = row_of(longest(num, lengths)), shared = heads / key_heads;
    float *memory = malloc(4 * most * 2 * (width + QUERIES));
    if (!memory) return 1;
    float *keys = memory, *values = keys + most * width, *weights = values + most * width;
    float *slopes = weights + most * QUERIES;
    for (long r = 0, token = 0; r < num; token += lengths[r++]) {
        const long length = lengths[r], keys_row = row_of(length);
        for (long head = 0; head < heads; head++) {
            const long own = head / shared;
            if (head % shared == 0) {
                transpose(length, width, numbers_of(k, own, token), k.token, keys, keys_row);
                transpose(length, width, numbers_of(v, own, token), v.token, values, keys_row);
                for (long j = 0; j < length; j++) {
                    memset(numbers_of(d_k, own, token + j), 0, 4 * width);
                    memset(numbers_of(d_v, own, token + j), 0, 4 * width);
                }
            }
            for (long start = 0; start < length; start += QUERIES) {
                const block b = block_at(start, length, window);
                const long num_keys = b.end - b.first, end = padded(num_keys), row = end + WIDTH;
                const float *queries = numbers_of(q, head, token + start), *logs = numbers_of(lse, head, token + start);
                const float *out = numbers_of(o, head, token + start), *d_out = numbers_of(d_o, head, token + start);
                product(b.queries, end, width, queries, q.token, 1, keys + b.first, keys_row, weights, row, 0);
                product(b.queries, end, width, d_out, d_o.token, 1, values + b.first, keys_row, slopes, row, 0);
                for (long i = 0; i < b.queries; i++) {
                    float *w = weights + i * row, *s = slopes + i * row;
                    mask(w, from_of(b, i, window), to_of(b, i), end);
                    vec along = splat(0);
                    for (long d = 0; d < width; d += WIDTH)
                        along += load(d_out + i * d_o.token + d) * load(out + i * o.token + d);
                    const float mean = sum_of(along);
                    for (long j = 0; j < end; j += WIDTH) {
                        const vec e = exp_of(load(w + j) * scale - logs[i]);
                        store(w + j, e);
                        store(s + j, e * (load(s + j) - mean) * scale);
                    }
                }
                const float *seen = numbers_of(k, own, token + b.first);
                float *d_seen = numbers_of(d_k, own, token + b.first), *d_values = numbers_of(d_v, own, token + b.first);
                float *d_queries = numbers_of(d_q, head, token + start);
                product(b.queries, width, num_keys, slopes, row, 1, seen, k.token, d_queries, d_q.token, 0);
                product(num_keys, width, b.queries, slopes, 1, row, queries, q.token, d_seen, d_k.token, 1);
                product(num_keys, width, b.queries, weights, 1, row, d_out, d_o.token, d_values, d_v.token, 1);
            }
        }
    }
    free(memory);
    return 0;
}
