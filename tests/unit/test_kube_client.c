/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/kube_client.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "harness/test.h"
#include "kubernetes/kube_object.h"
#include "tests/unit/support_kube.h"
#include "tests/unit/support_network.h"

#define SOON    deadline_in_ms(20000)
#define REFUSED "{\"kind\":\"Status\",\"reason\":\"Unauthorized\",\"message\":\"Unauthorized\",\"code\":401}"

FLEET_TEST(kube_client, requests_are_what_the_api_wants)
{
    static const struct kube_step steps[] = {
        REPLY("GET /api/v1/namespaces/shop/pods/web HTTP/1.1", 200, "{\"kind\":\"Pod\"}"),
        REPLY("GET /api/v1/nodes/n1 HTTP/1.1", 200, "{}"),
        REPLY("POST /apis/apps/v1/namespaces/shop/deployments HTTP/1.1", 201, "{}"),
        REPLY("PATCH /apis/apps/v1/namespaces/shop/deployments/web?fieldManager=me%20too&force=true&dryRun=All HTTP",
              200, "{}"),
        REPLY("PATCH /apis/apps/v1/namespaces/shop/deployments/web/status HTTP/1.1", 200, "{}"),
        REPLY("PUT /apis/apps/v1/namespaces/shop/deployments/web HTTP/1.1", 200, "{}"),
        REPLY("DELETE /apis/apps/v1/namespaces/shop/deployments/web HTTP/1.1", 200, "{}"),
        REPLY("DELETE /apis/apps/v1/namespaces/shop/deployments/web HTTP/1.1", 404, "{\"kind\":\"Status\"}"),
        REPLY("GET /api/v1/namespaces/shop/pods/a%2Fb/log?container=c&tailLines=3&previous=true HTTP/1.1", 200,
              "words"),
        {0},
    };
    CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;
    CLEANUP(cJSON_Delete) cJSON *pod = NULL;
    CLEANUP(cJSON_Delete) cJSON *web = kube_object_new(&kube_deployments, "shop", "web");
    cleanup_free char *log = NULL;
    const struct kube_apply_options options = {.field_manager = "me too", .force = true, .dry_run = true};

    TRY(fake_kube_start(steps, NULL, &fake, err));
    struct kube_client *client = fake_kube_client(fake);
    TRY(kube_get(client, &kube_pods, "shop", "web", SOON, &pod, err));
    CHECK(text_equal(kube_text(pod, "kind", NULL), "Pod"), "another object");
    TRY(kube_get(client, &kube_nodes, "shop", "n1", SOON, NULL, err));
    TRY(kube_create(client, &kube_deployments, web, SOON, NULL, err));
    TRY(kube_apply(client, &kube_deployments, web, &options, SOON, NULL, err));
    TRY(kube_merge_patch(client, &kube_deployments, "shop", "web", "status", web, SOON, NULL, err));
    TRY(kube_replace(client, &kube_deployments, NULL, web, SOON, NULL, err));
    TRY(kube_delete(client, &kube_deployments, "shop", "web", KUBE_FOREGROUND, 5, SOON, err));
    TRY(kube_delete(client, &kube_deployments, "shop", "web", KUBE_BACKGROUND, -1, SOON, err));
    TRY(kube_pod_log(client, "shop", "a/b", "c", 3, true, SOON, &log, err));
    CHECK(text_equal(log, "words"), "%s", log);
    TRY(fake_kube_check(fake, err));
    cleanup_free char *applied = fake_kube_request(fake, 3);
    CHECK(strstr(applied, "Content-Type: application/apply-patch+yaml\r\n"), "%s", applied);
    cleanup_free char *patched = fake_kube_request(fake, 4);
    CHECK(strstr(patched, "Content-Type: application/merge-patch+json\r\n"), "%s", patched);
    cleanup_free char *deleted = fake_kube_request(fake, 6);
    CHECK(strstr(deleted, "\"propagationPolicy\":\"Foreground\",\"gracePeriodSeconds\":5"), "%s", deleted);
    CHECK(fake_kube_connections(fake) == 1, "%d connections", fake_kube_connections(fake));
    return 0;
}

