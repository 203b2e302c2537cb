/* SPDX-License-Identifier: Apache-2.0 */
#include "fixtures/pod_images.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fixtures/cluster_guard.h"
#include "fixtures/pod_images_build.h"
#include "harness/test.h"
#include "kubernetes/kube_object.h"
#include "kubernetes/kube_watch.h"

#define OPEN_MS 120000 /* it may have to be brought up */
#define STEP_MS 60000
#define WARM_MS 1000 /* sanitized, on a busy machine; it takes a fifth of that */

static void images_clear_at_exit(struct pod_images *images)
{
    pod_images_clear(images);
}
#define cleanup_images __attribute__((cleanup(images_clear_at_exit)))

FLEET_TEST(pod_images, second_time_nothing_is_built, .gate = "pod",
           NEEDS(CAPABILITY_CLUSTER, CAPABILITY_PODMAN, CAPABILITY_NATS_SERVER))
{
    CLEANUP(cluster_free) struct cluster *cluster = NULL;
    cleanup_images struct pod_images images = {0};
    cleanup_images struct pod_images again = {0};

    unsetenv(CLUSTER_REBUILD);
    TRY(cluster_open(test->timeline, deadline_in_ms(OPEN_MS), &cluster, err));
    TRY(pod_images_ensure(cluster, test->timeline, deadline_in_ms(STEP_MS), &images, err));
    int64_t began_ms = clock_monotonic_ms();
    TRY(pod_images_ensure(cluster, test->timeline, deadline_in_ms(STEP_MS), &again, err));
    int64_t took_ms = clock_monotonic_ms() - began_ms;
    CHECK(text_equal(images.nats, again.nats) && text_equal(images.agent, again.agent) &&
              text_equal(images.operator, again.operator),
          "%s, %s, %s, then %s, %s, %s", images.nats, images.agent, images.operator, again.nats, again.agent,
          again.operator);
    CHECK(took_ms < WARM_MS, "it took %" PRId64 " ms", took_ms);
    return 0;
}

FLEET_TEST(pod_images, are_brought_to_the_cluster_when_missing_or_asked_to, .gate = "pod",
           NEEDS(CAPABILITY_CLUSTER, CAPABILITY_PODMAN, CAPABILITY_NATS_SERVER))
{
    static const struct cluster_options rebuilding = {.image_rebuild = true};
    CLEANUP(cluster_free) struct cluster *cluster = NULL;
    CLEANUP(cluster_free) struct cluster *by_option = NULL;
    CLEANUP(cluster_free) struct cluster *by_variable = NULL;
    cleanup_pod_archive struct pod_archive archive = {0};
    cleanup_free char *program = NULL;
    bool imported[4] = {false, true, false, false};

    unsetenv(CLUSTER_REBUILD);
    TRY(cluster_open(test->timeline, deadline_in_ms(OPEN_MS), &cluster, err));
    TRY(cluster_open_chosen(&rebuilding, test->timeline, deadline_in_ms(OPEN_MS), &by_option, err));
    setenv(CLUSTER_REBUILD, "1", 1);
    TRY(cluster_open(test->timeline, deadline_in_ms(OPEN_MS), &by_variable, err));
    TRY(nats_server_find(&program, err));
    const struct pod_archive_recipe recipe = {cache_directory(), "nats-server", program, false};
    TRY(pod_archive_ensure(&recipe, deadline_in_ms(STEP_MS), &archive, err));
    struct cluster *const clusters[] = {cluster, cluster, by_option, by_variable};
    for (size_t i = 0; i < ARRAY_SIZE(imported); i++) {
        cleanup_free char *image = NULL;
        TRY(cluster_import_image(clusters[i], archive.reference, archive.path, deadline_in_ms(STEP_MS), &imported[i],
                                 &image, err));
    }
    CHECK(!imported[1], "it is imported though it is there");
    CHECK(imported[2], "image_rebuild does nothing");
    CHECK(imported[3], CLUSTER_REBUILD "=1 does nothing");
    return 0;
}

