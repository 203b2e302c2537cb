/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/podman_pull.h"

#include <string.h>

#include "harness/test.h"
#include "tests/unit/support_podman.h"

/* What podman 4.3.1 sends for an image of two layers. */
static const char pulled[] =
    "{\"stream\":\"Trying to pull 127.0.0.1:5999/web:v1...\\n\"}\n"
    "{\"stream\":\"Getting image source signatures\\n\"}\n"
    "{\"stream\":\"Copying blob sha256:d557\\n\"}\n{\"stream\":\"Copying blob sha256:033b\\n\"}\n"
    "{\"stream\":\"Copying config sha256:397d\\n\"}\n"
    "{\"stream\":\"Writing manifest to image destination\\n\"}\n"
    "{\"stream\":\"Storing signatures\\n\"}\n{\"images\":[\"397d\"],\"id\":\"397d\"}\n";

/** A stream in chunks of `piece` bytes. */
struct stream {
    int status;
    const char *text;
    size_t piece;
};

static bool give_stream(void *context, const char *request, int fd)
{
    const struct stream *stream = context;

    if (!text_starts_with(request, "POST /v4.0.0/libpod/images/pull?policy=missing&reference=localhost%2Fweb%3Av1 "))
        return false;
    http_server_send(fd, "HTTP/1.1 %d Words\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
                     stream->status);
    for (const char *at = stream->text; *at;) {
        size_t size = strnlen(at, stream->piece);
        http_server_send(fd, "%zx\r\n%.*s\r\n", size, (int)size, at);
        at += size;
    }
    http_server_send(fd, "0\r\n\r\n");
    return true;
}

static void note_progress(void *context, const char *text)
{
    text_buffer_format(context, "%s;", text);
}

/** Pull from a fake that streams so. */
static int pull(const struct test_context *test, struct stream stream, struct text_buffer *progress, struct error *err)
{
    CLEANUP(podman_client_free) struct podman_client *client = NULL;
    CLEANUP(fake_podman_free) struct fake_podman *fake = NULL;

    if (fake_podman_start(test->artefacts, give_stream, &stream, &fake, err) < 0 ||
        podman_client_new(fake_podman_socket(fake), &client, err) < 0)
        return -1;
    return podman_pull(client, "localhost/web:v1", note_progress, progress, err);
}

FLEET_TEST(podman_pull, tells_how_far_it_is)
{
    static const size_t pieces[] = {1, 7, 40, 10000};

    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        cleanup_text_buffer struct text_buffer progress = {0};
        TRY(pull(test, (struct stream){.status = 200, .text = pulled, .piece = pieces[i]}, &progress, err));
        CHECK(strcmp(progress.data, "asking the registry;1 layer;2 layers;writing the image;") == 0, "%s",
              progress.data);
    }
    return 0;
}

FLEET_TEST(podman_pull, fails_in_podmans_words)
{
    cleanup_text_buffer struct text_buffer progress = {0};
    static const char words[] = "initializing source docker://localhost/web:v1: connection refused";
    cleanup_free char *text = text_format("{\"stream\":\"Trying to pull\"}\n{\"error\":\"%s\"}", words);

    int result = pull(test, (struct stream){.status = 200, .text = text, .piece = 9}, &progress, err);
    bool same = strcmp(error_root_detail(err), words) == 0;
    CHECK_FAILS(result, podman_error_domain, PODMAN_REFUSED);
    CHECK(same, "other words");
    result = pull(test, (struct stream){.status = 400, .text = "{\"message\":\"bad reference\"}", .piece = 99},
                  &progress, err);
    same = strcmp(error_root_detail(err), "bad reference") == 0;
    CHECK_FAILS(result, podman_error_domain, PODMAN_REFUSED);
    CHECK(same, "other words");
    return 0;
}

FLEET_TEST(podman_pull, a_stream_that_breaks_off_is_no_success)
{
    cleanup_text_buffer struct text_buffer progress = {0};
    static const char begun[] = "{\"stream\":\"Copying blob sha256:d557\"}\n";

    CHECK_FAILS(pull(test, (struct stream){.status = 200, .text = begun, .piece = 99}, &progress, err),
                http_error_domain, HTTP_BROKEN);
    CHECK_FAILS(pull(test, (struct stream){.status = 404, .text = "", .piece = 99}, &progress, err),
                podman_error_domain, PODMAN_NOT_FOUND);
    return 0;
}
