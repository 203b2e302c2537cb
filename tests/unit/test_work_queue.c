/* SPDX-License-Identifier: Apache-2.0 */
#include "operator/work_queue.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/deadline.h"
#include "base/text.h"
#include "harness/test.h"

#define RETRY_MIN_MS 20
#define RETRY_MAX_MS 100

/** Take the next key, which must be `key`. */
static int take(struct work_queue *queue, const char *key, struct error *err)
{
    cleanup_free char *taken = NULL;

    CHECK(work_queue_take(queue, &taken), "the queue is stopped");
    CHECK(strcmp(taken, key) == 0, "%s instead of %s", taken, key);
    return 0;
}

FLEET_TEST(work_queue, a_key_is_in_it_once)
{
    CLEANUP(work_queue_free) struct work_queue *queue = work_queue_new(RETRY_MIN_MS, RETRY_MAX_MS);

    work_queue_add(queue, "a");
    work_queue_add(queue, "b");
    work_queue_add(queue, "a");
    work_queue_add_at(queue, "a", 0);
    CHECK(work_queue_length(queue) == 2, "%zu keys", work_queue_length(queue));
    TRY(take(queue, "a", err));
    TRY(take(queue, "b", err));
    work_queue_done(queue, "a", false);
    work_queue_done(queue, "b", false);
    CHECK(work_queue_length(queue) == 0, "%zu keys are left", work_queue_length(queue));
    return 0;
}

FLEET_TEST(work_queue, what_is_added_at_work_comes_again_afterwards)
{
    CLEANUP(work_queue_free) struct work_queue *queue = work_queue_new(RETRY_MIN_MS, RETRY_MAX_MS);

    work_queue_add(queue, "a");
    TRY(take(queue, "a", err));
    work_queue_add(queue, "a");
    work_queue_add(queue, "b");
    TRY(take(queue, "b", err)); /* not a: it has a worker */
    work_queue_done(queue, "a", false);
    TRY(take(queue, "a", err));
    work_queue_done(queue, "a", false);
    work_queue_done(queue, "b", false);
    CHECK(work_queue_length(queue) == 0, "%zu keys are left", work_queue_length(queue));
    return 0;
}

FLEET_TEST(work_queue, a_delayed_key_waits_for_its_time)
{
    CLEANUP(work_queue_free) struct work_queue *queue = work_queue_new(RETRY_MIN_MS, RETRY_MAX_MS);
    int64_t now_ms = clock_monotonic_ms();

    work_queue_add_at(queue, "late", now_ms + 60);
    work_queue_add_at(queue, "soon", now_ms + 30);
    work_queue_add_at(queue, "late", now_ms + 90); /* a later time changes nothing */
    TRY(take(queue, "soon", err));
    CHECK(clock_monotonic_ms() >= now_ms + 30, "too early");
    TRY(take(queue, "late", err));
    CHECK(clock_monotonic_ms() >= now_ms + 60, "too early");
    work_queue_done(queue, "soon", false);
    work_queue_done(queue, "late", false);
    work_queue_add_at(queue, "late", now_ms + 3600000);
    work_queue_add(queue, "late"); /* now is earlier */
    return take(queue, "late", err);
}

FLEET_TEST(work_queue, failures_back_off_each_by_itself)
{
    CLEANUP(work_queue_free) struct work_queue *queue = work_queue_new(RETRY_MIN_MS, RETRY_MAX_MS);
    int64_t expected_ms[] = {20, 40, 80, 100, 100};

    work_queue_add(queue, "bad");
    TRY(take(queue, "bad", err));
    for (size_t i = 0; i < ARRAY_SIZE(expected_ms); i++) {
        int64_t began_ms = clock_monotonic_ms();
        int failures = work_queue_done(queue, "bad", true);

        CHECK(failures == (int)i + 1, "%d failures", failures);
        work_queue_add(queue, "good");
        TRY(take(queue, "good", err)); /* is not held up */
        work_queue_done(queue, "good", false);
        TRY(take(queue, "bad", err));
        CHECK(clock_monotonic_ms() - began_ms >= expected_ms[i] - 1, "after %" PRId64 " ms",
              clock_monotonic_ms() - began_ms);
    }
    work_queue_done(queue, "bad", false);
    CHECK(work_queue_length(queue) == 0, "%zu keys are left", work_queue_length(queue));
    work_queue_add(queue, "bad");
    TRY(take(queue, "bad", err));
    CHECK(work_queue_done(queue, "bad", true) == 1, "a success is not remembered");
    return 0;
}

FLEET_TEST(work_queue, what_may_wait_does_not_shorten_a_back_off)
{
    CLEANUP(work_queue_free) struct work_queue *queue = work_queue_new(RETRY_MAX_MS, RETRY_MAX_MS);
    int64_t began_ms = clock_monotonic_ms();

    work_queue_add(queue, "bad");
    TRY(take(queue, "bad", err));
    work_queue_add_at(queue, "bad", began_ms); /* due, and then it fails */
    work_queue_done(queue, "bad", true);
    work_queue_add_at(queue, "bad", began_ms); /* and once more, meanwhile */
    TRY(take(queue, "bad", err));
    CHECK(clock_monotonic_ms() - began_ms >= RETRY_MAX_MS, "after %" PRId64 " ms", clock_monotonic_ms() - began_ms);
    work_queue_done(queue, "bad", false);
    CHECK(work_queue_length(queue) == 0, "it comes again");
    return 0;
}

/** Counts what two workers do with one key at a time. */
struct crew {
    struct work_queue *queue;
    atomic_int at_work; /* on the one key */
    atomic_int done;
    atomic_bool doubled;
};

static void *work(void *context)
{
    struct crew *crew = context;
    char *key = NULL;

    while (work_queue_take(crew->queue, &key)) {
        if (atomic_fetch_add(&crew->at_work, 1) != 0)
            atomic_store(&crew->doubled, true);
        atomic_fetch_add(&crew->done, 1);
        atomic_fetch_sub(&crew->at_work, 1);
        work_queue_done(crew->queue, key, false);
        free(TAKE_PTR(key));
    }
    return NULL;
}

static int is_empty(void *context, struct text_buffer *state, struct error *err __attribute__((unused)))
{
    text_buffer_format(state, "%zu keys", work_queue_length(context));
    return work_queue_length(context) == 0;
}

FLEET_TEST(work_queue, one_worker_a_key)
{
    CLEANUP(work_queue_free) struct work_queue *queue = work_queue_new(RETRY_MIN_MS, RETRY_MAX_MS);
    struct crew crew = {.queue = queue};
    pthread_t workers[2];
    int started = 0;

    while (started < 2 && pthread_create(&workers[started], NULL, work, &crew) == 0)
        started++;
    for (int i = 0; i < 20000; i++)
        work_queue_add(queue, "key");
    int emptied = wait_until("the queue to be empty", is_empty, queue, NULL, deadline_in_ms(10000), err);
    work_queue_stop(queue);
    for (int i = 0; i < started; i++)
        pthread_join(workers[i], NULL);
    TRY(emptied);
    CHECK(started == 2 && !crew.doubled && crew.done > 0, "two workers had the same key");
    return 0;
}
