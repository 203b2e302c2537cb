/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/operator_score.h"

#include <string.h>

#include "base/text.h"
#include "contracts/custom_resources.h"
#include "deploy/kubernetes_manifest.h"
#include "deploy/operator_manifests.h"
#include "kubernetes/kube_watch.h"

/** Apply an object of the operator's, and free it. */
static int apply_object(struct kubernetes_apply *apply, cJSON *object, struct error *err)
{
    return kubernetes_apply_object(apply, OPERATOR_NAME, object, NULL, NULL, err);
}

static int apply_definitions(struct kubernetes_apply *apply, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *definitions = fleet_custom_resource_definitions();

    while (definitions->child)
        if (apply_object(apply, cJSON_DetachItemFromArray(definitions, 0), err) < 0)
            return -1;
    return 0;
}

static int apply_rights(struct kubernetes_apply *apply, struct error *err)
{
    const char *space = apply->target->namespace_name;
    CLEANUP(cJSON_Delete) cJSON *role = operator_cluster_role(space);
    CLEANUP(cJSON_Delete) cJSON *binding = operator_cluster_role_binding(space);

    kubernetes_own_by_namespace(apply, role);
    kubernetes_own_by_namespace(apply, binding);
    if (apply_object(apply, operator_service_account(space), err) < 0 ||
        apply_object(apply, operator_role(space), err) < 0 ||
        apply_object(apply, operator_role_binding(space), err) < 0 || apply_object(apply, TAKE_PTR(role), err) < 0)
        return -1;
    return apply_object(apply, TAKE_PTR(binding), err);
}

static int apply_everything(struct kubernetes_apply *apply, const struct fleet_operator_score *score,
                            struct score_outcome *outcome, struct error *err)
{
    const char *space = apply->target->namespace_name;
    CLEANUP(cJSON_Delete) cJSON *secret = NULL;
    struct score_step step = score_step_begin(apply->topology, "apply operator", outcome);
    int result = apply_definitions(apply, err);

    if (result == 0)
        result = apply_rights(apply, err);
    if (result == 0)
        result = kubernetes_apply_object(apply, OPERATOR_NAME, operator_secret(score, space), NULL, &secret, err);
    if (result == 0)
        result = apply_object(apply, operator_deployment(score, space, secret), err);
    step.changed = apply->changed;
    score_step_end(&step);
    return result;
}

int fleet_operator_score_apply(const struct fleet_operator_score *score, struct topology *topology,
                               struct deadline deadline, struct fleet_operator_deployed *ret, struct error *err)
{
    cleanup_kubernetes_apply struct kubernetes_apply apply = {0};
    struct fleet_operator_deployed deployed = {0};

    if (operator_score_validate(score, true, err) < 0 ||
        kubernetes_apply_begin(FLEET_OPERATOR_SCORE, topology, deadline, &apply, err) < 0)
        return -1;
    if (apply_everything(&apply, score, &deployed.outcome, err) < 0)
        return error_wrap(err, "deploying operator to", topology->name);
    *ret = deployed;
    return 0;
}

static int wait_established(const struct kubernetes_apply *apply, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *definitions = fleet_custom_resource_definitions();
    const cJSON *definition;

    cJSON_ArrayForEach(definition, definitions) {
        if (kube_wait_condition(apply->target->client, &kube_custom_resource_definitions, NULL, kube_name(definition),
                                "Established", apply->deadline, err) < 0)
            return -1;
    }
    return 0;
}

/** The lease is held by a Pod that is there and stays. */
static int is_held(void *context, const cJSON *lease, struct error *err)
{
    const struct kubernetes_apply *apply = context;
    const char *holder = kube_text(lease, "spec.holderIdentity", "");
    CLEANUP(cJSON_Delete) cJSON *pod = NULL;

    if (!holder[0])
        return 0;
    if (kube_get(apply->target->client, &kube_pods, apply->target->namespace_name, holder, apply->deadline, &pod,
                 err) == 0)
        return kube_is_deleting(pod) ? 0 : 1;
    if (!error_is(err, &kube_error_domain, KUBE_NOT_FOUND))
        return -1;
    error_clear(err);
    return 0;
}

static int smoke_check(struct kubernetes_apply *apply, struct error *err)
{
    const struct kubernetes_target *target = apply->target;

    if (wait_established(apply, err) < 0 || kube_wait_rollout(target->client, &kube_deployments, target->namespace_name,
                                                              OPERATOR_NAME, apply->deadline, err) < 0)
        return -1;
    return kube_wait(target->client, &kube_leases, target->namespace_name, FLEET_OPERATOR_LEASE, is_held, apply,
                     apply->deadline, err);
}

int fleet_operator_score_wait(const struct fleet_operator_score *score, struct topology *topology,
                              struct deadline deadline, struct fleet_operator_deployed *deployed, struct error *err)
{
    cleanup_kubernetes_apply struct kubernetes_apply apply = {0};

    if (topology->kubernetes && topology->kubernetes->dry_run)
        return 0;
    if (operator_score_validate(score, true, err) < 0 ||
        kubernetes_apply_begin(FLEET_OPERATOR_SCORE, topology, deadline, &apply, err) < 0)
        return -1;
    struct score_step step = score_step_begin(topology, "smoke check of operator", &deployed->outcome);
    int result = smoke_check(&apply, err);
    score_step_end(&step);
    if (result < 0) {
        kubernetes_smoke_check_failed(err, &apply, OPERATOR_NAME);
        return error_wrap(err, "deploying operator to", topology->name);
    }
    return 0;
}

int fleet_operator_score_interpret(const struct fleet_operator_score *score, struct topology *topology,
                                   struct deadline deadline, struct fleet_operator_deployed *ret, struct error *err)
{
    struct fleet_operator_deployed deployed = {0};

    if (fleet_operator_score_apply(score, topology, deadline, &deployed, err) < 0 ||
        fleet_operator_score_wait(score, topology, deadline, &deployed, err) < 0)
        return -1;
    *ret = deployed;
    return 0;
}
