/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/kube_stream.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kubernetes/kube_object.h"
#include "kubernetes/kube_status.h"

enum {
    EVENT_MAX = 8 << 20, /* etcd takes objects of 1.5 MiB */
    SHORTEST_S = 240,    /* of a watch; spread, so that not all of a program's end at once */
    SPREAD_S = 240,
    GRACE_MS = 30 * 1000, /* what the server may take longer before it counts as dead */
};

/* A stream under way. */
struct reading {
    const struct kube_stream *stream;
    char **resource_version;
    struct text_buffer line;
    int result;       /* of the last event: 0, 1, -1 */
    struct error err; /* set when result is -1 */
    const char *operation;
};

static int take_version(struct reading *reading, const cJSON *object)
{
    const char *version = kube_resource_version(object);

    if (*version && !text_equal(version, *reading->resource_version)) {
        free(*reading->resource_version);
        *reading->resource_version = text_copy(version);
    }
    if (reading->stream->told)
        ++*reading->stream->told;
    return 0;
}

static int take_event(struct reading *reading, const cJSON *document)
{
    static const char *const names[] = {
        [KUBE_ADDED] = "ADDED",
        [KUBE_MODIFIED] = "MODIFIED",
        [KUBE_DELETED] = "DELETED",
    };
    const struct kube_stream *stream = reading->stream;
    const char *type = kube_text(document, "type", "");
    const cJSON *object = kube_member(document, "object");

    if (strcmp(type, "BOOKMARK") == 0)
        return take_version(reading, object);
    if (strcmp(type, "ERROR") == 0)
        return kube_status_refuse_object(object, reading->operation, stream->namespace_name, &reading->err);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(type, names[i]) != 0)
            continue;
        int result = stream->on_event(stream->context, (enum kube_event)i, object, &reading->err);
        if (result >= 0)
            take_version(reading, object);
        return result;
    }
    return 0; /* a type of a later version of the API */
}

static int take_line(struct reading *reading, const char *line, size_t size)
{
    CLEANUP(cJSON_Delete) cJSON *document = NULL;
    cleanup_error struct error reason = ERROR_INIT;

    if (size == 0)
        return 0;
    if (json_parse(line, size, &document, &reason) < 0)
        return error_set(&reading->err, &kube_error_domain, KUBE_UNAVAILABLE, reading->operation,
                         reading->stream->namespace_name, "an event is no JSON: %s", error_root_detail(&reason));
    return take_event(reading, document);
}

static int on_data(void *context, const char *data, size_t size)
{
    struct reading *reading = context;
    const char *end = NULL;

    while ((end = memchr(data, '\n', size))) {
        size_t piece = (size_t)(end - data);
        if (reading->line.size > 0) {
            text_buffer_append(&reading->line, data, piece);
            reading->result = take_line(reading, reading->line.data, reading->line.size);
            reading->line.size = 0;
        } else {
            reading->result = take_line(reading, data, piece);
        }
        if (reading->result != 0)
            return -1;
        data += piece + 1;
        size -= piece + 1;
    }
    if (reading->line.size + size > EVENT_MAX) {
        reading->result = error_set(&reading->err, &kube_error_domain, KUBE_REFUSED, reading->operation,
                                    reading->stream->namespace_name, "an event is over the limit");
        return -1;
    }
    if (size > 0)
        text_buffer_append(&reading->line, data, size);
    return 0;
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
        .stream = stream,
        .resource_version = resource_version,
        .operation = operation,
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
    text_buffer_clear(&reading.line);
    if (reading.result < 0) {
        error_clear(err);
        error_move(err, &reading.err);
    }
    if (reading.result < 0 || result < 0)
        return -1;
    return answer.stopped ? KUBE_STREAM_STOPPED : KUBE_STREAM_OVER;
}
