/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The client of the Kubernetes API against a real server (tests/unit has what a server only says when it is made to).
 */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "fixtures/cluster_guard.h"
#include "harness/test.h"
#include "kubernetes/kube_object.h"
#include "kubernetes/kube_watch.h"

#define OPEN_MS 120000 /* it may have to be brought up */
#define SOON    deadline_in_ms(30000)

static const struct kube_resource nothings = {"nobody.example.com/v1", "Nothing", "nothings", true};
static const struct kube_apply_options as_tester = {.field_manager = "fleet-test"};

/** The cluster and a namespace of the test's own. */
struct place {
    struct cluster *cluster;
    struct cluster_guard *guard;
    struct kube_client *client; /**< borrowed */
    const char *namespace_name; /**< borrowed */
};

static void place_clear(struct place *place)
{
    cluster_guard_free(place->guard);
    cluster_free(place->cluster);
}
#define cleanup_place __attribute__((cleanup(place_clear)))

static int open_place(struct test_context *test, struct place *ret, struct error *err)
{
    struct run *run = NULL;

    if (test_run(test, &run, err) < 0 ||
        cluster_open(test->timeline, deadline_in_ms(OPEN_MS), &ret->cluster, err) < 0 ||
        cluster_guard_new(run, ret->cluster, &ret->guard, err) < 0)
        return -1;
    ret->client = cluster_client(ret->cluster);
    ret->namespace_name = cluster_guard_namespace(ret->guard);
    return 0;
}

/** A ConfigMap with one value. Freed by cJSON_Delete. */
static cJSON *config_map(const struct place *place, const char *name, const char *value)
{
    cJSON *object = kube_object_new(&kube_config_maps, place->namespace_name, name);

    kube_set_label(object, "test", "client");
    json_add_text(kube_ensure(object, "data"), "value", value);
    return object;
}

static int apply(const struct place *place, const char *name, const char *value,
                 const struct kube_apply_options *options, cJSON **ret, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *object = config_map(place, name, value);

    return kube_apply(place->client, &kube_config_maps, object, options, SOON, ret, err);
}

/** What the server has. */
static int check_value(const struct place *place, const char *name, const char *wanted, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *object = NULL;

    TRY(kube_get(place->client, &kube_config_maps, place->namespace_name, name, SOON, &object, err));
    CHECK(text_equal(kube_text(object, "data.value", NULL), wanted), "%s instead of %s",
          kube_text(object, "data.value", "nothing"), wanted);
    return 0;
}

FLEET_TEST(pod_kube_client, objects_are_applied_patched_and_deleted, .gate = "pod", NEEDS(CAPABILITY_CLUSTER))
{
    cleanup_place struct place place = {0};
    CLEANUP(cJSON_Delete) cJSON *first = NULL;
    CLEANUP(cJSON_Delete) cJSON *again = NULL;
    CLEANUP(cJSON_Delete) cJSON *patch = NULL;
    static const struct kube_apply_options dry = {.field_manager = "fleet-test", .dry_run = true};
    static const struct kube_apply_options other = {.field_manager = "other"};
    static const struct kube_apply_options forced = {.field_manager = "other", .force = true};

    TRY(open_place(test, &place, err));
    TRY(apply(&place, "a", "1", &as_tester, &first, err));
    TRY(apply(&place, "a", "1", &as_tester, &again, err));
    CHECK(text_equal(kube_resource_version(first), kube_resource_version(again)), "applying it again changed it");
    TRY(apply(&place, "a", "2", &dry, NULL, err));
    TRY(check_value(&place, "a", "1", err));
    CHECK(apply(&place, "a", "2", &other, NULL, err) < 0, "it was taken");
    cleanup_free char *conflict = error_text(err);
    bool names_both = error_is(err, &kube_error_domain, KUBE_CONFLICT) && strstr(conflict, "fleet-test") &&
                      strstr(conflict, ".data.value");
    error_clear(err);
    CHECK(names_both, "%s", conflict);
    TRY(apply(&place, "a", "2", &forced, NULL, err));
    TRY(check_value(&place, "a", "2", err));

    patch = kube_json("{\"metadata\":{\"resourceVersion\":\"%s\"},\"data\":{\"value\":\"3\"}}",
                      kube_resource_version(first));
    CHECK_FAILS(
        kube_merge_patch(place.client, &kube_config_maps, place.namespace_name, "a", NULL, patch, SOON, NULL, err),
        kube_error_domain, KUBE_CONFLICT);
    cJSON_DeleteItemFromObject(patch, "metadata");
    TRY(kube_merge_patch(place.client, &kube_config_maps, place.namespace_name, "a", NULL, patch, SOON, NULL, err));
    TRY(check_value(&place, "a", "3", err));
    CHECK_FAILS(kube_replace(place.client, &kube_config_maps, NULL, first, SOON, NULL, err), kube_error_domain,
                KUBE_CONFLICT);

    for (int i = 0; i < 2; i++)
        TRY(kube_delete(place.client, &kube_config_maps, place.namespace_name, "a", KUBE_BACKGROUND, -1, SOON, err));
    TRY(kube_wait_gone(place.client, &kube_config_maps, place.namespace_name, "a", SOON, err));
    return 0;
}