FLEET_TEST(kube_client, refusals_are_typed_and_in_the_servers_words)
{
    static const struct {
        int status;
        int code;
        const char *body;
        const char *words;
    } cases[] = {
        {404, KUBE_NOT_FOUND, "{\"kind\":\"Status\",\"message\":\"pods \\\"x\\\" not found\"}", "pods \"x\" not found"},
        {409, KUBE_EXISTS, "{\"kind\":\"Status\",\"reason\":\"AlreadyExists\",\"message\":\"m\"}", "m"},
        {409, KUBE_CONFLICT, "{\"kind\":\"Status\",\"reason\":\"Conflict\",\"message\":\"m\"}", "m"},
        {403, KUBE_FORBIDDEN, "{\"kind\":\"Status\",\"message\":\"User \\\"u\\\" cannot get\"}",
         "User \"u\" cannot get"},
        {401, KUBE_UNAUTHORIZED, REFUSED, "Unauthorized"},
        {422, KUBE_INVALID,
         "{\"kind\":\"Status\",\"message\":\"is invalid\",\"details\":{\"causes\":[{\"field\":\"spec.x\","
         "\"message\":\"Required value\"}]}}",
         "is invalid; spec.x: Required value"},
        {400, KUBE_INVALID, "{\"kind\":\"Status\",\"message\":\"m\"}", "m"},
        {410, KUBE_GONE, "{\"kind\":\"Status\",\"reason\":\"Expired\",\"message\":\"too old\"}", "too old"},
        {429, KUBE_THROTTLED, "{\"kind\":\"Status\",\"message\":\"m\"}", "m"},
        {500, KUBE_UNAVAILABLE, "{\"kind\":\"Status\",\"reason\":\"InternalError\"}", "status 500, InternalError"},
        {503, KUBE_UNAVAILABLE, "", "status 503"},
        {502, KUBE_UNAVAILABLE, "<html>bad gateway", "status 502: <html>bad gateway"},
        {302, KUBE_REFUSED, "", "status 302"},
        {405, KUBE_REFUSED, "{}", "status 405"},
        {404, KUBE_NOT_FOUND, "404 page not found\n", "CustomResourceDefinition"},
        {200, KUBE_UNAVAILABLE, "no json", "no JSON"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;
        CLEANUP(cJSON_Delete) cJSON *object = NULL;
        const struct kube_step steps[] = {REPLY("GET ", cases[i].status, cases[i].body), {0}};
        TRY(fake_kube_start(steps, NULL, &fake, err));
        int result = kube_get(fake_kube_client(fake), &kube_pods, "shop", "x", SOON, &object, err);
        bool right = result < 0 && error_is(err, &kube_error_domain, cases[i].code) &&
                     strstr(error_root_detail(err), cases[i].words) && text_equal(err->operation, "getting Pod") &&
                     text_equal(err->subject, "shop/x");
        cleanup_free char *text = error_text(err);
        error_clear(err);
        CHECK(right, "case %zu: %s", i, text);
    }
    return 0;
}

static int add_name(void *context, cJSON *item, struct error *err)
{
    (void)err;
    text_list_format(context, "%s %s", kube_text(item, "kind", "?"), kube_name(item));
    return 0;
}

/** Something between us and the server may answer in its stead. */
FLEET_TEST(kube_client, answer_that_is_none_of_the_api_is_no_success)
{
    static const char *const bodies[] = {
        "{}",
        "[]",
        "{\"message\":\"maintenance\"}",
        "{\"metadata\":{\"resourceVersion\":\"5\"}}",
        "{\"metadata\":{\"resourceVersion\":\"5\"},\"items\":{}}",
        "{\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[7]}",
        "{\"metadata\":{},\"items\":[]}",
    };
    static const struct kube_step page[] = {
        REPLY("PATCH ", 200, "<html>log in"), REPLY("DELETE ", 200, "<html>log in"), REPLY("PATCH ", 200, ""), {0}};
    CLEANUP(fake_kube_free) struct fake_kube *written = NULL;
    CLEANUP(cJSON_Delete) cJSON *web = kube_object_new(&kube_deployments, "shop", "web");

    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
        const struct kube_step steps[] = {REPLY("GET ", 200, bodies[i]), {0}};
        CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;
        cleanup_text_list struct text_list names = {0};
        TRY(fake_kube_start(steps, NULL, &fake, err));
        CHECK_FAILS(kube_list(fake_kube_client(fake), &kube_pods, NULL, NULL, add_name, &names, SOON, NULL, err),
                    kube_error_domain, KUBE_UNAVAILABLE);
    }
    TRY(fake_kube_start(page, NULL, &written, err));
    struct kube_client *client = fake_kube_client(written);
    for (int i = 0; i < 3; i++) {
        int result = i == 1 ? kube_delete(client, &kube_deployments, "shop", "web", KUBE_BACKGROUND, -1, SOON, err)
                            : kube_merge_patch(client, &kube_deployments, "shop", "web", NULL, web, SOON, NULL, err);
        CHECK_FAILS(result, kube_error_domain, KUBE_UNAVAILABLE);
    }
    return 0;
}

