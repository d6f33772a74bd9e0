/* MD5 (RFC 1321) and SHA-256 (FIPS 180-4) of many streams side by side: a word of a vector for each stream, since within
 * a stream every step waits for the one before. For gcc and clang on any processor that has vectors. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__) && defined(__AVX512VL__)
#define MOST_LANES 16
#elif defined(__AVX2__)
#define MOST_LANES 8
#else
#define MOST_LANES 4
#endif
#define FEWEST (MOST_LANES > 4 ? 2 : 3) /* streams for which vectors pay */
#define BLOCK 64                   /* bytes, of either digest */
#define WORDS 16                   /* of a block */

typedef uint32_t word __attribute__((aligned(1), may_alias));

#define INLINE static inline __attribute__((always_inline))
#define UNROLLED _Pragma("GCC unroll 64")
#define PASTED_(a, b) a##b
#define PASTED(a, b) PASTED_(a, b)

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "written for processors whose least byte comes first"
#endif

enum kind { MD5, SHA256 };

struct digest {
    uint32_t state[8];
    uint64_t size;       /* bytes seen */
    uint8_t rest[BLOCK]; /* the last size % BLOCK of them, which are not in the state yet */
};

/* Bytes that follow in one stream. */
struct job {
    struct digest *digest;
    const uint8_t *const *pieces;
    const size_t *sizes;
    size_t num_pieces;
};

/* Both are written for one stream (T a number) and for many (T a vector). */
#define RIGHT(x, n) ((x) >> (n) | (x) << (32 - (n)))
#define LEFT(x, n) RIGHT(x, 32 - (n))
#define EITHER(mask, yes, no) ((no) ^ ((mask) & ((yes) ^ (no))))

static const uint32_t SINES[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};
static const uint8_t TURNS[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};

#define DEFINE_MD5(NAME, T)                                             \
    INLINE void NAME(T s[8], const T w[WORDS]) {                        \
        T a = s[0], b = s[1], c = s[2], d = s[3];                       \
        UNROLLED for (int i = 0; i < 64; i++) {                         \
            T mixed;                                                    \
            int at;                                                     \
            if (i < 16)                                                 \
                mixed = EITHER(b, c, d), at = i;                        \
            else if (i < 32)                                            \
                mixed = EITHER(d, b, c), at = 5 * i + 1;                \
            else if (i < 48)                                            \
                mixed = b ^ c ^ d, at = 3 * i + 5;                      \
            else                                                        \
                mixed = c ^ (b | ~d), at = 7 * i;                       \
            T sum = a + SINES[i] + w[at % WORDS] + mixed;               \
            a = d, d = c, c = b;                                        \
            b += LEFT(sum, TURNS[i / 16][i % 4]);                       \
        }                                                               \
        s[0] += a, s[1] += b, s[2] += c, s[3] += d;                     \
    }

static const uint32_t ROOTS[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

#define DEFINE_SHA256(NAME, T)                                                               \
    INLINE void NAME(T s[8], T w[WORDS]) {                                                   \
        T a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];    \
        UNROLLED for (int i = 0; i < 64; i++) {                                              \
            T x = w[i % 16];                                                                 \
            if (i >= 16) {                                                                   \
                T early = w[(i + 1) % 16], late = w[(i + 14) % 16];                          \
                x += w[(i + 9) % 16];                                                        \
                x += RIGHT(early, 7) ^ RIGHT(early, 18) ^ early >> 3;                        \
                x += RIGHT(late, 17) ^ RIGHT(late, 19) ^ late >> 10;                         \
                w[i % 16] = x;                                                               \
            }                                                                                \
            T one = h + ROOTS[i] + x;                                                        \
            one += EITHER(e, f, g);                                                          \
            one += RIGHT(e, 6) ^ RIGHT(e, 11) ^ RIGHT(e, 25);                                \
            T two = RIGHT(a, 2) ^ RIGHT(a, 13) ^ RIGHT(a, 22);                               \
            two += EITHER(a ^ b, c, b);                                                      \
            h = g, g = f, f = e, e = d + one, d = c, c = b, b = a, a = one + two;            \
        }                                                                                    \
        s[0] += a, s[1] += b, s[2] += c, s[3] += d, s[4] += e, s[5] += f, s[6] += g, s[7] += h; \
    }

DEFINE_MD5(md5_of_one, uint32_t)
DEFINE_SHA256(sha256_of_one, uint32_t)

#define TURNED(x) ((RIGHT(x, 8) & 0xff00ff00u) | (LEFT(x, 8) & 0x00ff00ffu)) /* the bytes of each word */

