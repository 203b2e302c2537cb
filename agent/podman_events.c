/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/podman_events.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "agent/json_lines.h"
#include "agent/podman_client.h"
#include "agent/retry_delay.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/thread.h"

enum {
    RECONNECT_FIRST_MS = 100,
    RECONNECT_MOST_MS = 2000,
    REFUSED_MS = 30000,       /* podman is there but has no events for us: its configuration says "none", say */
    LINE_MAX_BYTES = 1 << 20, /* an event carries every label of its container */
    VERSION_AFTER_MS = 1000,  /* podman runs other programs to tell it, and now it has better things to do */
};

struct podman_events {
    struct podman_client *client;
    char *path;
    struct podman_listener listener;
    struct json_lines lines;
    struct thread thread;
    struct podman_client *version_client;
    struct thread version_thread;
    bool version_asked; /* there is such a thread to join; used by the listening thread */
    atomic_bool version_told;

    pthread_mutex_t mutex; /* of what follows */
    pthread_cond_t condition;
    bool stopping;
};

static void on_line(void *context, const cJSON *line)
{
    const struct podman_events *events = context;
    const cJSON *actor = cJSON_GetObjectItemCaseSensitive(line, "Actor");
    const cJSON *attributes = cJSON_GetObjectItemCaseSensitive(actor, "Attributes");
    const struct podman_event event = {
        .action = json_text_or(line, "Action", ""),
        .id = json_text_or(actor, "ID", ""),
        .deployment = json_text_or(attributes, LABEL_DEPLOYMENT, ""),
        .service = json_text_or(attributes, LABEL_SERVICE, ""),
        .exit_code = (int)strtol(json_text_or(attributes, "containerExitCode", ""), NULL, 10),
    };

    events->listener.event(events->listener.context, &event);
}

static int on_data(void *context, const char *data, size_t size)
{
    struct podman_events *events = context;

    return json_lines_feed(&events->lines, data, size);
}

/** Wait; false: we are to end. */
static bool pause_for(struct podman_events *events, int64_t delay_ms)
{
    int64_t until_ms = clock_monotonic_ms() + delay_ms;

    pthread_mutex_lock(&events->mutex);
    while (!events->stopping && clock_monotonic_ms() < until_ms)
        condition_wait_until(&events->condition, &events->mutex, until_ms);
    bool go_on = !events->stopping;
    pthread_mutex_unlock(&events->mutex);
    return go_on;
}

static void *tell_version(void *context)
{
    struct podman_events *events = context;
    cleanup_error struct error ignored = ERROR_INIT;
    cleanup_free char *version = NULL;

    if (pause_for(events, VERSION_AFTER_MS) && podman_version(events->version_client, &version, &ignored) == 0)
        events->listener.version(events->listener.context, version);
    atomic_store(&events->version_told, true);
    return NULL;
}

/** It is only for people to read, so nothing depends on it or waits for it. */
static void ask_version(struct podman_events *events)
{
    cleanup_error struct error ignored = ERROR_INIT;

    if (events->version_asked && !atomic_load(&events->version_told))
        return; /* still at it */
    if (events->version_asked)
        thread_join(&events->version_thread);
    atomic_store(&events->version_told, false);
    events->version_asked = thread_start(&events->version_thread, tell_version, events, &ignored) == 0;
}

/** Listen until the stream ends; that it ends is always an error. */
static int listen_once(struct podman_events *events, struct error *err)
{
    cleanup_http_reply struct http_reply reply = {0};
    const struct http_request request = {.method = "GET", .path = events->path, .on_data = on_data, .context = events};

    if (podman_ping(events->client, err) < 0)
        return -1;
    /* podman answers a request for events only with the first of them, so this is the closest we come to knowing that
     * it listens; the listener looks after a moment, when the stream has long begun */
    events->listener.connected(events->listener.context);
    ask_version(events);
    if (podman_stream(events->client, "listening to podman", NULL, &request, &reply, err) < 0)
        return -1;
    if (reply.status != 200)
        return podman_refusal(&reply, "listening to podman", NULL, err);
    return error_set(err, &http_error_domain, HTTP_BROKEN, "listening to podman", NULL, "the stream of events ended");
}

static void *run(void *context)
{
    struct podman_events *events = context;
    int64_t delay_ms;
    int failures = 0;

    do {
        cleanup_error struct error err = ERROR_INIT;
        (void)listen_once(events, &err); /* it only returns with an error */
        json_lines_clear(&events->lines);
        failures = error_is(&err, &http_error_domain, HTTP_UNREACHABLE) ? failures + 1 : 1;
        delay_ms = retry_delay_ms(failures, RECONNECT_FIRST_MS, RECONNECT_MOST_MS);
        if (error_is(&err, &podman_error_domain, PODMAN_REFUSED))
            delay_ms = REFUSED_MS;
        log_debug("not listening to podman", LOG_TEXT("reason", error_root_detail(&err)));
    } while (pause_for(events, delay_ms));
    return NULL;
}

static char *path_for(const char *device)
{
    cleanup_free char *filters = podman_label_filter(device, NULL);

    return text_format("%s/events?stream=true&filters=%s", PODMAN_API, filters);
}

static void dispose(struct podman_events *events)
{
    podman_client_free(events->client);
    podman_client_free(events->version_client);
    json_lines_clear(&events->lines);
    free(events->path);
    pthread_cond_destroy(&events->condition);
    pthread_mutex_destroy(&events->mutex);
    free(events);
}

int podman_events_start(const char *socket, const char *device, const struct podman_listener *listener,
                        struct podman_events **ret, struct error *err)
{
    CLEANUP(podman_client_free) struct podman_client *client = NULL;
    CLEANUP(podman_client_free) struct podman_client *version_client = NULL;

    if (podman_client_new(socket, &client, err) < 0 || podman_client_new(socket, &version_client, err) < 0)
        return -1;
    struct podman_events *events = NEW(struct podman_events);
    events->client = TAKE_PTR(client);
    events->version_client = TAKE_PTR(version_client);
    events->path = path_for(device);
    events->listener = *listener;
    events->lines = (struct json_lines){.on_line = on_line, .context = events, .line_max = LINE_MAX_BYTES};
    pthread_mutex_init(&events->mutex, NULL);
    condition_init(&events->condition);
    if (thread_start(&events->thread, run, events, err) < 0) {
        dispose(events);
        return -1;
    }
    *ret = events;
    return 0;
}

void podman_events_free(struct podman_events *events)
{
    if (!events)
        return;
    pthread_mutex_lock(&events->mutex);
    events->stopping = true;
    pthread_cond_broadcast(&events->condition);
    pthread_mutex_unlock(&events->mutex);
    podman_client_cancel(events->client);
    podman_client_cancel(events->version_client);
    thread_join(&events->thread);
    if (events->version_asked)
        thread_join(&events->version_thread);
    dispose(events);
}