/** ".." in a path is another object's: nothing is asked for. */
FLEET_TEST(kube_client, names_that_lead_elsewhere_are_refused)
{
    static const struct kube_step steps[] = {{0}};
    CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;
    cleanup_free char *log = NULL;

    TRY(fake_kube_start(steps, NULL, &fake, err));
    struct kube_client *client = fake_kube_client(fake);
    CHECK_FAILS(kube_delete(client, &kube_pods, "shop", "..", KUBE_BACKGROUND, -1, SOON, err), kube_error_domain,
                KUBE_INVALID);
    CHECK_FAILS(kube_get(client, &kube_pods, ".", "web", SOON, NULL, err), kube_error_domain, KUBE_INVALID);
    CHECK_FAILS(kube_pod_log(client, "shop", "..", NULL, 0, false, SOON, &log, err), kube_error_domain, KUBE_INVALID);
    TRY(fake_kube_check(fake, err));
    return 0;
}

FLEET_TEST(kube_client, no_namespace_is_the_configured_one)
{
    static const struct kube_step steps[] = {
        REPLY("GET /api/v1/namespaces/shop/pods/web HTTP", 200, "{}"),
        REPLY("GET /api/v1/namespaces/shop/pods/web/log HTTP", 200, "words"),
        {0},
    };
    CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;
    cleanup_free char *log = NULL;

    TRY(fake_kube_start(steps, &(struct kube_config){.namespace_name = (char *)"shop"}, &fake, err));
    TRY(kube_get(fake_kube_client(fake), &kube_pods, NULL, "web", SOON, NULL, err));
    TRY(kube_pod_log(fake_kube_client(fake), NULL, "web", NULL, 0, false, SOON, &log, err));
    return 0;
}

/** "Try again later" says that nothing was done: the server sheds load, or is about to end. */
FLEET_TEST(kube_client, goes_back_when_the_server_says_so)
{
    static const struct kube_step steps[] = {
        {"PATCH ", "{\"kind\":\"Status\",\"code\":429,\"message\":\"busy\"}", 429, STEP_LATER},
        {"PATCH ", "ending", 503, STEP_LATER},
        REPLY("PATCH ", 200, "{}"),
        {"PATCH ", "{\"kind\":\"Status\",\"code\":429,\"message\":\"busy\"}", 429, STEP_LATER},
        REPLY("PATCH ", 429, "{\"kind\":\"Status\",\"code\":429,\"message\":\"busy\"}"),
        {0},
    };
    CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;
    CLEANUP(cJSON_Delete) cJSON *web = kube_object_new(&kube_deployments, "shop", "web");

    TRY(fake_kube_start(steps, NULL, &fake, err));
    struct kube_client *client = fake_kube_client(fake);
    int64_t began_ms = clock_monotonic_ms();
    TRY(kube_merge_patch(client, &kube_deployments, "shop", "web", NULL, web, SOON, NULL, err));
    CHECK(clock_monotonic_ms() - began_ms >= 2000, "it did not wait");
    for (int i = 0; i < 2; i++) /* no time to wait, and nobody said how long */
        CHECK_FAILS(kube_merge_patch(client, &kube_deployments, "shop", "web", NULL, web,
                                     deadline_in_ms(i == 0 ? 900 : 20000), NULL, err),
                    kube_error_domain, KUBE_THROTTLED);
    TRY(fake_kube_check(fake, err));
    return 0;
}

