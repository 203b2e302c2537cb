/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/kube_stream.h"

#include <stdlib.h>

#include "base/memory.h"
#include "kubernetes/kube_events.h"

enum {
    SHORTEST_S = 240, /* of a watch; spread, so that not all of a program's end at once */
    SPREAD_S = 240,
    GRACE_MS = 30 * 1000, /* what the server may take longer before it counts as dead */
};

/* A stream under way. */
struct reading {
    struct kube_events events;
    int result;       /* of the last event: 0, 1, -1 */
    struct error err; /* set when result is -1 */
};

static int on_data(void *context, const char *data, size_t size)
{
    struct reading *reading = context;

    reading->result = kube_events_feed(&reading->events, data, size, &reading->err);
    return reading->result;
}

/* Caller frees. */
static char *watch_path(const struct kube_stream *stream, const char *resource_version, int timeout_s)
{
    cleanup_free char *base = kube_path(stream->resource, stream->namespace_name, NULL, NULL);
    struct text_buffer path = {0};

    text_buffer_format(&path, "%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=%d", base, timeout_s);
    kube_query_add(&path, "resourceVersion", resource_version);
    kube_query_add(&path, "labelSelector", stream->options.label_selector);
    kube_query_add(&path, "fieldSelector", stream->options.field_selector);
    return text_buffer_take(&path);
}

int kube_stream_run(const struct kube_stream *stream, char **resource_version, struct deadline deadline,
                    struct error *err)
{
    int timeout_s = SHORTEST_S + (int)(clock_monotonic_us() % SPREAD_S);
    cleanup_free char *operation = text_format("watching %s", stream->resource->plural);
    cleanup_free char *path = watch_path(stream, *resource_version, timeout_s);
    struct reading reading = {
        .events =
            {
                .operation = operation,
                .subject = stream->namespace_name,
                .on_event = stream->on_event,
                .context = stream->context,
                .resource_version = resource_version,
                .told = stream->told,
            },
    };
    const struct kube_call call = {
        .operation = operation,
        .subject = stream->namespace_name,
        .method = "GET",
        .path = path,
        .on_data = on_data,
        .context = &reading,
        .stop_fd = stream->stop_fd,
    };
    __attribute__((cleanup(kube_answer_clear_at_exit))) struct kube_answer answer = {0};

    int result = kube_exchange(stream->client, &call,
                               deadline_min(deadline, deadline_in_ms(timeout_s * 1000L + GRACE_MS)), &answer, err);
    kube_events_clear(&reading.events);
    if (reading.result < 0) {
        error_clear(err);
        error_move(err, &reading.err);
    }
    if (reading.result < 0 || result < 0)
        return -1;
    return answer.stopped ? KUBE_STREAM_STOPPED : KUBE_STREAM_OVER;
}
