/* What a network does to each token by itself, between its products of matrices: one pass over the numbers where a
 * chain of tensor operations is many. All numbers are fp32, and those of a row lie together. */
#include "vector.h"

/* Of a row of n numbers: how many remain at each vector of it. */
#define EACH(at, left, n) (long at = 0, left = (n); left > 0; at += WIDTH, left -= WIDTH)

/* y = x / sqrt(mean(x^2) + epsilon) * (weight + added), and the factors of x by row, scale_T. */
void outcrop_norm(long rows, long width, const float *x, const float *weight, float added, float epsilon, float *y,
                  float *scales) {
    for (long t = 0; t < rows; t++, x += width, y += width) {
        vec squares = splat(0);
        for EACH(i, left, width) {
            const vec a = get(x + i, left);
            squares += a * a;
        }
        const float scale = scales[t] = 1 / sqrtf(sum_of(squares) / width + epsilon);
        for EACH(i, left, width) put(y + i, left, get(x + i, left) * scale * (get(weight + i, left) + added));
    }
}

/* Gradients from that of y: d_x is written over, d_weight is added to unless it is none. */
void outcrop_norm_back(long rows, long width, const float *x, const float *weight, float added, const float *scales,
                       const float *d_y, float *d_x, float *d_weight) {
    for (long t = 0; t < rows; t++, x += width, d_y += width, d_x += width) {
        const float scale = scales[t];
        vec along = splat(0);
        for EACH(i, left, width)
            along += get(d_y + i, left) * (get(weight + i, left) + added) * get(x + i, left);
        const float of_x = sum_of(along) * scale * scale * scale / width;
        for EACH(i, left, width) {
            const vec d = get(d_y + i, left) * scale, a = get(x + i, left);
            put(d_x + i, left, d * (get(weight + i, left) + added) - a * of_x);
            if (d_weight) put(d_weight + i, left, get(d_weight + i, left) + d * a);
        }
    }
}

/* Halves x1, x2 of each token of each head become x1 cos1 + x2 to_first, x2 cos2 + x1 to_second, where the latter two
 * are halves of the sines, times a sign. y may not be x. */
void outcrop_rotate(long heads, long tokens, long width, const float *x, long x_head, long x_token,
                    const float *cosines, const float *to_first, float sign_first, const float *to_second,
                    float sign_second, long angles_token, float *y, long y_head, long y_token) {
    const long half = width / 2;
    for (long t = 0; t < tokens; t++) {
        const float *cos1 = cosines + t * angles_token, *cos2 = cos1 + half;
        const float *first = to_first + t * angles_token, *second = to_second + t * angles_token;
        for (long h = 0; h < heads; h++) {
            const float *x1 = x + h * x_head + t * x_token, *x2 = x1 + half;
            float *y1 = y + h * y_head + t * y_token, *y2 = y1 + half;
            for EACH(i, left, half) {
                const vec a = get(x1 + i, left), b = get(x2 + i, left);
                put(y1 + i, left, a * get(cos1 + i, left) + b * (get(first + i, left) * sign_first));
                put(y2 + i, left, b * get(cos2 + i, left) + a * (get(second + i, left) * sign_second));
            }
        }
    }
}

enum { SILU = 0, GELU_TANH = 1 };

typedef struct {
    vec of, slope;
} activated;

/* 1 / (1 + e^-x) */
INLINE vec sigmoid_of(vec x) {
    const vec share = 1.0f / (1.0f + exp_of(smaller(-x, splat(88))));
    return choose(x < splat(-88), splat(0), share);
}

INLINE activated activate(const int kind, vec x) {
    if (kind == SILU) {
        const vec sigmoid = sigmoid_of(x);
        return (activated){x * sigmoid, sigmoid * (1.0f + x * (1.0f - sigmoid))};
    }
    /* x times half of 1 + tanh(u), which is the sigmoid of 2 u */
    const float root = 0.7978845608028654f, cubic = 0.044715f;
    const vec u = root * (x + cubic * x * x * x);
    const vec share = sigmoid_of(2.0f * u);
    return (activated){x * share, share + 2.0f * x * share * (1.0f - share) * root * (1.0f + 3.0f * cubic * x * x)};
}

INLINE void gate_of(const int kind, long n, const float *gate, const float *up, float *product) {
    for EACH(i, left, n) put(product + i, left, activate(kind, get(gate + i, left)).of * get(up + i, left));
}

INLINE void gate_back_of(const int kind, long n, const float *gate, const float *up, const float *d_product,
                         float *product, float *d_gate, float *d_up) {
    for EACH(i, left, n) {
        const vec u = get(up + i, left), d = get(d_product + i, left);
        const activated a = activate(kind, get(gate + i, left));
        if (product) put(product + i, left, a.of * u);
        put(d_up + i, left, d * a.of);
        put(d_gate + i, left, d * u * a.slope);
    }
}

/* act(gate) * up */
void outcrop_gate(int kind, long n, const float *gate, const float *up, float *product) {
    if (kind == SILU)
        gate_of(SILU, n, gate, up, product);
    else
        gate_of(GELU_TANH, n, gate, up, product);
}

/* The gradients of gate and up from that of the product, and the product again unless it is none. */
void outcrop_gate_back(int kind, long n, const float *gate, const float *up, const float *d_product, float *product,
                       float *d_gate, float *d_up) {
    if (kind == SILU)
        gate_back_of(SILU, n, gate, up, d_product, product, d_gate, d_up);
    else
        gate_back_of(GELU_TANH, n, gate, up, d_product, product, d_gate, d_up);
}

#define CHUNK 4096 /* exponentials that are added up in fp32; of more the sum loses digits */

/* The negative log-likelihood of each row's target, nll_N. If `slope`, the logits become its gradient by them. */
void outcrop_cross_entropy(long rows, long width, float *logits, const int64_t *targets, float *nll, int slope) {
    for (long n = 0; n < rows; n++, logits += width) {
        vec top = splat(-INFINITY);
        for EACH(i, left, width) top = larger(get_or(logits + i, left, -INFINITY), top);
        const float largest = largest_of(top), of_target = logits[targets[n]];
        double total = 0;
        for (long start = 0; start < width; start += CHUNK) {
            float *chunk = logits + start;
            vec sum = splat(0);
            for EACH(i, left, start + CHUNK < width ? CHUNK : width - start) {
                const vec e = exp_of(get_or(chunk + i, left, -INFINITY) - largest);
                sum += e;
                if (slope) put(chunk + i, left, e);
            }
            total += sum_of(sum);
        }
        nll[n] = (float)(log(total) + ((double)largest - of_target));
        if (slope) {
            const float share = (float)(1 / total);
            for EACH(i, left, width) put(logits + i, left, get(logits + i, left) * share);
            logits[targets[n]] -= 1;
        }
    }
}
