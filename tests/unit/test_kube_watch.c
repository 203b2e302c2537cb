/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/kube_watch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "harness/test.h"
#include "kubernetes/kube_object.h"
#include "tests/unit/support_kube.h"

#define SOON  deadline_in_ms(20000)
#define LIST  "GET /api/v1/namespaces/shop/pods?limit="
#define WATCH "GET /api/v1/namespaces/shop/pods?watch=1&allowWatchBookmarks=true&timeoutSeconds="

#define POD(name, version)   "{\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" version "\"}}"
#define PODS(version, items) "{\"metadata\":{\"resourceVersion\":\"" version "\"},\"items\":[" items "]}"
#define EVENT(type, name, version)                                                                                     \
    "{\"type\":\"" type "\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":"     \
    "\"" version "\"}}}\n"
#define BOOKMARK(version) "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"" version "\"}}}\n"
#define TOO_OLD                                                                                                        \
    "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\",\"message\":\"old\"}}\n"

/** What a watch told, in order: "synced", "added x", "trouble gone". */
struct told {
    pthread_mutex_t mutex;
    struct text_list words;
    const char *wanted;
};

static void tell(struct told *told, const char *verb, const char *what)
{
    pthread_mutex_lock(&told->mutex);
    text_list_format(&told->words, "%s%s%s", verb, *what ? " " : "", what);
    pthread_mutex_unlock(&told->mutex);
}

static void on_event(void *context, enum kube_event event, const cJSON *object)
{
    static const char *const verbs[] = {
        [KUBE_ADDED] = "added", [KUBE_MODIFIED] = "modified", [KUBE_DELETED] = "deleted"};

    tell(context, text_equal(kube_text(object, "kind", NULL), "Pod") ? verbs[event] : "no kind", kube_name(object));
}

static void on_synced(void *context)
{
    tell(context, "synced", "");
}

static void on_trouble(void *context, const struct error *err)
{
    tell(context, "trouble", err->domain->code_name(err->code));
}

static int told_all(void *context, struct text_buffer *state, struct error *err)
{
    struct told *told = context;

    (void)err;
    pthread_mutex_lock(&told->mutex);
    cleanup_free char *text = text_list_join(&told->words, ", ");
    pthread_mutex_unlock(&told->mutex);
    text_buffer_add(state, text);
    return strcmp(text, told->wanted) == 0;
}

/** Follow the Pods of "shop" through the steps: exactly `wanted` must be told, and every step asked for. */
static int follow(const struct kube_step *steps, const char *wanted, struct fake_kube **fake, struct error *err)
{
    struct told told = {.mutex = PTHREAD_MUTEX_INITIALIZER, .wanted = wanted};
    const struct kube_watch_handler handler = {on_event, on_synced, on_trouble, &told};
    struct kube_watch *watch = NULL;

    TRY(fake_kube_start(steps, NULL, fake, err));
    TRY(kube_watch_start(fake_kube_client(*fake), &kube_pods, "shop", NULL, &handler, &watch, err));
    int result = wait_until("the watch to tell all", told_all, &told, NULL, SOON, err);
    int64_t began_ms = clock_monotonic_ms();
    kube_watch_free(watch);
    int64_t took_ms = clock_monotonic_ms() - began_ms;
    text_list_clear(&told.words);
    if (result < 0)
        return -1;
    CHECK(took_ms < 1000, "it took %lld ms to end", (long long)took_ms);
    return fake_kube_check(*fake, err);
}

static int check_version(struct fake_kube *fake, size_t index, const char *version, struct error *err)
{
    cleanup_free char *request = fake_kube_request(fake, index);
    cleanup_free char *query = text_format("&resourceVersion=%s HTTP/1.1\r\n", version);

    CHECK(request && strstr(request, query), "request %zu: %s", index, request ? request : "none");
    return 0;
}