/* Each says its version, as nobody, with nothing to write to. */
static cJSON *pod_of(const char *namespace_name, const struct pod_images *images)
{
    const char *const names[] = {"nats", "agent", "operator"};
    const char *const references[] = {images->nats, images->agent, images->operator};
    cJSON *pod = kube_json("{\"apiVersion\":\"v1\",\"kind\":\"Pod\","
                           "\"metadata\":{\"name\":\"versions\",\"namespace\":\"%s\"},"
                           "\"spec\":{\"restartPolicy\":\"Never\",\"automountServiceAccountToken\":false,"
                           "\"terminationGracePeriodSeconds\":1,\"containers\":[]}}",
                           namespace_name);
    cJSON *containers = cJSON_GetObjectItem(kube_ensure(pod, "spec"), "containers");

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        cJSON_AddItemToArray(containers,
                             kube_json("{\"name\":\"%s\",\"image\":\"%s\",\"args\":[\"--version\"],"
                                       "\"securityContext\":{\"runAsNonRoot\":true,\"readOnlyRootFilesystem\":true,"
                                       "\"allowPrivilegeEscalation\":false,\"capabilities\":{\"drop\":[\"ALL\"]}}}",
                                       names[i], references[i]));
    return pod;
}

/** A kube_condition: every container has ended well; never, if one failed. */
static int has_succeeded(void *context, const cJSON *pod, struct error *err)
{
    const char *phase = pod ? kube_text(pod, "status.phase", "") : "";

    (void)context;
    if (text_equal(phase, "Failed"))
        return error_set(err, &general_error_domain, GENERAL_FAILED, "running Pod", kube_name(pod), "it failed");
    return text_equal(phase, "Succeeded");
}

/** A Pod wants the account that the cluster makes for each namespace a little later. */
static int account_is_there(void *context, const cJSON *object, struct error *err)
{
    (void)context;
    (void)err;
    return object != NULL;
}

FLEET_TEST(pod_images, programs_run_in_a_pod, .gate = "pod",
           NEEDS(CAPABILITY_CLUSTER, CAPABILITY_PODMAN, CAPABILITY_NATS_SERVER))
{
    static const char *const expected[][2] = {
        {"nats", "nats-server: v2"}, {"agent", "harmony-fleet-agent "}, {"operator", "harmony-fleet-operator "}};
    CLEANUP(cluster_free) struct cluster *cluster = NULL;
    CLEANUP(cluster_guard_free) struct cluster_guard *guard = NULL;
    cleanup_images struct pod_images images = {0};
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    TRY(cluster_open(test->timeline, deadline_in_ms(OPEN_MS), &cluster, err));
    TRY(pod_images_ensure(cluster, test->timeline, deadline_in_ms(STEP_MS), &images, err));
    TRY(cluster_guard_new(run, cluster, &guard, err));
    struct kube_client *client = cluster_client(cluster);
    const char *name = cluster_guard_namespace(guard);
    CLEANUP(cJSON_Delete) cJSON *pod = pod_of(name, &images);
    TRY(kube_wait(client, &kube_service_accounts, name, "default", account_is_there, NULL, deadline_in_ms(STEP_MS),
                  err));
    TRY(kube_create(client, &kube_pods, pod, deadline_in_ms(STEP_MS), NULL, err));
    TRY(kube_wait(client, &kube_pods, name, "versions", has_succeeded, NULL, deadline_in_ms(STEP_MS), err));
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        cleanup_free char *log = NULL;
        TRY(kube_pod_log(client, name, "versions", expected[i][0], 0, false, deadline_in_ms(STEP_MS), &log, err));
        CHECK(text_starts_with(log, expected[i][1]), "the container %s said %s", expected[i][0], log);
    }
    return 0;
}
