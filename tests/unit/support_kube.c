/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/support_kube.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "harness/test.h"

struct fake_kube {
    struct http_server *server;
    struct kube_client *client;
    const struct kube_step *steps;
    pthread_mutex_t mutex; /* of the two below */
    struct text_list requests;
    char *unexpected; /* the first request that no step expects */
};

/* The step for a request, NULL when it is not the next one's. */
static const struct kube_step *next_step(struct fake_kube *fake, const char *request)
{
    pthread_mutex_lock(&fake->mutex);
    const struct kube_step *step = fake->steps;
    for (size_t i = 0; i < fake->requests.count && step->request; i++)
        step++;
    bool expected = step->request && text_starts_with(request, step->request);
    if (!expected && !fake->unexpected)
        fake->unexpected = text_format("%.*s instead of %s", (int)strcspn(request, "\r"), request,
                                       step->request ? step->request : "nothing");
    text_list_add(&fake->requests, request);
    pthread_mutex_unlock(&fake->mutex);
    return expected ? step : NULL;
}

/* Returns false when the connection is to be closed. */
static bool answer(int fd, const struct kube_step *step)
{
    if (step->end == STEP_REPLY) {
        http_server_reply(fd, step->status, step->body);
        return true;
    }
    if (step->end == STEP_LATER) {
        http_server_send(fd, "HTTP/1.1 %d Words\r\nRetry-After: 1\r\nContent-Length: %zu\r\n\r\n%s", step->status,
                         strlen(step->body), step->body);
        return true;
    }
    http_server_send(fd, "HTTP/1.1 %d Words\r\nTransfer-Encoding: chunked\r\n\r\n", step->status);
    if (*step->body)
        http_server_send(fd, "%zx\r\n%s\r\n", strlen(step->body), step->body);
    if (step->end == STEP_OVER)
        http_server_send(fd, "0\r\n\r\n");
    else if (step->end == STEP_STAYS_OPEN)
        http_server_wait_for_end(fd);
    return step->end == STEP_OVER;
}

static void serve(void *context, struct http_server *server, int fd, int number)
{
    struct fake_kube *fake = context;
    cleanup_text_buffer struct text_buffer request = {0};

    (void)server;
    (void)number;
    while (http_server_read(fd, &request)) {
        const struct kube_step *step = next_step(fake, text_buffer_text(&request));
        if (!step) {
            http_server_reply(fd, 418, "no step of the script expects this");
            continue;
        }
        if (!answer(fd, step))
            return;
    }
}

int fake_kube_start(const struct kube_step *steps, const struct kube_config *config, struct fake_kube **ret,
                    struct error *err)
{
    CLEANUP(fake_kube_free) struct fake_kube *fake = NEW(struct fake_kube);
    struct kube_config mine = config ? *config : (struct kube_config){0};

    fake->steps = steps;
    pthread_mutex_init(&fake->mutex, NULL);
    if (http_server_start(NULL, serve, fake, &fake->server, err) < 0)
        return -1;
    cleanup_free char *url = text_copy(http_server_url(fake->server));
    mine.server = url;
    if (kube_client_new(&mine, &fake->client, err) < 0)
        return -1;
    *ret = TAKE_PTR(fake);
    return 0;
}

void fake_kube_free(struct fake_kube *fake)
{
    if (!fake)
        return;
    kube_client_free(fake->client);
    http_server_free(fake->server);
    text_list_clear(&fake->requests);
    free(fake->unexpected);
    pthread_mutex_destroy(&fake->mutex);
    free(fake);
}

struct kube_client *fake_kube_client(struct fake_kube *fake)
{
    return fake->client;
}

char *fake_kube_request(struct fake_kube *fake, size_t index)
{
    pthread_mutex_lock(&fake->mutex);
    char *request = index < fake->requests.count ? text_copy(fake->requests.items[index]) : NULL;
    pthread_mutex_unlock(&fake->mutex);
    return request;
}

int fake_kube_check(struct fake_kube *fake, struct error *err)
{
    size_t wanted = 0;

    while (fake->steps[wanted].request)
        wanted++;
    pthread_mutex_lock(&fake->mutex);
    size_t count = fake->requests.count;
    cleanup_free char *unexpected = text_copy(fake->unexpected);
    pthread_mutex_unlock(&fake->mutex);
    CHECK(!unexpected, "%s", unexpected);
    CHECK(count == wanted, "%zu requests of %zu", count, wanted);
    return 0;
}

int fake_kube_connections(const struct fake_kube *fake)
{
    return http_server_connections(fake->server);
}
