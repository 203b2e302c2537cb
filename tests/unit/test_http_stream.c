/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/http.h"
#include "base/text.h"
#include "harness/test.h"
#include "tests/unit/support_http.h"

#define SOON deadline_in_ms(20000)
#define GET  ((struct http_request){.method = "GET", .path = "/"})

/* Every connection is answered once, with the bytes of the context, and closed. */
static void serve_bytes(void *context, struct http_server *server, int fd, int number)
{
    cleanup_text_buffer struct text_buffer request = {0};

    (void)server;
    (void)number;
    if (http_server_read(fd, &request))
        http_server_send(fd, "%s", (const char *)context);
}

/* What came of a stream. */
struct stream {
    struct text_buffer text;
    int pieces;
    int stop_at; /* 0: never */
    int server;  /* told to go on after each piece; 0: nobody */
};

static int on_piece(void *context, const char *data, size_t size)
{
    struct stream *stream = context;

    text_buffer_append(&stream->text, data, size);
    stream->pieces++;
    if (stream->server && write(stream->server, "", 1) != 1)
        return -1;
    return stream->stop_at && stream->pieces >= stream->stop_at;
}

/* A chunk at a time, the next when the reader has seen the one before (it writes to the pipe of the context). */
static void serve_stream(void *context, struct http_server *server, int fd, int number)
{
    cleanup_text_buffer struct text_buffer request = {0};
    const int *ends = context;
    char byte;

    (void)server;
    (void)number;
    if (!http_server_read(fd, &request))
        return;
    http_server_send(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 1; i <= 3; i++) {
        http_server_send(fd, "6\r\nevent%d\r\n", i);
        if (read(ends[0], &byte, 1) != 1)
            return;
    }
    http_server_send(fd, "0\r\n\r\n");
}

FLEET_TEST(http_stream, streams_as_it_comes)
{
    CLEANUP(http_server_free) struct http_server *server = NULL;
    CLEANUP(http_client_free) struct http_client *client = NULL;
    cleanup_http_reply struct http_reply reply = {0};
    int ends[2];

    CHECK(pipe2(ends, O_CLOEXEC) == 0, "pipe2: errno %d", errno);
    cleanup_close int told = ends[0];
    cleanup_close int tell = ends[1];
    struct stream stream = {.server = tell};
    TRY(http_server_start(test->artefacts, serve_stream, ends, &server, err));
    TRY(http_server_client(server, &client, err));
    struct http_request request = {
        .method = "GET", .path = "/events", .on_data = on_piece, .context = &stream, .idle_ms = 20000};
    TRY(http_exchange(client, &request, SOON, &reply, err));
    cleanup_free char *text = text_buffer_take(&stream.text);
    CHECK(told >= 0 && text_equal(text, "event1event2event3") && stream.pieces == 3, "%d pieces: %s", stream.pieces,
          text);
    CHECK(reply.status == 200 && reply.size == 0 && text_equal(reply.body, ""), "the reply has %s", reply.body);
    return 0;
}

