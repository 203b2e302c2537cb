/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What is to be written to KV, the latest value of each key only: many changes of one key while NATS is slow or away
 * become one write. Everything ever put is kept, so that all of it can be written again after a reconnect. Thread-safe;
 * does no I/O.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct outbox;
/** Never fails. */
struct outbox *outbox_new(void);
void outbox_free(struct outbox *outbox);
DEFINE_CLEANUP(struct outbox *, outbox_free)

/** `bucket` is borrowed (a constant of contracts/names.h), `value` is taken. */
void outbox_put(struct outbox *outbox, const char *bucket, const char *key, char *value);
/** The key is to be deleted; once that is written it is forgotten. */
void outbox_delete(struct outbox *outbox, const char *bucket, const char *key);
/** True if the key is known, whether to be written, written or to be deleted. */
bool outbox_knows(struct outbox *outbox, const char *bucket, const char *key);
/** Write everything once more. */
void outbox_repeat_all(struct outbox *outbox);
/** True when nothing waits to be written. */
bool outbox_is_empty(struct outbox *outbox);

struct outbox_item {
    const char *bucket;
    char *key;   /**< owned */
    char *value; /**< NULL: delete the key; owned */
    uint64_t version;
};
void outbox_item_clear(struct outbox_item *item);
static inline void outbox_item_clear_at_exit(struct outbox_item *item)
{
    outbox_item_clear(item);
}
#define cleanup_outbox_item __attribute__((cleanup(outbox_item_clear_at_exit)))

/**
 * The waiting item with the lowest version above `after` (0: the first); versions count puts and deletes, so a sweep
 * that passes the last item's version on sees each item once, whatever fails.
 */
bool outbox_next(struct outbox *outbox, uint64_t after, struct outbox_item *ret);
/** The item was written. It still waits if it was put or deleted again meanwhile. */
void outbox_written(struct outbox *outbox, const struct outbox_item *item);
