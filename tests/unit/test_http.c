/* SPDX-License-Identifier: Apache-2.0 */
#include "base/http.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/process.h"
#include "base/text.h"
#include "harness/test.h"
#include "tests/unit/support_http.h"
#include "tests/unit/support_network.h"

#define SOON deadline_in_ms(20000)
#define GET  ((struct http_request){.method = "GET", .path = "/"})

/* Every request is answered with itself. */
static void serve_echo(void *context, struct http_server *server, int fd, int number)
{
    cleanup_text_buffer struct text_buffer request = {0};

    (void)context;
    (void)server;
    (void)number;
    while (http_server_read(fd, &request))
        http_server_reply(fd, 200, text_buffer_text(&request));
}

/* Every connection is answered once, with the bytes of the context, and closed. */
static void serve_bytes(void *context, struct http_server *server, int fd, int number)
{
    cleanup_text_buffer struct text_buffer request = {0};

    (void)server;
    (void)number;
    if (http_server_read(fd, &request))
        http_server_send(fd, "%s", (const char *)context);
}

FLEET_TEST(http, sends_what_it_was_told)
{
    CLEANUP(http_server_free) struct http_server *server = NULL;
    CLEANUP(http_client_free) struct http_client *client = NULL;
    cleanup_http_reply struct http_reply got = {0};
    cleanup_http_reply struct http_reply posted = {0};
    cleanup_http_reply struct http_reply empty = {0};
    cleanup_http_reply struct http_reply deleted = {0};
    cleanup_http_reply struct http_reply head = {0};

    TRY(http_server_start(test->artefacts, serve_echo, NULL, &server, err));
    TRY(http_server_client(server, &client, err));
    TRY(http_simple(client, "GET", "/a/../b?c=%20", NULL, &got, err));
    CHECK(got.status == 200 && got.size == strlen(got.body), "status %d, %zu bytes", got.status, got.size);
    CHECK(text_starts_with(got.body, "GET /a/../b?c=%20 HTTP/1.1\r\nHost: server\r\n"), "it was %s", got.body);
    CHECK(!strstr(got.body, "Content-"), "it was %s", got.body);
    TRY(http_simple(client, "POST", "/x", "{\"a\":1}", &posted, err));
    CHECK(text_starts_with(posted.body, "POST /x HTTP/1.1\r\n"), "it was %s", posted.body);
    CHECK(strstr(posted.body, "\r\nContent-Type: application/json\r\n"), "it was %s", posted.body);
    CHECK(strstr(posted.body, "\r\nContent-Length: 7\r\n"), "it was %s", posted.body);
    CHECK(text_ends_with(posted.body, "\r\n\r\n{\"a\":1}"), "it was %s", posted.body);
    TRY(http_simple(client, "PUT", "/x", NULL, &empty, err));
    CHECK(text_starts_with(empty.body, "PUT /x ") && strstr(empty.body, "\r\nContent-Length: 0\r\n"), "it was %s",
          empty.body);
    TRY(http_simple(client, "DELETE", "/x", NULL, &deleted, err));
    CHECK(text_starts_with(deleted.body, "DELETE /x ") && !strstr(deleted.body, "Content-"), "it was %s", deleted.body);
    TRY(http_simple(client, "HEAD", "/x", NULL, &head, err));
    CHECK(head.status == 200 && head.size == 0 && text_equal(head.body, ""), "a body came: %s", head.body);
    return 0;
}

FLEET_TEST(http, keeps_its_connection)
{
    for (int tcp = 0; tcp < 2; tcp++) {
        CLEANUP(http_server_free) struct http_server *server = NULL;
        CLEANUP(http_client_free) struct http_client *client = NULL;
        TRY(http_server_start(tcp ? NULL : test->artefacts, serve_echo, NULL, &server, err));
        TRY(http_server_client(server, &client, err));
        for (int i = 0; i < 5; i++) {
            cleanup_http_reply struct http_reply reply = {0};
            TRY(http_simple(client, i % 2 ? "POST" : "GET", "/", i % 2 ? "x" : NULL, &reply, err));
        }
        CHECK(http_server_connections(server) == 1, "%d connections", http_server_connections(server));
        if (!tcp)
            http_server_stop_listening(server);
    }
    return 0;
}

