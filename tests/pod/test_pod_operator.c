/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "contracts/custom_resources.h"
#include "tests/pod/pod_scenario.h"

/** It is there, and its metadata.finalizers has ours. */
static int expect_finalizer(struct stack *stack, const char *name, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *object = NULL;
    const cJSON *finalizer;
    bool found = false;

    TRY(kube_get(stack_kube(stack), &fleet_deployments, stack_namespace(stack), name, deadline_in_ms(POD_STEP_MS),
                 &object, err));
    cJSON_ArrayForEach(finalizer, kube_member(object, "metadata.finalizers"))
        found |= text_equal(cJSON_GetStringValue(finalizer), FLEET_FINALIZER);
    CHECK(found, "%s has no finalizer " FLEET_FINALIZER, name);
    return 0;
}

FLEET_TEST(pod_operator, operator_finalizer_and_kv, .gate = "pod", POD_NEEDS)
{
    CLEANUP(stack_free) struct stack *stack = NULL;
    cleanup_free char *name = host_stack_unique_name("web");
    cleanup_free char *label = host_stack_unique_name("label");
    struct kv_value value = {0};
    const char *device;
    uint64_t created;

    TRY(stack_shared(test, &stack, err));
    TRY(pod_add_device(stack, "kv", label, &device, err));

    TRY(pod_apply(stack, name, label, POD_SCORE, err));
    TRY(pod_wait_key(stack, device, name, "localhost/hello-web:v1", &value, err));
    created = value.revision;
    kv_value_clear(&value);
    TRY(expect_finalizer(stack, name, err));

    /* What does not change what the device is to run costs no write. */
    cleanup_free char *same = text_format("{\"targetSelector\":{\"matchExpressions\":[{\"key\":\"" POD_LABEL
                                          "\",\"operator\":\"In\",\"values\":[\"%s\"]}]},\"score\":" POD_SCORE "}",
                                          label);
    TRY(pod_apply_spec(stack, name, same, err));
    TRY(pod_wait_aggregate(stack, name, (struct aggregate){.matched = 1, .failed = 1}, err));
    TRY(pod_wait_key(stack, device, name, NULL, &value, err));
    uint64_t kept = value.revision;
    kv_value_clear(&value);
    CHECK(kept == created, "the key was written again, revision %llu after %llu", (unsigned long long)kept,
          (unsigned long long)created);

    TRY(pod_apply(stack, name, label,
                  "{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"web\",\"image\":\"localhost/"
                  "hello-web:v2\"}]}}",
                  err));
    TRY(pod_wait_key(stack, device, name, "localhost/hello-web:v2", &value, err));
    uint64_t updated = value.revision;
    kv_value_clear(&value);
    CHECK(updated > created, "revision %llu after %llu", (unsigned long long)updated, (unsigned long long)created);

    bool has_key = true;
    TRY(pod_remove(stack, name, err));
    TRY(pod_has_key(stack, device, name, &has_key, err)); /* the finalizer goes last */
    CHECK(!has_key, "%s is gone, but the key of %s is not", name, device);
    TRY(stack_kill_device(stack, device, err));
    return 0;
}

/** A CR as an operator leaves it that was killed between adding its finalizer and writing the first key. */
static int create_half_done(struct stack *stack, const char *name, const char *label, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *object = kube_object_new(&fleet_deployments, stack_namespace(stack), name);

    cJSON_AddItemToArray(cJSON_AddArrayToObject(kube_ensure(object, "metadata"), "finalizers"),
                         cJSON_CreateString(FLEET_FINALIZER));
    cJSON_AddItemToObject(
        object, "spec",
        kube_json("{\"targetSelector\":{\"matchLabels\":{\"" POD_LABEL "\":\"%s\"}},\"score\":" POD_SCORE "}", label));
    return kube_create(stack_kube(stack), &fleet_deployments, object, deadline_in_ms(POD_STEP_MS), NULL, err);
}

/** The stack is others', too: whatever became of the test, it has an operator. */
struct operator_away {
    struct stack *stack; /**< NULL: it is back */
};

