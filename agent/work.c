/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/work.h"

#include <pthread.h>
#include <stdlib.h>

#include "agent/converge.h"
#include "agent/podman_client.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/thread.h"

struct work {
    struct convergence convergence;
    char *device;
    char *deployment;
    size_t service_count;
    const struct desired_store *store;
    struct desired_change change;
    bool only_store;
    struct score *kept; /* freed with us */
    void (*notify)(void *context);
    void *context;
    struct thread thread;

    pthread_mutex_t mutex; /* of what follows */
    char *progress;        /* not taken yet; NULL: none */
    bool ended;
    struct error error;
};

static void note_progress(void *context, const char *text)
{
    struct work *work = context;

    pthread_mutex_lock(&work->mutex);
    free(work->progress);
    work->progress = text_copy(text);
    pthread_mutex_unlock(&work->mutex);
    work->notify(work->context);
}

/** That it fails is no reason not to do what is wanted; it is tried again later, and said once. */
static void put_on_disk(struct work *work)
{
    cleanup_error struct error err = ERROR_INIT;

    if (desired_store_apply(work->store, work->deployment, &work->change, &err) == 0) {
        if (work->change.failed)
            log_info("a desired state was stored after all", LOG_TEXT("deployment", work->deployment));
        desired_change_clear(&work->change);
        return;
    }
    if (!work->change.failed)
        log_failure("a desired state could not be stored: after a reboot it has to come from NATS", &err,
                    LOG_TEXT("deployment", work->deployment));
    work->change.failed = true;
}

static void *run(void *context)
{
    struct work *work = context;
    struct error err = ERROR_INIT;

    put_on_disk(work);
    int result = work->only_store ? 0 : converge(&work->convergence, &err);
    pthread_mutex_lock(&work->mutex);
    if (result < 0)
        error_move(&work->error, &err);
    work->ended = true;
    pthread_mutex_unlock(&work->mutex);
    work->notify(work->context);
    return NULL;
}

static struct work *work_of(const struct work_order *order, struct podman_client *client)
{
    struct work *work = NEW(struct work);

    work->device = text_copy(order->device);
    work->deployment = text_copy(order->deployment);
    work->service_count = order->score ? order->score->podman.service_count : 0;
    work->store = order->store;
    work->change = order->change;
    work->only_store = order->only_store;
    work->notify = order->notify;
    work->context = order->context;
    work->convergence = (struct convergence){
        .client = client,
        .device = work->device,
        .deployment = work->deployment,
        .podman = order->score ? &order->score->podman : NULL,
        .verified = NEW_ARRAY(char *, work->service_count),
        .retry_failed = order->retry_failed,
        .failures = order->failures,
        .progress = note_progress,
        .context = work,
    };
    for (size_t i = 0; i < work->service_count; i++)
        work->convergence.verified[i] = text_copy(order->verified[i]);
    pthread_mutex_init(&work->mutex, NULL);
    return work;
}

/** All but the thread, which has ended or never began. */
static void dispose(struct work *work)
{
    for (size_t i = 0; i < work->service_count; i++)
        free(work->convergence.verified[i]);
    free(work->convergence.verified);
    podman_client_free(work->convergence.client);
    free(work->device);
    free(work->deployment);
    score_free(work->kept);
    desired_change_clear(&work->change);
    free(work->progress);
    error_clear(&work->error);
    pthread_mutex_destroy(&work->mutex);
    free(work);
}

int work_start(const struct work_order *order, struct work **ret, struct error *err)
{
    struct podman_client *client = NULL;

    if (podman_client_new(order->podman_socket, &client, err) < 0)
        return -1;
    struct work *work = work_of(order, client);
    if (thread_start(&work->thread, run, work, err) < 0) {
        work->change = (struct desired_change){0}; /* stays the caller's */
        dispose(work);
        return error_wrap(err, "starting work on", order->deployment);
    }
    *ret = work;
    return 0;
}

void work_cancel(struct work *work)
{
    podman_client_cancel(work->convergence.client);
}

void work_keep(struct work *work, struct score *score)
{
    work->kept = score;
}

char *work_progress(struct work *work)
{
    pthread_mutex_lock(&work->mutex);
    char *progress = TAKE_PTR(work->progress);
    pthread_mutex_unlock(&work->mutex);
    return progress;
}

bool work_has_ended(struct work *work)
{
    pthread_mutex_lock(&work->mutex);
    bool ended = work->ended;
    pthread_mutex_unlock(&work->mutex);
    return ended;
}

int work_result(struct work *work, struct error *err)
{
    if (!error_is_set(&work->error))
        return 0;
    error_move(err, &work->error);
    return -1;
}

struct desired_change work_unstored(struct work *work)
{
    struct desired_change change = work->change;

    work->change = (struct desired_change){0};
    return change;
}

char *const *work_verified(const struct work *work)
{
    return work->convergence.verified;
}

void work_free(struct work *work)
{
    if (!work)
        return;
    work_cancel(work);
    thread_join(&work->thread);
    dispose(work);
}
