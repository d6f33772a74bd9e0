/* Vectors of floats, as wide as the processor this is compiled for has them, through what gcc and clang call vector
 * extensions: no intrinsics, so the same source serves x86 and ARM. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__AVX512F__)
#define WIDTH 16 /* floats in a vector */
#define ROWS 8   /* of a tile of a product, two vectors wide: its sums fill the registers */
#elif defined(__AVX__)
#define WIDTH 8
#define ROWS 4
#elif defined(__aarch64__)
#define WIDTH 4
#define ROWS 8
#else
#define WIDTH 4
#define ROWS 4
#endif

typedef float vec __attribute__((vector_size(4 * WIDTH)));
typedef int32_t ivec __attribute__((vector_size(4 * WIDTH)));
/* Where memory is not aligned to whole vectors. */
typedef float loose __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))

INLINE vec load(const float *from) { return *(const loose *)from; }
INLINE void store(float *to, vec x) { *(loose *)to = x; }

/* Of a scalar and a vector the compiler makes a broadcast; of a loop over the elements it does not. */
INLINE vec splat(float x) { return x - (vec){0}; }

/* A vector of a row of which `left` numbers remain; beyond its end, `other`. */
INLINE vec get_or(const float *from, long left, float other) {
    if (__builtin_expect(left >= WIDTH, 1)) return load(from);
    vec x = splat(other);
    memcpy(&x, from, 4 * left);
    return x;
}
INLINE vec get(const float *from, long left) { return get_or(from, left, 0); }
INLINE void put(float *to, long left, vec x) {
    if (__builtin_expect(left >= WIDTH, 1))
        store(to, x);
    else
        memcpy(to, &x, 4 * left);
}

INLINE vec choose(ivec mask, vec yes, vec no) { return (vec)(((ivec)yes & mask) | ((ivec)no & ~mask)); }
INLINE vec larger(vec a, vec b) { return choose(a > b, a, b); }
INLINE vec smaller(vec a, vec b) { return choose(a < b, a, b); }

INLINE float sum_of(vec x) {
    float sum = 0;
    for (int i = 0; i < WIDTH; i++) sum += x[i];
    return sum;
}
INLINE float largest_of(vec x) {
    float top = x[0];
    for (int i = 1; i < WIDTH; i++) top = x[i] > top ? x[i] : top;
    return top;
}

/* e to the x, within two units of the last place; 0 where it would be no normal number, for those are slow to compute
 * with. For x up to 88. The polynomial is Cephes' expf. */
INLINE vec exp_of(vec x) {
    const ivec tiny = x < splat(-87.0f);
    x = choose(tiny, splat(-87.0f), x);
    const vec round = splat(12582912.0f); /* added to a number, it leaves no digits behind the point */
    vec n = x * splat(1.44269504088896341f) + round;
    const ivec power = (ivec)n << 23;
    n -= round;
    const vec r = x - n * splat(0.693359375f) - n * splat(-2.12194440e-4f);
    vec p = r * splat(1.9875691500e-4f) + splat(1.3981999507e-3f);
    p = p * r + splat(8.3334519073e-3f);
    p = p * r + splat(4.1665795894e-2f);
    p = p * r + splat(1.6666665459e-1f);
    p = p * r + splat(5.0000001201e-1f);
    p = p * (r * r) + r + splat(1.0f);
    return (vec)(((ivec)p + (power & (x == x))) & ~tiny); /* what is not a number stays none */
}
