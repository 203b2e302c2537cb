/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/podman_client.h"

#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/test.h"
#include "tests/unit/support_podman.h"

#define API "/v4.0.0/libpod"

/** One reply to every request. */
struct reply {
    int status; /* 0: none, the connection is closed; -1: none, it stays open */
    const char *body;
};

static bool give_reply(void *context, const char *request, int fd)
{
    const struct reply *reply = context;

    (void)request;
    if (reply->status > 0)
        http_server_reply(fd, reply->status, reply->body);
    else if (reply->status == 0)
        shutdown(fd, SHUT_RDWR);
    else
        http_server_wait_for_end(fd);
    return true;
}

/** A client of a fake that always replies so; freed by the caller. */
static int connect_to(const struct test_context *test, struct reply *reply, struct fake_podman **fake,
                      struct podman_client **ret, struct error *err)
{
    if (fake_podman_start(test->artefacts, give_reply, reply, fake, err) < 0)
        return -1;
    return podman_client_new(fake_podman_socket(*fake), ret, err);
}

FLEET_TEST(podman_client, refusals_are_in_podmans_words)
{
    static const struct {
        struct reply reply;
        int code;
        const char *words;
    } cases[] = {
        {{500, "{\"cause\":\"c\",\"message\":\"cannot listen on the TCP port\",\"response\":500}"},
         PODMAN_REFUSED,
         "cannot listen on the TCP port"},
        {{404, "{\"cause\":\"no such container\",\"message\":\"no container with name\",\"response\":404}"},
         PODMAN_NOT_FOUND,
         "no container with name"},
        {{500, "{\"message\":\"creating container storage: the container name \\\"x\\\" is already in use by 34: that "
               "name is already in use\"}"},
         PODMAN_NAME_IN_USE,
         "already in use by 34"},
        {{409, "{\"message\":\"that name is already in use\"}"}, PODMAN_NAME_IN_USE, "in use"},
        {{500, "not json"}, PODMAN_REFUSED, "HTTP status 500: not json"},
        {{502, ""}, PODMAN_REFUSED, "HTTP status 502"},
        {{500, "{\"message\":7}"}, PODMAN_REFUSED, "HTTP status 500"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CLEANUP(podman_client_free) struct podman_client *client = NULL;
        CLEANUP(fake_podman_free) struct fake_podman *fake = NULL;
        struct reply reply = cases[i].reply;
        TRY(connect_to(test, &reply, &fake, &client, err));
        int result = podman_container_start(client, "c1", err);
        bool right = result < 0 && error_is(err, &podman_error_domain, cases[i].code) &&
                     strstr(error_root_detail(err), cases[i].words);
        cleanup_free char *text = error_text(err);
        error_clear(err);
        CHECK(right, "case %zu: %s", i, text);
    }
    return 0;
}

FLEET_TEST(podman_client, being_so_already_is_no_failure)
{
    CLEANUP(podman_client_free) struct podman_client *client = NULL;
    CLEANUP(fake_podman_free) struct fake_podman *fake = NULL;
    struct reply reply = {304, ""};

    TRY(connect_to(test, &reply, &fake, &client, err));
    TRY(podman_container_start(client, "c1", err));
    TRY(podman_container_stop(client, "c1", 10, err));
    reply = (struct reply){404, "{\"message\":\"no such container\"}"};
    TRY(podman_container_remove(client, "c1", 10, err));
    CHECK_FAILS(podman_container_start(client, "c1", err), podman_error_domain, PODMAN_NOT_FOUND);
    CHECK(fake_podman_count(fake, "POST " API "/containers/c1/stop?timeout=10") == 1, "no stop with its grace period");
    CHECK(fake_podman_count(fake, "DELETE " API "/containers/c1?force=true&volumes=true&timeout=10") == 1,
          "no removal with anonymous volumes");
    return 0;
}

FLEET_TEST(podman_client, replies_are_checked)
{
    static const char *const bodies[] = {"", "[", "{}", "{\"Id\":7}", "null"};
    CLEANUP(podman_client_free) struct podman_client *client = NULL;
    CLEANUP(fake_podman_free) struct fake_podman *fake = NULL;
    struct reply reply = {200, ""};
    struct observed_list observed = {0};
    char *text = NULL;
    int exit_code = 0;

    TRY(connect_to(test, &reply, &fake, &client, err));
    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
        reply.body = bodies[i];
        CHECK_FAILS(podman_container_create(client, "x", "{}", &text, err), podman_error_domain, PODMAN_BAD_REPLY);
        CHECK_FAILS(podman_version(client, &text, err), podman_error_domain, PODMAN_BAD_REPLY);
        CHECK_FAILS(podman_container_list(client, "d", NULL, &observed, err), podman_error_domain, PODMAN_BAD_REPLY);
        CHECK_FAILS(podman_container_wait(client, "x", deadline_in_ms(5000), &exit_code, err), podman_error_domain,
                    PODMAN_BAD_REPLY);
    }
    return 0;
}