FLEET_TEST(kube_watch, tells_what_is_there_and_what_changes)
{
    static const struct kube_step steps[] = {
        REPLY(LIST, 200, PODS("5", POD("a", "3") "," POD("b", "4"))),
        STREAM(WATCH,
               EVENT("MODIFIED", "a", "6") EVENT("ADDED", "c", "7") EVENT("NEWS", "c", "7") EVENT("DELETED", "b", "8"),
               STEP_STAYS_OPEN),
        {0},
    };
    CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;

    TRY(follow(steps, "added a, added b, synced, modified a, added c, deleted b", &fake, err));
    TRY(check_version(fake, 1, "5", err));
    return 0;
}

/** The server ends every watch after some minutes; in between a bookmark may be the newest that was heard. */
FLEET_TEST(kube_watch, goes_on_where_it_ended)
{
    static const struct kube_step steps[] = {
        REPLY(LIST, 200, PODS("5", POD("a", "3"))),
        STREAM(WATCH, EVENT("MODIFIED", "a", "6") BOOKMARK("9"), STEP_OVER),
        STREAM(WATCH, EVENT("ADDED", "b", "10"), STEP_STAYS_OPEN),
        {0},
    };
    CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;

    TRY(follow(steps, "added a, synced, modified a, added b", &fake, err));
    TRY(check_version(fake, 2, "9", err));
    return 0;
}

FLEET_TEST(kube_watch, survives_a_break_without_a_new_list)
{
    static const struct kube_step steps[] = {
        REPLY(LIST, 200, PODS("5", POD("a", "3"))),
        STREAM(WATCH, EVENT("MODIFIED", "a", "6") "{\"type\":\"MODIF", STEP_BROKEN),
        REPLY(WATCH, 503, ""),
        STREAM(WATCH, EVENT("MODIFIED", "a", "7"), STEP_STAYS_OPEN),
        {0},
    };
    CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;

    TRY(follow(steps, "added a, synced, modified a, trouble unavailable, trouble unavailable, modified a", &fake, err));
    TRY(check_version(fake, 2, "6", err));
    TRY(check_version(fake, 3, "6", err));
    return 0;
}

/** After 410 only what changed meanwhile is told: c is new, a changed, b went, d stayed. */
FLEET_TEST(kube_watch, lists_again_when_its_version_is_too_old)
{
    static const struct kube_step steps[] = {
        REPLY(LIST, 200, PODS("5", POD("a", "1") "," POD("b", "2") "," POD("d", "3"))),
        STREAM(WATCH, TOO_OLD, STEP_STAYS_OPEN),
        REPLY(LIST, 200, PODS("90", POD("a", "80") "," POD("c", "81") "," POD("d", "3"))),
        STREAM(WATCH, EVENT("DELETED", "d", "91"), STEP_STAYS_OPEN),
        {0},
    };
    CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;

    TRY(follow(steps, "added a, added b, added d, synced, trouble gone, modified a, added c, deleted b, deleted d",
               &fake, err));
    TRY(check_version(fake, 3, "90", err));
    return 0;
}

FLEET_TEST(kube_watch, first_list_is_tried_until_it_succeeds)
{
    static const struct kube_step steps[] = {
        REPLY(LIST, 404, "{\"kind\":\"Status\"}"),
        REPLY(LIST, 500, ""),
        REPLY(LIST, 200, PODS("5", POD("a", "3"))),
        REPLY(WATCH, 410, "{\"kind\":\"Status\"}"),
        REPLY(LIST, 200, PODS("6", POD("a", "3"))),
        STREAM(WATCH, EVENT("DELETED", "a", "7"), STEP_STAYS_OPEN),
        {0},
    };
    CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;

    TRY(follow(steps, "trouble not-found, trouble unavailable, added a, synced, trouble gone, deleted a", &fake, err));
    return 0;
}

