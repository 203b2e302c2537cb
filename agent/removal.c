/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/removal.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/thread.h"

enum {
    CANCEL_CHECKED_MS = 50, /* a cancelled removal is noticed so soon */
};

/** All of them together. */
struct removal {
    pthread_mutex_t mutex; /* of what follows */
    pthread_cond_t condition;
    size_t running;
};

/** One of them, in a thread and on a connection of its own. */
struct removal_of_one {
    struct removal *removal;
    struct podman_client *client;
    const char *id;
    int grace_s;
    struct thread thread;
    struct error error;
};

static void *run(void *context)
{
    struct removal_of_one *one = context;

    if (podman_container_remove(one->client, one->id, one->grace_s, &one->error) < 0)
        error_wrap(&one->error, "removing containers", NULL);
    pthread_mutex_lock(&one->removal->mutex);
    one->removal->running--;
    pthread_cond_signal(&one->removal->condition);
    pthread_mutex_unlock(&one->removal->mutex);
    return NULL;
}

static int start_one(struct removal_of_one *one, const struct podman_client *like, struct error *err)
{
    if (podman_client_new(podman_client_socket(like), &one->client, err) < 0)
        return -1;
    pthread_mutex_lock(&one->removal->mutex);
    one->removal->running++;
    pthread_mutex_unlock(&one->removal->mutex);
    if (thread_start(&one->thread, run, one, err) == 0)
        return 0;
    pthread_mutex_lock(&one->removal->mutex);
    one->removal->running--;
    pthread_mutex_unlock(&one->removal->mutex);
    podman_client_free(TAKE_PTR(one->client));
    return -1;
}

/** Until all have ended; when `client` is cancelled, so are they. */
static void wait_for_all(struct removal *removal, struct removal_of_one *all, size_t count,
                         const struct podman_client *client)
{
    pthread_mutex_lock(&removal->mutex);
    while (removal->running > 0 && !podman_client_is_cancelled(client))
        condition_wait_until(&removal->condition, &removal->mutex, clock_monotonic_ms() + CANCEL_CHECKED_MS);
    pthread_mutex_unlock(&removal->mutex);
    for (size_t i = 0; i < count; i++) {
        if (podman_client_is_cancelled(client))
            podman_client_cancel(all[i].client);
    }
}

/** Join what was started; the first error moves to the unset *err. */
static void finish(struct removal_of_one *all, size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        thread_join(&all[i].thread);
        podman_client_free(all[i].client);
        if (error_is_set(&all[i].error) && !error_is_set(err))
            error_move(err, &all[i].error);
        error_clear(&all[i].error);
    }
}

int containers_remove(struct podman_client *client, const struct observed_container *const *containers, size_t count,
                      int grace_s, struct error *err)
{
    struct removal removal = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    size_t started = 0;

    if (count == 1)
        return podman_container_remove(client, containers[0]->id, grace_s, err);
    cleanup_free struct removal_of_one *all = NEW_ARRAY(struct removal_of_one, count);
    condition_init(&removal.condition);
    for (; started < count; started++) {
        all[started] = (struct removal_of_one){.removal = &removal, .id = containers[started]->id, .grace_s = grace_s};
        if (start_one(&all[started], client, err) < 0)
            break;
    }
    wait_for_all(&removal, all, started, client);
    finish(all, started, err);
    pthread_cond_destroy(&removal.condition);
    return error_is_set(err) ? -1 : 0;
}
