/* A step of a whole network: new tokens of several sequences, one or a part of a prompt each, with their own adapters.
 *
 * For networks of the family that Llama began: norm, attention, norm, gated block. Each thread has its own copy of the
 * rows between the layers, and computes for all of them the outputs that are its share, or of many rows the parts that
 * it takes; so threads meet six times a layer, ten times with adapters, and everything small is done by each. A row's
 * sums are made in an order that depends on its position alone. */
#include "products.h"
#include "threads.h"

enum { Q, K, V, O, GATE, UP, DOWN, NUM_MATRICES, ATTENTION = NUM_MATRICES, NUM_WORKS };
#define AT_ONCE 3  /* matrices whose adapters' ranks are kept at a time */
#define CHUNK (12 * TALL) /* rows of a part of a product of many: as many as make it worth its weights' way */
#define EACH 8 /* parts of a product for each thread, if it has so many: the last is not waited for long */
#define TOGETHER 8 /* rows of one sequence that attend together, so that its keys are read once for them */

typedef struct {
    matrix of[NUM_MATRICES];
    const float *before_attention, *after_attention, *before_mlp, *after_mlp; /* norms; `after` may be null */
    const float *query_norm, *key_norm;                                       /* of a head's width, or null */
    long window; /* positions that are seen, itself included; 0: all */
    long angles; /* which of the tables of angles */
} layer;

typedef struct {
    long num_layers, width, heads, kv_heads, head_width, rotary_width, mlp_width;
    float eps, scale, softcap, residual;
    long act; /* 0: silu, 1: gelu by tanh */
    const layer *layers;
    const float *norm;
} network;

typedef struct {
    float *keys, *values; /* of a layer: position 0 of the sequence's row */
} memory;

typedef struct step {
    const network *net;
    long num_rows;
    const float *embedded;         /* [rows][width] */
    const long *positions;         /* of the new tokens */
    const float *const *cos, *const *sin; /* of each table: [rows][rotary_width] */
    const memory *const *remembered;      /* of each row: [layers]; rows of one sequence have one, and follow each other */
    const long *key_strides;       /* of each row: floats from one position to the next; of keys, then of values */
    const update *const *updates;  /* of each row: [layers][NUM_MATRICES], or null */
    const struct step *few;        /* rows whose last states are asked for; null: all of them */
    const long *scored;            /* which rows those are */
    float *last;                   /* [rows, or few][width] */
    counter *taken;                /* [layers][NUM_WORKS]: how many parts of each have been taken; zeros */
    float *shared;                 /* [rows][qkv + attention + two of mlp + width + AT_ONCE most_rank] */
    float *own;                    /* of each thread */
    long own_size, most_rank;      /* floats */
} step;

typedef struct {
    float *x, *normed, *scores;
} desk; /* what a thread has for itself */

typedef struct {
    float *qkv, *attended, *gate, *up, *given, *ranks;
} table; /* what all threads share */

static long qkv_width(const network *n) { return (n->heads + 2 * n->kv_heads) * n->head_width; }
static long scored_heads(const network *n) { /* heads whose scores a thread has at once */
    const long of_many = TOGETHER * (n->heads / n->kv_heads);
    return of_many > n->heads ? of_many : n->heads;
}

static table table_of(const step *s) {
    const network *n = s->net;
    table t;
    t.qkv = s->shared;
    t.attended = t.qkv + s->num_rows * qkv_width(n);
    t.gate = t.attended + s->num_rows * n->heads * n->head_width;
    t.up = t.gate + s->num_rows * n->mlp_width;
    t.given = t.up + s->num_rows * n->mlp_width;
    t.ranks = t.given + s->num_rows * n->width;
    return t;
}

