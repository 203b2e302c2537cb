/* SPDX-License-Identifier: Apache-2.0 */
#include "operator/controller.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/thread.h"

#define WRITE_MS    5000
#define WORKERS_MAX 4

struct controller {
    const struct controller_kind *kind;
    struct controller_context *context;
    struct work_queue *queue;
    struct worker {
        struct controller *controller;
        struct thread thread;
        bool started;
        atomic_llong busy_since_ms; /* clock_monotonic_ms(); 0: it is not */
        void *state;
    } workers[WORKERS_MAX];
};

int controller_may_write(struct controller_context *context, struct deadline *deadline, struct error *err)
{
    *deadline = deadline_min(deadline_in_ms(WRITE_MS), leader_deadline(context->leader));
    if (leader_is(context->leader))
        return 0;
    return error_set(err, &general_error_domain, GENERAL_CANCELLED, "writing", NULL, "not the leader any more");
}

/** Conflicts are the way of the API: somebody wrote in between, and we look again. */
static bool is_worth_a_word(const struct error *failure)
{
    return !error_is(failure, &kube_error_domain, KUBE_CONFLICT) &&
           !error_is(failure, &general_error_domain, GENERAL_CANCELLED);
}

static void work(struct worker *worker, const char *key)
{
    struct controller *controller = worker->controller;
    struct metrics *metrics = controller->context->metrics;
    cleanup_error struct error failure = ERROR_INIT;
    int64_t began_us = clock_monotonic_us();
    bool failed = controller->kind->reconcile(controller->context, worker->state, key, &failure) < 0;

    metrics_add(metrics, controller->kind->reconciles, 1);
    metrics_add(metrics, controller->kind->microseconds, (uint64_t)(clock_monotonic_us() - began_us));
    if (failed)
        metrics_add(metrics, controller->kind->failures, 1);
    int failures = work_queue_done(controller->queue, key, failed);
    bool again = (failures & (failures - 1)) != 0; /* neither the first nor twice as many as were told of last */
    if (failed && !again && is_worth_a_word(&failure))
        log_trouble("failed, trying again", &failure, LOG_TEXT(controller->kind->name, key),
                    LOG_INTEGER("failures", failures));
}

static void *run(void *context)
{
    struct worker *worker = context;
    struct controller *controller = worker->controller;
    char *key = NULL;

    while (leader_wait(controller->context->leader) && work_queue_take(controller->queue, &key)) {
        cleanup_free char *taken = TAKE_PTR(key);

        atomic_store(&worker->busy_since_ms, clock_monotonic_ms());
        work(worker, taken);
        atomic_store(&worker->busy_since_ms, 0);
    }
    return NULL;
}

int controller_start(const struct controller_kind *kind, struct controller_context *context, struct work_queue *queue,
                     int workers, struct controller **ret, struct error *err)
{
    struct controller *controller = NEW(struct controller);

    controller->kind = kind;
    controller->context = context;
    controller->queue = queue;
    for (int i = 0; i < workers && i < WORKERS_MAX; i++) {
        struct worker *worker = &controller->workers[i];

        worker->controller = controller;
        worker->state = kind->state_new ? kind->state_new(context) : NULL;
        if (thread_start(&worker->thread, run, worker, err) < 0) {
            leader_resign(context->leader); /* or the others would not end */
            controller_free(controller);
            return -1;
        }
        worker->started = true;
    }
    *ret = controller;
    return 0;
}

int64_t controller_busy_ms(const struct controller *controller, int64_t now_ms)
{
    int64_t longest_ms = 0;

    for (size_t i = 0; i < WORKERS_MAX; i++) {
        int64_t since_ms = atomic_load(&controller->workers[i].busy_since_ms);

        if (since_ms > 0 && now_ms - since_ms > longest_ms)
            longest_ms = now_ms - since_ms;
    }
    return longest_ms;
}

void controller_stop(struct controller *controller)
{
    if (!controller)
        return;
    work_queue_stop(controller->queue);
    for (size_t i = 0; i < WORKERS_MAX; i++) {
        struct worker *worker = &controller->workers[i];

        if (worker->started)
            thread_join(&worker->thread);
        worker->started = false;
    }
}

void controller_free(struct controller *controller)
{
    if (!controller)
        return;
    controller_stop(controller);
    for (size_t i = 0; i < WORKERS_MAX; i++) {
        if (controller->kind->state_free)
            controller->kind->state_free(controller->workers[i].state);
    }
    free(controller);
}
