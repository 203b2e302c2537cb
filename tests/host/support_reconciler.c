/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/host/support_reconciler.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/memory.h"

enum { WAIT_MS = 30000 };

/** One deployment's reports. */
struct history {
    char *deployment;
    struct text_buffer phases;
    size_t count;
    bool removed;
    enum deployment_phase phase;
    uint64_t revision;
    char *message;
    char *error;
    struct text_list containers; /* "service id" */
};

struct reported {
    int event; /* readable when something was reported */
    pthread_mutex_t mutex;
    struct history *items;
    size_t count;
    char *runtime;
};

struct reported *reported_new(void)
{
    struct reported *reported = NEW(struct reported);

    reported->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&reported->mutex, NULL);
    return reported;
}

void reported_free(struct reported *reported)
{
    if (!reported)
        return;
    for (size_t i = 0; i < reported->count; i++) {
        struct history *history = &reported->items[i];
        free(history->deployment);
        text_buffer_clear(&history->phases);
        free(history->message);
        free(history->error);
        text_list_clear(&history->containers);
    }
    free(reported->items);
    free(reported->runtime);
    pthread_mutex_destroy(&reported->mutex);
    close(reported->event);
    free(reported);
}

/** With the mutex held. */
static struct history *history_of(struct reported *reported, const char *deployment)
{
    for (size_t i = 0; i < reported->count; i++) {
        if (strcmp(reported->items[i].deployment, deployment) == 0)
            return &reported->items[i];
    }
    reported->items = memory_resize(reported->items, reported->count + 1, sizeof(*reported->items));
    reported->items[reported->count] = (struct history){.deployment = text_copy(deployment)};
    return &reported->items[reported->count++];
}

static void notify(struct reported *reported)
{
    const uint64_t one = 1;

    if (write(reported->event, &one, sizeof(one)) != sizeof(one))
        abort(); /* it cannot overflow in a test */
}

static void on_changed(void *context, const char *deployment, const struct device_state *state)
{
    struct reported *reported = context;

    pthread_mutex_lock(&reported->mutex);
    struct history *history = history_of(reported, deployment);
    if (history->count == 0 || history->removed || history->phase != state->phase)
        text_buffer_format(&history->phases, "%s%s", history->phases.size ? " " : "",
                           deployment_phase_name(state->phase));
    history->count++;
    history->removed = false;
    history->phase = state->phase;
    history->revision = state->revision;
    free(history->message);
    history->message = text_copy(state->message);
    free(history->error);
    history->error = text_copy(state->error);
    text_list_clear(&history->containers);
    for (size_t i = 0; i < state->container_count; i++)
        text_list_format(&history->containers, "%s %s", state->containers[i].name, state->containers[i].id);
    pthread_mutex_unlock(&reported->mutex);
    notify(reported);
}

static void on_removed(void *context, const char *deployment)
{
    struct reported *reported = context;

    pthread_mutex_lock(&reported->mutex);
    struct history *history = history_of(reported, deployment);
    text_buffer_format(&history->phases, "%sremoved", history->phases.size ? " " : "");
    history->count++;
    history->removed = true;
    text_list_clear(&history->containers);
    pthread_mutex_unlock(&reported->mutex);
    notify(reported);
}

static void on_runtime(void *context, const char *runtime)
{
    struct reported *reported = context;

    pthread_mutex_lock(&reported->mutex);
    free(reported->runtime);
    reported->runtime = text_copy(runtime);
    pthread_mutex_unlock(&reported->mutex);
    notify(reported);
}

struct state_sink reported_sink(struct reported *reported)
{
    return (struct state_sink){
        .changed = on_changed, .removed = on_removed, .runtime_seen = on_runtime, .context = reported};
}

/* Waiting */

struct expectation {
    struct reported *reported;
    const char *deployment;
    bool removed;
    enum deployment_phase phase;
    uint64_t revision;
    const char *error;   /* NULL: not waited for */
    const char *message; /* NULL: not waited for */
    size_t more_than;    /* reports; 0: not waited for */
    const char *service; /* NULL: not waited for, else to be served by another container than `id` */
    const char *id;
};

static bool is_replaced(const struct expectation *expectation, const struct history *history)
{
    cleanup_free char *former = text_format("%s %s", expectation->service, expectation->id);

    return history->count > 0 && history->phase == PHASE_RUNNING && history->containers.count > 0 &&
           !text_list_contains(&history->containers, former);
}

static bool is_met(const struct expectation *expectation, const struct history *history)
{
    if (expectation->removed)
        return history->removed;
    if (expectation->more_than)
        return history->count > expectation->more_than;
    if (expectation->service)
        return is_replaced(expectation, history);
    if (expectation->message)
        return history->message && strstr(history->message, expectation->message);
    if (expectation->error)
        return history->error && strstr(history->error, expectation->error);
    return history->count > 0 && !history->removed && history->phase == expectation->phase &&
           history->revision == expectation->revision;
}

