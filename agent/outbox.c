/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/outbox.h"

#include <pthread.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

struct entry {
    const char *bucket;
    char *key;
    char *value; /* NULL: to be deleted */
    uint64_t version;
    bool waits;
};

struct outbox {
    pthread_mutex_t mutex;
    uint64_t last_version;
    struct entry *entries; /* at most one a key; a device has few, so they are searched one by one */
    size_t count;
};

struct outbox *outbox_new(void)
{
    struct outbox *outbox = NEW(struct outbox);

    pthread_mutex_init(&outbox->mutex, NULL);
    return outbox;
}

static void entry_clear(struct entry *entry)
{
    free(entry->key);
    free(entry->value);
}

void outbox_free(struct outbox *outbox)
{
    if (!outbox)
        return;
    for (size_t i = 0; i < outbox->count; i++)
        entry_clear(&outbox->entries[i]);
    free(outbox->entries);
    pthread_mutex_destroy(&outbox->mutex);
    free(outbox);
}

void outbox_item_clear(struct outbox_item *item)
{
    free(item->key);
    free(item->value);
    *item = (struct outbox_item){0};
}

static struct entry *find(struct outbox *outbox, const char *bucket, const char *key)
{
    for (size_t i = 0; i < outbox->count; i++) {
        if (strcmp(outbox->entries[i].key, key) == 0 && strcmp(outbox->entries[i].bucket, bucket) == 0)
            return &outbox->entries[i];
    }
    return NULL;
}

static void set(struct outbox *outbox, const char *bucket, const char *key, char *value)
{
    struct entry *entry;

    pthread_mutex_lock(&outbox->mutex);
    entry = find(outbox, bucket, key);
    if (!entry) {
        outbox->entries = memory_resize(outbox->entries, outbox->count + 1, sizeof(*entry));
        entry = &outbox->entries[outbox->count++];
        *entry = (struct entry){.bucket = bucket, .key = text_copy(key)};
    }
    free(entry->value);
    entry->value = value;
    entry->version = ++outbox->last_version;
    entry->waits = true;
    pthread_mutex_unlock(&outbox->mutex);
}

void outbox_put(struct outbox *outbox, const char *bucket, const char *key, char *value)
{
    set(outbox, bucket, key, value);
}

void outbox_delete(struct outbox *outbox, const char *bucket, const char *key)
{
    set(outbox, bucket, key, NULL);
}

bool outbox_knows(struct outbox *outbox, const char *bucket, const char *key)
{
    pthread_mutex_lock(&outbox->mutex);
    bool knows = find(outbox, bucket, key) != NULL;
    pthread_mutex_unlock(&outbox->mutex);
    return knows;
}

void outbox_repeat_all(struct outbox *outbox)
{
    pthread_mutex_lock(&outbox->mutex);
    for (size_t i = 0; i < outbox->count; i++)
        outbox->entries[i].waits = true;
    pthread_mutex_unlock(&outbox->mutex);
}

bool outbox_is_empty(struct outbox *outbox)
{
    bool empty = true;

    pthread_mutex_lock(&outbox->mutex);
    for (size_t i = 0; i < outbox->count; i++)
        empty = empty && !outbox->entries[i].waits;
    pthread_mutex_unlock(&outbox->mutex);
    return empty;
}

bool outbox_next(struct outbox *outbox, uint64_t after, struct outbox_item *ret)
{
    const struct entry *next = NULL;

    pthread_mutex_lock(&outbox->mutex);
    for (size_t i = 0; i < outbox->count; i++) {
        const struct entry *entry = &outbox->entries[i];

        if (entry->waits && entry->version > after && (!next || entry->version < next->version))
            next = entry;
    }
    if (next)
        *ret = (struct outbox_item){next->bucket, text_copy(next->key), text_copy(next->value), next->version};
    pthread_mutex_unlock(&outbox->mutex);
    return next != NULL;
}

void outbox_written(struct outbox *outbox, const struct outbox_item *item)
{
    struct entry *entry;

    pthread_mutex_lock(&outbox->mutex);
    entry = find(outbox, item->bucket, item->key);
    if (entry && entry->version == item->version) {
        entry->waits = false;
        if (!entry->value) {
            entry_clear(entry);
            *entry = outbox->entries[--outbox->count];
        }
    }
    pthread_mutex_unlock(&outbox->mutex);
}