FLEET_TEST(podman_client, lists_what_podman_shows)
{
    CLEANUP(podman_client_free) struct podman_client *client = NULL;
    CLEANUP(fake_podman_free) struct fake_podman *fake = NULL;
    cleanup_observed_list struct observed_list observed = {0};
    struct reply reply = {
        200, "[{\"Id\":\"c1\",\"Names\":[\"fleet.a.web\"],\"Image\":\"localhost/web:v1\",\"State\":\"exited\","
             "\"ExitCode\":137,\"Status\":\"unhealthy\",\"Labels\":{\"io.harmony.fleet.deployment\":\"a\","
             "\"io.harmony.fleet.service\":\"web\"}},"
             "{\"Id\":\"c2\",\"Names\":null,\"Labels\":null,\"State\":\"stopping\"},7]"};

    TRY(connect_to(test, &reply, &fake, &client, err));
    TRY(podman_container_list(client, "pi-01", "a", &observed, err));
    CHECK(fake_podman_count(fake,
                            "GET " API "/containers/json?all=true&filters=%7B%22label%22%3A%5B%22io.harmony.fleet."
                            "device%3Dpi-01%22%2C%22io.harmony.fleet.deployment%3Da%22%5D%7D") == 1,
          "not the filters asked for");
    CHECK(observed.count == 3, "%zu containers", observed.count);
    const struct observed_container *web = &observed.items[0];
    CHECK(text_equal(web->name, "fleet.a.web") && text_equal(web->status, "exited") && web->exit_code == 137 &&
              web->state == OBSERVED_ENDED && text_equal(web->health, "unhealthy") &&
              text_equal(web->deployment, "a") && text_equal(web->service, "web") && !web->init,
          "the first is %s, %s", web->name, web->status);
    CHECK(observed.items[1].state == OBSERVED_CHANGING && !observed.items[1].service, "the second");
    return 0;
}

FLEET_TEST(podman_client, last_words_fit_on_a_line)
{
    CLEANUP(podman_client_free) struct podman_client *client = NULL;
    CLEANUP(fake_podman_free) struct fake_podman *fake = NULL;
    cleanup_free char *words = NULL;
    struct reply reply = {200, ""};

    TRY(connect_to(test, &reply, &fake, &client, err));
    TRY(podman_container_last_words(client, "c1", 3, &words, err));
    CHECK(strcmp(words, "") == 0, "silence is %s", words);
    return 0;
}

/* A frame header has zero bytes, which http_server_reply cannot send. */
static bool give_log(void *context, const char *request, int fd)
{
    static const char body[] = "\1\0\0\0\0\0\0\4one\n\2\0\0\0\0\0\0\5t\two\n\1\0\0\0\0\0\1\0cut";

    (void)context;
    (void)request;
    http_server_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", sizeof(body) - 1);
    return send(fd, body, sizeof(body) - 1, MSG_NOSIGNAL) > 0;
}

FLEET_TEST(podman_client, last_words_lose_their_frames)
{
    CLEANUP(podman_client_free) struct podman_client *client = NULL;
    CLEANUP(fake_podman_free) struct fake_podman *fake = NULL;
    cleanup_free char *words = NULL;

    TRY(fake_podman_start(test->artefacts, give_log, NULL, &fake, err));
    TRY(podman_client_new(fake_podman_socket(fake), &client, err));
    TRY(podman_container_last_words(client, "c1", 3, &words, err));
    CHECK(strcmp(words, "one t wo cut") == 0, "%s", words);
    return 0;
}

FLEET_TEST(podman_client, nobody_there_and_broken_off)
{
    CLEANUP(podman_client_free) struct podman_client *nobody = NULL;
    CLEANUP(podman_client_free) struct podman_client *client = NULL;
    CLEANUP(fake_podman_free) struct fake_podman *fake = NULL;
    struct reply reply = {0, NULL};

    TRY(podman_client_new("/no/such/socket", &nobody, err));
    CHECK_FAILS(podman_ping(nobody, err), http_error_domain, HTTP_UNREACHABLE);
    TRY(connect_to(test, &reply, &fake, &client, err));
    CHECK_FAILS(podman_ping(client, err), http_error_domain, HTTP_BROKEN);
    return 0;
}

static void *cancel(void *context)
{
    podman_client_cancel(context);
    return NULL;
}

FLEET_TEST(podman_client, cancelling_ends_this_call_and_all_that_follow)
{
    CLEANUP(podman_client_free) struct podman_client *client = NULL;
    CLEANUP(fake_podman_free) struct fake_podman *fake = NULL;
    struct reply reply = {-1, NULL};
    int exit_code = 0;
    pthread_t thread;

    TRY(connect_to(test, &reply, &fake, &client, err));
    CHECK(pthread_create(&thread, NULL, cancel, client) == 0, "no thread");
    int result = podman_container_wait(client, "c1", deadline_in_ms(20000), &exit_code, err);
    pthread_join(thread, NULL);
    CHECK_FAILS(result, http_error_domain, HTTP_STOPPED);
    CHECK_FAILS(podman_ping(client, err), http_error_domain, HTTP_STOPPED);
    return 0;
}

FLEET_TEST(podman_client, waiting_has_a_deadline)
{
    CLEANUP(podman_client_free) struct podman_client *client = NULL;
    CLEANUP(fake_podman_free) struct fake_podman *fake = NULL;
    struct reply reply = {-1, NULL};
    int exit_code = 0;

    TRY(connect_to(test, &reply, &fake, &client, err));
    CHECK_FAILS(podman_container_wait(client, "c1", deadline_in_ms(30), &exit_code, err), http_error_domain,
                HTTP_TIMED_OUT);
    return 0;
}
