/* SPDX-License-Identifier: Apache-2.0 */
#include "messaging/attempt.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/memory.h"

/* getaddrinfo(3) needs the most; its own buffers are on the stack. */
#define ATTEMPT_STACK_SIZE (256u << 10)

struct connect_attempt {
    pthread_mutex_t mutex;
    natsOptions *options;
    connect_attempt_done done;
    void *context;
    bool is_done;
    bool is_abandoned;
    natsConnection *connection;
    struct error error;
};

static atomic_uint abandoned_count;

unsigned connect_attempts_abandoned(void)
{
    return atomic_load(&abandoned_count);
}

static void attempt_destroy(struct connect_attempt *attempt)
{
    natsConnection_Destroy(attempt->connection);
    natsOptions_Destroy(attempt->options);
    error_clear(&attempt->error);
    pthread_mutex_destroy(&attempt->mutex);
    free(attempt);
}

static void *attempt_run(void *argument)
{
    struct connect_attempt *attempt = argument;
    connect_attempt_done done = attempt->done;
    void *context = attempt->context;
    cleanup_error struct error error = ERROR_INIT;
    natsConnection *connection = NULL;
    natsStatus status = natsConnection_Connect(&connection, attempt->options);

    if (status != NATS_OK)
        error_set_nats(&error, status, "connecting to NATS", NULL);
    pthread_mutex_lock(&attempt->mutex);
    attempt->connection = connection;
    error_move(&attempt->error, &error);
    attempt->is_done = true;
    bool is_abandoned = attempt->is_abandoned;
    pthread_mutex_unlock(&attempt->mutex); /* unless abandoned, its owner may free it from here on */
    done(context, status == NATS_OK);
    if (is_abandoned) {
        attempt_destroy(attempt);
        atomic_fetch_sub(&abandoned_count, 1);
    }
    return NULL;
}

static int start_thread(struct connect_attempt *attempt)
{
    pthread_attr_t attributes;
    pthread_t thread;
    int result;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, ATTEMPT_STACK_SIZE);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    result = pthread_create(&thread, &attributes, attempt_run, attempt);
    pthread_attr_destroy(&attributes);
    return result;
}

int connect_attempt_start(natsOptions *options, connect_attempt_done done, void *context, struct connect_attempt **ret,
                          struct error *err)
{
    struct connect_attempt *attempt = NEW(struct connect_attempt);
    int result;

    pthread_mutex_init(&attempt->mutex, NULL);
    attempt->options = options;
    attempt->done = done;
    attempt->context = context;
    result = start_thread(attempt);
    if (result != 0) {
        attempt_destroy(attempt);
        return error_set_errno(err, result, "starting a thread to connect to NATS", NULL);
    }
    *ret = attempt;
    return 0;
}

int connect_attempt_result(struct connect_attempt *attempt, natsConnection **ret, struct error *err)
{
    /* The mutex also orders us after the thread's last touch of the attempt. */
    pthread_mutex_lock(&attempt->mutex);
    natsConnection *connection = TAKE_PTR(attempt->connection);
    pthread_mutex_unlock(&attempt->mutex);
    if (!connection) {
        error_move(err, &attempt->error);
        return -1;
    }
    *ret = connection;
    return 0;
}

void connect_attempt_free(struct connect_attempt *attempt)
{
    if (!attempt)
        return;
    pthread_mutex_lock(&attempt->mutex);
    bool is_done = attempt->is_done;
    if (!is_done) {
        attempt->is_abandoned = true;
        atomic_fetch_add(&abandoned_count, 1);
    }
    pthread_mutex_unlock(&attempt->mutex);
    if (is_done)
        attempt_destroy(attempt);
}
