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

static bool has_no_selector(const struct fleet_deployment *deployment)
{
    return deployment->selector && selector_is_missing(deployment->selector);
}

/** Why no device runs it. Static. */
static const char *why_none(const struct fleet_deployment *deployment)
{
    if (deployment->deleting)
        return "it is being deleted";
    if (deployment->reason)
        return "no device gets anything before it is accepted";
    return has_no_selector(deployment) ? "spec.targetSelector is missing: it is for no device"
                                       : "no device matches spec.targetSelector";
}

static void set_available(const struct fleet_deployment *deployment, struct deployment_status *status)
{
    cleanup_text_buffer struct text_buffer message = {0};
    bool all = status->matched > 0 && status->succeeded == status->matched;
    const char *reason = all ? "AllRunning" : "NotAllRunning";

    if (status->matched == 0) {
        reason = deployment->reason ? "NotAccepted" : "NoDevices";
        text_buffer_add(&message, why_none(deployment));
    } else {
        text_buffer_format(&message, "%ld of %ld devices run it", status->succeeded, status->matched);
    }
    if (status->failed > 0)
        text_buffer_format(&message, ", %ld failed", status->failed);
    if (status->error_device)
        text_buffer_format(&message, "; the last one, %s: %s", status->error_device, status->error_message);
    deployment_status_set(status, &deployment->observed, CONDITION_AVAILABLE, all ? CONDITION_TRUE : CONDITION_FALSE,
                          reason, text_buffer_text(&message));
}

static void set_progressing(const struct fleet_deployment *deployment, struct deployment_status *status)
{
    bool pending = status->pending > 0;
    cleanup_free char *message = pending
                                     ? text_format("waiting for %ld of %ld devices", status->pending, status->matched)
                                     : text_copy("there is no device to wait for");

    deployment_status_set(status, &deployment->observed, CONDITION_PROGRESSING,
                          pending ? CONDITION_TRUE : CONDITION_FALSE, pending ? "DevicesPending" : "Settled", message);
}

/** As far as NATS has been told: before, what the object says stays. */
static void plan_counts(struct fleet *fleet, const struct fleet_deployment *deployment, struct status_plan *ret)
{
    struct deployment_status *status = &ret->status;

    deployment_status_clear(status);
    status->observed_generation = deployment->generation;
    status->counted = true;
    count(deployment, status);
    plan_error(fleet, deployment, ret);
    set_available(deployment, status);
    set_progressing(deployment, status);
}

/** Of a generation that devices cannot have heard of: else a break of NATS would cost a write of each Deployment. */
static void plan_unknown(const struct fleet *fleet, const struct fleet_deployment *deployment, struct status_plan *ret)
{
    const char *reason = fleet->connected ? "DevicesUnknown" : "NatsAway";
    const char *message =
        fleet->connected ? "NATS has not told of all devices yet" : "NATS is not connected: no device has heard of it";

    if (deployment->observed.observed_generation == deployment->generation && deployment->observed.counted)
        return;
    deployment_status_set(&ret->status, &deployment->observed, CONDITION_AVAILABLE, CONDITION_UNKNOWN, reason, message);
    deployment_status_set(&ret->status, &deployment->observed, CONDITION_PROGRESSING, CONDITION_UNKNOWN, reason,
                          message);
    ret->status.conditions[CONDITION_AVAILABLE].observed_generation = deployment->generation;
    ret->status.conditions[CONDITION_PROGRESSING].observed_generation = deployment->generation;
}

static void set_accepted(const struct fleet_deployment *deployment, struct deployment_status *status)
{
    const char *valid = has_no_selector(deployment) ? why_none(deployment) : "its devices get what it says";

    deployment_status_set(
        status, &deployment->observed, CONDITION_ACCEPTED, deployment->reason ? CONDITION_FALSE : CONDITION_TRUE,
        deployment->reason ? deployment->reason : "Valid", deployment->reason ? deployment->message : valid);
    status->conditions[CONDITION_ACCEPTED].observed_generation = deployment->generation;
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
        else
            plan_unknown(fleet, deployment, ret);
        if (told || deployment->reason) /* else the counts would seem to be of this generation */
            ret->status.observed_generation = deployment->generation;
        set_accepted(deployment, &ret->status);
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