/* Answers once a connection and hangs up although it said nothing of that. */
static void serve_once(void *context, struct http_server *server, int fd, int number)
{
    cleanup_text_buffer struct text_buffer request = {0};

    (void)context;
    (void)server;
    (void)number;
    if (http_server_read(fd, &request))
        http_server_reply(fd, 200, "once");
}

FLEET_TEST(http, connects_again_when_the_server_hung_up)
{
    CLEANUP(http_server_free) struct http_server *server = NULL;
    CLEANUP(http_client_free) struct http_client *client = NULL;

    TRY(http_server_start(test->artefacts, serve_once, NULL, &server, err));
    TRY(http_server_client(server, &client, err));
    for (int i = 0; i < 20; i++) {
        cleanup_http_reply struct http_reply reply = {0};
        TRY(http_simple(client, i % 2 ? "POST" : "GET", "/", i % 2 ? "x" : NULL, &reply, err));
        CHECK(text_equal(reply.body, "once"), "it is %s", reply.body);
    }
    return 0;
}

FLEET_TEST(http, any_status_is_a_reply)
{
    static const struct {
        const char *bytes;
        int status;
        const char *body;
    } samples[] = {
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone", 404, "none"},
        {"HTTP/1.1 500 Words\r\nConnection: close\r\n\r\nwords", 500, "words"},
        {"HTTP/1.1 304 Not Modified\r\n\r\n", 304, ""},
        {"HTTP/1.1 204 No Content\r\n\r\n", 204, ""},
        {"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 301, ""},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok", 201, "ok"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", 200, "abc"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
        CLEANUP(http_server_free) struct http_server *server = NULL;
        CLEANUP(http_client_free) struct http_client *client = NULL;
        cleanup_http_reply struct http_reply reply = {0};
        cleanup_free char *bytes = text_copy(samples[i].bytes);
        TRY(http_server_start(NULL, serve_bytes, bytes, &server, err));
        TRY(http_server_client(server, &client, err));
        TRY(http_simple(client, "GET", "/", NULL, &reply, err));
        CHECK(reply.status == samples[i].status && text_equal(reply.body, samples[i].body), "reply %zu: %d, %s", i,
              reply.status, reply.body);
    }
    return 0;
}

FLEET_TEST(http, tells_a_reply_that_broke_off)
{
    static const char *const samples[] = {
        "",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nnot so many",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab",
        "HTTP/1.1 20",
        "SSH-2.0-OpenSSH_9.2\r\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
        CLEANUP(http_server_free) struct http_server *server = NULL;
        CLEANUP(http_client_free) struct http_client *client = NULL;
        struct http_reply reply = {.status = 4711};
        cleanup_free char *bytes = text_copy(samples[i]);
        TRY(http_server_start(NULL, serve_bytes, bytes, &server, err));
        TRY(http_server_client(server, &client, err));
        CHECK_FAILS(http_simple(client, "GET", "/", NULL, &reply, err), http_error_domain, HTTP_BROKEN);
        CHECK(reply.status == 4711 && !reply.body, "a failed call must leave its result alone");
    }
    return 0;
}

FLEET_TEST(http, bounds_the_reply)
{
    cleanup_free char *fits = text_format("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%1000d", 1);
    cleanup_free char *longer = text_format("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%1001d", 1);
    cleanup_free char *error_page = text_format("HTTP/1.1 500 OK\r\nContent-Length: 2000\r\n\r\n%2000d", 1);
    char *const samples[] = {fits, longer, error_page};

    for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
        CLEANUP(http_server_free) struct http_server *server = NULL;
        CLEANUP(http_client_free) struct http_client *client = NULL;
        cleanup_http_reply struct http_reply reply = {0};
        TRY(http_server_start(NULL, serve_bytes, samples[i], &server, err));
        TRY(http_server_client(server, &client, err));
        if (i == 0) {
            TRY(http_simple(client, "GET", "/", NULL, &reply, err));
            CHECK(reply.size == 1000, "%zu bytes came", reply.size);
        } else {
            CHECK_FAILS(http_simple(client, "GET", "/", NULL, &reply, err), http_error_domain, HTTP_TOO_LARGE);
        }
    }
    return 0;
}

