/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "contracts/names.h"
#include "kubernetes/kube_object.h"
#include "messaging/kv.h"
#include "operator/controller.h"

static inline void status_plan_clear_at_exit(struct status_plan *plan)
{
    status_plan_clear(plan);
}

/** Ask for the state of a device whose error is not known; the fleet then queues the status again. */
static int ask_for_error(struct controller_context *context, const char *name, const char *device, struct error *err)
{
    CLEANUP(kv_bucket_free) struct kv_bucket *bucket = NULL;
    struct kv_value value = {0};
    struct wire_key key;

    if (device_state_key(device, name, &key, err) < 0 ||
        kv_bucket_open(context->connection, BUCKET_DEVICE_STATE, 0, &bucket, err) < 0)
        return -1;
    if (kv_get(bucket, key.text, &value, err) == 0) {
        fleet_told_put(context->fleet, FLEET_STATE, key.text, value.revision, 0, value.data, value.size);
        kv_value_clear(&value);
        return 0;
    }
    if (!error_is(err, &kv_error_domain, KV_NOT_FOUND))
        return -1;
    error_clear(err);
    fleet_told_deleted(context->fleet, FLEET_STATE, key.text, 0);
    return 0;
}

static int reconcile_status(struct controller_context *context, void *state __attribute__((unused)), const char *name,
                            struct error *err)
{
    __attribute__((cleanup(status_plan_clear_at_exit))) struct status_plan plan;
    CLEANUP(cJSON_Delete) cJSON *object = NULL;
    struct deadline deadline;

    if (!fleet_plan_status(context->fleet, name, &plan))
        return 0;
    if (plan.error_wanted)
        return ask_for_error(context, name, plan.failed_device, err);
    if (controller_may_write(context, &deadline, err) < 0)
        return -1;
    CLEANUP(cJSON_Delete) cJSON *patch = deployment_status_patch(&plan.status);
    metrics_add(context->metrics, METRIC_KUBE_STATUS, 1);
    if (kube_merge_patch(context->client, &fleet_deployments, context->namespace_name, name, "status", patch, deadline,
                         &object, err) < 0) {
        if (!error_is(err, &kube_error_domain, KUBE_NOT_FOUND))
            return error_wrap(err, "writing the status of", name);
        error_clear(err); /* it is gone */
        return 0;
    }
    fleet_status_written(context->fleet, name, &plan.status, object);
    return 0;
}

const struct controller_kind status_controller = {
    .name = "deployment",
    .reconcile = reconcile_status,
    .reconciles = METRIC_RECONCILE_STATUS,
    .failures = METRIC_FAILED_STATUS,
    .microseconds = METRIC_MICROSECONDS_STATUS,
};
