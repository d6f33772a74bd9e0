/* A decoding step of a whole network: the next token of several sequences, with their own adapters.
 *
 * For networks of the family that Llama began: norm, attention, norm, gated block. Each thread has its own copy of the
 * rows between the layers, and computes for all of them the outputs that are its share; so threads meet five times a
 * layer, and everything small is done by each. */
#include "products.h"
#include "threads.h"

enum { Q, K, V, O, GATE, UP, DOWN, NUM_MATRICES };

typedef struct {
    matrix of[NUM_MATRICES];
    const float *before_attention, *after_attention, *before_mlp, *after_mlp; /* norms; `after` may be null */
    const float *query_norm, *key_norm;                                       /* of a head's width, or null */
    long window; /* positions that are seen, itself included; 0: all */
    long angles; /* which of the tables of angles */
} layer;

typedef struct {
    long num_layers, width, heads, kv_heads, head_width, rotary_width, mlp_width;
    float eps, scale, softcap, logit_softcap, logit_scale, residual;
    long act; /* 0: silu, 1: gelu by tanh */
    const layer *layers;
    const float *norm;
    matrix head;
} network;

typedef struct {
    float *keys, *values; /* of a layer: position 0 of the sequence's row */
} memory;

typedef struct {
    const network *net;
    long num_rows;
    const float *embedded;         /* [rows][width] */
    const long *positions;         /* of the new tokens */
    const float *const *cos, *const *sin; /* of each table: [rows][rotary_width] */
    const memory *const *remembered;      /* of each row: [layers] */
    const long *key_strides;       /* of each row: floats from one position to the next; of keys, then of values */
    const update *const *updates;  /* of each row: [layers][NUM_MATRICES], or null */
    float *logits;                 /* [rows][outputs of head] */
    float *shared;                 /* [rows][qkv + attention + two of mlp + width] */
    float *own;                    /* of each thread */
    long own_size;                 /* floats */
    long longest;                  /* positions of the longest sequence, the new one included */
} step;

typedef struct {
    float *x, *normed, *tiles, *rank, *scores;
} desk; /* what a thread has for itself */

static long qkv_width(const network *n) { return (n->heads + 2 * n->kv_heads) * n->head_width; }
static long widest(const network *n) {
    const long attended = n->heads * n->head_width;
    const long a = n->width > n->mlp_width ? n->width : n->mlp_width;
    return a > attended ? a : attended;
}

/* Floats that a thread needs for itself, and that all share, of a step with so many rows and positions. */
long outcrop_own_size(const network *n, long rows, long longest, long most_rank) {
    const long group = n->heads / n->kv_heads;
    return 2 * rows * n->width + rows * widest(n) + most_rank + WIDTH + group * (longest + WIDTH);
}
long outcrop_shared_size(const network *n, long rows) {
    return rows * (qkv_width(n) + n->heads * n->head_width + 2 * n->mlp_width + n->width);
}
long outcrop_block(void) { return NB; }
long outcrop_vector(void) { return WIDTH; }

static void norm_row(const network *n, long width, const float *x, const float *weight, float *y) {
    vec sum[2] = {{0}, {0}};
    for (long i = 0; i < width; i += WIDTH) {
        const vec v = get(x + i, width - i);
        sum[(i / WIDTH) & 1] += v * v;
    }
    const float by = 1 / sqrtf(sum_of(sum[0] + sum[1]) / width + n->eps);
    for (long i = 0; i < width; i += WIDTH)
        put(y + i, width - i, get(x + i, width - i) * splat(by) * get(weight + i, width - i));
}

/* The outputs that are this thread's of y = x W + bias + what each row's adapter adds. x lies [rows][inputs]. */
static void product(const step *s, long number_of_layer, int which, const float *x, float *y, long stride, desk *d,
                    int number, threads *all) {
    const matrix *w = which < 0 ? &s->net->head : &s->net->layers[number_of_layer].of[which];
    long end, block = share((w->outputs + NB - 1) / NB, number, all->num, &end);
    const long first = block * NB, last = end * NB < w->outputs ? end * NB : w->outputs;
    for (; block < end; block++) few_rows(s->num_rows, d->tiles, w, block, y, stride);
    for (long row = 0; which >= 0 && row < s->num_rows; row++) {
        if (!s->updates[row]) continue;
        const update *u = &s->updates[row][number_of_layer * NUM_MATRICES + which];
        if (!u->rank || first >= last) continue;
        into_rank(u, w->inputs, x + row * w->inputs, d->rank);
        out_of_rank(u, w->outputs, d->rank, first, last, y + row * stride);
    }
}

static void rotate(float *x, long rotary, const float *cos, const float *sin) {
    const long half = rotary / 2;
    for (long i = 0; i < half; i++) {
        const float a = x[i], b = x[i + half];
        x[i] = a * cos[i] - b * sin[i];
        x[i + half] = b * cos[i + half] + a * sin[i + half];
    }
}

