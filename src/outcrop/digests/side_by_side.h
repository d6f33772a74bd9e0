/* Vectors of LANES words, a stream to each; included once for each number of lanes. */
#define WIDE(name) PASTED(name, LANES)
#define lanes WIDE(lanes_)
#define loose WIDE(loose_)

typedef uint32_t lanes __attribute__((vector_size(4 * LANES)));
typedef uint32_t loose __attribute__((vector_size(4 * LANES), aligned(1), may_alias));

DEFINE_MD5(WIDE(md5_of_), lanes)
DEFINE_SHA256(WIDE(sha256_of_), lanes)

/* a0 b0 a1 b1 … of the first halves of two vectors, or of the second. */
#if LANES == 16
#define FIRST 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define SECOND 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif LANES == 8
#define FIRST 0, 8, 1, 9, 2, 10, 3, 11
#define SECOND 4, 12, 5, 13, 6, 14, 7, 15
#else
#define FIRST 0, 4, 1, 5
#define SECOND 2, 6, 3, 7
#endif
#if defined(__clang__)
#define MIXED(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define MIXED(a, b, ...) __builtin_shuffle(a, b, (lanes){__VA_ARGS__})
#endif

/* Row i of `at` becomes word i of every row: log2(LANES) shuffles of the whole square. */
INLINE void WIDE(transpose_)(lanes at[LANES]) {
    lanes other[LANES];
    UNROLLED for (int stride = 1; stride < LANES; stride *= 2) {
        UNROLLED for (int i = 0; i < LANES / 2; i++) {
            other[2 * i] = MIXED(at[i], at[i + LANES / 2], FIRST);
            other[2 * i + 1] = MIXED(at[i], at[i + LANES / 2], SECOND);
        }
        UNROLLED for (int i = 0; i < LANES; i++) at[i] = other[i];
    }
}

INLINE void WIDE(words_of_)(lanes w[WORDS], const uint8_t *const at[LANES]) {
    UNROLLED for (int part = 0; part < WORDS; part += LANES) {
        UNROLLED for (int i = 0; i < LANES; i++) w[part + i] = *(const loose *)(at[i] + 4 * part);
        WIDE(transpose_)(w + part);
    }
}

/* Of `num` streams, at most LANES; a lane without one does the first one's again, for nothing. */
static void WIDE(digest_)(enum kind kind, size_t num, uint32_t *const states[], const uint8_t *const from[],
                          size_t blocks) {
    lanes s[8], w[WORDS];
    const uint8_t *at[LANES];
    for (size_t lane = 0; lane < LANES; lane++) at[lane] = from[lane < num ? lane : 0];
    for (int i = 0; i < 8; i++)
        for (size_t lane = 0; lane < LANES; lane++) s[i][lane] = states[lane < num ? lane : 0][i];
    for (; blocks; blocks--) {
        WIDE(words_of_)(w, at);
        if (kind == MD5) {
            WIDE(md5_of_)(s, w);
        } else {
            UNROLLED for (int i = 0; i < WORDS; i++) w[i] = TURNED(w[i]);
            WIDE(sha256_of_)(s, w);
        }
        for (int lane = 0; lane < LANES; lane++) at[lane] += BLOCK;
    }
    for (int i = 0; i < 8; i++)
        for (size_t lane = 0; lane < num; lane++) states[lane][i] = s[i][lane];
}

#undef FIRST
#undef SECOND
#undef MIXED
#undef lanes
#undef loose
#undef WIDE
#undef LANES