FLEET_TEST(kube_client, list_goes_page_by_page)
{
    static const struct kube_step steps[] = {
        REPLY("GET /api/v1/pods?limit=1&labelSelector=a%3Db&fieldSelector=c%3Dd HTTP/1.1", 200,
              "{\"metadata\":{\"resourceVersion\":\"7\",\"continue\":\"t/"
              "1\"},\"items\":[{\"metadata\":{\"name\":\"x\"}}]}"),
        REPLY("GET /api/v1/pods?limit=1&labelSelector=a%3Db&fieldSelector=c%3Dd&continue=t%2F1 HTTP/1.1", 410,
              "{\"kind\":\"Status\",\"reason\":\"Expired\"}"),
        REPLY("GET /api/v1/pods?limit=1&labelSelector=a%3Db&fieldSelector=c%3Dd HTTP/1.1", 200,
              "{\"metadata\":{\"resourceVersion\":\"8\",\"continue\":\"t2\"},\"items\":[{\"metadata\":{\"name\":\"x\"}}"
              "]}"),
        REPLY(
            "GET /api/v1/pods?limit=1&labelSelector=a%3Db&fieldSelector=c%3Dd&continue=t2 HTTP/1.1", 200,
            "{\"metadata\":{\"resourceVersion\":\"8\"},\"items\":[{\"kind\":\"Own\",\"metadata\":{\"name\":\"y\"}}]}"),
        {0},
    };
    CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;
    cleanup_text_list struct text_list names = {0};
    cleanup_free char *version = NULL;
    const struct kube_list_options options = {"a=b", "c=d", 1};

    TRY(fake_kube_start(steps, NULL, &fake, err));
    TRY(kube_list(fake_kube_client(fake), &kube_pods, NULL, &options, add_name, &names, SOON, &version, err));
    TRY(fake_kube_check(fake, err));
    cleanup_free char *text = text_list_join(&names, ", ");
    CHECK(text_equal(text, "Pod x, Pod x, Own y"), "%s", text);
    CHECK(text_equal(version, "8"), "version %s", version);
    return 0;
}

FLEET_TEST(kube_client, rotated_token_is_read_again)
{
    static const struct kube_step steps[] = {
        REPLY("GET /version", 200, "one"),   REPLY("GET /version", 401, REFUSED), REPLY("GET /version", 200, "two"),
        REPLY("GET /version", 401, REFUSED), REPLY("GET /version", 401, REFUSED), {0},
    };
    CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;
    cleanup_free char *path = text_format("%s/token", test->artefacts);
    cleanup_free char *one = NULL;
    cleanup_free char *two = NULL;
    cleanup_free char *none = NULL;

    TRY(file_write_atomic(path, "first\n", 6, 0600, err));
    TRY(fake_kube_start(steps, &(struct kube_config){.token_file = path}, &fake, err));
    TRY(kube_get_raw(fake_kube_client(fake), "/version", SOON, &one, err));
    TRY(file_write_atomic(path, "second", 6, 0600, err));
    TRY(kube_get_raw(fake_kube_client(fake), "/version", SOON, &two, err));
    CHECK_FAILS(kube_get_raw(fake_kube_client(fake), "/version", SOON, &none, err), kube_error_domain,
                KUBE_UNAUTHORIZED);
    TRY(fake_kube_check(fake, err));
    static const char *const tokens[] = {"first", "first", "second", "second", "second"};
    for (size_t i = 0; i < ARRAY_SIZE(tokens); i++) {
        cleanup_free char *request = fake_kube_request(fake, i);
        cleanup_free char *header = text_format("\r\nAuthorization: Bearer %s\r\n", tokens[i]);
        CHECK(strstr(request, header), "request %zu: %s", i, request);
    }
    return 0;
}

/** A token file that is being written, or lost for a moment. */
FLEET_TEST(kube_client, former_token_does_while_the_file_has_none)
{
    static const struct kube_step steps[] = {
        REPLY("GET /version", 200, "one"),   REPLY("GET /version", 401, REFUSED), REPLY("GET /version", 200, "two"),
        REPLY("GET /version", 401, REFUSED), REPLY("GET /version", 200, "three"), {0},
    };
    CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;
    cleanup_free char *path = text_format("%s/token", test->artefacts);

    TRY(file_write_atomic(path, "first", 5, 0600, err));
    TRY(fake_kube_start(steps, &(struct kube_config){.token_file = path}, &fake, err));
    for (int i = 0; i < 3; i++) {
        cleanup_free char *body = NULL;
        TRY(kube_get_raw(fake_kube_client(fake), "/version", SOON, &body, err));
        if (i == 0)
            TRY(file_write_atomic(path, "\n", 1, 0600, err));
        else
            CHECK(unlink(path) == 0 || i == 2, "the file stays");
    }
    return fake_kube_check(fake, err);
}

