/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/support_podman.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/memory.h"

enum { CONNECTIONS_MAX = 64 };

struct connection {
    struct fake_podman *fake;
    int fd;
    pthread_t thread;
};

struct fake_podman {
    fake_podman_answer answer;
    void *context;
    char *socket;
    int directory; /* keeps the short way to the socket open */
    int listener;
    pthread_t thread;

    pthread_mutex_t mutex; /* of what follows */
    struct connection connections[CONNECTIONS_MAX];
    size_t count;
    struct text_list requests;
};

static void note_request(struct fake_podman *fake, const char *request)
{
    pthread_mutex_lock(&fake->mutex);
    text_list_take(&fake->requests, text_copy_n(request, strcspn(request, "\r\n")));
    pthread_mutex_unlock(&fake->mutex);
}

static bool asks_for(const char *request, const char *method, const char *path)
{
    cleanup_free char *prefix = text_format("%s /v4.0.0/libpod%s", method, path);

    return text_starts_with(request, prefix);
}

static void answer_as_idle(const char *request, int fd)
{
    if (asks_for(request, "GET", "/_ping"))
        http_server_reply(fd, 200, "OK");
    else if (asks_for(request, "GET", "/version"))
        http_server_reply(fd, 200, "{\"Version\":\"9.9.9\"}");
    else if (asks_for(request, "GET", "/containers/json"))
        http_server_reply(fd, 200, "[]");
    else if (asks_for(request, "GET", "/events"))
        http_server_wait_for_end(fd);
    else
        http_server_reply(fd, 404, "{\"cause\":\"none\",\"message\":\"there is no such thing\",\"response\":404}");
}

static void *serve(void *context)
{
    struct connection *connection = context;
    struct fake_podman *fake = connection->fake;
    cleanup_text_buffer struct text_buffer request = {0};

    while (http_server_read(connection->fd, &request)) {
        note_request(fake, request.data);
        if (!fake->answer || !fake->answer(fake->context, request.data, connection->fd))
            answer_as_idle(request.data, connection->fd);
    }
    return NULL;
}

static void *accept_all(void *context)
{
    struct fake_podman *fake = context;

    for (;;) {
        int fd = accept4(fake->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 || fake->count == CONNECTIONS_MAX)
            return NULL;
        pthread_mutex_lock(&fake->mutex);
        struct connection *connection = &fake->connections[fake->count++];
        *connection = (struct connection){.fake = fake, .fd = fd};
        pthread_create(&connection->thread, NULL, serve, connection);
        pthread_mutex_unlock(&fake->mutex);
    }
}

int fake_podman_start(const char *directory, fake_podman_answer answer, void *context, struct fake_podman **ret,
                      struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct fake_podman *fake = NEW(struct fake_podman);

    fake->answer = answer;
    fake->context = context;
    /* a socket's path has 107 bytes, a build directory's may have more */
    fake->directory = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    fake->socket = text_format("/proc/self/fd/%d/podman.sock", fake->directory);
    memcpy(address.sun_path, fake->socket, strlen(fake->socket));
    unlink(fake->socket);
    fake->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pthread_mutex_init(&fake->mutex, NULL);
    if (bind(fake->listener, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fake->listener, 16) < 0 || pthread_create(&fake->thread, NULL, accept_all, fake) != 0) {
        close_fd(fake->listener);
        close_fd(fake->directory);
        free(fake->socket);
        free(fake);
        return error_set_errno(err, errno, "starting a fake podman", directory);
    }
    *ret = fake;
    return 0;
}

void fake_podman_free(struct fake_podman *fake)
{
    if (!fake)
        return;
    shutdown(fake->listener, SHUT_RDWR);
    pthread_join(fake->thread, NULL);
    for (size_t i = 0; i < fake->count; i++) {
        shutdown(fake->connections[i].fd, SHUT_RDWR);
        pthread_join(fake->connections[i].thread, NULL);
        close(fake->connections[i].fd);
    }
    unlink(fake->socket);
    close_fd(fake->listener);
    close_fd(fake->directory);
    text_list_clear(&fake->requests);
    pthread_mutex_destroy(&fake->mutex);
    free(fake->socket);
    free(fake);
}

const char *fake_podman_socket(const struct fake_podman *fake)
{
    return fake->socket;
}

int fake_podman_count(struct fake_podman *fake, const char *prefix)
{
    int count = 0;

    pthread_mutex_lock(&fake->mutex);
    for (size_t i = 0; i < fake->requests.count; i++)
        count += text_starts_with(fake->requests.items[i], prefix);
    pthread_mutex_unlock(&fake->mutex);
    return count;
}
