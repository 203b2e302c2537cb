/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/reconciler.h"

#include <stdlib.h>
#include <string.h>

#include "agent/reconciler_worker.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/thread.h"

enum {
    EVENTS_SETTLE_MS = 50, /* events come in bursts: stop, died, cleanup, remove */
};

/* podman's events (the listener's threads) */

/** Actions after which a container may not be as it should be. Those of our own doing are among them: the pass they
 * cause finds nothing to do and causes none. */
static bool is_worth_a_look(const char *action)
{
    static const char *const actions[] = {"create", "start",   "restart", "died",   "stop",    "kill",
                                          "pause",  "unpause", "remove",  "rename", "cleanup", "restore"};

    for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
        if (strcmp(actions[i], action) == 0)
            return true;
    }
    return false;
}

static void on_event(void *context, const struct podman_event *event)
{
    struct reconciler *reconciler = context;

    if (strcmp(event->action, "died") == 0) {
        struct command *command = command_new(COMMAND_DEATH, event->deployment);
        command->service = text_copy(event->service);
        command->id = text_copy(event->id);
        command->exit_code = event->exit_code;
        inbox_push(reconciler->inbox, command);
    }
    if (is_worth_a_look(event->action))
        inbox_want_pass(reconciler->inbox, clock_monotonic_ms() + EVENTS_SETTLE_MS);
}

static void on_connected(void *context)
{
    struct reconciler *reconciler = context;

    inbox_push(reconciler->inbox, command_new(COMMAND_PODMAN_ANSWERS, NULL));
    inbox_want_pass(reconciler->inbox, clock_monotonic_ms() + EVENTS_SETTLE_MS);
}

static void on_look(void *context)
{
    struct reconciler *reconciler = context;

    inbox_nudge(reconciler->inbox);
}

static void on_version(void *context, const char *version)
{
    struct reconciler *reconciler = context;
    struct command *command = command_new(COMMAND_RUNTIME, NULL);

    command->data = text_format("podman %s", version);
    inbox_push(reconciler->inbox, command);
}

/* The worker */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/** When there is something to do if nobody tells us anything. */
static int64_t next_ms(const struct reconciler *reconciler)
{
    int64_t next = earlier(reconciler->tick_ms, reconciler->look_again_ms);

    if (deployment_table_working(&reconciler->table) == 0)
        next = earlier(next, reconciler->trim_ms);
    if (reconciler->outage.since_ms != 0)
        next = earlier(next, reconciler->outage.retry_ms);
    for (size_t i = 0; i < reconciler->table.count; i++) {
        const struct deployment *deployment = reconciler->table.items[i];
        next = earlier(next, state_report_flush_ms(&deployment->report));
        if (deployment->step == STEP_DUE && reconciler_can_begin(reconciler, deployment))
            next = earlier(next, deployment->due_ms);
    }
    return next;
}

static bool pass_is_due(const struct reconciler *reconciler)
{
    int64_t now_ms = clock_monotonic_ms();

    return now_ms >= reconciler->tick_ms || now_ms >= reconciler->look_again_ms ||
           (reconciler->outage.since_ms != 0 && now_ms >= reconciler->outage.retry_ms);
}

static void *run(void *context)
{
    struct reconciler *reconciler = context;
    struct delivery delivery = {0};

    while (inbox_wait(reconciler->inbox, next_ms(reconciler), &delivery)) {
        atomic_fetch_add(&reconciler->turns, 1);
        reconciler_apply(reconciler, delivery.commands);
        bool ended = reconciler_collect(reconciler);
        reconciler_observe(reconciler);
        if (ended || delivery.pass_wanted || pass_is_due(reconciler))
            reconciler_look(reconciler);
        reconciler_begin(reconciler);
        reconciler_report(reconciler);
        commands_free(TAKE_PTR(delivery.commands));
        reconciler_trim(reconciler);
    }
    commands_free(delivery.commands);
    return NULL;
}

/* The face */

static void dispose(struct reconciler *reconciler)
{
    if (!reconciler)
        return;
    podman_events_free(reconciler->events);
    look_free(reconciler->look);
    deployment_table_clear(&reconciler->table);
    desired_store_free(reconciler->store);
    inbox_free(reconciler->inbox);
    free(reconciler->outage.text);
    free(reconciler->runtime);
    free(reconciler->device_id);
    free(reconciler->podman_socket);
    free(reconciler);
}
DEFINE_CLEANUP(struct reconciler *, dispose)