/** Something between us and the server may answer in its stead: that is no empty list, and nothing was deleted. */
FLEET_TEST(kube_watch, answer_that_is_no_list_deletes_nothing)
{
    static const struct kube_step steps[] = {
        REPLY(LIST, 200, PODS("5", POD("a", "3"))),
        STREAM(WATCH, TOO_OLD, STEP_STAYS_OPEN),
        REPLY(LIST, 200, "{\"message\":\"maintenance\"}"),
        REPLY(LIST, 200, PODS("9", POD("a", "3") "," POD("b", "8"))),
        STREAM(WATCH, EVENT("DELETED", "b", "10"), STEP_STAYS_OPEN),
        {0},
    };
    CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;

    TRY(follow(steps, "added a, synced, trouble gone, trouble unavailable, added b, deleted b", &fake, err));
    return 0;
}

/** Whatever the server could not tell is in the next list, not in the next watch from the same version. */
FLEET_TEST(kube_watch, lists_again_after_an_error_event)
{
    static const struct kube_step steps[] = {
        REPLY(LIST, 200, PODS("5", POD("a", "3"))),
        STREAM(WATCH, "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":500}}\n", STEP_STAYS_OPEN),
        REPLY(LIST, 200, PODS("9", POD("a", "8"))),
        STREAM(WATCH, "{\"type\":\"ADDED\"}\n", STEP_STAYS_OPEN),
        STREAM(WATCH, EVENT("MODIFIED", "a", "10"), STEP_STAYS_OPEN),
        {0},
    };
    CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;

    TRY(follow(steps, "added a, synced, trouble unavailable, modified a, trouble unavailable, modified a", &fake, err));
    TRY(check_version(fake, 4, "9", err));
    return 0;
}

/** A proxy that lets no stream through ends each watch at once: then changes come by lists. */
FLEET_TEST(kube_watch, watch_that_ends_at_once_is_told_and_lists_again)
{
    static const struct kube_step steps[] = {
        REPLY(LIST, 200, PODS("5", POD("a", "3"))),
        STREAM(WATCH, "", STEP_OVER),
        REPLY(LIST, 200, PODS("9", POD("a", "8"))),
        STREAM(WATCH, EVENT("MODIFIED", "a", "10"), STEP_STAYS_OPEN),
        {0},
    };
    CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;

    TRY(follow(steps, "added a, synced, trouble unavailable, modified a, modified a", &fake, err));
    return 0;
}

static int is_running(void *context, const cJSON *object, struct error *err)
{
    const char *phase = kube_text(object, "status.phase", "");

    (void)context;
    if (strcmp(phase, "Failed") == 0)
        return error_set(err, &general_error_domain, GENERAL_FAILED, "running", kube_name(object), "it failed");
    return strcmp(phase, "Running") == 0;
}

#define ONE      "GET /api/v1/namespaces/shop/pods?limit=500&fieldSelector=metadata.name%3Da HTTP/1.1"
#define PHASE(x) "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"9\"},\"status\":{\"phase\":\"" x "\"}}"
#define NOW(x)   "{\"type\":\"MODIFIED\",\"object\":" PHASE(x) "}\n"

FLEET_TEST(kube_watch, wait_is_in_the_configured_namespace)
{
    static const struct kube_step steps[] = {REPLY(ONE, 200, PODS("5", PHASE("Running"))), {0}};
    CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;

    TRY(fake_kube_start(steps, &(struct kube_config){.namespace_name = (char *)"shop"}, &fake, err));
    TRY(kube_wait(fake_kube_client(fake), &kube_pods, NULL, "a", is_running, NULL, SOON, err));
    return 0;
}

static int wait_for_a(const struct kube_step *steps, int milliseconds, struct error *err)
{
    CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;

    if (fake_kube_start(steps, NULL, &fake, err) < 0)
        return -1;
    return kube_wait(fake_kube_client(fake), &kube_pods, "shop", "a", is_running, NULL, deadline_in_ms(milliseconds),
                     err);
}

FLEET_TEST(kube_watch, wait_ends_when_the_condition_holds)
{
    static const struct kube_step at_once[] = {REPLY(ONE, 200, PODS("5", PHASE("Running"))), {0}};
    static const struct kube_step later[] = {
        REPLY(ONE, 200, PODS("5", "")),
        STREAM(WATCH, NOW("Pending"), STEP_BROKEN),
        REPLY(ONE, 503, ""),
        REPLY(ONE, 200, PODS("5", PHASE("Pending"))),
        STREAM(WATCH, NOW("Running"), STEP_STAYS_OPEN),
        {0},
    };

    TRY(wait_for_a(at_once, 20000, err));
    TRY(wait_for_a(later, 20000, err));
    return 0;
}