FLEET_TEST(kube_client, proxy_of_the_configuration_is_used)
{
    static const struct kube_step steps[] = {REPLY("GET http://kube.invalid:8001/version HTTP", 200, "one"), {0}};
    CLEANUP(fake_kube_free) struct fake_kube *proxy = NULL;
    CLEANUP(kube_client_free) struct kube_client *client = NULL;
    cleanup_free char *body = NULL;

    TRY(fake_kube_start(steps, NULL, &proxy, err));
    const struct kube_config config = {
        .server = (char *)"http://kube.invalid:8001",
        .proxy_url = (char *)kube_client_server(fake_kube_client(proxy)),
    };
    TRY(kube_client_new(&config, &client, err));
    TRY(kube_get_raw(client, "/version", SOON, &body, err));
    CHECK(text_equal(body, "one"), "%s", body);
    return 0;
}

/** Our end of each connection to the server. */
static int check_sockets(struct fake_kube *fake, int *count, struct error *err)
{
    long port = strtol(strrchr(kube_client_server(fake_kube_client(fake)), ':') + 1, NULL, 10);

    *count = 0;
    for (int fd = 3; fd < 1024; fd++) {
        struct sockaddr_in peer = {0};
        socklen_t size = sizeof(peer);
        unsigned timeout_ms = 0;
        socklen_t timeout_size = sizeof(timeout_ms);
        if (getpeername(fd, (struct sockaddr *)&peer, &size) < 0 || peer.sin_family != AF_INET ||
            ntohs(peer.sin_port) != port)
            continue;
        ++*count;
        CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC, "descriptor %d is inherited", fd);
        CHECK(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, &timeout_size) == 0 && timeout_ms > 0 &&
                  timeout_ms <= 60000,
              "sent bytes may stay unanswered for %u ms", timeout_ms);
    }
    return 0;
}

/** A child must not hold our connections, and one whose other end is silently gone must not pass for a quiet one. */
FLEET_TEST(kube_client, connections_are_our_own_and_notice_a_dead_network)
{
    static const struct kube_step steps[] = {REPLY("GET /version", 200, "one"), {0}};
    CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;
    cleanup_free char *body = NULL;
    int count = 0;

    TRY(fake_kube_start(steps, NULL, &fake, err));
    TRY(kube_get_raw(fake_kube_client(fake), "/version", SOON, &body, err));
    TRY(check_sockets(fake, &count, err));
    CHECK(count == 1, "%d connections", count);
    return 0;
}

FLEET_TEST(kube_client, user_and_password_are_sent)
{
    static const struct kube_step steps[] = {REPLY("GET /version", 200, "one"), {0}};
    CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;
    cleanup_free char *one = NULL;

    TRY(fake_kube_start(steps, &(struct kube_config){.user = (char *)"me", .password = (char *)"pw"}, &fake, err));
    TRY(kube_get_raw(fake_kube_client(fake), "/version", SOON, &one, err));
    cleanup_free char *request = fake_kube_request(fake, 0);
    CHECK(strstr(request, "\r\nAuthorization: Basic bWU6cHc=\r\n"), "%s", request);
    return 0;
}

/** Write a plugin that counts its runs in a file, and a configuration that has it. */
static int write_plugin(const char *directory, const char *status, char **path, struct error *err)
{
    cleanup_free char *script =
        text_format("#!/bin/sh\necho \"$EXTRA $1 $KUBERNETES_EXEC_INFO\" >>%s/runs\n"
                    "n=$(wc -l <%s/runs)\ncat <<END\n{\"apiVersion\":\"client.authentication.k8s.io/v1\","
                    "\"kind\":\"ExecCredential\",\"status\":%s}\nEND\n",
                    directory, directory, status);

    *path = text_format("%s/plugin", directory);
    return file_write_atomic(*path, script, strlen(script), 0700, err);
}

