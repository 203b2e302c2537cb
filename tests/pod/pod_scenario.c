/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pod/pod_scenario.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "contracts/custom_resources.h"

#define FIELD_MANAGER "fleet-e2e"

char pod_label[] = POD_LABEL;
const struct kube_resource fleet_deployments = {FLEET_API_VERSION, "Deployment", "deployments", true};
const struct kube_resource fleet_devices = {FLEET_API_VERSION, "Device", "devices", false};

static const struct wait_options often = {.interval_ms = 10};

/* Custom resources */

int pod_apply_spec(struct stack *stack, const char *name, const char *spec, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *object = kube_object_new(&fleet_deployments, stack_namespace(stack), name);
    const struct kube_apply_options options = {.field_manager = FIELD_MANAGER, .force = true};

    cJSON_AddRawToObject(object, "spec", spec); /* also what our own reader would refuse */
    return kube_apply(stack_kube(stack), &fleet_deployments, object, &options, deadline_in_ms(POD_STEP_MS), NULL, err);
}

int pod_apply(struct stack *stack, const char *name, const char *label, const char *score, struct error *err)
{
    cleanup_free char *spec =
        text_format("{\"targetSelector\":{\"matchLabels\":{\"" POD_LABEL "\":\"%s\"}},\"score\":%s}", label, score);

    return pod_apply_spec(stack, name, spec, err);
}

int pod_remove(struct stack *stack, const char *name, struct error *err)
{
    struct deadline deadline = deadline_in_ms(POD_STEP_MS);

    if (kube_delete(stack_kube(stack), &fleet_deployments, stack_namespace(stack), name, KUBE_BACKGROUND, -1, deadline,
                    err) < 0)
        return -1;
    return kube_wait_gone(stack_kube(stack), &fleet_deployments, stack_namespace(stack), name, deadline, err);
}

/* Keys */

struct awaited_key {
    struct kv_bucket *bucket;
    struct wire_key key;
    const char *text; /**< what its value has in it; NULL: any */
    struct kv_value value;
};

static int open_key(struct stack *stack, const char *device, const char *deployment, struct awaited_key *ret,
                    struct error *err)
{
    if (desired_state_key(device, deployment, &ret->key, err) < 0)
        return -1;
    return kv_bucket_open(stack_admin(stack), BUCKET_DESIRED_STATE, 0, &ret->bucket, err);
}

static void close_key(struct awaited_key *awaited)
{
    kv_bucket_free(awaited->bucket);
    kv_value_clear(&awaited->value);
}

/** 1: there; 0: not; NATS that is away is neither. */
static int look(struct awaited_key *awaited, struct text_buffer *state, struct error *err)
{
    cleanup_error struct error failure = ERROR_INIT;

    kv_value_clear(&awaited->value);
    if (kv_get(awaited->bucket, awaited->key.text, &awaited->value, &failure) == 0)
        return 1;
    text_buffer_add(state, error_root_detail(&failure));
    if (error_is(&failure, &kv_error_domain, KV_NOT_FOUND))
        return 0;
    error_move(err, &failure);
    return -1;
}

static int key_is_there(void *context, struct text_buffer *state, struct error *err)
{
    struct awaited_key *awaited = context;
    int found = look(awaited, state, err);

    if (found == 1 && awaited->text && !strstr(awaited->value.data, awaited->text)) {
        text_buffer_add(state, awaited->value.data);
        return 0;
    }
    return found;
}

static int key_is_gone(void *context, struct text_buffer *state, struct error *err)
{
    struct awaited_key *awaited = context;
    int found = look(awaited, state, err);

    if (found == 1)
        text_buffer_add(state, awaited->value.data);
    return found < 0 ? -1 : !found;
}

int pod_wait_key(struct stack *stack, const char *device, const char *deployment, const char *text,
                 struct kv_value *ret, struct error *err)
{
    struct awaited_key awaited = {.text = text};
    int result = open_key(stack, device, deployment, &awaited, err);

    if (result == 0)
        result = wait_until(awaited.key.text, key_is_there, &awaited, &often, deadline_in_ms(POD_STEP_MS), err);
    if (result == 0 && ret) {
        *ret = awaited.value;
        awaited.value = (struct kv_value){0};
    }
    close_key(&awaited);
    return result;
}