static float dot(const float *a, const float *b, long width) {
    vec sum = {0};
    for (long i = 0; i < width; i += WIDTH) sum += get(a + i, width - i) * get(b + i, width - i);
    return sum_of(sum);
}

/* A row's new key and value are remembered, and its query heads of one key head attend. */
static void attend(const step *s, long l, long row, long kv, float *qkv, float *out, desk *d) {
    const network *n = s->net;
    const layer *at = &n->layers[l];
    const long D = n->head_width, group = n->heads / n->kv_heads, now = s->positions[row], all = now + 1;
    const long k_stride = s->key_strides[2 * row], v_stride = s->key_strides[2 * row + 1];
    const float *cos = s->cos[at->angles] + row * n->rotary_width, *sin = s->sin[at->angles] + row * n->rotary_width;
    float *k_new = qkv + (n->heads + kv) * D, *v_new = qkv + (n->heads + n->kv_heads + kv) * D;
    float *keys = s->remembered[row][l].keys + kv * D, *values = s->remembered[row][l].values + kv * D;
    if (at->key_norm) norm_row(n, D, k_new, at->key_norm, k_new);
    rotate(k_new, n->rotary_width, cos, sin);
    memcpy(keys + now * k_stride, k_new, 4 * D);
    memcpy(values + now * v_stride, v_new, 4 * D);
    const long from = at->window && all > at->window ? all - at->window : 0, num = all - from;
    for (long g = 0; g < group; g++) {
        float *q = qkv + (kv * group + g) * D;
        if (at->query_norm) norm_row(n, D, q, at->query_norm, q);
        rotate(q, n->rotary_width, cos, sin);
    }
    for (long p = 0; p < num; p++) {
        const float *key = keys + (from + p) * k_stride;
        for (long g = 0; g < group; g++) {
            float score = dot(qkv + (kv * group + g) * D, key, D) * n->scale;
            d->scores[g * num + p] = n->softcap > 0 ? n->softcap * tanhf(score / n->softcap) : score;
        }
    }
    for (long g = 0; g < group; g++) {
        float *scores = d->scores + g * num, top = scores[0], *o = out + (kv * group + g) * D;
        for (long p = 1; p < num; p++) top = scores[p] > top ? scores[p] : top;
        vec total = {0};
        for (long p = 0; p < num; p += WIDTH) {
            const vec e = exp_of(get_or(scores + p, num - p, -INFINITY) - splat(top));
            total += e;
            put(scores + p, num - p, e);
        }
        const float by = 1 / sum_of(total);
        for (long i = 0; i < D; i += 4 * WIDTH) {
            vec sum[4] = {{0}, {0}, {0}, {0}};
            for (long p = 0; p < num; p++) {
                const vec weight = splat(scores[p]);
                const float *value = values + (from + p) * v_stride + i;
                for (int j = 0; j < 4; j++)
                    if (i + j * WIDTH < D) sum[j] += weight * get(value + j * WIDTH, D - i - j * WIDTH);
            }
            for (int j = 0; j < 4; j++)
                if (i + j * WIDTH < D) put(o + i + j * WIDTH, D - i - j * WIDTH, sum[j] * splat(by));
        }
    }
}

static vec activated(long act, vec x) {
    if (act == 0) return x / (splat(1) + exp_of(smaller(-x, splat(88))));
    const vec inner = splat(0.7978845608028654f) * (x + splat(0.044715f) * x * x * x);
    /* tanh y = 1 - 2 / (e^2y + 1) */
    const vec t = splat(1) - splat(2) / (exp_of(smaller(larger(inner * splat(2), splat(-80)), splat(80))) + splat(1));
    return splat(0.5f) * x * (splat(1) + t);
}

/* x += what a block gave, through its norm where it has one. */
static void add(const step *s, const float *given, const float *norm, desk *d) {
    const network *n = s->net;
    for (long row = 0; row < s->num_rows; row++) {
        const float *y = given + row * n->width;
        float *x = d->x + row * n->width;
        if (norm) {
            norm_row(n, n->width, y, norm, d->normed);
            y = d->normed;
        }
        for (long i = 0; i < n->width; i += WIDTH)
            put(x + i, n->width - i, get(x + i, n->width - i) + get(y + i, n->width - i) * splat(n->residual));
    }
}

static void normed(const step *s, const float *norm, desk *d) {
    const long width = s->net->width;
    for (long row = 0; row < s->num_rows; row++) norm_row(s->net, width, d->x + row * width, norm, d->normed + row * width);
    lay_in_tiles(s->num_rows, width, d->normed, width, d->tiles);
}

