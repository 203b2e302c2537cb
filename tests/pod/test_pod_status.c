/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "contracts/custom_resources.h"
#include "fixtures/images.h"
#include "tests/pod/pod_runner.h"

FLEET_TEST(pod_status, targeting, .gate = "pod", POD_NEEDS)
{
    CLEANUP(stack_free) struct stack *stack = NULL;
    cleanup_free char *name = host_stack_unique_name("targeted");
    cleanup_free char *here = host_stack_unique_name("here");
    cleanup_free char *there = host_stack_unique_name("there");
    const char *first, *second;
    bool has_key = true;

    TRY(stack_shared(test, &stack, err));
    TRY(pod_add_device(stack, "here", here, &first, err));
    TRY(pod_add_device(stack, "there", there, &second, err));

    TRY(pod_apply(stack, name, here, POD_SCORE, err));
    TRY(pod_wait_key(stack, first, name, NULL, NULL, err));
    TRY(pod_wait_aggregate(stack, name, (struct aggregate){.matched = 1, .failed = 1}, err));
    TRY(pod_has_key(stack, second, name, &has_key, err));
    CHECK(!has_key, "%s got what is meant for %s", second, first);

    /* Elsewhere now. */
    TRY(pod_apply(stack, name, there, POD_SCORE, err));
    TRY(pod_wait_key(stack, second, name, NULL, NULL, err));
    TRY(pod_wait_no_key(stack, first, name, err));
    TRY(pod_wait_aggregate(stack, name, (struct aggregate){.matched = 1, .failed = 1}, err));

    /* Both, by an expression. */
    cleanup_free char *both =
        text_format("{\"targetSelector\":{\"matchExpressions\":[{\"key\":\"" POD_LABEL
                    "\",\"operator\":\"In\",\"values\":[\"%s\",\"%s\"]}]},\"score\":" POD_SCORE "}",
                    here, there);
    TRY(pod_apply_spec(stack, name, both, err));
    TRY(pod_wait_key(stack, first, name, NULL, NULL, err));
    TRY(pod_wait_aggregate(stack, name, (struct aggregate){.matched = 2, .failed = 2}, err));

    TRY(pod_remove(stack, name, err));
    TRY(pod_has_key(stack, first, name, &has_key, err));
    CHECK(!has_key, "%s still has the key", first);
    TRY(stack_kill_device(stack, first, err));
    TRY(stack_kill_device(stack, second, err));
    return 0;
}

/** status.aggregate.lastError of a Deployment names this device and says this. */
static int expect_error(struct stack *stack, const char *name, const char *device, const char *text, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *object = NULL;

    TRY(kube_get(stack_kube(stack), &fleet_deployments, stack_namespace(stack), name, deadline_in_ms(POD_STEP_MS),
                 &object, err));
    const char *culprit = kube_text(object, "status.aggregate.lastError.device", "");
    const char *message = kube_text(object, "status.aggregate.lastError.message", "");
    CHECK(text_equal(culprit, device), "lastError is about \"%s\", not %s", culprit, device);
    CHECK(strstr(message, text), "lastError says \"%s\", nothing of %s", message, text);
    return 0;
}

FLEET_TEST(pod_status, status_aggregates, .gate = "pod", POD_RUNNER_NEEDS)
{
    CLEANUP(stack_free) struct stack *stack = NULL;
    cleanup_runner struct runner runner = {0};
    cleanup_free char *name = host_stack_unique_name("status");
    cleanup_free char *label = host_stack_unique_name("label");
    cleanup_free char *other = host_stack_unique_name("other");
    struct device_label other_labels[] = {{.key = pod_label, .value = other}};
    CLEANUP(kv_bucket_free) struct kv_bucket *infos = NULL;
    struct wire_key info;
    const char *refuser;

    TRY(stack_shared(test, &stack, err));
    TRY(runner_new(test, stack, label, &runner, err));
    TRY(pod_add_device(stack, "refuses", label, &refuser, err));

    /* One runs it; the other one has no podman, and its own words come up to the status. */
    TRY(pod_apply(stack, name, label, POD_SCORE, err));
    TRY(pod_wait_aggregate(stack, name, (struct aggregate){.matched = 2, .succeeded = 1, .failed = 1}, err));
    TRY(expect_error(stack, name, refuser, "runtime_enabled", err));

    /* An image nobody has. */
    TRY(pod_apply(stack, name, label,
                  "{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"web\",\"image\":\"localhost/"
                  "no-such-image:v1\"}]}}",
                  err));
    TRY(pod_wait_aggregate(stack, name, (struct aggregate){.matched = 2, .failed = 2}, err));
    TRY(pod_apply(stack, name, label, POD_SCORE, err));
    TRY(pod_wait_aggregate(stack, name, (struct aggregate){.matched = 2, .succeeded = 1, .failed = 1}, err));

    /* A device that gets other labels is no longer asked to, and stops. */
    TRY(host_agent_relabel(runner.agent, other_labels, 1, err));
    TRY(pod_wait_aggregate(stack, name, (struct aggregate){.matched = 1, .failed = 1}, err));
    TRY(wait_for_removed(stack_admin(stack), runner.device, name, deadline_in_ms(POD_STEP_MS), err));

    /* A lost device is still asked to, until somebody takes it off the books. */
    TRY(stack_kill_device(stack, refuser, err));
    TRY(pod_wait_device(stack, refuser, "Offline", NULL, err));
    TRY(pod_wait_aggregate(stack, name, (struct aggregate){.matched = 1, .failed = 1}, err));
    TRY(device_info_key(refuser, &info, err));
    TRY(kv_bucket_open(stack_admin(stack), BUCKET_DEVICE_INFO, 0, &infos, err));
    TRY(kv_delete(infos, info.text, err));
    TRY(pod_wait_aggregate(stack, name, (struct aggregate){0}, err));
    TRY(pod_wait_no_key(stack, refuser, name, err));

    TRY(pod_remove(stack, name, err));
    return host_agent_finish(&runner.agent, err);
}