FLEET_TEST(kube_watch, wait_that_cannot_succeed_fails_at_once)
{
    static const struct kube_step failed[] = {
        REPLY(ONE, 200, PODS("5", "")),
        STREAM(WATCH, NOW("Failed"), STEP_STAYS_OPEN),
        {0},
    };
    static const struct kube_step forbidden[] = {REPLY(ONE, 403, "{\"kind\":\"Status\",\"message\":\"no\"}"), {0}};

    CHECK_FAILS(wait_for_a(failed, 20000, err), general_error_domain, GENERAL_FAILED);
    CHECK_FAILS(wait_for_a(forbidden, 20000, err), kube_error_domain, KUBE_FORBIDDEN);
    return 0;
}

FLEET_TEST(kube_watch, wait_tells_what_it_saw_last)
{
    static const struct kube_step steps[] = {
        REPLY(ONE, 200, PODS("5", "")),
        STREAM(WATCH,
               "{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"generation\":2},\"status\":{\"phase\":\"Pending\","
               "\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\",\"message\":\"no node\"}]}}}\n",
               STEP_STAYS_OPEN),
        {0},
    };

    CHECK(wait_for_a(steps, 300, err) < 0, "it went well");
    cleanup_free char *text = error_text(err);
    bool right = error_is(err, &general_error_domain, GENERAL_TIMEOUT) &&
                 strcmp(text, "waiting for Pod shop/a: generation 2, Pending, Ready=False (no node)") == 0;
    error_clear(err);
    CHECK(right, "%s", text);
    return 0;
}

/** What was seen before the server went away is not why it takes so long. */
FLEET_TEST(kube_watch, wait_tells_that_the_server_went_away)
{
    static const struct kube_step steps[] = {
        REPLY(ONE, 200, PODS("5", PHASE("Pending"))),
        STREAM(WATCH, NOW("Pending"), STEP_BROKEN),
        REPLY(ONE, 503, "gone fishing"),
        REPLY(ONE, 503, "gone fishing"),
        REPLY(ONE, 503, "gone fishing"),
        REPLY(ONE, 503, "gone fishing"),
        REPLY(ONE, 503, "gone fishing"),
        {0},
    };

    CHECK(wait_for_a(steps, 500, err) < 0, "it went well");
    cleanup_free char *text = error_text(err);
    bool right = error_is(err, &general_error_domain, GENERAL_TIMEOUT) && strstr(text, "Pending") &&
                 strstr(text, "gone fishing");
    error_clear(err);
    CHECK(right, "%s", text);
    return 0;
}

/** Nobody makes it again: waiting on would only hide what happened. */
FLEET_TEST(kube_watch, roll_out_of_what_was_deleted_fails_at_once)
{
    static const struct kube_step steps[] = {
        REPLY("GET /apis/apps/v1/namespaces/shop/statefulsets?limit=", 200,
              "{\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[{\"metadata\":{\"name\":\"a\",\"uid\":\"u\","
              "\"generation\":2},\"status\":{\"observedGeneration\":1}}]}"),
        STREAM("GET /apis/apps/v1/namespaces/shop/statefulsets?watch=1",
               "{\"type\":\"DELETED\",\"object\":{\"metadata\":{\"name\":\"a\",\"uid\":\"u\"}}}\n", STEP_STAYS_OPEN),
        {0},
    };
    CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;

    TRY(fake_kube_start(steps, NULL, &fake, err));
    CHECK_FAILS(kube_wait_rollout(fake_kube_client(fake), &kube_stateful_sets, "shop", "a", deadline_in_ms(5000), err),
                general_error_domain, GENERAL_FAILED);
    return 0;
}