/* Floats that a thread needs for itself, and that all share, of a step with so many rows and positions. */
long outcrop_own_size(const network *n, long rows, long longest) {
    return 2 * rows * n->width + scored_heads(n) * (longest + 2 * WIDTH);
}
long outcrop_shared_size(const network *n, long rows, long most_rank) {
    return rows * (qkv_width(n) + n->heads * n->head_width + 2 * n->mlp_width + n->width + AT_ONCE * most_rank);
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

static const update *update_of(const step *s, long l, long row, int which) {
    const update *u = s->updates[row] ? &s->updates[row][l * NUM_MATRICES + which] : 0;
    return u && u->rank ? u : 0;
}

static float *ranks_of(const step *s, long row, int place) {
    return table_of(s).ranks + (row * AT_ONCE + place) * s->most_rank;
}

static int any_adapter(const step *s) {
    for (long row = 0; row < s->num_rows; row++)
        if (s->updates[row]) return 1;
    return 0;
}

/* What the rows' adapters make of x at first, for matrices that all take it, kept from `place` on. A part is this
 * thread's: an adapter's first matrix is read once. x lies [rows][inputs]; all meet before it is used. */
static void into_ranks(const step *s, long l, const int *which, int num, int place, const float *x, int number,
                       threads *all) {
    const long width = s->net->layers[l].of[which[0]].inputs;
    long item = 0;
    for (long row = 0; row < s->num_rows; row++)
        for (int i = 0; i < num; i++) {
            const update *u = update_of(s, l, row, which[i]);
            if (u && item++ % all->num == number) into_rank(u, width, x + row * width, ranks_of(s, row, place + i));
        }
    meet(all);
}

/* A part of a product: some rows, and some blocks of outputs. */
typedef struct {
    long row, end_row, first, end;
} part;

/* How a product of many rows is cut into parts, which threads take as they come: one that the system puts aside, or
 * that runs slower, has fewer. Parts of the same blocks follow each other. */
typedef struct {
    long rows, height, chunks, blocks, together, num;
} cut;

static cut cut_of(const matrix *w, long rows, int of) {
    cut c = {.rows = rows, .chunks = (rows + CHUNK - 1) / CHUNK, .blocks = blocks_of(w)};
    const long fair = (c.blocks * c.chunks + EACH * of - 1) / (EACH * of), near = near_together(w);
    c.height = (rows + c.chunks - 1) / c.chunks;
    c.together = near < fair ? near : fair;
    const long groups = (c.blocks + c.together - 1) / c.together;
    c.together = (c.blocks + groups - 1) / groups; /* of like width: the last part is not a single block */
    c.num = c.chunks * groups;
    return c;
}
static part part_of_cut(const cut *c, long number) {
    const long row = number % c->chunks * c->height, first = number / c->chunks * c->together;
    const long end_row = row + c->height, end = first + c->together;
    return (part){row, end_row < c->rows ? end_row : c->rows, first, end < c->blocks ? end : c->blocks};
}

/* Products whose parts are taken have many rows and several threads. */
static int is_taken(const step *s, const threads *all) { return s->num_rows > MANY && all->num > 1; }

/* The first of the weights that follow those of a product. */
static stretch weights_after(const step *s, long l, int which, int number, const threads *all) {
    static const int follows[] = {[K] = V, [V] = Q, [Q] = O, [O] = GATE, [GATE] = UP, [UP] = DOWN, [DOWN] = K};
    if (which == DOWN && ++l == s->net->num_layers) return (stretch){0};
    const matrix *w = &s->net->layers[l].of[follows[which]];
    long end, first = share(blocks_of(w), number, all->num, &end);
    if (is_taken(s, all)) first = 0, end = cut_of(w, s->num_rows, all->num).together;
    const long near = first + near_together(w);
    return blocks_from(w, first, near < end ? near : end);
}

/* What is probably wanted after this part of a product, and is not near yet. */
static stretch weights_after_part(const step *s, long l, int which, const cut *c, long taken, int number,
                                  const threads *all) {
    const matrix *w = &s->net->layers[l].of[which];
    if (taken + all->num >= c->num) return weights_after(s, l, which == GATE ? UP : which, number, all);
    const part next = part_of_cut(c, taken + all->num);
    return next.first == part_of_cut(c, taken).first ? (stretch){0} : blocks_from(w, next.first, next.end);
}

/* Of y = x W + bias + what each row's adapter adds, whose ranks are kept in `place`. x lies [rows][inputs]. */
static void product_part(const step *s, long l, int which, int place, const float *x, float *y, long stride, part p,
                         stretch then) {
    const matrix *w = &s->net->layers[l].of[which];
    blocks_of_rows(p.end_row - p.row, x + p.row * w->inputs, w->inputs, w, p.first, p.end, y + p.row * stride, stride, then);
    for (long row = p.row; row < p.end_row; row++) {
        const update *u = update_of(s, l, row, which);
        for (long block = p.first; u && block < p.end; block++)
            out_of_rank(u, w->outputs, ranks_of(s, row, place), block, y + row * stride);
    }
}

/* This thread's share of a whole product. */
static void product(const step *s, long l, int which, int place, const float *x, float *y, long stride, int number,
                    threads *all) {
    const matrix *w = &s->net->layers[l].of[which];
    if (!is_taken(s, all)) {
        part p = {.end_row = s->num_rows};
        p.first = share(blocks_of(w), number, all->num, &p.end);
        product_part(s, l, which, place, x, y, stride, p, weights_after(s, l, which, number, all));
        return;
    }
    const cut c = cut_of(w, s->num_rows, all->num);
    for (long n; (n = take(&s->taken[l * NUM_WORKS + which])) < c.num;)
        product_part(s, l, which, place, x, y, stride, part_of_cut(&c, n),
                     weights_after_part(s, l, which, &c, n, number, all));
}

static void rotate(float *x, long rotary, const float *cos, const float *sin) {
    const long half = rotary / 2;
    for (long i = 0; i < half; i += WIDTH) {
        const long left = half - i;
        const vec a = get(x + i, left), b = get(x + half + i, left);
        put(x + i, left, a * get(cos + i, left) - b * get(sin + i, left));
        put(x + half + i, left, b * get(cos + half + i, left) + a * get(sin + half + i, left));
    }
}

/* A head is turned to the position of its row. */
static void turn(const step *s, const layer *at, long row, const float *norm, float *head) {
    const network *n = s->net;
    if (norm) norm_row(n, n->head_width, head, norm, head);
    rotate(head, n->rotary_width, s->cos[at->angles] + row * n->rotary_width, s->sin[at->angles] + row * n->rotary_width);
}

/* The keys of the rows that are this thread's are turned, and remembered with their values. */
static void remember(const step *s, long l, int number, int of) {
    const network *n = s->net;
    const long D = n->head_width, qkv_all = qkv_width(n);
    long end, row = share(s->num_rows, number, of, &end);
    for (; row < end; row++) {
        float *key = table_of(s).qkv + row * qkv_all + n->heads * D, *value = key + n->kv_heads * D;
        const memory *to = &s->remembered[row][l];
        for (long kv = 0; kv < n->kv_heads; kv++) turn(s, &n->layers[l], row, n->layers[l].key_norm, key + kv * D);
        memcpy(to->keys + s->positions[row] * s->key_strides[2 * row], key, 4 * n->kv_heads * D);
        memcpy(to->values + s->positions[row] * s->key_strides[2 * row + 1], value, 4 * n->kv_heads * D);
    }
}

static void turn_queries(const step *s, long l, int number, int of) {
    const network *n = s->net;
    long end, item = share(s->num_rows * n->heads, number, of, &end);
    for (; item < end; item++) {
        const long row = item / n->heads, head = item % n->heads;
        turn(s, &n->layers[l], row, n->layers[l].query_norm, table_of(s).qkv + row * qkv_width(n) + head * n->head_width);
    }
}

/* Ask for WIDTH heads' numbers that will be needed soon; they lie `stride` apart. */
static void ask_for(long D, const float *from, long stride) {
    for (long p = 0; p < WIDTH; p++)
        for (long i = 0; i < D; i += 16) __builtin_prefetch(from + p * stride + i);
}

/* Scores of one query head with `num` keys, at most WIDTH, which lie `stride` apart. */
static vec scores_of(const network *n, const float *q, const float *keys, long stride, long num) {
    const long D = n->head_width;
    vec products[WIDTH];
    for (long p = 0; p < num; p++, keys += stride) {
        vec sum = {0};
        for (long i = 0; i < D; i += WIDTH) sum += get(q + i, D - i) * get(keys + i, D - i);
        products[p] = sum;
    }
    for (long p = num; p < WIDTH; p++) products[p] = (vec){0};
    vec scores = folded(products) * splat(n->scale);
    for (int i = 0; n->softcap > 0 && i < WIDTH; i++) scores[i] = n->softcap * tanhf(scores[i] / n->softcap);
    return scores;
}

/* o += weights values, for vectors of a head of which the last may be cut off. */
INLINE void weigh(int vectors, long left, const float *weights, const float *values, long stride, long num, float *o) {
    vec even[4], odd[4];
    for (int j = 0; j < vectors; j++) even[j] = get(o + j * WIDTH, left - j * WIDTH), odd[j] = (vec){0};
    long p = 0;
    for (; p + 2 <= num; p += 2, values += 2 * stride) {
        const vec one = splat(weights[p]), other = splat(weights[p + 1]);
        for (int j = 0; j < vectors; j++) {
            even[j] += one * get(values + j * WIDTH, left - j * WIDTH);
            odd[j] += other * get(values + stride + j * WIDTH, left - j * WIDTH);
        }
    }
    for (int j = 0; j < vectors; j++) {
        if (p < num) even[j] += splat(weights[p]) * get(values + j * WIDTH, left - j * WIDTH);
        put(o + j * WIDTH, left - j * WIDTH, even[j] + odd[j]);
    }
}

/* o += weights values, for `num` values, at most WIDTH, which lie `stride` apart. */
static void weighted(long D, const float *weights, const float *values, long stride, long num, float *o) {
    for (long i = 0; i < D; i += 4 * WIDTH) {
        const long left = D - i;
        if (left > 3 * WIDTH) weigh(4, left, weights, values + i, stride, num, o + i);
        else if (left > 2 * WIDTH) weigh(3, left, weights, values + i, stride, num, o + i);
        else if (left > WIDTH) weigh(2, left, weights, values + i, stride, num, o + i);
        else weigh(1, left, weights, values + i, stride, num, o + i);
    }
}

static long seen_from(const layer *at, long position) {
    return at->window && position >= at->window ? position + 1 - at->window : 0;
}

/* The query heads of the key heads first, first + by, … attend, for some rows that read on in one sequence.
 *
 * Keys and values are read in the order of memory, WIDTH positions of all these heads and rows before the next: of a
 * long sequence they come from far away. */
static void attend(const step *s, long l, long row, long rows, long first, long by, long last, desk *d) {
    const network *n = s->net;
    const layer *at = &n->layers[l];
    const long D = n->head_width, group = n->heads / n->kv_heads, qkv_all = qkv_width(n), attended = n->heads * D;
    const long k_stride = s->key_strides[2 * row], v_stride = s->key_strides[2 * row + 1];
    const long start = seen_from(at, s->positions[row]) / WIDTH * WIDTH, end = s->positions[row + rows - 1] + 1;
    const long wide = (end - start + WIDTH - 1) / WIDTH * WIDTH; /* scores of a head, up to a whole vector */
    const float *keys = s->remembered[row][l].keys, *values = s->remembered[row][l].values;
    const float *qkv = table_of(s).qkv + row * qkv_all;
    float *out = table_of(s).attended + row * attended;
    for (long p = start; p < end; p += WIDTH) {
        float *scores = d->scores + p - start;
        for (long kv = first; kv < last; kv += by) {
            ask_for(D, keys + (p + WIDTH) * k_stride + kv * D, k_stride);
            for (long r = 0; r < rows; r++) {
                const long position = s->positions[row + r], from = seen_from(at, position) - p, num = position + 1 - p;
                for (long g = 0; g < group; g++, scores += wide) {
                    if (num <= 0 || from >= WIDTH) continue;
                    const float *q = qkv + r * qkv_all + (kv * group + g) * D;
                    store(scores, scores_of(n, q, keys + p * k_stride + kv * D, k_stride, num < WIDTH ? num : WIDTH));
                    for (long i = num; i < WIDTH; i++) scores[i] = -INFINITY;
                    for (long i = 0; i < from; i++) scores[i] = -INFINITY;
                }
            }
        }
    }
    float *scores = d->scores;
    for (long kv = first; kv < last; kv += by)
        for (long r = 0; r < rows; r++)
            for (long g = 0; g < group; g++, scores += wide) {
                const long position = s->positions[row + r];
                float *begin = scores + seen_from(at, position) / WIDTH * WIDTH - start, *stop = scores + position + 1 - start;
                vec top = load(begin), total = {0};
                for (float *each = begin + WIDTH; each < stop; each += WIDTH) top = larger(load(each), top);
                const vec largest = splat(largest_of(top));
                for (float *each = begin; each < stop; each += WIDTH) {
                    const vec e = exp_of(load(each) - largest);
                    total += e;
                    store(each, e);
                }
                const vec share = splat(1 / sum_of(total));
                for (float *each = begin; each < stop; each += WIDTH) store(each, load(each) * share);
                memset(out + r * attended + (kv * group + g) * D, 0, 4 * D);
            }
    for (long p = start; p < end; p += WIDTH) {
        scores = d->scores + p - start;
        for (long kv = first; kv < last; kv += by) {
            ask_for(D, values + (p + WIDTH) * v_stride + kv * D, v_stride);
            for (long r = 0; r < rows; r++) {
                const long position = s->positions[row + r], num = position + 1 - p;
                for (long g = 0; g < group; g++, scores += wide) {
                    if (num <= 0 || seen_from(at, position) - p >= WIDTH) continue;
                    float *o = out + r * attended + (kv * group + g) * D;
                    weighted(D, scores, values + p * v_stride + kv * D, v_stride, num < WIDTH ? num : WIDTH, o);
                }
            }
        }
    }
}

/* Rows of one sequence that attend together, from one on. */
static long rows_together(const step *s, long row) {
    long rows = 1;
    while (rows < TOGETHER && row + rows < s->num_rows && s->remembered[row + rows] == s->remembered[row]) rows++;
    return rows;
}

/* Some of many rows attend: a part is one row with all key heads, or several of a sequence with one of them. */
static void attend_parts(const step *s, long l, desk *d) {
    const long kv_heads = s->net->kv_heads;
    counter *taken = &s->taken[l * NUM_WORKS + ATTENTION];
    for (long row = 0, rows, part = 0, mine = take(taken); row < s->num_rows; row += rows) {
        rows = rows_together(s, row);
        const long width = rows == 1 ? kv_heads : 1;
        for (long kv = 0; kv < kv_heads; kv += width, part++)
            if (part == mine) {
                attend(s, l, row, rows, kv, 1, kv + width, d);
                mine = take(taken);
            }
    }
}

/* All rows attend, each with the key heads that are this thread's. */
static void attend_all(const step *s, long l, desk *d, int number, const threads *all) {
    const long kv_heads = s->net->kv_heads;
    const int of = all->num;
    if (is_taken(s, all)) {
        attend_parts(s, l, d);
        return;
    }
    for (long row = 0, rows, unit = 0; row < s->num_rows; row += rows, unit++) {
        rows = rows_together(s, row);
        const long first = ((number - unit * kv_heads) % of + of) % of;
        if (rows == 1 && s->num_rows >= 2 * of) {
            if (unit % of == number) attend(s, l, row, 1, 0, 1, kv_heads, d);
        } else if (rows == 1)
            attend(s, l, row, 1, first, of, kv_heads, d);
        else
            for (long kv = first; kv < kv_heads; kv += of) attend(s, l, row, rows, kv, 1, kv + 1, d);
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
}

/* up = act(gate) up, row after row, as they lie. */
static void gated(const network *n, const float *gate, float *up, part p) {
    const long first = p.first * NB, last = p.end * NB < n->mlp_width ? p.end * NB : n->mlp_width;
    for (long row = p.row; row < p.end_row; row++)
        for (long i = first; i < last; i += WIDTH) {
            const long at = row * n->mlp_width + i, left = last - i;
            put(up + at, left, activated(n->act, get(gate + at, left)) * get(up + at, left));
        }
}

/* A part of up = act(x GATE) (x UP). */
static void gated_part(const step *s, long l, const float *x, const table *t, part p, stretch then) {
    const long width = s->net->mlp_width, near = p.first + near_together(&s->net->layers[l].of[UP]);
    const stretch up = blocks_from(&s->net->layers[l].of[UP], p.first, near < p.end ? near : p.end);
    product_part(s, l, GATE, 0, x, t->gate, width, p, up);
    product_part(s, l, UP, 1, x, t->up, width, p, then);
    gated(s->net, t->gate, t->up, p);
}

/* This thread's share of the whole; whoever has multiplied a part gates it. */
static void gated_product(const step *s, long l, const float *x, const table *t, int number, threads *all) {
    const matrix *w = &s->net->layers[l].of[UP];
    if (!is_taken(s, all)) {
        part p = {.end_row = s->num_rows};
        p.first = share(blocks_of(w), number, all->num, &p.end);
        gated_part(s, l, x, t, p, weights_after(s, l, UP, number, all));
        return;
    }
    const cut c = cut_of(w, s->num_rows, all->num);
    for (long n; (n = take(&s->taken[l * NUM_WORKS + UP])) < c.num;)
        gated_part(s, l, x, t, part_of_cut(&c, n), weights_after_part(s, l, GATE, &c, n, number, all));
}

/* Of the rows that all have come so far, those whose last states are asked for go on. */
static const step *left_of(const step *s, desk *d) {
    const long width = s->net->width;
    for (long i = 0; i < s->few->num_rows; i++) {
        memmove(d->x + i * width, d->x + s->scored[i] * width, 4 * width);
        memmove(d->normed + i * width, d->normed + s->scored[i] * width, 4 * width);
    }
    return s->few;
}

static const int keys_values_queries[] = {K, V, Q}, queries[] = {Q}, output[] = {O}, gate_up[] = {GATE, UP}, down[] = {DOWN};

static void compute(void *with, int number, threads *all) {
    const step *s = with, *on = s; /* `on`: the rows that go on */
    const network *n = s->net;
    const long qkv_all = qkv_width(n), attended = n->heads * n->head_width;
    float *own = s->own + number * s->own_size;
    desk d = {own, own + s->num_rows * n->width, own + 2 * s->num_rows * n->width};
    int adapted = any_adapter(s);
    memcpy(d.x, s->embedded, 4 * s->num_rows * n->width);
    for (long l = 0; l < n->num_layers; l++) {
        const layer *at = &n->layers[l];
        const int ends = l == n->num_layers - 1 && s->few; /* the queries are those of few rows */
        table t = table_of(s);
        normed(s, at->before_attention, &d);
        if (adapted) into_ranks(s, l, keys_values_queries, ends ? 2 : 3, 0, d.normed, number, all);
        product(s, l, K, 0, d.normed, t.qkv + attended, qkv_all, number, all);
        product(s, l, V, 1, d.normed, t.qkv + attended + n->kv_heads * n->head_width, qkv_all, number, all);
        if (ends) {
            on = left_of(s, &d);
            adapted = any_adapter(on);
            if (adapted) into_ranks(on, l, queries, 1, 2, d.normed, number, all);
        }
        t = table_of(on);
        product(on, l, Q, 2, d.normed, t.qkv, qkv_all, number, all);
        meet(all);
        remember(s, l, number, all->num);
        turn_queries(on, l, number, all->num);
        meet(all);
        attend_all(on, l, &d, number, all);
        meet(all);
        if (adapted) into_ranks(on, l, output, 1, 0, t.attended, number, all);
        product(on, l, O, 0, t.attended, t.given, n->width, number, all);
        meet(all);
        add(on, t.given, at->after_attention, &d);
        normed(on, at->before_mlp, &d);
        if (adapted) into_ranks(on, l, gate_up, 2, 0, d.normed, number, all);
        gated_product(on, l, d.normed, &t, number, all);
        meet(all);
        if (adapted) into_ranks(on, l, down, 1, 0, t.up, number, all);
        product(on, l, DOWN, 0, t.up, t.given, n->width, number, all);
        meet(all);
        add(on, t.given, at->after_mlp, &d);
    }
    long end, row = share(on->num_rows, number, all->num, &end);
    for (; row < end; row++) norm_row(n, n->width, d.x + row * n->width, n->norm, s->last + row * n->width);
}

void outcrop_decode(const step *s, threads *all) { together(all, compute, (void *)s); }

/* A product of any number of rows, for whatever else the weights are needed for. */
typedef struct {
    const matrix *w;
    const float *x;
    float *y;
    long num_rows, stride;
} whole_product;

static void compute_product(void *with, int number, threads *all) {
    const whole_product *p = with;
    long end, block = share(blocks_of(p->w), number, all->num, &end);
    blocks_of_rows(p->num_rows, p->x, p->stride, p->w, block, end, p->y, p->w->outputs, (stretch){0});
}

/* y = x W + bias; rows of x lie `stride` apart. */
void outcrop_product(const matrix *w, long num_rows, const float *x, long stride, float *y, threads *all) {
    whole_product p = {w, x, y, num_rows, stride};
    together(all, compute_product, &p);
}