FLEET_TEST(pod_status, device_materialises, .gate = "pod", POD_NEEDS)
{
    CLEANUP(stack_free) struct stack *stack = NULL;
    cleanup_free char *label = host_stack_unique_name("label");
    CLEANUP(cJSON_Delete) cJSON *online = NULL;
    CLEANUP(cJSON_Delete) cJSON *later = NULL;
    CLEANUP(cJSON_Delete) cJSON *offline = NULL;
    const char *device;

    TRY(stack_shared(test, &stack, err));
    TRY(pod_add_device(stack, "seen", label, &device, err));
    TRY(pod_wait_device(stack, device, "Online", &online, err));
    CHECK(text_equal(kube_label(online, POD_LABEL), label), "its label is %s", kube_label(online, POD_LABEL));
    CHECK(text_equal(kube_label(online, FLEET_LABEL_FLEET), stack_namespace(stack)), "it belongs to %s",
          kube_label(online, FLEET_LABEL_FLEET));
    CHECK(text_equal(kube_text(online, "spec.deviceId", ""), device), "its id is %s",
          kube_text(online, "spec.deviceId", ""));
    CHECK(text_equal(kube_text(online, "status.agentVersion", ""), FLEET_VERSION), "agent version %s",
          kube_text(online, "status.agentVersion", ""));

    /* A heartbeat never costs a write: another device's coming takes several of them. */
    const char *another;
    TRY(pod_add_device(stack, "another", label, &another, err));
    TRY(pod_wait_device(stack, another, "Online", NULL, err));
    TRY(kube_get(stack_kube(stack), &fleet_devices, NULL, device, deadline_in_ms(POD_STEP_MS), &later, err));
    CHECK(text_equal(kube_resource_version(later), kube_resource_version(online)), "it was written meanwhile");

    TRY(stack_kill_device(stack, device, err));
    TRY(pod_wait_device(stack, device, "Offline", &offline, err));
    CHECK(*kube_text(offline, "status.lastHeartbeat", ""), "nobody knows when it was heard of last");
    TRY(stack_kill_device(stack, another, err));
    return 0;
}

/** For kube_wait(): the Device says again what its agent says. */
static int is_as_before(void *context, const cJSON *object, struct error *err)
{
    const cJSON *before = context;

    (void)err;
    return object && text_equal(kube_label(object, POD_LABEL), kube_label(before, POD_LABEL)) &&
           text_equal(kube_label(object, FLEET_LABEL_FLEET), kube_label(before, FLEET_LABEL_FLEET)) &&
           text_equal(kube_text(object, "spec.deviceId", ""), kube_text(before, "spec.deviceId", "")) &&
           text_equal(kube_text(object, "status.phase", ""), "Online");
}

FLEET_TEST(pod_status, device_changed_by_hand, .gate = "pod", POD_NEEDS)
{
    static const char *const changes[] = {
        "{\"metadata\":{\"labels\":{\"" POD_LABEL "\":\"hacked\"}},\"spec\":{\"deviceId\":\"zzz\"}}",
        "{\"metadata\":{\"labels\":{\"" POD_LABEL "\":null,\"" FLEET_LABEL_FLEET "\":\"another\"}}}",
    };
    CLEANUP(stack_free) struct stack *stack = NULL;
    cleanup_free char *label = host_stack_unique_name("label");
    CLEANUP(cJSON_Delete) cJSON *before = NULL;
    struct deadline deadline = deadline_in_ms(POD_STEP_MS);
    const char *device;

    TRY(stack_shared(test, &stack, err));
    TRY(pod_add_device(stack, "by-hand", label, &device, err));
    TRY(pod_wait_device(stack, device, "Online", &before, err));
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
        CLEANUP(cJSON_Delete) cJSON *patch = kube_json("%s", changes[i]);
        CLEANUP(cJSON_Delete) cJSON *changed = NULL;

        TRY(kube_merge_patch(stack_kube(stack), &fleet_devices, NULL, device, NULL, patch, deadline, &changed, err));
        CHECK(!is_as_before(before, changed, err), "it is not changed");
        TRY(kube_wait(stack_kube(stack), &fleet_devices, NULL, device, is_as_before, before, deadline, err));
    }
    TRY(kube_delete(stack_kube(stack), &fleet_devices, NULL, device, KUBE_BACKGROUND, -1, deadline, err));
    TRY(kube_wait(stack_kube(stack), &fleet_devices, NULL, device, is_as_before, before, deadline, err));
    TRY(stack_kill_device(stack, device, err));
    return 0;
}