static struct reconciler *reconciler_of(const struct reconciler_options *options)
{
    struct reconciler *reconciler = NEW(struct reconciler);

    reconciler->device_id = text_copy(options->device_id);
    reconciler->podman_socket = text_copy(options->podman_socket);
    reconciler->runtime_enabled = options->runtime_enabled;
    reconciler->interval_ms = options->interval_ms;
    reconciler->sink = options->sink;
    reconciler->inbox = inbox_new();
    reconciler->look_again_ms = INT64_MAX;
    reconciler->trim_ms = INT64_MAX;
    return reconciler; /* tick_ms is 0: the first pass is due at once */
}

static int start_threads(struct reconciler *reconciler, struct error *err)
{
    const struct podman_listener listener = {
        .connected = on_connected, .event = on_event, .version = on_version, .context = reconciler};

    const char *socket = reconciler->podman_socket;

    if (reconciler->runtime_enabled &&
        (look_start(socket, reconciler->device_id, on_look, reconciler, &reconciler->look, err) < 0 ||
         podman_events_start(socket, reconciler->device_id, &listener, &reconciler->events, err) < 0))
        return -1;
    return thread_start(&reconciler->thread, run, reconciler, err);
}

int reconciler_new(const struct reconciler_options *options, struct reconciler **ret, struct error *err)
{
    CLEANUP(dispose) struct reconciler *reconciler = reconciler_of(options);

    if (desired_store_new(options->state_directory, &reconciler->store, err) < 0 ||
        reconciler_load(reconciler, err) < 0)
        return -1;
    if (start_threads(reconciler, err) < 0)
        return -1;
    *ret = TAKE_PTR(reconciler);
    return 0;
}

void reconciler_free(struct reconciler *reconciler)
{
    if (!reconciler)
        return;
    inbox_stop(reconciler->inbox);
    thread_join(&reconciler->thread); /* it waits for nothing but its inbox */
    dispose(reconciler);
}

/** A name becomes part of a path and of container names; callers have checked it, so this is no way to fail. */
static bool is_usable(const char *deployment)
{
    if (token_is_valid(deployment))
        return true;
    log_warning("a deployment's name was refused", LOG_TEXT("deployment", deployment));
    return false;
}

void reconciler_put(struct reconciler *reconciler, const char *deployment, uint64_t revision, const char *data,
                    size_t size)
{
    if (!is_usable(deployment))
        return;
    struct command *command = command_new(COMMAND_PUT, deployment);

    command->revision = revision;
    if (size > SCORE_VALUE_MAX)
        command->refusal = text_format("the desired state has %zu bytes, over the limit of %u", size, SCORE_VALUE_MAX);
    else
        command->data = text_copy_n(data, size);
    command->size = size;
    inbox_push(reconciler->inbox, command);
}

void reconciler_delete(struct reconciler *reconciler, const char *deployment)
{
    if (is_usable(deployment))
        inbox_push(reconciler->inbox, command_new(COMMAND_DELETE, deployment));
}

void reconciler_bucket(struct reconciler *reconciler, uint64_t bucket)
{
    struct command *command = command_new(COMMAND_BUCKET, NULL);

    command->bucket = bucket;
    inbox_push(reconciler->inbox, command);
}

void reconciler_retain(struct reconciler *reconciler, const char *const *deployments, size_t count)
{
    struct command *command = command_new(COMMAND_RETAIN, NULL);

    for (size_t i = 0; i < count; i++)
        text_list_add(&command->names, deployments[i]);
    inbox_push(reconciler->inbox, command);
}

void reconciler_report_all(struct reconciler *reconciler)
{
    inbox_push(reconciler->inbox, command_new(COMMAND_REPORT_ALL, NULL));
}

void reconciler_wake(struct reconciler *reconciler)
{
    inbox_want_pass(reconciler->inbox, 0);
}

uint64_t reconciler_turns(struct reconciler *reconciler)
{
    return atomic_load(&reconciler->turns);
}

uint64_t reconciler_passes(struct reconciler *reconciler)
{
    return atomic_load(&reconciler->passes);
}