FLEET_TEST(kube_client, plugin_runs_once_until_refused)
{
    static const struct kube_step steps[] = {
        REPLY("GET /version", 200, "one"),
        REPLY("GET /version", 200, "two"),
        REPLY("GET /version", 401, REFUSED),
        REPLY("GET /version", 200, "three"),
        {0},
    };
    CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;
    cleanup_free char *path = NULL;
    cleanup_text_list struct text_list environment = {0};
    cleanup_text_list struct text_list exec = {0};

    TRY(write_plugin(test->artefacts,
                     "{\"token\":\"token-$n\",\"expirationTimestamp\":\"2199-01-01T00:00:00.5+01:00\"}", &path, err));
    text_list_add(&exec, path);
    text_list_add(&exec, "argument");
    text_list_add(&environment, "EXTRA=extra");
    const struct kube_config config = {
        .exec = exec,
        .exec_env = environment,
        .exec_api_version = (char *)"client.authentication.k8s.io/v1",
        .exec_cluster_info = true,
    };
    TRY(fake_kube_start(steps, &config, &fake, err));
    for (int i = 0; i < 3; i++) {
        cleanup_free char *body = NULL;
        TRY(kube_get_raw(fake_kube_client(fake), "/version", SOON, &body, err));
    }
    TRY(fake_kube_check(fake, err));
    static const int runs[] = {1, 1, 1, 2};
    for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
        cleanup_free char *request = fake_kube_request(fake, i);
        cleanup_free char *header = text_format("\r\nAuthorization: Bearer token-%d\r\n", runs[i]);
        CHECK(strstr(request, header), "request %zu: %s", i, request);
    }
    cleanup_free char *said_path = text_format("%s/runs", test->artefacts);
    cleanup_free char *said = NULL;
    size_t size = 0;
    TRY(file_read(said_path, 10000, &said, &size, err));
    CHECK(text_starts_with(said, "extra argument {\"kind\":\"ExecCredential\","), "%s", said);
    CHECK(strstr(said, "\"cluster\":{\"server\":\"http://127.0.0.1:"), "%s", said);
    return 0;
}

FLEET_TEST(kube_client, expired_credential_is_asked_for_again)
{
    static const struct kube_step steps[] = {REPLY("GET /version", 200, "one"), REPLY("GET /version", 200, "two"), {0}};
    CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;
    cleanup_free char *path = NULL;
    cleanup_text_list struct text_list exec = {0};

    TRY(write_plugin(test->artefacts, "{\"token\":\"token-$n\",\"expirationTimestamp\":\"2001-01-01T00:00:00Z\"}",
                     &path, err));
    text_list_add(&exec, path);
    const struct kube_config config = {.exec = exec, .exec_api_version = (char *)"client.authentication.k8s.io/v1"};
    TRY(fake_kube_start(steps, &config, &fake, err));
    for (int i = 0; i < 2; i++) {
        cleanup_free char *body = NULL;
        TRY(kube_get_raw(fake_kube_client(fake), "/version", SOON, &body, err));
    }
    cleanup_free char *second = fake_kube_request(fake, 1);
    CHECK(strstr(second, "Bearer token-2\r\n"), "%s", second);
    return 0;
}