FLEET_TEST(pod_kube_client, refusals_are_the_servers, .gate = "pod", NEEDS(CAPABILITY_CLUSTER))
{
    cleanup_place struct place place = {0};
    CLEANUP(kube_config_free) struct kube_config *config = NULL;
    CLEANUP(kube_client_free) struct kube_client *stranger = NULL;
    CLEANUP(cJSON_Delete) cJSON *object = NULL;
    CLEANUP(cJSON_Delete) cJSON *bad = NULL;

    TRY(open_place(test, &place, err));
    bad = kube_json("{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"s\",\"namespace\":\"%s\"},"
                    "\"spec\":{\"ports\":[{\"port\":99999}]}}",
                    place.namespace_name);
    CHECK(kube_create(place.client, &kube_services, bad, SOON, NULL, err) < 0, "it was taken");
    cleanup_free char *text = error_text(err);
    bool right = error_is(err, &kube_error_domain, KUBE_INVALID) && strstr(text, "spec.ports[0].port");
    error_clear(err);
    CHECK(right, "%s", text);

    CHECK_FAILS(kube_get(place.client, &kube_services, place.namespace_name, "s", SOON, &object, err),
                kube_error_domain, KUBE_NOT_FOUND);
    CHECK(kube_get(place.client, &nothings, place.namespace_name, "s", SOON, NULL, err) < 0, "it was found");
    cleanup_free char *no_kind = error_text(err);
    right = error_is(err, &kube_error_domain, KUBE_NOT_FOUND) && strstr(no_kind, "CustomResourceDefinition");
    error_clear(err);
    CHECK(right, "%s", no_kind);
    object = kube_object_new(&kube_namespaces, NULL, place.namespace_name);
    CHECK_FAILS(kube_create(place.client, &kube_namespaces, object, SOON, NULL, err), kube_error_domain, KUBE_EXISTS);

    TRY(kube_config_load(cluster_kubeconfig(place.cluster), NULL, &config, err));
    free(TAKE_PTR(config->client_certificate));
    free(TAKE_PTR(config->client_key));
    free(config->token);
    config->token = text_copy("nobody.knows.me");
    TRY(kube_client_new(config, &stranger, err));
    CHECK_FAILS(kube_list(stranger, &kube_pods, NULL, NULL, NULL, NULL, SOON, NULL, err), kube_error_domain,
                KUBE_UNAUTHORIZED);
    return 0;
}

static int count(void *context, cJSON *item, struct error *err)
{
    int *counted = context;

    (void)err;
    *counted += text_equal(kube_text(item, "kind", NULL), "ConfigMap");
    return 0;
}

FLEET_TEST(pod_kube_client, lists_go_page_by_page, .gate = "pod", NEEDS(CAPABILITY_CLUSTER))
{
    cleanup_place struct place place = {0};
    const struct kube_list_options pages = {.label_selector = "test=client", .page_size = 2};
    cleanup_free char *version = NULL;
    int counted = 0;

    TRY(open_place(test, &place, err));
    for (int i = 0; i < 5; i++) {
        cleanup_free char *name = text_format("c%d", i);
        TRY(apply(&place, name, "x", &as_tester, NULL, err));
    }
    TRY(kube_list(place.client, &kube_config_maps, place.namespace_name, &pages, count, &counted, SOON, &version, err));
    CHECK(counted == 5 && *version, "%d of version %s", counted, version);
    return 0;
}

/** What a watch told, in order. */
struct told {
    pthread_mutex_t mutex;
    struct text_list words;
    const char *wanted;
};

static void on_event(void *context, enum kube_event event, const cJSON *object)
{
    static const char signs[] = {[KUBE_ADDED] = '+', [KUBE_MODIFIED] = '~', [KUBE_DELETED] = '-'};
    struct told *told = context;

    pthread_mutex_lock(&told->mutex);
    text_list_format(&told->words, "%c%s", signs[event], kube_name(object));
    pthread_mutex_unlock(&told->mutex);
}