static void operator_back(struct operator_away *away)
{
    cleanup_error struct error err = ERROR_INIT;

    if (away->stack && stack_scale_operator(away->stack, 1, &err) < 0) {
        cleanup_free char *text = error_text(&err);
        fprintf(stderr, "the stack is left without an operator: %s\n", text);
    }
}

FLEET_TEST(pod_operator, operator_restart, .gate = "pod", POD_NEEDS)
{
    CLEANUP(stack_free) struct stack *stack = NULL;
    cleanup_free char *begun = host_stack_unique_name("begun");
    cleanup_free char *deleted = host_stack_unique_name("deleted");
    cleanup_free char *label = host_stack_unique_name("label");
    __attribute__((cleanup(operator_back))) struct operator_away away = {0};
    struct deadline deadline = deadline_in_ms(POD_STEP_MS);
    const char *device;
    bool has_key = true;

    TRY(stack_shared(test, &stack, err));
    TRY(pod_add_device(stack, "restart", label, &device, err));
    TRY(pod_apply(stack, deleted, label, POD_SCORE, err));
    TRY(pod_wait_key(stack, device, deleted, NULL, NULL, err));

    away.stack = stack;
    TRY(stack_scale_operator(stack, 0, err));
    TRY(create_half_done(stack, begun, label, err));
    TRY(kube_delete(stack_kube(stack), &fleet_deployments, stack_namespace(stack), deleted, KUBE_BACKGROUND, -1,
                    deadline, err));
    TRY(pod_has_key(stack, device, begun, &has_key, err));
    CHECK(!has_key, "somebody wrote the key of %s without an operator", begun);
    TRY(pod_has_key(stack, device, deleted, &has_key, err));
    CHECK(has_key, "the key of %s went without an operator", deleted);
    TRY(stack_scale_operator(stack, 1, err));
    away.stack = NULL;

    TRY(pod_wait_key(stack, device, begun, NULL, NULL, err));
    TRY(kube_wait_gone(stack_kube(stack), &fleet_deployments, stack_namespace(stack), deleted, deadline, err));
    TRY(pod_has_key(stack, device, deleted, &has_key, err));
    CHECK(!has_key, "%s is gone, but its key is not", deleted);

    TRY(stack_kill_operator(stack, err)); /* and once more, as a node would */
    TRY(pod_remove(stack, begun, err));
    TRY(pod_has_key(stack, device, begun, &has_key, err));
    CHECK(!has_key, "%s is gone, but its key is not", begun);
    TRY(stack_kill_device(stack, device, err));
    return 0;
}

/** 512 of them. */
#define EIGHT(text) text text text text text text text text
#define MANY(text)  EIGHT(EIGHT(EIGHT(text)))

/** What the schema lets through, or cannot know, and the field that has to be named. */
static const struct {
    const char *name;
    const char *spec;
    const char *field;
} bad[] = {
    {"image", "{\"targetSelector\":{},\"score\":{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"web\"}]}}}",
     "image"},
    {"type", "{\"targetSelector\":{},\"score\":{\"type\":\"PodmanV9\",\"data\":{}}}", "type"},
    {"operator",
     "{\"targetSelector\":{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"In\"}]},\"score\":" POD_SCORE "}",
     "values"},
    {"port",
     "{\"targetSelector\":{},\"score\":{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"web\",\"image\":"
     "\"i\","
     "\"ports\":[\"99999:80\"]}]}}}",
     "ports"},
    {"nul",
     "{\"targetSelector\":{},\"score\":{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"web\",\"image\":"
     "\"i\","
     "\"env\":{\"A\":\"a\\u0000b\"}}]}}}",
     "env"},
    {"deep",
     "{\"targetSelector\":{},\"score\":{\"type\":\"PodmanV0\",\"data\":{\"deep\":" MANY("[")
         MANY("]") ",\"services\":"
                   "[{\"name\":\"web\"}]}}}",
     "nested too deeply"},
};

