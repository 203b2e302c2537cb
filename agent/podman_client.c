/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/podman_client.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/text.h"

enum {
    CALL_MS = 10000,    /* what podman answers from its database */
    CHANGE_MS = 120000, /* creating and starting: storage and the OCI runtime */
    VERSION_MS = 30000, /* runs other programs */
    REMOVAL_MS = 60000, /* on top of the grace period */
    WORDS_MAX = 1024,   /* bytes taken over from a reply that is not JSON */
};

static const char *podman_code_name(int code)
{
    switch ((enum podman_error)code) {
    case PODMAN_REFUSED:
        return "refused";
    case PODMAN_NOT_FOUND:
        return "not-found";
    case PODMAN_NAME_IN_USE:
        return "name-in-use";
    case PODMAN_BAD_REPLY:
        return "bad-reply";
    case PODMAN_STALE:
        return "stale";
    }
    return "unknown";
}
const struct error_domain podman_error_domain = {"podman", podman_code_name};

struct podman_client {
    struct http_client *http;
    char *socket;
    atomic_bool cancelled; /* stays: http_client_cancel ends one exchange, we mean all that would follow as well */
};

int podman_client_new(const char *socket, struct podman_client **ret, struct error *err)
{
    const struct http_client_options options = {.base_url = "http://podman", .unix_socket = socket};
    struct http_client *http = NULL;

    if (http_client_new(&options, &http, err) < 0)
        return error_wrap(err, "preparing to talk to podman at", socket);
    *ret = NEW(struct podman_client);
    (*ret)->http = http;
    (*ret)->socket = text_copy(socket);
    return 0;
}

void podman_client_free(struct podman_client *client)
{
    if (!client)
        return;
    http_client_free(client->http);
    free(client->socket);
    free(client);
}

void podman_client_cancel(struct podman_client *client)
{
    atomic_store(&client->cancelled, true);
    http_client_cancel(client->http);
}

bool podman_client_is_cancelled(const struct podman_client *client)
{
    return atomic_load(&client->cancelled);
}

const char *podman_client_socket(const struct podman_client *client)
{
    return client->socket;
}

int podman_stream(struct podman_client *client, const char *operation, const char *subject,
                  const struct http_request *request, struct http_reply *ret, struct error *err)
{
    if (atomic_load(&client->cancelled))
        return error_set(err, &http_error_domain, HTTP_STOPPED, operation, subject, "cancelled");
    if (http_exchange(client->http, request, DEADLINE_NEVER, ret, err) < 0)
        return error_wrap(err, operation, subject);
    return 0;
}

/** {"cause","message","response"}: the message says it all; anything else is quoted as it came. */
static char *refusal_words(const struct http_reply *reply)
{
    cleanup_error struct error ignored = ERROR_INIT;
    CLEANUP(cJSON_Delete) cJSON *document = NULL;

    if (json_parse(reply->body, reply->size, &document, &ignored) == 0) {
        const char *message = json_text_or(document, "message", NULL);
        if (message && *message)
            return text_copy(message);
    }
    if (reply->size)
        return text_format("HTTP status %d: %.*s", reply->status, WORDS_MAX, reply->body);
    return text_format("HTTP status %d", reply->status);
}

int podman_refusal(const struct http_reply *reply, const char *operation, const char *subject, struct error *err)
{
    cleanup_free char *words = refusal_words(reply);
    int code = PODMAN_REFUSED;

    if (reply->status == 404)
        code = PODMAN_NOT_FOUND;
    else if (strstr(words, "name is already in use")) /* podman 4 and 5 answer 500 here, the API page says 409 */
        code = PODMAN_NAME_IN_USE;
    return error_set(err, &podman_error_domain, code, operation, subject, "%s", words);
}

struct call {
    const char *operation;
    const char *subject; /**< for errors; may be NULL */
    const char *method;
    const char *path; /**< below PODMAN_API */
    const char *body;
    struct deadline deadline; /**< zero: CALL_MS from now */
};