static int ask(void *context, struct text_buffer *state, struct error *err)
{
    const struct expectation *expectation = context;
    struct reported *reported = expectation->reported;
    uint64_t events;

    (void)err;
    if (read(reported->event, &events, sizeof(events)) < 0 && errno != EAGAIN)
        return error_set_errno(err, errno, "reading an eventfd", NULL);
    pthread_mutex_lock(&reported->mutex);
    const struct history *history = history_of(reported, expectation->deployment);
    bool met = is_met(expectation, history);
    text_buffer_format(state, "%s about revision %" PRIu64 ", message \"%s\", error \"%s\"",
                       text_buffer_text(&history->phases), history->revision, history->message ? history->message : "",
                       history->error ? history->error : "");
    pthread_mutex_unlock(&reported->mutex);
    return met;
}

static int wait_for(struct expectation *expectation, const char *what, struct error *err)
{
    const struct wait_options options = {.wake_fd = expectation->reported->event};
    cleanup_free char *subject = text_format("deployment %s to be %s", expectation->deployment, what);

    return wait_until(subject, ask, expectation, &options, deadline_in_ms(WAIT_MS), err);
}

int reported_wait(struct reported *reported, const char *deployment, enum deployment_phase phase, uint64_t revision,
                  struct error *err)
{
    struct expectation expectation = {
        .reported = reported, .deployment = deployment, .phase = phase, .revision = revision};

    return wait_for(&expectation, deployment_phase_name(phase), err);
}

int reported_wait_error(struct reported *reported, const char *deployment, const char *text, struct error *err)
{
    struct expectation expectation = {.reported = reported, .deployment = deployment, .error = text};

    return wait_for(&expectation, text, err);
}

int reported_wait_message(struct reported *reported, const char *deployment, const char *text, struct error *err)
{
    struct expectation expectation = {.reported = reported, .deployment = deployment, .message = text};

    return wait_for(&expectation, text, err);
}

int reported_wait_more(struct reported *reported, const char *deployment, size_t count, struct error *err)
{
    struct expectation expectation = {.reported = reported, .deployment = deployment, .more_than = count};

    return wait_for(&expectation, "reported again", err);
}

int reported_wait_replaced(struct reported *reported, const char *deployment, const char *service, const char *id,
                           struct error *err)
{
    struct expectation expectation = {.reported = reported, .deployment = deployment, .service = service, .id = id};

    return wait_for(&expectation, "Running in another container", err);
}

int reported_wait_removed(struct reported *reported, const char *deployment, struct error *err)
{
    struct expectation expectation = {.reported = reported, .deployment = deployment, .removed = true};

    return wait_for(&expectation, "removed", err);
}

struct runtime_expectation {
    struct reported *reported;
    const char *runtime;
};

static int ask_runtime(void *context, struct text_buffer *state, struct error *err)
{
    const struct runtime_expectation *expectation = context;
    struct reported *reported = expectation->reported;

    (void)err;
    pthread_mutex_lock(&reported->mutex);
    bool met = text_equal(reported->runtime, expectation->runtime);
    text_buffer_add(state, reported->runtime ? reported->runtime : "nothing");
    pthread_mutex_unlock(&reported->mutex);
    return met;
}

int reported_wait_runtime(struct reported *reported, const char *runtime, struct error *err)
{
    struct runtime_expectation expectation = {reported, runtime};

    return wait_until("the runtime to be seen", ask_runtime, &expectation, NULL, deadline_in_ms(WAIT_MS), err);
}

struct pass_expectation {
    struct reconciler *reconciler;
    uint64_t passes;
};

static int ask_passes(void *context, struct text_buffer *state, struct error *err)
{
    const struct pass_expectation *expectation = context;
    uint64_t passes = reconciler_passes(expectation->reconciler);

    (void)err;
    text_buffer_format(state, "%" PRIu64 " passes", passes);
    return passes >= expectation->passes;
}

int reconcile_times(struct reconciler *reconciler, int passes, struct error *err)
{
    for (int i = 0; i < passes; i++) {
        struct pass_expectation expectation = {reconciler, reconciler_passes(reconciler) + 1};
        reconciler_wake(reconciler);
        if (wait_until("a reconcile pass", ask_passes, &expectation, NULL, deadline_in_ms(WAIT_MS), err) < 0)
            return -1;
    }
    return 0;
}

/* Looking */

size_t reported_count(struct reported *reported, const char *deployment)
{
    pthread_mutex_lock(&reported->mutex);
    size_t count = history_of(reported, deployment)->count;
    pthread_mutex_unlock(&reported->mutex);
    return count;
}

char *reported_history(struct reported *reported, const char *deployment)
{
    pthread_mutex_lock(&reported->mutex);
    char *history = text_copy(text_buffer_text(&history_of(reported, deployment)->phases));
    pthread_mutex_unlock(&reported->mutex);
    return history;
}

char *reported_error(struct reported *reported, const char *deployment)
{
    pthread_mutex_lock(&reported->mutex);
    const char *error = history_of(reported, deployment)->error;
    char *copy = text_copy(error ? error : "");
    pthread_mutex_unlock(&reported->mutex);
    return copy;
}

char *reported_id(struct reported *reported, const char *deployment, const char *service)
{
    cleanup_free char *prefix = text_format("%s ", service);
    char *id = NULL;

    pthread_mutex_lock(&reported->mutex);
    const struct text_list *containers = &history_of(reported, deployment)->containers;
    for (size_t i = 0; !id && i < containers->count; i++) {
        if (text_starts_with(containers->items[i], prefix))
            id = text_copy(containers->items[i] + strlen(prefix));
    }
    pthread_mutex_unlock(&reported->mutex);
    return id ? id : text_copy("");
}