FLEET_TEST(http, sends_large_bodies_at_once)
{
    size_t size = 3u << 20;
    CLEANUP(http_server_free) struct http_server *server = NULL;
    CLEANUP(http_client_free) struct http_client *client = NULL;
    cleanup_http_reply struct http_reply reply = {0};
    cleanup_free char *body = memory_new(size + 1, 1);
    memset(body, 'x', size);

    TRY(http_server_start(test->artefacts, serve_echo, NULL, &server, err));
    struct http_client_options options = {.base_url = "http://server", .unix_socket = http_server_socket(server)};
    TRY(http_client_new(&options, &client, err));
    struct http_request request = {
        .method = "POST", .path = "/", .body = body, .body_size = size, .content_type = "application/x-tar"};
    TRY(http_exchange(client, &request, SOON, &reply, err));
    CHECK(text_ends_with(reply.body, body), "%zu bytes came back", reply.size);
    CHECK(strstr(reply.body, "Content-Type: application/x-tar\r\n"), "the type is another");
    CHECK(!strstr(reply.body, "Expect:"), "it waits for a 100 Continue");
    return 0;
}

FLEET_TEST(http, tells_when_nobody_listens)
{
    CLEANUP(http_client_free) struct http_client *over_unix = NULL;
    CLEANUP(http_client_free) struct http_client *over_tcp = NULL;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    cleanup_close int bound = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* takes the port, does not listen */

    CHECK(bind(bound, (struct sockaddr *)&address, size) == 0, "bind: errno %d", errno);
    CHECK(getsockname(bound, (struct sockaddr *)&address, &size) == 0, "getsockname: errno %d", errno);
    cleanup_free char *url = text_format("http://127.0.0.1:%d", ntohs(address.sin_port));
    TRY(http_client_new(&(struct http_client_options){.base_url = url}, &over_tcp, err));
    TRY(http_client_new(&(struct http_client_options){.base_url = "http://x", .unix_socket = "/nowhere/x.sock"},
                        &over_unix, err));
    for (int i = 0; i < 2; i++) {
        CHECK_FAILS(http_exchange(over_tcp, &GET, SOON, &(struct http_reply){0}, err), http_error_domain,
                    HTTP_UNREACHABLE);
        CHECK_FAILS(http_exchange(over_unix, &GET, SOON, &(struct http_reply){0}, err), http_error_domain,
                    HTTP_UNREACHABLE);
    }
    return 0;
}

/* Answers the first request; at the second it is gone altogether. */
static void serve_and_vanish(void *context, struct http_server *server, int fd, int number)
{
    cleanup_text_buffer struct text_buffer request = {0};

    (void)context;
    (void)number;
    if (http_server_read(fd, &request))
        http_server_reply(fd, 200, "first");
    if (http_server_read(fd, &request))
        http_server_stop_listening(server);
}

FLEET_TEST(http, does_not_call_unreachable_who_got_the_request)
{
    CLEANUP(http_server_free) struct http_server *server = NULL;
    CLEANUP(http_client_free) struct http_client *client = NULL;
    cleanup_http_reply struct http_reply reply = {0};

    TRY(http_server_start(test->artefacts, serve_and_vanish, NULL, &server, err));
    TRY(http_server_client(server, &client, err));
    TRY(http_simple(client, "GET", "/", NULL, &reply, err));
    CHECK_FAILS(http_simple(client, "POST", "/create", "{}", &(struct http_reply){0}, err), http_error_domain,
                HTTP_BROKEN);
    return 0;
}

