/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/support_http.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/memory.h"

struct http_server {
    http_server_serve serve;
    void *context;
    char *url;
    char *socket;      /* NULL: TCP */
    int directory;     /* keeps the short way to the socket open; -1: TCP */
    int listener;      /* -1 when none */
    _Atomic int open;  /* the connection being served; -1: none */
    atomic_int number; /* connections so far */
    pthread_t thread;
    bool running;
};

static void *serve_all(void *context)
{
    struct http_server *server = context;

    for (;;) {
        int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return NULL; /* shut down */
        atomic_store(&server->open, fd);
        server->serve(server->context, server, fd, atomic_fetch_add(&server->number, 1) + 1);
        atomic_store(&server->open, -1);
        close_fd(fd);
    }
}

static int listen_on(struct http_server *server, const struct sockaddr *address, socklen_t size, struct error *err)
{
    server->listener = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server->listener < 0 || bind(server->listener, address, size) < 0 || listen(server->listener, 8) < 0)
        return error_set_errno(err, errno, "listening", NULL);
    return 0;
}

static int listen_unix(struct http_server *server, const char *directory, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    /* A socket's path has 107 bytes, a build directory's may have more. */
    server->directory = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    server->socket = text_format("/proc/self/fd/%d/http.sock", server->directory);
    server->url = text_copy("http://server");
    memcpy(address.sun_path, server->socket, strlen(server->socket));
    return listen_on(server, (const struct sockaddr *)&address, sizeof(address), err);
}

static int listen_tcp(struct http_server *server, struct error *err)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    if (listen_on(server, (const struct sockaddr *)&address, size, err) < 0)
        return -1;
    if (getsockname(server->listener, (struct sockaddr *)&address, &size) < 0)
        return error_set_errno(err, errno, "asking for the port", NULL);
    server->url = text_format("http://127.0.0.1:%d", ntohs(address.sin_port));
    return 0;
}

int http_server_start(const char *directory, http_server_serve serve, void *context, struct http_server **ret,
                      struct error *err)
{
    CLEANUP(http_server_free) struct http_server *server = NEW(struct http_server);

    *server = (struct http_server){.serve = serve, .context = context, .directory = -1, .listener = -1, .open = -1};
    if ((directory ? listen_unix(server, directory, err) : listen_tcp(server, err)) < 0)
        return -1;
    int failed = pthread_create(&server->thread, NULL, serve_all, server);
    if (failed)
        return error_set_errno(err, failed, "starting a thread", NULL);
    server->running = true;
    *ret = TAKE_PTR(server);
    return 0;
}

void http_server_free(struct http_server *server)
{
    if (!server)
        return;
    if (server->running) {
        shutdown(server->listener, SHUT_RDWR);
        int fd = atomic_load(&server->open);
        if (fd >= 0)
            shutdown(fd, SHUT_RDWR);
        pthread_join(server->thread, NULL);
    }
    close_fd(server->listener);
    close_fd(server->directory);
    free(server->url);
    free(server->socket);
    free(server);
}

const char *http_server_url(const struct http_server *server)
{
    return server->url;
}

const char *http_server_socket(const struct http_server *server)
{
    return server->socket;
}

int http_server_connections(const struct http_server *server)
{
    return atomic_load(&server->number);
}

void http_server_stop_listening(struct http_server *server)
{
    shutdown(server->listener, SHUT_RDWR);
    if (server->socket)
        unlink(server->socket);
}

/* Bytes of the request once its head is there; 0: not yet. */
static size_t request_size(const struct text_buffer *request)
{
    const char *end = strstr(text_buffer_text(request), "\r\n\r\n");
    const char *length = strstr(text_buffer_text(request), "Content-Length: ");

    if (!end)
        return 0;
    size_t body = length && length < end ? strtoul(length + strlen("Content-Length: "), NULL, 10) : 0;
    return (size_t)(end - request->data) + strlen("\r\n\r\n") + body;
}

bool http_server_read(int fd, struct text_buffer *request)
{
    text_buffer_clear(request);
    for (;;) {
        char chunk[16384];
        size_t wanted = request_size(request);
        if (wanted && request->size >= wanted)
            return true;
        ssize_t size = recv(fd, chunk, sizeof(chunk), 0);
        if (size <= 0)
            return false;
        text_buffer_append(request, chunk, (size_t)size);
    }
}

void http_server_send(int fd, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    cleanup_free char *text = text_format_v(format, arguments);
    va_end(arguments);
    size_t left = strlen(text);
    for (const char *at = text; left > 0;) {
        ssize_t sent = send(fd, at, left, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        at += sent;
        left -= (size_t)sent;
    }
}

void http_server_reply(int fd, int status, const char *body)
{
    http_server_send(fd, "HTTP/1.1 %d Words\r\nContent-Length: %zu\r\n\r\n%s", status, strlen(body), body);
}

void http_server_wait_for_end(int fd)
{
    char byte;

    while (recv(fd, &byte, 1, 0) > 0)
        ;
}

int http_server_client(const struct http_server *server, struct http_client **ret, struct error *err)
{
    struct http_client_options options = {
        .base_url = http_server_url(server), .unix_socket = http_server_socket(server), .reply_max = 1000};

    return http_client_new(&options, ret, err);
}

int http_simple(struct http_client *client, const char *method, const char *path, const char *body,
                struct http_reply *ret, struct error *err)
{
    struct http_request request = {.method = method, .path = path, .body = body, .body_size = body ? strlen(body) : 0};

    return http_exchange(client, &request, deadline_in_ms(20000), ret, err);
}
