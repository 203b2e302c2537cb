/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "contracts/names.h"
#include "kubernetes/kube_object.h"
#include "messaging/kv_batch.h"
#include "operator/controller.h"

#define CONFIRM_MS 3000 /* for NATS to confirm a batch */

static inline void deployment_plan_clear_at_exit(struct deployment_plan *plan)
{
    deployment_plan_clear(plan);
}

/** Add or remove ours; what the answer says is known at once. */
static int change_finalizer(struct controller_context *context, const char *name, const struct deployment_plan *plan,
                            struct error *err)
{
    bool add = plan->finalizer == PLAN_FINALIZER_ADD;
    CLEANUP(cJSON_Delete) cJSON *patch = deployment_finalizer_patch(&plan->finalizers, plan->resource_version, add);
    CLEANUP(cJSON_Delete) cJSON *object = NULL;
    struct deadline deadline;

    if (controller_may_write(context, &deadline, err) < 0)
        return -1;
    metrics_add(context->metrics, METRIC_KUBE_PATCH, 1);
    if (kube_merge_patch(context->client, &fleet_deployments, context->namespace_name, name, NULL, patch, deadline,
                         &object, err) < 0) {
        if (!error_is(err, &kube_error_domain, KUBE_NOT_FOUND))
            return error_wrap(err, add ? "adding the finalizer" : "removing the finalizer", name);
        error_clear(err); /* it is gone */
        return 0;
    }
    if (add)
        fleet_deployment_seen(context->fleet, object);
    return 0;
}

static int send_keys(struct kv_batch *batch, const char *name, const struct deployment_plan *plan, struct error *err)
{
    struct wire_key key;

    for (size_t i = 0; i < plan->deletes.count; i++) {
        if (desired_state_key(plan->deletes.items[i], name, &key, err) < 0 || kv_batch_delete(batch, key.text, err) < 0)
            return -1;
    }
    for (size_t i = 0; i < plan->puts.count; i++) {
        if (desired_state_key(plan->puts.items[i], name, &key, err) < 0 ||
            kv_batch_put(batch, key.text, plan->score, strlen(plan->score), err) < 0)
            return -1;
    }
    return 0;
}

static int write_keys(struct controller_context *context, struct kv_batch *batch, const char *name,
                      const struct deployment_plan *plan, struct error *err)
{
    struct deadline deadline;

    if (plan->puts.count + plan->deletes.count == 0)
        return 0;
    if (controller_may_write(context, &deadline, err) < 0)
        return -1;
    if (send_keys(batch, name, plan, err) < 0 ||
        kv_batch_finish(batch, deadline_min(deadline, deadline_in_ms(CONFIRM_MS)), err) < 0) {
        kv_batch_abandon(batch);
        return error_wrap(err, "writing desired states of", name);
    }
    fleet_keys_written(context->fleet, name, plan);
    metrics_add(context->metrics, METRIC_KV_PUT, plan->puts.count);
    metrics_add(context->metrics, METRIC_KV_DELETE, plan->deletes.count);
    if (plan->left_over > 0)
        log_info("what NATS had lost is taken down, nobody asks for it any more", LOG_TEXT("deployment", name),
                 LOG_INTEGER("devices", plan->left_over));
    log_debug("desired states written", LOG_TEXT("deployment", name), LOG_INTEGER("put", plan->puts.count),
              LOG_INTEGER("deleted", plan->deletes.count));
    return 0;
}

/** The finalizer stands before the first key and until the last one is gone. */
static int reconcile_deployment(struct controller_context *context, void *state, const char *name, struct error *err)
{
    __attribute__((cleanup(deployment_plan_clear_at_exit))) struct deployment_plan plan;

    if (!fleet_plan_deployment(context->fleet, name, &plan) || plan.wait)
        return 0;
    if (plan.finalizer == PLAN_FINALIZER_ADD && change_finalizer(context, name, &plan, err) < 0)
        return -1;
    if (write_keys(context, state, name, &plan, err) < 0)
        return -1;
    return plan.finalizer == PLAN_FINALIZER_REMOVE ? change_finalizer(context, name, &plan, err) : 0;
}

static void on_put(void *context, const char *key, uint64_t revision, const char *data, size_t size)
{
    fleet_key_confirmed(context, key, revision, data, size);
}

static void on_deleted(void *context, const char *key, uint64_t revision)
{
    fleet_key_confirmed(context, key, revision, NULL, 0);
}

static void *state_new(struct controller_context *context)
{
    const struct kv_batch_sink sink = {on_put, on_deleted, context->fleet};

    return kv_batch_new(context->connection, BUCKET_DESIRED_STATE, &sink);
}

static void state_free(void *state)
{
    kv_batch_free(state);
}

const struct controller_kind deployment_controller = {
    .name = "deployment",
    .reconcile = reconcile_deployment,
    .state_new = state_new,
    .state_free = state_free,
    .reconciles = METRIC_RECONCILE_DEPLOYMENT,
    .failures = METRIC_FAILED_DEPLOYMENT,
    .microseconds = METRIC_MICROSECONDS_DEPLOYMENT,
};