static void digest_one(enum kind kind, uint32_t *state, const uint8_t *at, size_t blocks) {
    uint32_t w[WORDS];
    for (; blocks; blocks--, at += BLOCK) {
        for (int i = 0; i < WORDS; i++) w[i] = ((const word *)at)[i];
        if (kind == MD5) {
            md5_of_one(state, w);
        } else {
            for (int i = 0; i < WORDS; i++) w[i] = TURNED(w[i]);
            sha256_of_one(state, w);
        }
    }
}

#define LANES MOST_LANES
#include "side_by_side.h"
#if MOST_LANES > 8 /* a processor does three operations on narrower vectors in the time of two on its widest */
#define LANES 8
#include "side_by_side.h"
#endif

static void digest_many(enum kind kind, size_t num, uint32_t *const states[], const uint8_t *const at[],
                        size_t blocks) {
#if MOST_LANES > 8
    if (num <= 8) {
        digest_8(kind, num, states, at, blocks);
        return;
    }
#endif
    PASTED(digest_, MOST_LANES)(kind, num, states, at, blocks);
}

/* Where a job stands. */
struct cursor {
    const struct job *job;
    size_t piece, offset;
    const uint8_t *at; /* whole blocks that lie together, perhaps in the digest's `rest` */
    size_t blocks;
};

/* Go past the blocks that were taken, to the next whole ones; 0 if the job has no more. */
static int advance(struct cursor *cursor, size_t taken) {
    struct digest *digest = cursor->job->digest;
    if (taken && cursor->at != digest->rest) {
        cursor->offset += taken * BLOCK;
        digest->size += taken * BLOCK;
    }
    while (cursor->piece < cursor->job->num_pieces) {
        const uint8_t *at = cursor->job->pieces[cursor->piece] + cursor->offset;
        size_t left = cursor->job->sizes[cursor->piece] - cursor->offset, held = digest->size % BLOCK;
        if (!held && left >= BLOCK) {
            cursor->at = at;
            cursor->blocks = left / BLOCK;
            return 1;
        }
        size_t some = left < BLOCK - held ? left : BLOCK - held;
        memcpy(digest->rest + held, at, some);
        digest->size += some;
        cursor->offset += some;
        if (some == left) cursor->piece++, cursor->offset = 0;
        if (held + some == BLOCK) {
            cursor->at = digest->rest;
            cursor->blocks = 1;
            return 1;
        }
    }
    return 0;
}

/* How many streams are taken side by side. */
int outcrop_digest_lanes(void) { return MOST_LANES; }

void outcrop_digest_begin(int kind, struct digest *digest) {
    static const uint32_t md5[8] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    static const uint32_t sha256[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memset(digest, 0, sizeof *digest);
    memcpy(digest->state, kind == MD5 ? md5 : sha256, sizeof digest->state);
}

/* Take what follows in each of these streams, all different. */
void outcrop_digest(int kind, size_t num_jobs, const struct job *jobs) {
    struct cursor cursors[MOST_LANES];
    size_t active = 0, next = 0;
    for (;;) {
        while (active < MOST_LANES && next < num_jobs) {
            cursors[active] = (struct cursor){.job = jobs + next++};
            active += advance(cursors + active, 0);
        }
        if (!active) return;
        size_t blocks = cursors[0].blocks;
        if (active < FEWEST) {
            for (size_t i = 0; i < active; i++)
                digest_one(kind, cursors[i].job->digest->state, cursors[i].at, cursors[i].blocks);
        } else {
            uint32_t *states[MOST_LANES];
            const uint8_t *at[MOST_LANES];
            for (size_t i = 0; i < active; i++) {
                states[i] = cursors[i].job->digest->state;
                at[i] = cursors[i].at;
                if (cursors[i].blocks < blocks) blocks = cursors[i].blocks;
            }
            digest_many(kind, active, states, at, blocks);
        }
        size_t kept = 0;
        for (size_t i = 0; i < active; i++) {
            size_t taken = active < FEWEST ? cursors[i].blocks : blocks;
            if (advance(cursors + i, taken)) cursors[kept++] = cursors[i];
        }
        active = kept;
    }
}

/* The digest of what was taken so far: 16 bytes of MD5, 32 of SHA-256. The stream may go on. */
void outcrop_digest_end(int kind, const struct digest *digest, uint8_t *out) {
    uint32_t state[8];
    uint8_t last[2 * BLOCK] = {0};
    size_t held = digest->size % BLOCK, size = held + 9 <= BLOCK ? BLOCK : 2 * BLOCK;
    uint64_t bits = digest->size * 8;
    memcpy(state, digest->state, sizeof state);
    memcpy(last, digest->rest, held);
    last[held] = 0x80;
    if (kind == SHA256) bits = __builtin_bswap64(bits);
    memcpy(last + size - 8, &bits, 8);
    digest_one(kind, state, last, size / BLOCK);
    if (kind == SHA256)
        for (int i = 0; i < 8; i++) state[i] = TURNED(state[i]);
    memcpy(out, state, kind == MD5 ? 16 : 32);
}
