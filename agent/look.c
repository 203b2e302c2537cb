/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/look.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/text.h"
#include "base/thread.h"

struct look {
    struct podman_client *client;
    char *device;
    void (*notify)(void *context);
    void *context;
    struct thread thread;

    pthread_mutex_t mutex; /* of what follows */
    pthread_cond_t condition;
    uint64_t requested; /* number of the last request */
    uint64_t begun;     /* number of the last one attended to */
    bool stopping;
    bool arrived; /* `result` is to be taken */
    struct look_result result;
};

void look_result_clear(struct look_result *result)
{
    observed_list_clear(&result->observed);
    error_clear(&result->error);
}

/** Wait for a request; false: we are to end. */
static bool wait_for_request(struct look *look, uint64_t *number)
{
    pthread_mutex_lock(&look->mutex);
    while (look->requested == look->begun && !look->stopping)
        pthread_cond_wait(&look->condition, &look->mutex);
    *number = look->begun = look->requested;
    bool go_on = !look->stopping;
    pthread_mutex_unlock(&look->mutex);
    return go_on;
}

static void *run(void *context)
{
    struct look *look = context;

    for (uint64_t number; wait_for_request(look, &number);) {
        struct look_result result = {.began_ms = clock_monotonic_ms(), .request = number};
        if (podman_container_list(look->client, look->device, NULL, &result.observed, &result.error) < 0 &&
            error_is(&result.error, &http_error_domain, HTTP_STOPPED)) {
            look_result_clear(&result);
            break; /* that was look_free */
        }
        pthread_mutex_lock(&look->mutex);
        look_result_clear(&look->result); /* of one that was not taken yet */
        look->result = result;
        look->arrived = true;
        pthread_mutex_unlock(&look->mutex);
        look->notify(look->context);
    }
    return NULL;
}

static void dispose(struct look *look)
{
    podman_client_free(look->client);
    look_result_clear(&look->result);
    pthread_cond_destroy(&look->condition);
    pthread_mutex_destroy(&look->mutex);
    free(look->device);
    free(look);
}

int look_start(const char *podman_socket, const char *device, void (*notify)(void *context), void *context,
               struct look **ret, struct error *err)
{
    struct podman_client *client = NULL;

    if (podman_client_new(podman_socket, &client, err) < 0)
        return -1;
    struct look *look = NEW(struct look);
    look->client = client;
    look->device = text_copy(device);
    look->notify = notify;
    look->context = context;
    pthread_mutex_init(&look->mutex, NULL);
    condition_init(&look->condition);
    if (thread_start(&look->thread, run, look, err) < 0) {
        dispose(look);
        return -1;
    }
    *ret = look;
    return 0;
}

void look_free(struct look *look)
{
    if (!look)
        return;
    pthread_mutex_lock(&look->mutex);
    look->stopping = true;
    pthread_cond_signal(&look->condition);
    pthread_mutex_unlock(&look->mutex);
    podman_client_cancel(look->client);
    thread_join(&look->thread);
    dispose(look);
}

uint64_t look_request(struct look *look)
{
    pthread_mutex_lock(&look->mutex);
    uint64_t number = ++look->requested;
    pthread_cond_signal(&look->condition);
    pthread_mutex_unlock(&look->mutex);
    return number;
}

bool look_take(struct look *look, struct look_result *ret)
{
    pthread_mutex_lock(&look->mutex);
    bool arrived = look->arrived;
    if (arrived) {
        *ret = look->result;
        look->result = (struct look_result){0};
        look->arrived = false;
    }
    pthread_mutex_unlock(&look->mutex);
    return arrived;
}
