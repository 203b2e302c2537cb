/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/simulator/bring_up.h"

#include <pthread.h>

#include "base/deadline.h"
#include "base/log.h"
#include "base/memory.h"

#define THREADS  4
#define RETRY_MS 1000

/*
 *   (waiting) ───────▶ (at work) ───────▶ (up) ──────── again ────────▶ (waiting)
 *       ▲                  │ failed                                         │
 *       └────── later ─────┴──────────── again, meanwhile ◀─────────────────┘
 */
struct item {
    bool waiting;
    bool at_work;
    bool was_up;
    int64_t not_before_ms;
};

struct bring_up {
    bring_up_one one;
    void *context;
    pthread_t threads[THREADS];
    size_t thread_count;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct item *items;
    size_t count;
    size_t waiting; /* items that are */
    size_t next;    /* where the search for one begins */
    size_t up;      /* items that have been up */
    bool stopping;
};

/** Called with the mutex held. Returns `count` when none is due; then *next_ms is when to look again. */
static size_t find_due(struct bring_up *bring_up, int64_t *next_ms)
{
    int64_t now_ms = clock_monotonic_ms();

    *next_ms = INT64_MAX;
    for (size_t i = 0; i < bring_up->count && bring_up->waiting > 0; i++) {
        size_t index = (bring_up->next + i) % bring_up->count;
        const struct item *item = &bring_up->items[index];

        if (!item->waiting || item->at_work)
            continue;
        if (item->not_before_ms <= now_ms) {
            bring_up->next = index + 1;
            return index;
        }
        if (item->not_before_ms < *next_ms)
            *next_ms = item->not_before_ms;
    }
    return bring_up->count;
}

/** Called with the mutex held. */
static void wait_for_change(struct bring_up *bring_up, int64_t until_ms)
{
    if (until_ms == INT64_MAX) {
        pthread_cond_wait(&bring_up->changed, &bring_up->mutex);
        return;
    }
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    pthread_cond_timedwait(&bring_up->changed, &bring_up->mutex, &until);
}

/** Called with the mutex held. */
static void note_result(struct bring_up *bring_up, size_t index, struct error *failure)
{
    struct item *item = &bring_up->items[index];

    item->at_work = false;
    if (!error_is_set(failure)) {
        bring_up->up += item->was_up ? 0 : 1;
        item->was_up = true;
        return;
    }
    log_trouble("a connection is not up yet, trying on", failure, LOG_INTEGER("connection", index));
    bring_up->waiting += item->waiting ? 0 : 1;
    item->waiting = true;
    item->not_before_ms = clock_monotonic_ms() + RETRY_MS;
}

/** Called with the mutex held. */
static void work(struct bring_up *bring_up, size_t index)
{
    struct item *item = &bring_up->items[index];
    cleanup_error struct error failure = ERROR_INIT;

    item->waiting = false;
    item->at_work = true;
    bring_up->waiting--;
    pthread_mutex_unlock(&bring_up->mutex);
    int result = bring_up->one(bring_up->context, index, &failure);
    (void)result; /* `failure` tells */
    pthread_mutex_lock(&bring_up->mutex);
    note_result(bring_up, index, &failure);
}

static void *run(void *argument)
{
    struct bring_up *bring_up = argument;

    pthread_mutex_lock(&bring_up->mutex);
    while (!bring_up->stopping) {
        int64_t next_ms;
        size_t index = find_due(bring_up, &next_ms);

        if (index < bring_up->count)
            work(bring_up, index);
        else
            wait_for_change(bring_up, next_ms);
    }
    pthread_mutex_unlock(&bring_up->mutex);
    return NULL;
}

static int start_threads(struct bring_up *bring_up, struct error *err)
{
    for (size_t i = 0; i < THREADS; i++) {
        int code = pthread_create(&bring_up->threads[i], NULL, run, bring_up);

        if (code != 0)
            return error_set_errno(err, code, "starting a thread", "bring-up");
        bring_up->thread_count++;
    }
    return 0;
}

int bring_up_start(size_t count, bring_up_one one, void *context, struct bring_up **ret, struct error *err)
{
    CLEANUP(bring_up_free) struct bring_up *bring_up = NEW(struct bring_up);
    pthread_condattr_t monotonic;

    pthread_mutex_init(&bring_up->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&bring_up->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    bring_up->one = one;
    bring_up->context = context;
    bring_up->items = NEW_ARRAY(struct item, count);
    bring_up->count = count;
    bring_up->waiting = count;
    for (size_t i = 0; i < count; i++)
        bring_up->items[i].waiting = true;
    if (start_threads(bring_up, err) < 0)
        return -1;
    *ret = TAKE_PTR(bring_up);
    return 0;
}

void bring_up_again(struct bring_up *bring_up, size_t index)
{
    pthread_mutex_lock(&bring_up->mutex);
    struct item *item = &bring_up->items[index];
    bring_up->waiting += item->waiting ? 0 : 1;
    item->waiting = true;
    item->not_before_ms = 0;
    pthread_cond_signal(&bring_up->changed);
    pthread_mutex_unlock(&bring_up->mutex);
}

bool bring_up_is_complete(struct bring_up *bring_up)
{
    pthread_mutex_lock(&bring_up->mutex);
    bool complete = bring_up->up == bring_up->count;
    pthread_mutex_unlock(&bring_up->mutex);
    return complete;
}

void bring_up_stop(struct bring_up *bring_up)
{
    if (!bring_up)
        return;
    pthread_mutex_lock(&bring_up->mutex);
    bring_up->stopping = true;
    pthread_cond_broadcast(&bring_up->changed);
    pthread_mutex_unlock(&bring_up->mutex);
    for (size_t i = 0; i < bring_up->thread_count; i++)
        pthread_join(bring_up->threads[i], NULL);
    bring_up->thread_count = 0;
}

void bring_up_free(struct bring_up *bring_up)
{
    if (!bring_up)
        return;
    bring_up_stop(bring_up);
    pthread_cond_destroy(&bring_up->changed);
    pthread_mutex_destroy(&bring_up->mutex);
    free(bring_up->items);
    free(bring_up);
}
