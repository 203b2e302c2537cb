/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kubernetes/kube_object.h"
#include "operator/fleet_model.h"
#include "operator/hash.h"

#define PLAN_MAX 1000 /* keys at a time: another Deployment gets its turn in between */

static void replace(char **to, char **from)
{
    free(*to);
    *to = TAKE_PTR(*from);
}

/** What is acceptable takes the place of what was; what is not leaves it as it was: a typo takes nothing down. */
static void take_request(struct fleet_deployment *deployment, struct deployment_request *request)
{
    deployment->known = true;
    deployment->abandoned = false;
    deployment->deleting = request->deleting;
    deployment->has_finalizer = request->has_finalizer;
    deployment->generation = request->generation;
    deployment->reason = request->reason;
    replace(&deployment->message, &request->message);
    replace(&deployment->uid, &request->uid);
    replace(&deployment->resource_version, &request->resource_version);
    text_list_clear(&deployment->finalizers);
    deployment->finalizers = request->finalizers;
    request->finalizers = (struct text_list){0};
    if (request->reason)
        return;
    deployment->score_hash = hash_bytes(HASH_INIT, request->score, strlen(request->score));
    replace(&deployment->score, &request->score);
    selector_free(deployment->selector);
    deployment->selector = TAKE_PTR(request->selector);
}

/** What one object asked for is nothing to another one of its name. */
static void forget_request(struct fleet_deployment *deployment)
{
    free(TAKE_PTR(deployment->score));
    selector_free(TAKE_PTR(deployment->selector));
    free(TAKE_PTR(deployment->error_device));
}

void fleet_deployment_seen(struct fleet *fleet, const cJSON *object)
{
    CLEANUP(deployment_request_free) struct deployment_request *request = deployment_request_read(object);
    uint64_t version = strtoull(kube_resource_version(object), NULL, 10);

    pthread_mutex_lock(&fleet->mutex);
    struct fleet_deployment *deployment = fleet_deployment(fleet, request->name);
    bool news = !deployment->known || deployment->generation != request->generation ||
                !text_equal(deployment->uid, request->uid) || deployment->deleting != request->deleting ||
                deployment->has_finalizer != request->has_finalizer;
    if (!deployment->known)
        deployment->status_at_ms = clock_monotonic_ms(); /* the finalizer comes first, and no status in its way */
    else if (!text_equal(deployment->uid, request->uid))
        forget_request(deployment);
    take_request(deployment, request);
    if (version >= deployment->observed_version) {
        deployment_status_clear(&deployment->observed);
        deployment_status_read(object, &deployment->observed);
    }
    if (news) {
        fleet_match_deployment(fleet, deployment);
        work_queue_add(fleet->options.deployments, deployment->name);
    }
    fleet_status_changed(fleet, deployment);
    pthread_mutex_unlock(&fleet->mutex);
}

void fleet_deployment_gone(struct fleet *fleet, const cJSON *object)
{
    pthread_mutex_lock(&fleet->mutex);
    struct fleet_deployment *deployment = fleet_find_deployment(fleet, kube_name(object));
    if (deployment) {
        deployment->known = false; /* the rest goes when no keys and states are left */
        deployment->abandoned = deployment->score != NULL;
        deployment->deleting = true;
        deployment->has_finalizer = false;
        deployment->generation = 0;
        deployment->observed_version = 0;
        forget_request(deployment);
        deployment_status_clear(&deployment->observed);
        for (uint32_t i = 0; i < deployment->cell_count; i++)
            deployment->cells[i].matched = false;
        work_queue_add(fleet->options.deployments, deployment->name);
    }
    pthread_mutex_unlock(&fleet->mutex);
}

/** Is its key to be deleted? */
static bool is_to_go(const struct fleet_deployment *deployment, const struct fleet_device *device,
                     const struct cell *cell)
{
    bool ours = deployment->known || cell->key_hash == deployment->score_hash;

    if (deployment->deleting)
        return cell->has_key && ours;
    /* Without a score nothing is known of what is to be. */
    return deployment->score && cell->has_key && !cell->matched && device->missing_at_ms == 0;
}

/** What is to be done about one key. Called with the mutex held. */
static void plan_cell(const struct fleet *fleet, const struct fleet_deployment *deployment,
                      const struct fleet_device *device, const struct cell *cell, struct deployment_plan *ret)
{
    bool left_over = cell_is_left_over(fleet, deployment, device, cell);
    bool to_go = left_over || is_to_go(deployment, device, cell);
    bool to_come = !deployment->deleting && deployment->score && cell->matched &&
                   (!cell->has_key || cell->key_hash != deployment->score_hash);

    if (!to_go && !to_come)
        return;
    if (ret->puts.count + ret->deletes.count >= PLAN_MAX) {
        ret->more = true;
        return;
    }
    text_list_add(to_go ? &ret->deletes : &ret->puts, device->id);
    ret->left_over += left_over;
}

static void plan_finalizer(const struct fleet_deployment *deployment, struct deployment_plan *ret)
{
    if (deployment->deleting && deployment->has_finalizer && !ret->more)
        ret->finalizer = PLAN_FINALIZER_REMOVE;
    else if (!deployment->deleting && !deployment->has_finalizer && deployment->score)
        ret->finalizer = PLAN_FINALIZER_ADD;
    if (ret->finalizer == PLAN_FINALIZER_KEEP)
        return;
    ret->resource_version = text_copy(deployment->resource_version);
    for (size_t i = 0; i < deployment->finalizers.count; i++)
        text_list_add(&ret->finalizers, deployment->finalizers.items[i]);
}

bool fleet_plan_deployment(struct fleet *fleet, const char *name, struct deployment_plan *ret)
{
    *ret = (struct deployment_plan){0};
    pthread_mutex_lock(&fleet->mutex);
    const struct fleet_deployment *deployment = fleet_find_deployment(fleet, name);
    bool there = deployment && (deployment->known || deployment->abandoned || fleet->unasked_go);
    if (there && !fleet_is_told(fleet)) {
        ret->wait = true;
    } else if (there) {
        for (uint32_t i = 0; i < deployment->cell_count && i < fleet->device_count; i++) {
            if (fleet->devices[i])
                plan_cell(fleet, deployment, fleet->devices[i], &deployment->cells[i], ret);
        }
        plan_finalizer(deployment, ret);
        if (ret->puts.count > 0)
            ret->score = text_copy(deployment->score);
    }
    pthread_mutex_unlock(&fleet->mutex);
    return there;
}

void deployment_plan_clear(struct deployment_plan *plan)
{
    text_list_clear(&plan->finalizers);
    text_list_clear(&plan->puts);
    text_list_clear(&plan->deletes);
    free(plan->resource_version);
    free(plan->score);
    *plan = (struct deployment_plan){0};
}

void fleet_key_confirmed(struct fleet *fleet, const char *key, uint64_t revision, const char *data, size_t size)
{
    pthread_mutex_lock(&fleet->mutex);
    if (fleet->told[FLEET_DESIRED] && data)
        fleet_put_desired(fleet, key, revision, data, size);
    else if (fleet->told[FLEET_DESIRED])
        fleet_delete_desired(fleet, key, revision);
    pthread_mutex_unlock(&fleet->mutex);
}

void fleet_keys_written(struct fleet *fleet, const char *name, const struct deployment_plan *plan)
{
    pthread_mutex_lock(&fleet->mutex);
    if (plan->more)
        work_queue_add(fleet->options.deployments, name);
    pthread_mutex_unlock(&fleet->mutex);
}
