/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/text.h"
#include "contracts/custom_resources.h"
#include "kubernetes/kube_object.h"
#include "operator/controller.h"

static inline void device_plan_clear_at_exit(struct device_plan *plan)
{
    device_plan_clear(plan);
}

/** Each fleet is a field manager of its own, so that one does not take another's Device unawares. */
static int apply(struct controller_context *context, const cJSON *object, bool force, cJSON **ret, struct error *err)
{
    cleanup_free char *manager = text_format(FLEET_FIELD_MANAGER "/%s", context->namespace_name);
    const struct kube_apply_options options = {.field_manager = manager, .force = force};
    struct deadline deadline;

    if (controller_may_write(context, &deadline, err) < 0)
        return -1;
    metrics_add(context->metrics, METRIC_KUBE_APPLY, 1);
    return kube_apply(context->client, &fleet_devices, object, &options, deadline, ret, err);
}

/** Somebody has an object of that name, or changed ours. Another fleet's stays its own: two operators that both took it
 *  would write it for ever. */
static int take_over(struct controller_context *context, const cJSON *object, cJSON **ret, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *found = NULL;
    struct deadline deadline;

    if (controller_may_write(context, &deadline, err) < 0)
        return -1;
    if (kube_get(context->client, &fleet_devices, NULL, kube_name(object), deadline, &found, err) < 0)
        return -1;
    if (device_object_is_anothers(found, fleet_owner(context->fleet)))
        return error_set(err, &kube_error_domain, KUBE_EXISTS, "taking", kube_name(found),
                         "the fleet of namespace %s has a device of that name", kube_label(found, FLEET_LABEL_FLEET));
    return apply(context, object, true, ret, err);
}

static int write_object(struct controller_context *context, struct device_plan *plan, cJSON **ret, struct error *err)
{
    if (apply(context, plan->object, plan->exists, ret, err) < 0) {
        if (plan->exists || !error_is(err, &kube_error_domain, KUBE_CONFLICT))
            return -1;
        error_clear(err);
        if (take_over(context, plan->object, ret, err) < 0)
            return -1;
    }
    plan->content_hash = device_object_hash(*ret);
    return 0;
}

static int write_status(struct controller_context *context, const char *name, const cJSON *status, cJSON **ret,
                        struct error *err)
{
    struct deadline deadline;

    if (controller_may_write(context, &deadline, err) < 0)
        return -1;
    metrics_add(context->metrics, METRIC_KUBE_STATUS, 1);
    return kube_merge_patch(context->client, &fleet_devices, NULL, name, "status", status, deadline, ret, err);
}

static int remove_device(struct controller_context *context, const char *name, struct error *err)
{
    struct deadline deadline;

    if (controller_may_write(context, &deadline, err) < 0)
        return -1;
    metrics_add(context->metrics, METRIC_KUBE_DELETE, 1);
    return kube_delete(context->client, &fleet_devices, NULL, name, KUBE_BACKGROUND, -1, deadline, err);
}

static int reconcile_device(struct controller_context *context, void *state __attribute__((unused)),
                            const char *device_id, struct error *err)
{
    __attribute__((cleanup(device_plan_clear_at_exit))) struct device_plan plan;
    cleanup_free char *name = device_object_name(device_id);
    CLEANUP(cJSON_Delete) cJSON *applied = NULL;
    CLEANUP(cJSON_Delete) cJSON *written = NULL;

    if (!fleet_plan_device(context->fleet, device_id, &plan))
        return 0;
    if (plan.remove && remove_device(context, name, err) < 0)
        return error_wrap(err, "deleting device", device_id);
    if (plan.object && write_object(context, &plan, &applied, err) < 0)
        return error_wrap(err, "applying device", device_id);
    if (plan.status && write_status(context, name, plan.status, &written, err) < 0)
        return error_wrap(err, "writing the status of device", device_id);
    fleet_device_written(context->fleet, device_id, &plan, written ? written : applied);
    return 0;
}

const struct controller_kind device_controller = {
    .name = "device",
    .reconcile = reconcile_device,
    .reconciles = METRIC_RECONCILE_DEVICE,
    .failures = METRIC_FAILED_DEVICE,
    .microseconds = METRIC_MICROSECONDS_DEVICE,
};