FLEET_TEST(http, goes_through_no_proxy)
{
    static const char *const variables[] = {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"};
    CLEANUP(http_server_free) struct http_server *server = NULL;
    CLEANUP(http_client_free) struct http_client *client = NULL;
    cleanup_http_reply struct http_reply reply = {0};

    for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
        setenv(variables[i], "http://127.0.0.1:1", 1);
    TRY(http_server_start(NULL, serve_echo, NULL, &server, err));
    TRY(http_server_client(server, &client, err));
    TRY(http_simple(client, "GET", "/", NULL, &reply, err));
    CHECK(text_starts_with(reply.body, "GET / HTTP/1.1\r\n"), "it was %s", reply.body);
    return 0;
}

FLEET_TEST(http, refuses_what_it_cannot_ask)
{
    static const char *const urls[] = {"https://127.0.0.1", "file:///etc/passwd", "127.0.0.1:80", ""};
    struct http_client *none = NULL;
    cleanup_free char *long_path = text_format("/%0200d", 1);

    for (size_t i = 0; i < ARRAY_SIZE(urls); i++)
        CHECK_FAILS(http_client_new(&(struct http_client_options){.base_url = urls[i]}, &none, err),
                    general_error_domain, GENERAL_INVALID);
    CHECK_FAILS(
        http_client_new(&(struct http_client_options){.base_url = "http://x", .unix_socket = long_path}, &none, err),
        general_error_domain, GENERAL_INVALID);
    CHECK(none == NULL, "a failed call must leave its result alone");

    CLEANUP(http_server_free) struct http_server *server = NULL;
    CLEANUP(http_client_free) struct http_client *client = NULL;
    TRY(http_server_start(test->artefacts, serve_echo, NULL, &server, err));
    TRY(http_server_client(server, &client, err));
    CHECK_FAILS(http_simple(client, "GET", "/two words", NULL, &(struct http_reply){0}, err), general_error_domain,
                GENERAL_INVALID);
    CHECK_FAILS(http_simple(client, "GET", "/x\r\nEvil: yes", NULL, &(struct http_reply){0}, err), general_error_domain,
                GENERAL_INVALID);
    return 0;
}

/* A server in a network namespace of its own; we are back in ours on return. Caller closes *ret_namespace. */
static int start_elsewhere(struct http_server **ret, int *ret_namespace, struct error *err)
{
    cleanup_close int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

    if (home < 0 || unshare(CLONE_NEWNET) < 0)
        return error_set_errno(err, errno, "creating a network namespace", NULL);
    cleanup_close int elsewhere = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    int result = network_bring_up_loopback(err);
    if (result == 0)
        result = http_server_start(NULL, serve_echo, NULL, ret, err);
    if (setns(home, CLONE_NEWNET) < 0)
        abort();
    *ret_namespace = TAKE_FD(elsewhere);
    return result;
}

FLEET_TEST(http, reaches_into_a_network_namespace, NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES))
{
    CLEANUP(http_server_free) struct http_server *server = NULL;
    CLEANUP(http_client_free) struct http_client *inside = NULL;
    CLEANUP(http_client_free) struct http_client *outside = NULL;
    CLEANUP(http_client_free) struct http_client *lost = NULL;
    cleanup_http_reply struct http_reply reply = {0};
    cleanup_close int namespace = -1;
    struct stat before;
    struct stat after;

    TRY(start_elsewhere(&server, &namespace, err));
    CHECK(stat("/proc/thread-self/ns/net", &before) == 0, "stat: errno %d", errno);
    struct http_client_options options = {.base_url = http_server_url(server), .network_namespace = namespace};
    TRY(http_client_new(&options, &inside, err));
    TRY(http_server_client(server, &outside, err));
    TRY(http_simple(inside, "GET", "/", NULL, &reply, err));
    CHECK(reply.status == 200, "status is %d", reply.status);
    CHECK(stat("/proc/thread-self/ns/net", &after) == 0 && before.st_ino == after.st_ino, "we are elsewhere now");
    CHECK_FAILS(http_simple(outside, "GET", "/", NULL, &reply, err), http_error_domain, HTTP_UNREACHABLE);
    options.network_namespace = 9999;
    TRY(http_client_new(&options, &lost, err));
    CHECK_FAILS(http_simple(lost, "GET", "/", NULL, &reply, err), http_error_domain, HTTP_UNREACHABLE);
    return 0;
}