/* up = act(gate) up, for the outputs that are this thread's. */
static void gated(const step *s, const matrix *w, const float *gate, float *up, int number, int of) {
    const network *n = s->net;
    long end, block = share((w->outputs + NB - 1) / NB, number, of, &end);
    for (; block < end; block++)
        for (long row = 0; row < s->num_rows; row++)
            for (long i = block * NB; i < (block + 1) * NB && i < n->mlp_width; i += WIDTH) {
                const long at = row * n->mlp_width + i, left = n->mlp_width - i;
                put(up + at, left, activated(n->act, get(gate + at, left)) * get(up + at, left));
            }
}

static void score(const step *s, desk *d, int number, threads *all) {
    const network *n = s->net;
    const long outputs = n->head.outputs;
    product(s, 0, -1, d->normed, s->logits, outputs, d, number, all);
    if (n->logit_scale == 1 && !(n->logit_softcap > 0)) return;
    long end, block = share((outputs + NB - 1) / NB, number, all->num, &end);
    const long last = end * NB < outputs ? end * NB : outputs;
    for (long row = 0; row < s->num_rows; row++)
        for (long i = block * NB; i < last; i++) {
            float *logit = s->logits + row * outputs + i;
            *logit *= n->logit_scale;
            if (n->logit_softcap > 0) *logit = n->logit_softcap * tanhf(*logit / n->logit_softcap);
        }
}

static void compute(void *with, int number, threads *all) {
    const step *s = with;
    const network *n = s->net;
    const long rows = s->num_rows, qkv_all = qkv_width(n), attended = n->heads * n->head_width;
    float *own = s->own + number * s->own_size;
    desk d = {own, own + rows * n->width, own + 2 * rows * n->width, 0, 0};
    d.rank = d.tiles + rows * widest(n);
    d.scores = own + s->own_size - (n->heads / n->kv_heads) * (s->longest + WIDTH);
    float *qkv = s->shared, *out = qkv + rows * qkv_all, *gate = out + rows * attended;
    float *up = gate + rows * n->mlp_width, *given = up + rows * n->mlp_width;
    memcpy(d.x, s->embedded, 4 * rows * n->width);
    for (long l = 0; l < n->num_layers; l++) {
        const layer *at = &n->layers[l];
        normed(s, at->before_attention, &d);
        product(s, l, Q, d.normed, qkv, qkv_all, &d, number, all);
        product(s, l, K, d.normed, qkv + attended, qkv_all, &d, number, all);
        product(s, l, V, d.normed, qkv + attended + n->kv_heads * n->head_width, qkv_all, &d, number, all);
        meet(all);
        long end, item = share(rows * n->kv_heads, number, all->num, &end);
        for (; item < end; item++) {
            const long row = item / n->kv_heads;
            attend(s, l, row, item % n->kv_heads, qkv + row * qkv_all, out + row * attended, &d);
        }
        meet(all);
        lay_in_tiles(rows, attended, out, attended, d.tiles);
        product(s, l, O, out, given, n->width, &d, number, all);
        meet(all);
        add(s, given, at->after_attention, &d);
        normed(s, at->before_mlp, &d);
        product(s, l, GATE, d.normed, gate, n->mlp_width, &d, number, all);
        product(s, l, UP, d.normed, up, n->mlp_width, &d, number, all);
        gated(s, &at->of[UP], gate, up, number, all->num);
        meet(all);
        lay_in_tiles(rows, n->mlp_width, up, n->mlp_width, d.tiles);
        product(s, l, DOWN, up, given, n->width, &d, number, all);
        meet(all);
        add(s, given, at->after_mlp, &d);
    }
    normed(s, n->norm, &d);
    score(s, &d, number, all);
}

void outcrop_decode(const step *s, threads *all) { together(all, compute, (void *)s); }

/* A product of any number of rows, for whatever else the weights are needed for: a prompt, say. */
typedef struct {
    const matrix *w;
    const float *x;
    float *y, *tiles;
    long num_rows, stride;
} whole_product;

static void compute_product(void *with, int number, threads *all) {
    const whole_product *p = with;
    const long inputs = p->w->inputs;
    long end, tile = share((p->num_rows + ROWS - 1) / ROWS, number, all->num, &end);
    const long from = tile * ROWS, to = end * ROWS < p->num_rows ? end * ROWS : p->num_rows;
    if (from < to) lay_in_tiles(to - from, inputs, p->x + from * p->stride, p->stride, p->tiles + from * inputs);
    meet(all);
    long block = share((p->w->outputs + NB - 1) / NB, number, all->num, &end);
    for (; block < end; block++) few_rows(p->num_rows, p->tiles, p->w, block, p->y, p->w->outputs);
}

/* y = x W + bias; rows of x lie `stride` apart; tiles: [rows][inputs] to compute in. */
void outcrop_product(const matrix *w, long num_rows, const float *x, long stride, float *y, float *tiles, threads *all) {
    whole_product p = {w, x, y, tiles, num_rows, stride};
    together(all, compute_product, &p);
}