FLEET_TEST(http_stream, streams_only_success)
{
    CLEANUP(http_server_free) struct http_server *server = NULL;
    CLEANUP(http_client_free) struct http_client *client = NULL;
    cleanup_http_reply struct http_reply reply = {0};
    struct stream stream = {0};
    char bytes[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nno such";

    TRY(http_server_start(test->artefacts, serve_bytes, bytes, &server, err));
    TRY(http_server_client(server, &client, err));
    struct http_request request = {.method = "GET", .path = "/events", .on_data = on_piece, .context = &stream};
    TRY(http_exchange(client, &request, SOON, &reply, err));
    CHECK(stream.pieces == 0, "the error was streamed");
    CHECK(reply.status == 404 && text_equal(reply.body, "no such"), "%d: %s", reply.status, reply.body);
    return 0;
}

FLEET_TEST(http_stream, streams_beyond_the_limit_of_replies)
{
    CLEANUP(http_server_free) struct http_server *server = NULL;
    CLEANUP(http_client_free) struct http_client *client = NULL;
    cleanup_http_reply struct http_reply reply = {0};
    struct stream stream = {0};
    cleanup_free char *bytes = text_format("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%100000d", 1);

    TRY(http_server_start(test->artefacts, serve_bytes, bytes, &server, err));
    TRY(http_server_client(server, &client, err));
    struct http_request request = {.method = "GET", .path = "/", .on_data = on_piece, .context = &stream};
    TRY(http_exchange(client, &request, SOON, &reply, err));
    CHECK(stream.text.size == 100000, "%zu bytes came", stream.text.size);
    text_buffer_clear(&stream.text);
    return 0;
}

/* "/slow" gets the beginning of a reply and no more; anything else is answered. */
static void serve_slowly(void *context, struct http_server *server, int fd, int number)
{
    cleanup_text_buffer struct text_buffer request = {0};

    (void)context;
    (void)server;
    (void)number;
    while (http_server_read(fd, &request)) {
        if (text_starts_with(request.data, "GET /slow ")) {
            http_server_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin");
            http_server_wait_for_end(fd);
            return;
        }
        http_server_reply(fd, 200, "fast");
    }
}

/* The client still works. */
static int check_fast(struct http_client *client, struct error *err)
{
    cleanup_http_reply struct http_reply reply = {0};

    TRY(http_simple(client, "GET", "/fast", NULL, &reply, err));
    CHECK(text_equal(reply.body, "fast"), "it is %s", reply.body);
    return 0;
}

FLEET_TEST(http_stream, ends_at_the_deadline)
{
    CLEANUP(http_server_free) struct http_server *server = NULL;
    CLEANUP(http_client_free) struct http_client *client = NULL;
    struct http_request slow = {.method = "GET", .path = "/slow"};
    int64_t began = clock_monotonic_ms();

    TRY(http_server_start(test->artefacts, serve_slowly, NULL, &server, err));
    TRY(http_server_client(server, &client, err));
    CHECK_FAILS(http_exchange(client, &slow, deadline_in_ms(100), &(struct http_reply){0}, err), http_error_domain,
                HTTP_TIMED_OUT);
    int64_t took = clock_monotonic_ms() - began;
    CHECK(took >= 100 && took < 5000, "it took %lld ms", (long long)took);
    TRY(check_fast(client, err));
    CHECK_FAILS(http_exchange(client, &GET, deadline_in_ms(-1), &(struct http_reply){0}, err), http_error_domain,
                HTTP_TIMED_OUT);
    TRY(check_fast(client, err));
    return 0;
}

FLEET_TEST(http_stream, ends_when_a_stream_falls_silent)
{
    CLEANUP(http_server_free) struct http_server *server = NULL;
    CLEANUP(http_client_free) struct http_client *client = NULL;
    struct stream stream = {0};

    TRY(http_server_start(test->artefacts, serve_slowly, NULL, &server, err));
    TRY(http_server_client(server, &client, err));
    struct http_request slow = {
        .method = "GET", .path = "/slow", .on_data = on_piece, .context = &stream, .idle_ms = 100};
    int result = http_exchange(client, &slow, DEADLINE_NEVER, &(struct http_reply){0}, err);
    cleanup_free char *text = text_buffer_take(&stream.text);
    CHECK(result < 0 && error_is(err, &http_error_domain, HTTP_TIMED_OUT), "it did not fail so");
    CHECK(strstr(err->detail, "100 ms"), "the detail is %s", err->detail);
    CHECK(text_equal(text, "begin"), "it got %s", text);
    error_clear(err);
    TRY(check_fast(client, err));
    return 0;
}

FLEET_TEST(http_stream, ends_when_the_reader_has_enough)
{
    CLEANUP(http_server_free) struct http_server *server = NULL;
    CLEANUP(http_client_free) struct http_client *client = NULL;
    struct stream stream = {.stop_at = 1};

    TRY(http_server_start(test->artefacts, serve_slowly, NULL, &server, err));
    TRY(http_server_client(server, &client, err));
    struct http_request slow = {.method = "GET", .path = "/slow", .on_data = on_piece, .context = &stream};
    CHECK_FAILS(http_exchange(client, &slow, SOON, &(struct http_reply){0}, err), http_error_domain, HTTP_STOPPED);
    text_buffer_clear(&stream.text);
    TRY(check_fast(client, err));
    return 0;
}

/* Cancels the client of the context while it waits for the reply. */
static void serve_cancel(void *context, struct http_server *server, int fd, int number)
{
    cleanup_text_buffer struct text_buffer request = {0};
    struct http_client *const *client = context;

    (void)server;
    while (http_server_read(fd, &request)) {
        if (number == 1) {
            http_client_cancel(*client);
            http_server_wait_for_end(fd);
            return;
        }
        http_server_reply(fd, 200, "fast");
    }
}

FLEET_TEST(http_stream, can_be_cancelled_from_another_thread)
{
    CLEANUP(http_server_free) struct http_server *server = NULL;
    CLEANUP(http_client_free) struct http_client *client = NULL;
    int64_t began = clock_monotonic_ms();

    TRY(http_server_start(test->artefacts, serve_cancel, &client, &server, err));
    TRY(http_server_client(server, &client, err));
    CHECK_FAILS(http_exchange(client, &GET, DEADLINE_NEVER, &(struct http_reply){0}, err), http_error_domain,
                HTTP_STOPPED);
    CHECK(clock_monotonic_ms() - began < 2000, "it took %lld ms", (long long)(clock_monotonic_ms() - began));
    TRY(check_fast(client, err));
    return 0;
}

FLEET_TEST(http_stream, cancel_ends_the_next_exchange)
{
    CLEANUP(http_server_free) struct http_server *server = NULL;
    CLEANUP(http_client_free) struct http_client *client = NULL;

    TRY(http_server_start(test->artefacts, serve_slowly, NULL, &server, err));
    TRY(http_server_client(server, &client, err));
    http_client_cancel(client);
    CHECK_FAILS(http_exchange(client, &GET, SOON, &(struct http_reply){0}, err), http_error_domain, HTTP_STOPPED);
    CHECK(http_server_connections(server) == 0, "it connected all the same");
    TRY(check_fast(client, err));
    return 0;
}