/** Refused by the API server, or accepted and then said to be bad: either way the field is named. */
static int expect_refused(struct stack *stack, size_t i, struct error *err)
{
    cleanup_free char *base = text_format("bad-%s", bad[i].name);
    cleanup_free char *name = host_stack_unique_name(base);
    cleanup_error struct error refusal = ERROR_INIT;
    cleanup_free char *message = NULL;

    if (pod_apply_spec(stack, name, bad[i].spec, &refusal) < 0) {
        CHECK(error_is(&refusal, &kube_error_domain, KUBE_INVALID), "%s: code %d", name, refusal.code);
        message = error_text(&refusal);
    } else {
        TRY(pod_wait_condition(stack, name, "Accepted", "False", &message, err));
        TRY(pod_remove(stack, name, err));
    }
    CHECK(strstr(message, bad[i].field), "%s: \"%s\" does not name %s", name, message, bad[i].field);
    return 0;
}

FLEET_TEST(pod_operator, bad_cr, .gate = "pod", POD_NEEDS)
{
    CLEANUP(stack_free) struct stack *stack = NULL;
    cleanup_free char *good = host_stack_unique_name("good");
    cleanup_free char *label = host_stack_unique_name("label");
    cleanup_free char *message = NULL;
    const char *device;

    TRY(stack_shared(test, &stack, err));
    TRY(pod_add_device(stack, "bad-cr", label, &device, err));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        TRY(expect_refused(stack, i, err));

    /* Others are not affected, and what runs is not taken down by a slip of the pen. */
    TRY(pod_apply(stack, good, label, POD_SCORE, err));
    TRY(pod_wait_key(stack, device, good, "localhost/hello-web:v1", NULL, err));
    TRY(pod_wait_condition(stack, good, "Accepted", "True", NULL, err));
    TRY(pod_apply(
        stack, good, label,
        "{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"web\",\"image\":\"i\",\"volumes\":[\"x\"]}]}}",
        err));
    TRY(pod_wait_condition(stack, good, "Accepted", "False", &message, err));
    CHECK(strstr(message, "spec.score") && strstr(message, "volumes"), "\"%s\" does not name the field", message);
    TRY(pod_wait_key(stack, device, good, "localhost/hello-web:v1", NULL, err));
    TRY(pod_remove(stack, good, err));
    TRY(stack_kill_device(stack, device, err));
    return 0;
}

/** A specification whose score has so many services, each with an environment of 31,000 bytes. */
static char *large_spec(const char *label, int services)
{
    cleanup_text_buffer struct text_buffer spec = {0};
    cleanup_free char *value = memory_resize(NULL, 31001, 1);

    memset(value, 'x', 31000);
    value[31000] = '\0';
    text_buffer_format(&spec,
                       "{\"targetSelector\":{\"matchLabels\":{\"" POD_LABEL
                       "\":\"%s\"}},\"score\":{\"type\":\"PodmanV0\",\"data\":{\"services\":[",
                       label);
    for (int i = 0; i < services; i++)
        text_buffer_format(&spec, "%s{\"name\":\"s%d\",\"image\":\"i\",\"env\":{\"A\":\"%s\"}}", i > 0 ? "," : "", i,
                           value);
    text_buffer_add(&spec, "]}}}");
    return text_buffer_take(&spec);
}

FLEET_TEST(pod_operator, a_score_may_be_as_large_as_a_value, .gate = "pod", POD_NEEDS)
{
    CLEANUP(stack_free) struct stack *stack = NULL;
    cleanup_free char *name = host_stack_unique_name("large");
    cleanup_free char *label = host_stack_unique_name("label");
    cleanup_free char *fits = large_spec(label, 33);
    cleanup_free char *does_not = large_spec(label, 34);
    cleanup_free char *message = NULL;
    const char *device;

    TRY(stack_shared(test, &stack, err));
    TRY(pod_add_device(stack, "large", label, &device, err));
    TRY(pod_apply_spec(stack, name, fits, err));
    TRY(pod_wait_key(stack, device, name, "\"s32\"", NULL, err));
    TRY(pod_wait_aggregate(stack, name, (struct aggregate){.matched = 1, .failed = 1}, err));
    TRY(pod_apply_spec(stack, name, does_not, err));
    TRY(pod_wait_condition(stack, name, "Accepted", "False", &message, err));
    CHECK(text_starts_with(message, "spec.score: ") && strstr(message, "1048576"), "\"%s\"", message);
    TRY(pod_remove(stack, name, err));
    TRY(stack_kill_device(stack, device, err));
    return 0;
}