static int told_all(void *context, struct text_buffer *state, struct error *err)
{
    struct told *told = context;

    (void)err;
    pthread_mutex_lock(&told->mutex);
    cleanup_free char *text = text_list_join(&told->words, " ");
    pthread_mutex_unlock(&told->mutex);
    text_buffer_add(state, text);
    return strcmp(text, told->wanted) == 0;
}

static int change_and_wait(const struct place *place, struct told *told, struct error *err)
{
    told->wanted = "+old";
    TRY(wait_until("the watch to tell what there is", told_all, told, NULL, SOON, err));
    TRY(apply(place, "new", "1", &as_tester, NULL, err));
    TRY(apply(place, "new", "1", &as_tester, NULL, err)); /* nothing to tell */
    TRY(apply(place, "old", "2", &as_tester, NULL, err));
    TRY(kube_delete(place->client, &kube_config_maps, place->namespace_name, "new", KUBE_BACKGROUND, -1, SOON, err));
    told->wanted = "+old +new ~old -new";
    TRY(wait_until("the watch to tell what changed", told_all, told, NULL, SOON, err));
    return 0;
}

FLEET_TEST(pod_kube_client, watch_follows, .gate = "pod", NEEDS(CAPABILITY_CLUSTER))
{
    cleanup_place struct place place = {0};
    struct told told = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    const struct kube_watch_handler handler = {.event = on_event, .context = &told};
    const struct kube_list_options ours = {.label_selector = "test=client"};
    struct kube_watch *watch = NULL;

    TRY(open_place(test, &place, err));
    TRY(apply(&place, "old", "1", &as_tester, NULL, err));
    TRY(kube_watch_start(place.client, &kube_config_maps, place.namespace_name, &ours, &handler, &watch, err));
    int result = change_and_wait(&place, &told, err);
    int64_t began_ms = clock_monotonic_ms();
    kube_watch_free(watch);
    int64_t took_ms = clock_monotonic_ms() - began_ms;
    text_list_clear(&told.words);
    if (result < 0)
        return -1;
    CHECK(took_ms < 1000, "the watch took %lld ms to end", (long long)took_ms);
    return 0;
}

FLEET_TEST(pod_kube_client, roll_out_that_cannot_succeed_fails_early, .gate = "pod", NEEDS(CAPABILITY_CLUSTER))
{
    cleanup_place struct place place = {0};
    CLEANUP(cJSON_Delete) cJSON *deployment = NULL;

    TRY(open_place(test, &place, err));
    deployment = kube_json(
        "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"d\",\"namespace\":\"%s\"},"
        "\"spec\":{\"selector\":{\"matchLabels\":{\"app\":\"d\"}},\"template\":{\"metadata\":{\"labels\":{"
        "\"app\":\"d\"}},\"spec\":{\"automountServiceAccountToken\":false,\"containers\":[{\"name\":\"c\","
        "\"image\":\"localhost/nobody-has-this:1\",\"imagePullPolicy\":\"Never\"}]}}}}",
        place.namespace_name);
    TRY(kube_apply(place.client, &kube_deployments, deployment, &as_tester, SOON, NULL, err));
    CHECK(kube_wait_rollout(place.client, &kube_deployments, place.namespace_name, "d", deadline_in_ms(60000), err) < 0,
          "it rolled out");
    cleanup_free char *text = error_text(err);
    bool right = error_is(err, &general_error_domain, GENERAL_FAILED) && strstr(text, "container c: ErrImageNeverPull");
    error_clear(err);
    CHECK(right, "%s", text);
    return 0;
}

static void *cancel(void *client)
{
    kube_client_cancel(client);
    return NULL;
}

FLEET_TEST(pod_kube_client, cancel_ends_a_wait, .gate = "pod", NEEDS(CAPABILITY_CLUSTER))
{
    cleanup_place struct place place = {0};
    CLEANUP(kube_config_free) struct kube_config *config = NULL;
    CLEANUP(kube_client_free) struct kube_client *client = NULL;
    pthread_t thread;

    TRY(open_place(test, &place, err));
    TRY(kube_config_load(cluster_kubeconfig(place.cluster), NULL, &config, err));
    TRY(kube_client_new(config, &client, err));
    int64_t began_ms = clock_monotonic_ms();
    CHECK(pthread_create(&thread, NULL, cancel, client) == 0, "no thread");
    int result = kube_wait_condition(client, &kube_pods, place.namespace_name, "nobody", "Ready", SOON, err);
    int64_t took_ms = clock_monotonic_ms() - began_ms;
    pthread_join(thread, NULL);
    CHECK_FAILS(result, kube_error_domain, KUBE_UNAVAILABLE);
    CHECK(took_ms < 1000, "it took %lld ms", (long long)took_ms);
    return 0;
}