FLEET_TEST(kube_client, plugin_that_fails_is_named)
{
    static const struct {
        const char *status;
        const char *words;
    } cases[] = {
        {"{}", "$.status"},
        {"{\"token\":7}", "$.status.token"},
        {"{\"clientCertificateData\":\"x\"}", "clientKeyData"},
        {"{\"token\":\"t\",\"expirationTimestamp\":\"soon\"}", "expirationTimestamp"},
        {"null}\nEND\necho words of its own >&2; exit 3; cat <<END\n", "words of its own"},
    };
    static const struct kube_step steps[] = {{0}};
    CLEANUP(fake_kube_free) struct fake_kube *absent = NULL;
    cleanup_text_list struct text_list nothing = {0};

    text_list_add(&nothing, "/nonexistent/plugin");
    TRY(fake_kube_start(steps,
                        &(struct kube_config){.exec = nothing,
                                              .exec_api_version = (char *)"client.authentication.k8s.io/v1",
                                              .exec_install_hint = (char *)"get it from the moon"},
                        &absent, err));
    CHECK(kube_get(fake_kube_client(absent), &kube_pods, "a", "b", SOON, NULL, err) < 0, "it went well");
    bool hinted = strstr(error_root_detail(err), "get it from the moon");
    error_clear(err);
    CHECK(hinted, "there is no hint");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;
        cleanup_free char *path = NULL;
        cleanup_free char *body = NULL;
        cleanup_text_list struct text_list exec = {0};
        TRY(write_plugin(test->artefacts, cases[i].status, &path, err));
        text_list_add(&exec, path);
        const struct kube_config config = {.exec = exec, .exec_api_version = (char *)"client.authentication.k8s.io/v1"};
        TRY(fake_kube_start(steps, &config, &fake, err));
        int result = kube_get_raw(fake_kube_client(fake), "/version", SOON, &body, err);
        bool right = result < 0 && error_is(err, &kube_error_domain, KUBE_CONFIG) &&
                     strstr(error_root_detail(err), cases[i].words);
        cleanup_free char *text = error_text(err);
        error_clear(err);
        CHECK(right, "case %zu: %s", i, text);
    }
    return 0;
}

FLEET_TEST(kube_client, nobody_there_is_unavailable)
{
    CLEANUP(kube_client_free) struct kube_client *client = NULL;
    cleanup_free char *body = NULL;
    const struct kube_config config = {.server = (char *)"http://127.0.0.1:1"};

    TRY(kube_client_new(&config, &client, err));
    CHECK_FAILS(kube_get_raw(client, "/version", SOON, &body, err), kube_error_domain, KUBE_UNAVAILABLE);
    CHECK_FAILS(kube_client_new(&(struct kube_config){0}, &client, err), kube_error_domain, KUBE_CONFIG);
    return 0;
}

static void *cancel(void *client)
{
    kube_client_cancel(client);
    return NULL;
}

FLEET_TEST(kube_client, deadline_and_cancel_end_an_exchange)
{
    static const struct kube_step steps[] = {
        STREAM("GET /version", "", STEP_STAYS_OPEN), STREAM("GET /version", "", STEP_STAYS_OPEN), {0}};
    CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;
    cleanup_free char *body = NULL;
    pthread_t thread;

    TRY(fake_kube_start(steps, NULL, &fake, err));
    struct kube_client *client = fake_kube_client(fake);
    int64_t began_ms = clock_monotonic_ms();
    CHECK_FAILS(kube_get_raw(client, "/version", deadline_in_ms(50), &body, err), kube_error_domain, KUBE_UNAVAILABLE);
    CHECK(pthread_create(&thread, NULL, cancel, client) == 0, "no thread");
    CHECK_FAILS(kube_get_raw(client, "/version", DEADLINE_NEVER, &body, err), kube_error_domain, KUBE_UNAVAILABLE);
    pthread_join(thread, NULL);
    CHECK_FAILS(kube_get_raw(client, "/version", DEADLINE_NEVER, &body, err), kube_error_domain, KUBE_UNAVAILABLE);
    int64_t took_ms = clock_monotonic_ms() - began_ms;
    CHECK(took_ms < 5000, "%lld ms", (long long)took_ms);
    return 0;
}

/** The resolver of libc cannot be interrupted; deadlines hold and a cancelled client ends all the same. */
FLEET_TEST(kube_client, deadline_holds_while_a_name_is_looked_up, NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES))
{
    CLEANUP(kube_client_free) struct kube_client *client = NULL;
    cleanup_close int names = -1;
    cleanup_free char *body = NULL;
    const struct kube_config config = {.server = (char *)"https://nobody.example.com"};

    TRY(network_without_names(test->artefacts, &names, err));
    TRY(kube_client_new(&config, &client, err));
    int64_t began_ms = clock_monotonic_ms();
    CHECK_FAILS(kube_get_raw(client, "/version", deadline_in_ms(50), &body, err), kube_error_domain, KUBE_UNAVAILABLE);
    int64_t took_ms = clock_monotonic_ms() - began_ms;
    CHECK(took_ms < 4000, "it took %lld ms", (long long)took_ms);
    return 0;
}
