/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/vm/support_events.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/json.h"
#include "base/memory.h"
#include "fixtures/podman_host_model.h"

#define STREAM_MS      280000 /* a test has no longer */
#define BEGUN_MS       60000
#define EVENT_LINE_MAX (256u << 10)
#define EVENTS_COMMAND "podman events --format=json --filter=type=container --filter=type=image --since="

/* The first line is for us: whom to end, and when it began. podman is told to begin there, however late it begins. */
static const char stream_command[] = "since=$(date --utc +%Y-%m-%dT%H:%M:%S.%NZ); echo \"$$ $since\"; "
                                     "exec " EVENTS_COMMAND "\"$since\" --stream=true";

struct vm_event {
    char *line;       /**< as podman printed it: one event is known by its bytes */
    char *text;       /**< "type action name" */
    char *deployment; /**< NULL: not of a container of ours */
};

struct vm_event_recorder {
    struct vm_device *device;
    pthread_t thread;
    bool running;
    int wake;             /**< eventfd */
    pthread_mutex_t lock; /**< guards what follows */
    struct text_buffer rest;
    char *process; /**< podman's pid on the device; NULL: it has not begun */
    char *since;
    struct vm_event *events;
    size_t count;
    bool ended; /**< nothing will arrive any more */
    struct error why_ended;
};

/** Lock held. */
static bool is_known(const struct vm_event_recorder *recorder, const char *line)
{
    for (size_t i = 0; i < recorder->count; i++) {
        if (text_equal(recorder->events[i].line, line))
            return true;
    }
    return false;
}

/** Lock held. */
static void take_event(struct vm_event_recorder *recorder, const char *line)
{
    CLEANUP(cJSON_Delete) cJSON *event = cJSON_Parse(line);
    const char *type = json_text_or(event, "Type", NULL);
    const char *action = json_text_or(event, "Status", NULL);
    const char *name = json_text_or(event, "Name", NULL);
    const cJSON *attributes = cJSON_GetObjectItemCaseSensitive(event, "Attributes");

    /* "sync" is podman reading a container's state again: nothing happened. */
    if (!type || !action || text_equal(action, "sync") || is_known(recorder, line))
        return;
    recorder->events = memory_resize(recorder->events, recorder->count + 1, sizeof(*recorder->events));
    recorder->events[recorder->count++] = (struct vm_event){
        .line = text_copy(line),
        .text = text_format("%s %s %s", type, action, name ? name : "?"),
        .deployment = text_copy(json_text_or(attributes, LABEL_DEPLOYMENT, NULL)),
    };
}

/** Lock held. */
static void take_line(struct vm_event_recorder *recorder, const char *line)
{
    const char *space = strchr(line, ' ');

    if (recorder->process) {
        take_event(recorder, line);
    } else if (space) {
        recorder->process = text_copy_n(line, (size_t)(space - line));
        recorder->since = text_copy(space + 1);
    }
}

static void wake(struct vm_event_recorder *recorder)
{
    if (eventfd_write(recorder->wake, 1) < 0)
        abort(); /* it would take 2^64 events that nobody looked at */
}

/** Cut what arrives into lines. */
static int take_output(void *context, enum ssh_stream stream, const char *data, size_t size, struct error *err)
{
    struct vm_event_recorder *recorder = context;
    struct text_buffer *rest = &recorder->rest;
    char *newline;

    if (stream != SSH_STANDARD_OUTPUT)
        return 0;
    pthread_mutex_lock(&recorder->lock);
    text_buffer_append(rest, data, size);
    while ((newline = memchr(rest->data, '\n', rest->size)) != NULL) {
        size_t used = (size_t)(newline - rest->data) + 1;
        *newline = '\0';
        take_line(recorder, rest->data);
        memmove(rest->data, rest->data + used, rest->size - used);
        rest->size -= used;
    }
    bool too_long = rest->size > EVENT_LINE_MAX;
    pthread_mutex_unlock(&recorder->lock);
    wake(recorder);
    if (too_long)
        return error_set(err, &general_error_domain, GENERAL_TOO_LARGE, "reading", "podman's events", "one has no end");
    return 0;
}

static void *record(void *context)
{
    struct vm_event_recorder *recorder = context;
    const char *const argv[] = {"sh", "-c", stream_command, NULL};
    const struct ssh_command command = {.argv = argv, .as_root = true, .on_output = take_output, .context = recorder};
    cleanup_ssh_result struct ssh_result result = {0};
    cleanup_error struct error err = ERROR_INIT;

    int failed =
        ssh_session_run(vm_device_session(recorder->device), &command, deadline_in_ms(STREAM_MS), &result, &err);
    pthread_mutex_lock(&recorder->lock);
    recorder->ended = true;
    if (failed < 0)
        error_move(&recorder->why_ended, &err);
    pthread_mutex_unlock(&recorder->lock);
    wake(recorder);
    return NULL;
}

/** Lock held: 1 while it streams, 0 before, -1 when it has ended though nobody asked it to. */
static int judge_stream(struct vm_event_recorder *recorder, struct error *err)
{
    if (!recorder->ended)
        return recorder->process != NULL;
    if (!error_is_set(&recorder->why_ended))
        return error_set(err, &general_error_domain, GENERAL_FAILED, "recording events of",
                         vm_device_id(recorder->device), "podman events ended by itself");
    error_move(err, &recorder->why_ended);
    return error_wrap(err, "recording events of", vm_device_id(recorder->device));
}

static void drain(const struct vm_event_recorder *recorder)
{
    eventfd_t arrived;

    /* Nothing to read is fine: it is looked at anyway. */
    if (eventfd_read(recorder->wake, &arrived) < 0)
        return;
}