static int perform(struct podman_client *client, const struct call *call, struct http_reply *ret, struct error *err)
{
    cleanup_free char *path = text_format("%s%s", PODMAN_API, call->path);
    const struct http_request request = {
        .method = call->method, .path = path, .body = call->body, .body_size = call->body ? strlen(call->body) : 0};
    struct deadline deadline = call->deadline.at_ms ? call->deadline : deadline_in_ms(CALL_MS);

    if (atomic_load(&client->cancelled))
        return error_set(err, &http_error_domain, HTTP_STOPPED, call->operation, call->subject, "cancelled");
    if (http_exchange(client->http, &request, deadline, ret, err) < 0)
        return error_wrap(err, call->operation, call->subject);
    /* 304: the container is in the wanted state already */
    if ((ret->status >= 200 && ret->status < 300) || ret->status == 304)
        return 0;
    podman_refusal(ret, call->operation, call->subject, err);
    http_reply_clear(ret);
    return -1;
}

static int perform_only(struct podman_client *client, const struct call *call, struct error *err)
{
    cleanup_http_reply struct http_reply reply = {0};

    return perform(client, call, &reply, err);
}

static int perform_json(struct podman_client *client, const struct call *call, cJSON **ret, struct error *err)
{
    cleanup_http_reply struct http_reply reply = {0};
    cleanup_error struct error why = ERROR_INIT;

    if (perform(client, call, &reply, err) < 0)
        return -1;
    if (json_parse(reply.body, reply.size, ret, &why) < 0)
        return error_set(err, &podman_error_domain, PODMAN_BAD_REPLY, call->operation, call->subject, "%s",
                         error_root_detail(&why));
    return 0;
}

int podman_get_json(struct podman_client *client, const char *operation, const char *subject, const char *path,
                    cJSON **ret, struct error *err)
{
    const struct call call = {.operation = operation, .subject = subject, .method = "GET", .path = path};

    return perform_json(client, &call, ret, err);
}

int podman_ping(struct podman_client *client, struct error *err)
{
    return perform_only(
        client, &(struct call){.operation = "asking podman for an answer", .method = "GET", .path = "/_ping"}, err);
}

int podman_version(struct podman_client *client, char **ret, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *document = NULL;
    const struct call call = {.operation = "asking podman for its version",
                              .method = "GET",
                              .path = "/version",
                              .deadline = deadline_in_ms(VERSION_MS)};

    if (perform_json(client, &call, &document, err) < 0)
        return -1;
    const char *version = json_text_or(document, "Version", NULL);
    if (!version)
        return error_set(err, &podman_error_domain, PODMAN_BAD_REPLY, call.operation, NULL, "it has no Version");
    *ret = text_copy(version);
    return 0;
}

int podman_image_inspect(struct podman_client *client, const char *image, cJSON **ret, struct error *err)
{
    cleanup_free char *escaped = http_escape(image);
    cleanup_free char *path = text_format("/images/%s/json", escaped);

    return podman_get_json(client, "inspecting image", image, path, ret, err);
}

int podman_container_create(struct podman_client *client, const char *name, const char *document, char **id,
                            struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *reply = NULL;
    const struct call call = {.operation = "creating container",
                              .subject = name,
                              .method = "POST",
                              .path = "/containers/create",
                              .body = document,
                              .deadline = deadline_in_ms(CHANGE_MS)};

    if (perform_json(client, &call, &reply, err) < 0)
        return -1;
    const char *created = json_text_or(reply, "Id", NULL);
    if (!created)
        return error_set(err, &podman_error_domain, PODMAN_BAD_REPLY, call.operation, name, "it has no Id");
    *id = text_copy(created);
    return 0;
}

/** One POST /containers/<container>/<verb>. */
static int change(struct podman_client *client, const char *operation, const char *container, const char *verb,
                  struct deadline deadline, struct error *err)
{
    cleanup_free char *path = text_format("/containers/%s/%s", container, verb);

    return perform_only(
        client,
        &(struct call){
            .operation = operation, .subject = container, .method = "POST", .path = path, .deadline = deadline},
        err);
}

