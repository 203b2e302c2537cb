/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/podman_pull.h"

#include <stdlib.h>
#include <string.h>

#include "agent/json_lines.h"
#include "base/json.h"
#include "base/text.h"

enum {
    SILENCE_MAX_MS = 10 * 60 * 1000, /* podman 4 says nothing while one large layer comes */
    LINE_MAX_BYTES = 64 << 10,
};

struct pull {
    struct json_lines lines;
    podman_pull_progress progress;
    void *context;
    size_t layers; /* begun */
    char *error;   /* podman's words; NULL: none */
    bool done;     /* the image's id came */
};

static void note_stream(struct pull *pull, const char *text)
{
    if (text_starts_with(text, "Copying blob")) {
        pull->layers++;
        cleanup_free char *layers = text_format("%zu layer%s", pull->layers, pull->layers == 1 ? "" : "s");
        pull->progress(pull->context, layers);
    } else if (text_starts_with(text, "Writing manifest")) {
        pull->progress(pull->context, "writing the image");
    } else if (text_starts_with(text, "Trying to pull")) {
        pull->progress(pull->context, "asking the registry");
    }
}

static void on_line(void *context, const cJSON *line)
{
    struct pull *pull = context;
    const char *stream = json_text_or(line, "stream", NULL);
    const char *error = json_text_or(line, "error", NULL);

    if (stream)
        note_stream(pull, stream);
    if (error && *error) {
        free(pull->error);
        pull->error = text_copy(error);
    }
    if (cJSON_GetObjectItemCaseSensitive(line, "id"))
        pull->done = true;
}

static int on_data(void *context, const char *data, size_t size)
{
    struct pull *pull = context;

    return json_lines_feed(&pull->lines, data, size);
}

static int judge(const struct pull *pull, const struct http_reply *reply, const char *image, struct error *err)
{
    if (reply->status < 200 || reply->status >= 300)
        return podman_refusal(reply, "pulling", image, err);
    if (pull->error)
        return error_set(err, &podman_error_domain, PODMAN_REFUSED, "pulling", image, "%s", pull->error);
    if (!pull->done)
        return error_set(err, &http_error_domain, HTTP_BROKEN, "pulling", image, "podman broke off without a result");
    return 0;
}

int podman_pull(struct podman_client *client, const char *image, podman_pull_progress progress, void *context,
                struct error *err)
{
    cleanup_http_reply struct http_reply reply = {0};
    cleanup_free char *escaped = http_escape(image);
    cleanup_free char *path = text_format("%s/images/pull?policy=missing&reference=%s", PODMAN_API, escaped);
    struct pull pull = {.progress = progress, .context = context};
    const struct http_request request = {
        .method = "POST", .path = path, .on_data = on_data, .context = &pull, .idle_ms = SILENCE_MAX_MS};

    pull.lines = (struct json_lines){.on_line = on_line, .context = &pull, .line_max = LINE_MAX_BYTES};
    int result = podman_stream(client, "pulling", image, &request, &reply, err);
    json_lines_end(&pull.lines);
    if (result == 0)
        result = judge(&pull, &reply, image, err);
    json_lines_clear(&pull.lines);
    free(pull.error);
    return result;
}