FLEET_TEST(http, escapes_for_urls)
{
    cleanup_free char *escaped = http_escape("az09-._~ /?&=%+\"{\xc3\xbc");
    cleanup_free char *empty = http_escape("");

    CHECK(text_equal(escaped, "az09-._~%20%2F%3F%26%3D%25%2B%22%7B%C3%BC"), "it is %s", escaped);
    CHECK(text_equal(empty, ""), "it is %s", empty);
    return 0;
}

/* A port that is free now. */
static int free_port(int *ret, struct error *err)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        return error_set_errno(err, errno, "asking for a port", NULL);
    *ret = ntohs(address.sin_port);
    return 0;
}

static int ask_answers(void *context, struct text_buffer *state, struct error *err)
{
    cleanup_http_reply struct http_reply reply = {0};

    if (http_simple(context, "GET", "/", NULL, &reply, err) == 0)
        return 1;
    text_buffer_add(state, error_root_detail(err));
    error_clear(err);
    return 0;
}

FLEET_TEST(http, gets_files_from_busybox)
{
    cleanup_free char *file = text_format("%s/file", test->artefacts);
    cleanup_free char *data = memory_new(200001, 1);
    CLEANUP(process_free) struct process *process = NULL;
    CLEANUP(http_client_free) struct http_client *client = NULL;
    cleanup_http_reply struct http_reply found = {0};
    cleanup_http_reply struct http_reply missing = {0};
    int port = 0;

    memset(data, 'x', 200000);
    TRY(file_write_atomic(file, data, 200000, 0644, err));
    TRY(free_port(&port, err));
    cleanup_free char *listen = text_format("127.0.0.1:%d", port);
    cleanup_free char *url = text_format("http://%s", listen);
    struct process_options httpd = {
        .argv = (const char *const[]){"busybox", "httpd", "-f", "-p", listen, "-h", test->artefacts, NULL},
        .die_with_parent = true};
    TRY(process_start(&httpd, &process, err));
    TRY(http_client_new(&(struct http_client_options){.base_url = url}, &client, err));
    TRY(wait_until("busybox httpd to answer", ask_answers, client, NULL, SOON, err));
    TRY(http_simple(client, "GET", "/file", NULL, &found, err));
    CHECK(found.status == 200 && text_equal(found.body, data), "status %d, %zu bytes", found.status, found.size);
    TRY(http_simple(client, "GET", "/none", NULL, &missing, err));
    CHECK(missing.status == 404 && missing.size > 0, "status %d", missing.status);
    return 0;
}

/** The resolver of libc cannot be interrupted; a caller's deadline holds all the same. */
FLEET_TEST(http, deadline_holds_while_a_name_is_looked_up, NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES))
{
    CLEANUP(http_client_free) struct http_client *client = NULL;
    cleanup_http_reply struct http_reply reply = {0};
    cleanup_close int names = -1;
    const struct http_client_options options = {.base_url = "http://nobody.example.com"};
    const struct http_request request = {.method = "GET", .path = "/"};

    TRY(network_without_names(test->artefacts, &names, err));
    TRY(http_client_new(&options, &client, err));
    int64_t began_ms = clock_monotonic_ms();
    CHECK_FAILS(http_exchange(client, &request, deadline_in_ms(50), &reply, err), http_error_domain, HTTP_TIMED_OUT);
    int64_t took_ms = clock_monotonic_ms() - began_ms;
    CHECK(took_ms < 4000, "it took %lld ms", (long long)took_ms);
    return 0;
}