static int has_begun(void *context, struct text_buffer *state, struct error *err)
{
    struct vm_event_recorder *recorder = context;

    drain(recorder);
    text_buffer_add(state, "it has printed nothing");
    pthread_mutex_lock(&recorder->lock);
    int result = judge_stream(recorder, err);
    pthread_mutex_unlock(&recorder->lock);
    return result;
}

int vm_event_recorder_start(struct vm_device *device, struct vm_event_recorder **ret, struct error *err)
{
    CLEANUP(vm_event_recorder_free) struct vm_event_recorder *recorder = NEW(struct vm_event_recorder);

    recorder->device = device;
    pthread_mutex_init(&recorder->lock, NULL);
    recorder->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (recorder->wake < 0)
        return error_set_errno(err, errno, "recording events of", vm_device_id(device));
    int failure = pthread_create(&recorder->thread, NULL, record, recorder);
    if (failure)
        return error_set_errno(err, failure, "recording events of", vm_device_id(device));
    recorder->running = true;
    const struct wait_options options = {.wake_fd = recorder->wake};
    if (wait_until("podman events to begin", has_begun, recorder, &options, deadline_in_ms(BEGUN_MS), err) < 0)
        return -1;
    *ret = TAKE_PTR(recorder);
    return 0;
}

/** Lock held. */
static size_t count_events(const struct vm_event_recorder *recorder, const char *deployment)
{
    size_t count = 0;

    for (size_t i = 0; i < recorder->count; i++)
        count += !deployment || text_equal(recorder->events[i].deployment, deployment);
    return count;
}

size_t vm_event_recorder_count(struct vm_event_recorder *recorder, const char *deployment)
{
    drain(recorder);
    pthread_mutex_lock(&recorder->lock);
    size_t count = count_events(recorder, deployment);
    pthread_mutex_unlock(&recorder->lock);
    return count;
}

int vm_event_recorder_fd(const struct vm_event_recorder *recorder)
{
    return recorder->wake;
}

struct awaited_event {
    struct vm_event_recorder *recorder;
    const char *deployment;
};

static int has_event(void *context, struct text_buffer *state, struct error *err)
{
    const struct awaited_event *awaited = context;
    struct vm_event_recorder *recorder = awaited->recorder;

    drain(recorder);
    pthread_mutex_lock(&recorder->lock);
    bool there = count_events(recorder, awaited->deployment) > 0;
    text_buffer_format(state, "%zu events of others", recorder->count);
    int result = there ? 1 : judge_stream(recorder, err) < 0 ? -1 : 0;
    pthread_mutex_unlock(&recorder->lock);
    return result;
}

int vm_event_recorder_wait(struct vm_event_recorder *recorder, const char *deployment, struct deadline deadline,
                           struct error *err)
{
    cleanup_free char *what = text_format("an event of %s", deployment);
    struct awaited_event awaited = {recorder, deployment};
    const struct wait_options options = {.wake_fd = recorder->wake};

    return wait_until(what, has_event, &awaited, &options, deadline, err);
}

/** End podman on the device, and with it the command that the thread waits for. */
static int end_stream(struct vm_event_recorder *recorder, struct error *err)
{
    int result = 0;

    if (!recorder->running)
        return 0;
    pthread_mutex_lock(&recorder->lock);
    if (recorder->ended)
        result = judge_stream(recorder, err);
    cleanup_free char *command = recorder->process ? text_format("kill %s", recorder->process) : NULL;
    bool must_end = !recorder->ended && command;
    pthread_mutex_unlock(&recorder->lock);
    /* Where this fails the session is broken, and the command ends by that. */
    if (must_end && vm_device_shell(recorder->device, command, NULL, err) < 0)
        result = -1;
    pthread_join(recorder->thread, NULL);
    recorder->running = false;
    return result;
}

/** Everything podman knows since the start, by a command that ends. */
static int complete(struct vm_event_recorder *recorder, struct error *err)
{
    cleanup_free char *command = text_format(EVENTS_COMMAND "%s --stream=false", recorder->since);
    cleanup_free char *output = NULL;

    if (vm_device_shell(recorder->device, command, &output, err) < 0)
        return -1;
    char *rest = output;
    pthread_mutex_lock(&recorder->lock);
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
        take_event(recorder, line);
    pthread_mutex_unlock(&recorder->lock);
    return 0;
}

int vm_event_recorder_stop(struct vm_event_recorder *recorder, const char *deployment, struct text_list *ret,
                           struct error *err)
{
    if (end_stream(recorder, err) < 0 || complete(recorder, err) < 0)
        return error_wrap(err, "reading the events of", vm_device_id(recorder->device));
    for (size_t i = 0; i < recorder->count; i++) {
        if (!deployment || text_equal(recorder->events[i].deployment, deployment))
            text_list_add(ret, recorder->events[i].text);
    }
    return 0;
}

void vm_event_recorder_free(struct vm_event_recorder *recorder)
{
    cleanup_error struct error ignored = ERROR_INIT;

    if (!recorder)
        return;
    if (end_stream(recorder, &ignored) < 0)
        error_clear(&ignored);
    for (size_t i = 0; i < recorder->count; i++) {
        free(recorder->events[i].line);
        free(recorder->events[i].text);
        free(recorder->events[i].deployment);
    }
    free(recorder->events);
    free(recorder->process);
    free(recorder->since);
    text_buffer_clear(&recorder->rest);
    error_clear(&recorder->why_ended);
    close_fd(recorder->wake);
    pthread_mutex_destroy(&recorder->lock);
    free(recorder);
}
