/* SPDX-License-Identifier: Apache-2.0 */
#include "messaging/kv.h"

#include <limits.h>
#include <pthread.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "contracts/names.h"

#define KV_WAIT_MS     3000 /* for JetStream to answer */
#define CREATE_WAIT_MS 250  /* the first time */

static const char *kv_code_name(int code)
{
    switch ((enum kv_error)code) {
    case KV_NOT_FOUND:
        return "not-found";
    case KV_UNAVAILABLE:
        return "unavailable";
    }
    return "unknown";
}

const struct error_domain kv_error_domain = {"kv", kv_code_name};

/** nats.c's objects for one generation of the connection; calls in progress hold references. */
struct kv_handles {
    unsigned references; /* under the bucket's mutex */
    uint64_t generation;
    jsCtx *jetstream;
    kvStore *store;
};

struct kv_bucket {
    struct nats_connection *connection;
    char *name;
    int value_max;
    pthread_mutex_t mutex;
    struct kv_handles *handles; /* NULL: none made yet */
};

static void handles_free(struct kv_handles *handles)
{
    if (!handles)
        return;
    kvStore_Destroy(handles->store);
    jsCtx_Destroy(handles->jetstream);
    free(handles);
}
DEFINE_CLEANUP(struct kv_handles *, handles_free)

/** nats.c's status as an error: the codes callers decide by, else nats's own. */
static int set_kv_error(struct error *err, natsStatus status, const char *operation, const char *subject)
{
    switch (status) {
    case NATS_NOT_FOUND:
        return error_set(err, &kv_error_domain, KV_NOT_FOUND, operation, subject, "not found");
    case NATS_NO_RESPONDERS:
        return error_set(err, &kv_error_domain, KV_UNAVAILABLE, operation, subject,
                         "nobody answers: JetStream is off, or the bucket does not exist");
    case NATS_NOT_PERMITTED:
        return error_set(err, &kv_error_domain, KV_UNAVAILABLE, operation, subject, "not permitted");
    default:
        return error_set_nats(err, status, operation, subject);
    }
}

static natsStatus try_to_create(const struct kv_bucket *bucket, natsConnection *connection, int wait_ms)
{
    jsCtx *jetstream = NULL;
    kvStore *store = NULL;
    jsOptions options;
    kvConfig config;

    jsOptions_Init(&options);
    options.Wait = wait_ms;
    kvConfig_Init(&config);
    config.Bucket = bucket->name;
    config.History = 1;
    config.StorageType = js_FileStorage;
    config.MaxValueSize = bucket->value_max;
    natsStatus status = natsConnection_JetStream(&jetstream, connection, &options);
    if (status == NATS_OK)
        status = js_CreateKeyValue(&store, jetstream, &config);
    kvStore_Destroy(store);
    jsCtx_Destroy(jetstream);
    return status;
}

/**
 * Create the bucket. A server does not answer a request it forbids, it tells the connection; so that this costs no long
 * time-out, we wait a little, see whether we were told, and ask again (which does no harm) with more patience.
 */
static natsStatus create_bucket(const struct kv_bucket *bucket, natsConnection *connection)
{
    natsStatus status = NATS_TIMEOUT;
    const char *ignored = NULL;

    for (int wait_ms = CREATE_WAIT_MS; status == NATS_TIMEOUT && wait_ms < KV_WAIT_MS; wait_ms *= 2) {
        status = try_to_create(bucket, connection, wait_ms);
        if (status == NATS_TIMEOUT && natsConnection_GetLastError(connection, &ignored) == NATS_NOT_PERMITTED)
            status = NATS_NOT_PERMITTED;
    }
    return status;
}

/** nats.c's part of handles_make(). */
static natsStatus handles_bind(const struct kv_bucket *bucket, natsConnection *connection, struct kv_handles *handles)
{
    jsOptions options;
    natsStatus status;

    jsOptions_Init(&options);
    options.Wait = KV_WAIT_MS;
    status = natsConnection_JetStream(&handles->jetstream, connection, &options);
    if (status == NATS_OK)
        status = js_KeyValue(&handles->store, handles->jetstream, bucket->name);
    if (status != NATS_NOT_FOUND)
        return status;
    status = create_bucket(bucket, connection);
    return status == NATS_OK ? js_KeyValue(&handles->store, handles->jetstream, bucket->name) : status;
}

/** Bind to the bucket over the connection's present handle, creating it where missing. NULL with *err set on failure. */
static struct kv_handles *handles_make(const struct kv_bucket *bucket, struct error *err)
{
    CLEANUP(handles_free) struct kv_handles *handles = NEW(struct kv_handles);
    natsConnection *connection;
    natsStatus status;

    handles->references = 2; /* the bucket's and the first caller's */
    handles->generation = nats_connection_generation(bucket->connection);
    connection = nats_connection_handle(bucket->connection);
    status = connection ? handles_bind(bucket, connection, handles) : NATS_NOT_YET_CONNECTED;
    if (status == NATS_OK)
        return TAKE_PTR(handles);
    if (status == NATS_NOT_FOUND)
        error_set(err, &kv_error_domain, KV_UNAVAILABLE, "opening bucket", bucket->name, "it does not exist");
    else if (status == NATS_NOT_PERMITTED)
        error_set(err, &kv_error_domain, KV_UNAVAILABLE, "opening bucket", bucket->name,
                  "it does not exist, and this user may not make it");
    else
        set_kv_error(err, status, "opening bucket", bucket->name);
    return NULL;
}

