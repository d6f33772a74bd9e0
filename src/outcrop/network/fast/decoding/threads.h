/* Threads that compute one function together, and meet between its parts. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#if defined(__x86_64__)
#define PAUSE __builtin_ia32_pause()
#elif defined(__aarch64__)
#define PAUSE __asm__ volatile("yield")
#else
#define PAUSE
#endif
#define SPINS 3000 /* chosen, not measured: a short wait should not cost a sleep, nor a long one a core */

typedef struct threads {
    int num;
    _Atomic int arrived, met;    /* of the meeting point */
    _Atomic int order, finished; /* calls begun, and helpers that are done with the last */
    _Atomic int asleep, leaving;
    void (*work)(void *with, int number, struct threads *all);
    void *with;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t helpers[];
} threads;

/* Wait until all threads are here. One that the system has put aside is not waited for at the cost of its core. */
static void meet(threads *all) {
    if (all->num == 1) return;
    const int before = atomic_load_explicit(&all->met, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&all->arrived, 1, memory_order_acq_rel) == all->num - 1) {
        atomic_store_explicit(&all->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&all->met, before + 1, memory_order_release);
        return;
    }
    for (int spins = 0; atomic_load_explicit(&all->met, memory_order_acquire) == before; spins++) {
        if (spins < SPINS) PAUSE;
        else sched_yield();
    }
}

typedef struct { threads *all; int number; } helper;

static void *help(void *given) {
    helper me = *(helper *)given;
    free(given);
    threads *all = me.all;
    for (int done = 0;;) {
        for (int spins = 0; atomic_load_explicit(&all->order, memory_order_acquire) == done; spins++) {
            if (spins < SPINS) {
                PAUSE;
                continue;
            }
            pthread_mutex_lock(&all->lock);
            atomic_fetch_add(&all->asleep, 1);
            while (atomic_load(&all->order) == done) pthread_cond_wait(&all->wake, &all->lock);
            atomic_fetch_sub(&all->asleep, 1);
            pthread_mutex_unlock(&all->lock);
        }
        done++;
        if (atomic_load(&all->leaving)) return NULL;
        all->work(all->with, me.number, all);
        atomic_fetch_add_explicit(&all->finished, 1, memory_order_release);
    }
}

static void begin(threads *all) {
    atomic_store(&all->finished, 0);
    atomic_fetch_add(&all->order, 1);
    if (atomic_load(&all->asleep)) {
        pthread_mutex_lock(&all->lock);
        pthread_cond_broadcast(&all->wake);
        pthread_mutex_unlock(&all->lock);
    }
}

/* Have all threads, this one too, do `work`; returns when all are done. One call at a time. */
static void together(threads *all, void (*work)(void *, int, threads *), void *with) {
    if (all->num > 1) {
        all->work = work;
        all->with = with;
        begin(all);
    }
    work(with, 0, all);
    for (int spins = 0; all->num > 1 && atomic_load_explicit(&all->finished, memory_order_acquire) < all->num - 1; spins++) {
        if (spins < SPINS) PAUSE;
        else sched_yield();
    }
}

void outcrop_threads_end(threads *all) {
    atomic_store(&all->leaving, 1);
    if (all->num > 1) begin(all);
    for (int i = 0; i < all->num - 1; i++) pthread_join(all->helpers[i], NULL);
    free(all);
}

/* Null where the system gives no more threads. */
threads *outcrop_threads_begin(int num) {
    threads *all = calloc(1, sizeof *all + num * sizeof(pthread_t));
    if (!all) return NULL;
    pthread_mutex_init(&all->lock, NULL);
    pthread_cond_init(&all->wake, NULL);
    all->num = 1;
    for (int number = 1; number < num; number++) {
        helper *one = malloc(sizeof *one);
        if (one) *one = (helper){all, number};
        if (!one || pthread_create(&all->helpers[number - 1], NULL, help, one)) {
            free(one);
            outcrop_threads_end(all);
            return NULL;
        }
        all->num++;
    }
    return all;
}

typedef _Atomic long counter;

/* The next piece of work that nobody has taken. */
static long take(counter *taken) { return atomic_fetch_add_explicit(taken, 1, memory_order_relaxed); }

/* The share of `num` pieces of work that a thread has: from its return value to *end. */
static long share(long num, int number, int of, long *end) {
    *end = num * (number + 1) / of;
    return num * number / of;
}