int pod_wait_no_key(struct stack *stack, const char *device, const char *deployment, struct error *err)
{
    struct awaited_key awaited = {0};
    int result = open_key(stack, device, deployment, &awaited, err);

    if (result == 0)
        result = wait_until(awaited.key.text, key_is_gone, &awaited, &often, deadline_in_ms(POD_STEP_MS), err);
    close_key(&awaited);
    return result;
}

int pod_has_key(struct stack *stack, const char *device, const char *deployment, bool *ret, struct error *err)
{
    cleanup_text_buffer struct text_buffer state = {0};
    struct awaited_key awaited = {0};
    int found = open_key(stack, device, deployment, &awaited, err) < 0 ? -1 : look(&awaited, &state, err);

    close_key(&awaited);
    *ret = found == 1;
    return found < 0 ? -1 : 0;
}

/* Status */

static int is_current(const cJSON *object)
{
    return object && kube_number(object, "status.observedGeneration", -1) == kube_generation(object);
}

static int has_aggregate(void *context, const cJSON *object, struct error *err)
{
    const struct aggregate *expected = context;

    (void)err;
    return is_current(object) && kube_number(object, "status.aggregate.matched", -1) == expected->matched &&
           kube_number(object, "status.aggregate.pending", -1) == expected->pending &&
           kube_number(object, "status.aggregate.succeeded", -1) == expected->succeeded &&
           kube_number(object, "status.aggregate.failed", -1) == expected->failed;
}

int pod_wait_aggregate(struct stack *stack, const char *name, struct aggregate expected, struct error *err)
{
    cleanup_free char *what = text_format("%s to be matched %ld, pending %ld, succeeded %ld, failed %ld", name,
                                          expected.matched, expected.pending, expected.succeeded, expected.failed);

    if (kube_wait(stack_kube(stack), &fleet_deployments, stack_namespace(stack), name, has_aggregate, &expected,
                  deadline_in_ms(POD_STEP_MS), err) < 0)
        return error_wrap(err, "waiting for", what);
    return 0;
}

struct awaited_condition {
    const char *type, *status;
    char *message;
};

static int has_condition(void *context, const cJSON *object, struct error *err)
{
    struct awaited_condition *awaited = context;
    const cJSON *condition;

    (void)err;
    if (!is_current(object))
        return 0;
    cJSON_ArrayForEach(condition, kube_member(object, "status.conditions")) {
        if (text_equal(kube_text(condition, "type", ""), awaited->type) &&
            text_equal(kube_text(condition, "status", ""), awaited->status)) {
            free(awaited->message);
            awaited->message = text_copy(kube_text(condition, "message", ""));
            return 1;
        }
    }
    return 0;
}

int pod_wait_condition(struct stack *stack, const char *name, const char *type, const char *status, char **message,
                       struct error *err)
{
    struct awaited_condition awaited = {.type = type, .status = status};
    int result = kube_wait(stack_kube(stack), &fleet_deployments, stack_namespace(stack), name, has_condition, &awaited,
                           deadline_in_ms(POD_STEP_MS), err);

    if (result == 0 && message)
        *message = TAKE_PTR(awaited.message);
    free(awaited.message);
    return result;
}

/* Devices */

struct awaited_device {
    const char *phase;
    cJSON *seen;
};

static int is_in_phase(void *context, const cJSON *object, struct error *err)
{
    struct awaited_device *awaited = context;

    (void)err;
    if (!object || !text_equal(kube_text(object, "status.phase", ""), awaited->phase))
        return 0;
    cJSON_Delete(awaited->seen);
    awaited->seen = cJSON_Duplicate(object, true);
    return 1;
}

int pod_wait_device(struct stack *stack, const char *device, const char *phase, cJSON **ret, struct error *err)
{
    struct awaited_device awaited = {.phase = phase};
    int result = kube_wait(stack_kube(stack), &fleet_devices, NULL, device, is_in_phase, &awaited,
                           deadline_in_ms(POD_STEP_MS), err);

    if (result == 0 && ret)
        *ret = TAKE_PTR(awaited.seen);
    cJSON_Delete(awaited.seen);
    return result;
}

int pod_add_device(struct stack *stack, const char *name, const char *label, const char **ret, struct error *err)
{
    cleanup_free char *unique = host_stack_unique_name(name);
    cleanup_free char *value = text_copy(label);
    const struct device_label labels[] = {{.key = pod_label, .value = value}};
    const struct stack_device_options options = {.name = unique, .labels = labels, .label_count = 1};

    return stack_add_device(stack, &options, ret, err);
}