static void handles_release(struct kv_bucket *bucket, struct kv_handles *handles)
{
    if (!handles)
        return;
    pthread_mutex_lock(&bucket->mutex);
    bool last = --handles->references == 0;
    pthread_mutex_unlock(&bucket->mutex);
    if (last)
        handles_free(handles);
}

/**
 * The handles for the connection's present generation; ended by handles_release(). NULL with *err set on failure.
 */
static struct kv_handles *handles_acquire(struct kv_bucket *bucket, struct error *err)
{
    uint64_t generation = nats_connection_generation(bucket->connection);
    struct kv_handles *handles = NULL;

    pthread_mutex_lock(&bucket->mutex);
    if (bucket->handles && bucket->handles->generation == generation) {
        handles = bucket->handles;
        handles->references++;
    }
    pthread_mutex_unlock(&bucket->mutex);
    if (handles)
        return handles;

    handles = handles_make(bucket, err);
    if (!handles)
        return NULL;
    pthread_mutex_lock(&bucket->mutex);
    struct kv_handles *old = bucket->handles;
    bucket->handles = handles;
    pthread_mutex_unlock(&bucket->mutex);
    handles_release(bucket, old);
    return handles;
}

int kv_bucket_open(struct nats_connection *connection, const char *bucket_name, int value_max, struct kv_bucket **ret,
                   struct error *err)
{
    CLEANUP(kv_bucket_free) struct kv_bucket *bucket = NEW(struct kv_bucket);
    pthread_mutex_init(&bucket->mutex, NULL);
    bucket->connection = connection;
    bucket->name = text_copy(bucket_name);
    bucket->value_max = value_max;
    struct kv_handles *handles = handles_acquire(bucket, err);
    if (!handles)
        return -1;
    handles_release(bucket, handles);
    *ret = TAKE_PTR(bucket);
    return 0;
}

void kv_bucket_free(struct kv_bucket *bucket)
{
    if (!bucket)
        return;
    handles_free(bucket->handles);
    pthread_mutex_destroy(&bucket->mutex);
    free(bucket->name);
    free(bucket);
}

kvStore *kv_bucket_handle(struct kv_bucket *bucket)
{
    cleanup_error struct error ignored = ERROR_INIT;
    struct kv_handles *handles = handles_acquire(bucket, &ignored);

    if (!handles)
        return NULL;
    kvStore *store = handles->store;
    handles_release(bucket, handles); /* the bucket itself still holds them */
    return store;
}

int kv_put(struct kv_bucket *bucket, const char *key, const void *data, size_t size, uint64_t *ret_revision,
           struct error *err)
{
    uint64_t revision = 0;

    if (size > INT_MAX)
        return error_set(err, &general_error_domain, GENERAL_TOO_LARGE, "writing key", key, "%zu bytes", size);
    struct kv_handles *handles = handles_acquire(bucket, err);
    if (!handles)
        return -1;
    natsStatus status = kvStore_Put(&revision, handles->store, key, data, (int)size);
    handles_release(bucket, handles);
    if (status != NATS_OK)
        return set_kv_error(err, status, "writing key", key);
    if (ret_revision)
        *ret_revision = revision;
    return 0;
}

int kv_delete(struct kv_bucket *bucket, const char *key, struct error *err)
{
    struct kv_handles *handles = handles_acquire(bucket, err);

    if (!handles)
        return -1;
    natsStatus status = kvStore_Delete(handles->store, key);
    handles_release(bucket, handles);
    if (status != NATS_OK && status != NATS_NOT_FOUND)
        return set_kv_error(err, status, "deleting key", key);
    return 0;
}

int kv_get(struct kv_bucket *bucket, const char *key, struct kv_value *ret, struct error *err)
{
    struct kv_handles *handles = handles_acquire(bucket, err);
    kvEntry *entry = NULL;

    if (!handles)
        return -1;
    natsStatus status = kvStore_Get(&entry, handles->store, key);
    if (status == NATS_OK) {
        int size = kvEntry_ValueLen(entry);

        ret->size = size > 0 ? (size_t)size : 0;
        ret->data = text_copy_n(ret->size > 0 ? kvEntry_Value(entry) : "", ret->size);
        ret->revision = kvEntry_Revision(entry);
        kvEntry_Destroy(entry);
    }
    handles_release(bucket, handles);
    return status == NATS_OK ? 0 : set_kv_error(err, status, "reading key", key);
}

void kv_value_clear(struct kv_value *value)
{
    free(value->data);
    *value = (struct kv_value){0};
}

int kv_ensure_fleet_buckets(struct nats_connection *connection, struct error *err)
{
    for (const char *const *name = wire_buckets; *name; name++) {
        CLEANUP(kv_bucket_free) struct kv_bucket *bucket = NULL;

        if (kv_bucket_open(connection, *name, 0, &bucket, err) < 0)
            return -1;
    }
    return 0;
}
