/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kubernetes/kube_object.h"
#include "operator/fleet_model.h"

void fleet_status_changed(struct fleet *fleet, const struct fleet_deployment *deployment)
{
    if (deployment->known)
        work_queue_add_at(fleet->options.statuses, deployment->name,
                          deployment->status_at_ms + fleet->options.status_interval_ms);
}

/** Count devices. */
static void count(const struct fleet_deployment *deployment, struct deployment_status *ret)
{
    for (uint32_t i = 0; i < deployment->cell_count; i++) {
        const struct cell *cell = &deployment->cells[i];

        if (!cell_is_meant(deployment, cell))
            continue;
        ret->matched++;
        ret->succeeded += cell_has_succeeded(deployment, cell);
        ret->failed += cell_has_failed(deployment, cell);
    }
    ret->pending = ret->matched - ret->succeeded - ret->failed;
}

/** The last error of a device that still fails; when that is not known, whose is to be asked for. */
static void plan_error(struct fleet *fleet, const struct fleet_deployment *deployment, struct status_plan *ret)
{
    if (ret->status.failed == 0)
        return;
    if (fleet_device_fails(fleet, deployment, deployment->error_device)) {
        ret->status.error_device = text_copy(deployment->error_device);
        ret->status.error_message = text_copy(deployment->error_message);
        ret->status.error_time = text_copy(deployment->error_time);
        return;
    }
    for (uint32_t i = 0; i < deployment->cell_count && !ret->error_wanted; i++) {
        const struct cell *cell = &deployment->cells[i];

        if (!fleet->devices[i] || !cell_is_meant(deployment, cell) || !cell_has_failed(deployment, cell))
            continue;
        ret->error_wanted = true;
        snprintf(ret->failed_device, sizeof(ret->failed_device), "%s", fleet->devices[i]->id);
    }
}

/** As far as NATS has been told: before, what the object says stays. */
static void plan_counts(struct fleet *fleet, const struct fleet_deployment *deployment, struct status_plan *ret)
{
    struct deployment_status *status = &ret->status;
    const struct deployment_status *before = &deployment->observed;

    deployment_status_clear(status);
    count(deployment, status);
    plan_error(fleet, deployment, ret);
    cleanup_free char *running = text_format("%ld of %ld devices run it", status->succeeded, status->matched);
    cleanup_free char *pending = text_format("waiting for %ld of %ld devices", status->pending, status->matched);
    bool available = status->matched > 0 && status->succeeded == status->matched;
    const char *unavailable = status->matched == 0 ? "NoDevices" : "NotAllRunning";
    deployment_status_set(status, before, CONDITION_AVAILABLE, available, available ? "AllRunning" : unavailable,
                          running);
    deployment_status_set(status, before, CONDITION_PROGRESSING, status->pending > 0,
                          status->pending > 0 ? "DevicesPending" : "Settled", pending);
}

bool fleet_plan_status(struct fleet *fleet, const char *name, struct status_plan *ret)
{
    bool to_write = false;

    *ret = (struct status_plan){0};
    pthread_mutex_lock(&fleet->mutex);
    const struct fleet_deployment *deployment = fleet_find_deployment(fleet, name);
    if (deployment && deployment->known) {
        deployment_status_copy(&ret->status, &deployment->observed);
        bool told = fleet_is_told(fleet) && fleet->told[FLEET_STATE];
        if (told)
            plan_counts(fleet, deployment, ret);
        if (told || deployment->reason) /* else the counts would seem to be of this generation */
            ret->status.observed_generation = deployment->generation;
        deployment_status_set(&ret->status, &deployment->observed, CONDITION_ACCEPTED, !deployment->reason,
                              deployment->reason ? deployment->reason : "Valid",
                              deployment->reason ? deployment->message : "its devices get what it says");
        to_write = ret->error_wanted || !deployment_status_equal(&ret->status, &deployment->observed);
    }
    pthread_mutex_unlock(&fleet->mutex);
    if (!to_write)
        status_plan_clear(ret);
    return to_write;
}

void status_plan_clear(struct status_plan *plan)
{
    deployment_status_clear(&plan->status);
    *plan = (struct status_plan){0};
}

void fleet_status_written(struct fleet *fleet, const char *name, const struct deployment_status *status,
                          const cJSON *object)
{
    pthread_mutex_lock(&fleet->mutex);
    struct fleet_deployment *deployment = fleet_find_deployment(fleet, name);
    if (deployment && deployment->known) {
        deployment->status_at_ms = clock_monotonic_ms();
        deployment->observed_version = strtoull(kube_resource_version(object), NULL, 10);
        deployment_status_clear(&deployment->observed);
        deployment_status_copy(&deployment->observed, status);
    }
    pthread_mutex_unlock(&fleet->mutex);
}