int podman_container_start(struct podman_client *client, const char *container, struct error *err)
{
    return change(client, "starting container", container, "start", deadline_in_ms(CHANGE_MS), err);
}

int podman_container_unpause(struct podman_client *client, const char *container, struct error *err)
{
    return change(client, "unpausing container", container, "unpause", deadline_in_ms(CHANGE_MS), err);
}

int podman_container_stop(struct podman_client *client, const char *container, int grace_s, struct error *err)
{
    cleanup_free char *verb = text_format("stop?timeout=%d", grace_s);

    return change(client, "stopping container", container, verb, deadline_in_ms(grace_s * 1000 + REMOVAL_MS), err);
}

int podman_container_remove(struct podman_client *client, const char *container, int grace_s, struct error *err)
{
    /* "volumes" is libpod's name of what the Docker API calls "v": the anonymous ones */
    cleanup_free char *path = text_format("/containers/%s?force=true&volumes=true&timeout=%d", container, grace_s);
    const struct call call = {.operation = "removing container",
                              .subject = container,
                              .method = "DELETE",
                              .path = path,
                              .deadline = deadline_in_ms(grace_s * 1000 + REMOVAL_MS)};

    if (perform_only(client, &call, err) == 0)
        return 0;
    if (!error_is(err, &podman_error_domain, PODMAN_NOT_FOUND))
        return -1;
    error_clear(err);
    return 0;
}

int podman_container_wait(struct podman_client *client, const char *container, struct deadline deadline, int *exit_code,
                          struct error *err)
{
    cleanup_http_reply struct http_reply reply = {0};
    /* podman looks for the end every 250 ms unless told otherwise */
    cleanup_free char *path = text_format("/containers/%s/wait?condition=stopped&interval=50ms", container);
    const struct call call = {.operation = "waiting for container",
                              .subject = container,
                              .method = "POST",
                              .path = path,
                              .deadline = deadline};
    char *end = NULL;

    if (perform(client, &call, &reply, err) < 0)
        return -1;
    long code = strtol(reply.body, &end, 10);
    if (end == reply.body)
        return error_set(err, &podman_error_domain, PODMAN_BAD_REPLY, call.operation, container, "no exit code");
    *exit_code = (int)code;
    return 0;
}

int podman_container_inspect(struct podman_client *client, const char *container, cJSON **ret, struct error *err)
{
    cleanup_free char *path = text_format("/containers/%s/json", container);

    return podman_get_json(client, "inspecting container", container, path, ret, err);
}

/** Strip the frame headers (stream, three zeros, length as 4 bytes big-endian) and put the lines on one. */
static char *unframe(const char *data, size_t size)
{
    enum { HEADER = 8, KEPT = 512 };
    struct text_buffer text = {0};
    size_t at = 0;

    while (size - at > HEADER && text.size < KEPT) {
        const unsigned char *header = (const unsigned char *)data + at;
        size_t length = (size_t)header[4] << 24 | (size_t)header[5] << 16 | (size_t)header[6] << 8 | header[7];
        at += HEADER;
        if (length > size - at)
            length = size - at;
        if (text.size)
            text_buffer_add(&text, " ");
        text_buffer_append(&text, data + at, length < KEPT - text.size ? length : KEPT - text.size);
        at += length;
        while (text.size && strchr("\r\n", text.data[text.size - 1]))
            text.data[--text.size] = '\0';
    }
    for (size_t i = 0; i < text.size; i++) {
        if ((unsigned char)text.data[i] < ' ')
            text.data[i] = ' ';
    }
    return text_buffer_take(&text);
}

int podman_container_last_words(struct podman_client *client, const char *container, int lines, char **ret,
                                struct error *err)
{
    cleanup_http_reply struct http_reply reply = {0};
    cleanup_free char *path = text_format("/containers/%s/logs?stdout=true&stderr=true&tail=%d", container, lines);
    const struct call call = {
        .operation = "reading the log of container", .subject = container, .method = "GET", .path = path};

    if (perform(client, &call, &reply, err) < 0)
        return -1;
    *ret = unframe(reply.body, reply.size);
    return 0;
}
