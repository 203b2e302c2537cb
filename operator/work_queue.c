/* SPDX-License-Identifier: Apache-2.0 */
#include "operator/work_queue.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/deadline.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/thread.h"

/*
 *                add                    take                     done
 *   (none) ─────────────▶ READY ───────────────────▶ WORKING ─────────────▶ (none)
 *      │                    ▲                         │ │  added meanwhile: READY
 *      │ add_at             │ its time has come, add  │ │  failed, or add_at meanwhile: DELAYED
 *      └────────────▶ DELAYED ◀───────────────────────┘ ▼
 */
enum item_state { ITEM_NEW, ITEM_READY, ITEM_DELAYED, ITEM_WORKING };

struct item {
    char *key; /* first: the tree is ordered by it */
    enum item_state state;
    int64_t at_ms;          /* while delayed, or to be delayed after the work; INT64_MAX: not */
    bool again;             /* added while it was worked on */
    int failures;           /* in a row */
    TAILQ_ENTRY(item) link; /* of `ready` or `delayed` */
};
TAILQ_HEAD(item_list, item);

struct work_queue {
    int retry_min_ms;
    int retry_max_ms;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    void *items; /* tsearch(3) */
    struct item_list ready;
    struct item_list delayed;
    size_t length;
    bool stopped;
};

static int compare_items(const void *a, const void *b)
{
    return strcmp(((const struct item *)a)->key, ((const struct item *)b)->key);
}

struct work_queue *work_queue_new(int retry_min_ms, int retry_max_ms)
{
    struct work_queue *queue = NEW(struct work_queue);

    queue->retry_min_ms = retry_min_ms;
    queue->retry_max_ms = retry_max_ms;
    pthread_mutex_init(&queue->mutex, NULL);
    condition_init(&queue->changed);
    TAILQ_INIT(&queue->ready);
    TAILQ_INIT(&queue->delayed);
    return queue;
}

static void item_free(void *pointer)
{
    struct item *item = pointer;

    free(item->key);
    free(item);
}

void work_queue_free(struct work_queue *queue)
{
    if (!queue)
        return;
    tdestroy(queue->items, item_free);
    pthread_cond_destroy(&queue->changed);
    pthread_mutex_destroy(&queue->mutex);
    free(queue);
}

static struct item *find(struct work_queue *queue, const char *key)
{
    const struct item wanted = {.key = (char *)key};
    struct item **found = tfind(&wanted, &queue->items, compare_items);

    return found ? *found : NULL;
}

static struct item *find_or_make(struct work_queue *queue, const char *key)
{
    struct item *item = find(queue, key);

    if (item)
        return item;
    item = NEW(struct item);
    item->key = text_copy(key);
    item->at_ms = INT64_MAX;
    memory_checked(tsearch(item, &queue->items, compare_items));
    queue->length++;
    return item;
}

static void drop(struct work_queue *queue, struct item *item)
{
    tdelete(item, &queue->items, compare_items);
    item_free(item);
    queue->length--;
}

static void make_ready(struct work_queue *queue, struct item *item)
{
    if (item->state == ITEM_DELAYED)
        TAILQ_REMOVE(&queue->delayed, item, link);
    item->state = ITEM_READY;
    item->at_ms = INT64_MAX;
    TAILQ_INSERT_TAIL(&queue->ready, item, link);
    pthread_cond_signal(&queue->changed);
}

static void make_delayed(struct work_queue *queue, struct item *item, int64_t at_ms)
{
    item->state = ITEM_DELAYED;
    item->at_ms = at_ms;
    TAILQ_INSERT_TAIL(&queue->delayed, item, link);
    pthread_cond_signal(&queue->changed);
}

void work_queue_add(struct work_queue *queue, const char *key)
{
    pthread_mutex_lock(&queue->mutex);
    struct item *item = find_or_make(queue, key);
    if (item->state == ITEM_WORKING)
        item->again = true;
    else if (item->state != ITEM_READY)
        make_ready(queue, item);
    pthread_mutex_unlock(&queue->mutex);
}

static bool is_backing_off(const struct item *item)
{
    return item->state == ITEM_DELAYED && item->failures > 0;
}

void work_queue_add_at(struct work_queue *queue, const char *key, int64_t at_ms)
{
    pthread_mutex_lock(&queue->mutex);
    struct item *item = find_or_make(queue, key);
    if (item->state == ITEM_NEW) {
        make_delayed(queue, item, at_ms);
    } else if (item->state != ITEM_READY && !is_backing_off(item) && at_ms < item->at_ms) {
        item->at_ms = at_ms;
        pthread_cond_signal(&queue->changed);
    }
    pthread_mutex_unlock(&queue->mutex);
}

/** Ready what is due; returns when the next one will be. */
static int64_t release_due(struct work_queue *queue)
{
    int64_t now_ms = clock_monotonic_ms();
    int64_t next_ms = INT64_MAX;
    struct item *next;

    for (struct item *item = TAILQ_FIRST(&queue->delayed); item; item = next) {
        next = TAILQ_NEXT(item, link);
        if (item->at_ms <= now_ms)
            make_ready(queue, item);
        else if (item->at_ms < next_ms)
            next_ms = item->at_ms;
    }
    return next_ms;
}

bool work_queue_take(struct work_queue *queue, char **ret)
{
    struct item *item = NULL;

    pthread_mutex_lock(&queue->mutex);
    while (!queue->stopped) {
        int64_t next_ms = release_due(queue);

        item = TAILQ_FIRST(&queue->ready);
        if (item)
            break;
        condition_wait_until(&queue->changed, &queue->mutex, next_ms);
    }
    if (item) {
        TAILQ_REMOVE(&queue->ready, item, link);
        item->state = ITEM_WORKING;
        *ret = text_copy(item->key);
    }
    pthread_mutex_unlock(&queue->mutex);
    return item != NULL;
}

static int64_t back_off_ms(const struct work_queue *queue, int failures)
{
    int64_t delay_ms = queue->retry_min_ms;

    while (--failures > 0 && delay_ms < queue->retry_max_ms)
        delay_ms *= 2;
    return delay_ms < queue->retry_max_ms ? delay_ms : queue->retry_max_ms;
}

int work_queue_done(struct work_queue *queue, const char *key, bool failed)
{
    pthread_mutex_lock(&queue->mutex);
    struct item *item = find(queue, key);
    bool again = item->again;
    int64_t at_ms = item->at_ms;

    item->again = false;
    item->failures = failed ? item->failures + 1 : 0;
    int failures = item->failures;
    if (failed)
        at_ms = clock_monotonic_ms() + back_off_ms(queue, item->failures);
    if (again)
        make_ready(queue, item);
    else if (at_ms != INT64_MAX)
        make_delayed(queue, item, at_ms);
    else
        drop(queue, item);
    pthread_mutex_unlock(&queue->mutex);
    return failures;
}

void work_queue_stop(struct work_queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    queue->stopped = true;
    pthread_cond_broadcast(&queue->changed);
    pthread_mutex_unlock(&queue->mutex);
}

size_t work_queue_length(struct work_queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    size_t length = queue->length;
    pthread_mutex_unlock(&queue->mutex);
    return length;
}