/* By hand */

/** Write any value to a desired-state key, or delete it (NULL). */
static int meddle(struct stack *stack, const char *device, const char *deployment, const char *value, struct error *err)
{
    CLEANUP(kv_bucket_free) struct kv_bucket *bucket = NULL;
    struct wire_key key;

    if (desired_state_key(device, deployment, &key, err) < 0 ||
        kv_bucket_open(stack_admin(stack), BUCKET_DESIRED_STATE, 0, &bucket, err) < 0)
        return -1;
    return value ? kv_put(bucket, key.text, value, strlen(value), NULL, err) : kv_delete(bucket, key.text, err);
}

static int has_own_label(void *context, const cJSON *object, struct error *err)
{
    (void)err;
    return object && text_equal(kube_label(object, POD_LABEL), context) &&
           text_equal(kube_label(object, "theirs"), "stays");
}

static int is_another(void *context, const cJSON *object, struct error *err)
{
    (void)err;
    return object && !text_equal(kube_uid(object), context) &&
           text_equal(kube_text(object, "status.phase", ""), "Online");
}

FLEET_TEST(pod_operator, what_is_done_by_hand_is_put_right, .gate = "pod", POD_NEEDS)
{
    CLEANUP(stack_free) struct stack *stack = NULL;
    CLEANUP(cJSON_Delete) cJSON *before = NULL;
    CLEANUP(cJSON_Delete)
    cJSON *change =
        kube_json("%s", "{\"metadata\":{\"labels\":{\"" POD_LABEL "\":\"elsewhere\",\"theirs\":\"stays\"}}}");
    cleanup_free char *name = host_stack_unique_name("by-hand");
    cleanup_free char *label = host_stack_unique_name("label");
    struct deadline deadline = deadline_in_ms(POD_STEP_MS);
    const char *device;

    TRY(stack_shared(test, &stack, err));
    TRY(pod_add_device(stack, "by-hand", label, &device, err));
    TRY(pod_apply(stack, name, label, POD_SCORE, err));
    TRY(pod_wait_aggregate(stack, name, (struct aggregate){.matched = 1, .failed = 1}, err));
    TRY(pod_wait_device(stack, device, "Online", &before, err));

    TRY(meddle(stack, device, name, "{}", err));
    TRY(pod_wait_key(stack, device, name, "localhost/hello-web:v1", NULL, err));
    TRY(meddle(stack, device, name, NULL, err));
    TRY(pod_wait_key(stack, device, name, "localhost/hello-web:v1", NULL, err));
    TRY(pod_wait_aggregate(stack, name, (struct aggregate){.matched = 1, .failed = 1}, err));

    TRY(kube_merge_patch(stack_kube(stack), &fleet_devices, NULL, device, NULL, change, deadline, NULL, err));
    TRY(kube_wait(stack_kube(stack), &fleet_devices, NULL, device, has_own_label, label, deadline, err));
    TRY(kube_delete(stack_kube(stack), &fleet_devices, NULL, device, KUBE_BACKGROUND, -1, deadline, err));
    cleanup_free char *uid = text_copy(kube_uid(before));
    TRY(kube_wait(stack_kube(stack), &fleet_devices, NULL, device, is_another, uid, deadline, err));

    TRY(pod_remove(stack, name, err));
    TRY(stack_kill_device(stack, device, err));
    return 0;
}

/** A device as if its agent had registered it. */
static int register_device(struct stack *stack, const char *device, struct error *err)
{
    CLEANUP(kv_bucket_free) struct kv_bucket *bucket = NULL;
    cleanup_free char *info = text_format("{\"device_id\":\"%s\",\"agent_version\":\"1\",\"arch\":\"x86_64\","
                                          "\"os\":\"Debian\",\"labels\":{},\"inventory\":{}}",
                                          device);
    struct wire_key key;

    if (device_info_key(device, &key, err) < 0 ||
        kv_bucket_open(stack_admin(stack), BUCKET_DEVICE_INFO, 0, &bucket, err) < 0)
        return -1;
    return kv_put(bucket, key.text, info, strlen(info), NULL, err);
}

static int deregister_device(struct stack *stack, const char *device, struct error *err)
{
    CLEANUP(kv_bucket_free) struct kv_bucket *bucket = NULL;
    struct wire_key key;

    if (device_info_key(device, &key, err) < 0 ||
        kv_bucket_open(stack_admin(stack), BUCKET_DEVICE_INFO, 0, &bucket, err) < 0 ||
        kv_delete(bucket, key.text, err) < 0)
        return -1;
    return kube_wait_gone(stack_kube(stack), &fleet_devices, NULL, device, deadline_in_ms(POD_STEP_MS), err);
}

/** What is cluster-wide and nobody's must not outlive the test, whatever became of it. */
struct strange_device {
    struct stack *stack; /**< NULL: there is none */
    const char *name;
};

static void remove_strange(struct strange_device *strange)
{
    cleanup_error struct error err = ERROR_INIT;

    if (strange->stack && kube_delete(stack_kube(strange->stack), &fleet_devices, NULL, strange->name, KUBE_BACKGROUND,
                                      -1, deadline_in_ms(POD_STEP_MS), &err) < 0) {
        cleanup_free char *text = error_text(&err);
        fprintf(stderr, "the Device %s is left: %s\n", strange->name, text);
    }
}

FLEET_TEST(pod_operator, another_fleet_keeps_its_device, .gate = "pod", POD_NEEDS)
{
    CLEANUP(stack_free) struct stack *stack = NULL;
    CLEANUP(cJSON_Delete) cJSON *found = NULL;
    static const struct kube_apply_options as_another = {.field_manager = FLEET_FIELD_MANAGER "/another"};
    struct deadline deadline = deadline_in_ms(POD_STEP_MS);

    TRY(stack_shared(test, &stack, err));
    cleanup_free char *theirs = text_format("contested-%s", stack_namespace(stack));
    cleanup_free char *ours = text_format("sentinel-%s", stack_namespace(stack));
    __attribute__((cleanup(remove_strange))) struct strange_device strange = {stack, theirs};

    CLEANUP(cJSON_Delete) cJSON *device = kube_object_new(&fleet_devices, NULL, theirs);
    kube_set_label(device, FLEET_LABEL_FLEET, "another");
    cJSON_AddStringToObject(kube_ensure(device, "spec"), "deviceId", theirs);
    TRY(kube_apply(stack_kube(stack), &fleet_devices, device, &as_another, deadline, NULL, err));
    TRY(register_device(stack, theirs, err));
    TRY(register_device(stack, ours, err));
    TRY(pod_wait_device(stack, ours, "Offline", NULL, err));
    TRY(kube_get(stack_kube(stack), &fleet_devices, NULL, theirs, deadline, &found, err));
    CHECK(text_equal(kube_label(found, FLEET_LABEL_FLEET), "another"), "it was taken by %s",
          kube_label(found, FLEET_LABEL_FLEET));

    /* What nobody has can be had. */
    TRY(kube_delete(stack_kube(stack), &fleet_devices, NULL, theirs, KUBE_BACKGROUND, -1, deadline, err));
    strange.stack = NULL;
    TRY(pod_wait_device(stack, theirs, "Offline", NULL, err));
    TRY(deregister_device(stack, theirs, err));
    return deregister_device(stack, ours, err);
}
