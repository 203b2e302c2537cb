/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "operator/fleet_model.h"
#include "operator/hash.h"

/*
 * Where the selector is not known (an operator that started on a bad edit lets everything alone), and where it does not
 * hold any more (the object is being deleted), it is who has a key.
 */
bool cell_is_meant(const struct fleet_deployment *deployment, const struct cell *cell)
{
    return deployment->selector && !deployment->deleting ? cell->matched : cell->has_key;
}

/** Is the key what is asked for, and the state about it? A bucket made anew counts its revisions anew, so a higher one
 *  says nothing. */
static bool is_answered(const struct fleet_deployment *deployment, const struct cell *cell)
{
    return cell->has_key && (!deployment->score || cell->key_hash == deployment->score_hash) && cell->has_state &&
           cell->state_revision == cell->key_revision;
}

bool cell_has_failed(const struct fleet_deployment *deployment, const struct cell *cell)
{
    return cell->failing && is_answered(deployment, cell);
}

bool fleet_device_fails(struct fleet *fleet, const struct fleet_deployment *deployment, const char *id)
{
    const struct fleet_device *device = id ? fleet_find_device(fleet, id) : NULL;

    return device && device->index < deployment->cell_count &&
           cell_is_meant(deployment, &deployment->cells[device->index]) &&
           cell_has_failed(deployment, &deployment->cells[device->index]);
}

bool cell_has_succeeded(const struct fleet_deployment *deployment, const struct cell *cell)
{
    return cell->phase == PHASE_RUNNING && is_answered(deployment, cell);
}

bool cell_is_left_over(const struct fleet *fleet, const struct fleet_deployment *deployment,
                       const struct fleet_device *device, const struct cell *cell)
{
    bool reported = cell->has_state && cell->state_revision == 0;

    if (cell->has_key || cell->deleted || !(cell->key_lost || reported))
        return false;
    if (deployment->known)
        return deployment->deleting || (deployment->score && device->registered && !cell->matched);
    if (deployment->abandoned && cell->key_hash == deployment->score_hash)
        return true;
    return reported && device->registered && fleet->unasked_go;
}

void fleet_look_for_left_over(struct fleet *fleet, const struct fleet_deployment *deployment,
                              const struct fleet_device *device)
{
    if (device->index < deployment->cell_count &&
        cell_is_left_over(fleet, deployment, device, &deployment->cells[device->index]))
        work_queue_add(fleet->options.deployments, deployment->name);
}

/** Something about a key changed: is it still what it should be? */
static void key_changed(struct fleet *fleet, struct fleet_deployment *deployment, const struct cell *cell)
{
    bool as_wanted = cell->has_key == cell->matched && (!cell->has_key || cell->key_hash == deployment->score_hash);

    if (!deployment->known)
        return;
    if (!as_wanted || deployment->deleting)
        work_queue_add(fleet->options.deployments, deployment->name);
    fleet_status_changed(fleet, deployment);
}

/** The server's confirmation and the watch tell the same, in any order. */
static bool is_told_already(const struct cell *cell, bool put, uint64_t revision)
{
    return revision < cell->key_revision || (revision == cell->key_revision && cell->has_key == put);
}

void fleet_put_desired(struct fleet *fleet, const char *key, uint64_t revision, const char *data, size_t size)
{
    cleanup_error struct error refused = ERROR_INIT;
    struct wire_target target;

    if (desired_state_key_parse(key, &target, &refused) < 0) {
        log_debug("desired-state key ignored", LOG_TEXT("key", key));
        return;
    }
    struct fleet_deployment *deployment = fleet_deployment(fleet, target.deployment);
    struct cell *cell = fleet_cell(fleet, deployment, fleet_device(fleet, target.device));
    cell->key_told = true;
    if (is_told_already(cell, true, revision))
        return;
    cell->has_key = true;
    cell->key_lost = false;
    cell->deleted = false;
    cell->key_hash = hash_bytes(HASH_INIT, data, size);
    cell->key_revision = revision;
    key_changed(fleet, deployment, cell);
}

/** The cell a key is about, if there is one. */
static struct cell *find_cell(struct fleet *fleet, const struct wire_target *target, struct fleet_deployment **ret)
{
    const struct fleet_device *device = fleet_find_device(fleet, target->device);

    *ret = fleet_find_deployment(fleet, target->deployment);
    if (!*ret || !device || device->index >= (*ret)->cell_count)
        return NULL;
    return &(*ret)->cells[device->index];
}

void fleet_delete_desired(struct fleet *fleet, const char *key, uint64_t revision)
{
    cleanup_error struct error refused = ERROR_INIT;
    struct fleet_deployment *deployment = NULL;
    struct wire_target target;

    if (desired_state_key_parse(key, &target, &refused) < 0)
        return;
    struct cell *cell = find_cell(fleet, &target, &deployment);
    if (!cell || is_told_already(cell, false, revision))
        return;
    cell->has_key = false;
    cell->key_lost = false;
    cell->deleted = true;
    cell->key_revision = revision;
    key_changed(fleet, deployment, cell);
}

/** Of what is remembered of an earlier state about the same revision: a device that tries again, with or without saying
 *  why, has not got better yet. */
static bool is_failing(const struct cell *cell, const struct device_state *state)
{
    bool failed_before = cell->has_state && cell->failing && cell->state_revision == state->revision;

    return state->phase == PHASE_FAILED || (state->phase == PHASE_PENDING && (state->error || failed_before));
}

/**
 * Remember the error of who began to fail last. One that fails once more is no news, whatever it said meanwhile: else
 * each device's trying again would cost a write.
 */
static void note_error(struct fleet *fleet, struct fleet_deployment *deployment, const char *device,
                       const struct device_state *state, bool news)
{
    const char *error = state->error && state->error[0] != '\0' ? state->error : NULL;
    bool other_words =
        error && text_equal(deployment->error_device, device) && !text_equal(deployment->error_message, error);

    if (!news && !other_words && fleet_device_fails(fleet, deployment, deployment->error_device))
        return;
    free(deployment->error_device);
    free(deployment->error_message);
    free(deployment->error_time);
    deployment->error_device = text_copy(device);
    deployment->error_message = text_copy(error ? error : "failed");
    deployment->error_time = state->since[0] != '\0' ? text_copy(state->since) : NULL;
}

void fleet_put_state(struct fleet *fleet, const char *key, const char *data, size_t size)
{
    cleanup_error struct error refused = ERROR_INIT;
    CLEANUP(device_state_free) struct device_state *state = NULL;
    struct wire_target target;

    if (device_state_key_parse(key, &target, &refused) < 0 || device_state_decode(data, size, &state, &refused) < 0) {
        log_debug("device-state ignored", LOG_TEXT("key", key), LOG_TEXT("error", error_root_detail(&refused)));
        fleet_delete_state(fleet, key); /* what stood there before does not any more */
        return;
    }
    struct fleet_deployment *deployment = fleet_deployment(fleet, target.deployment);
    const struct fleet_device *device = fleet_device(fleet, target.device);
    struct cell *cell = fleet_cell(fleet, deployment, device);
    bool changed = !cell->has_state || cell->phase != state->phase || cell->state_revision != state->revision;
    bool failing = is_failing(cell, state);
    bool news = failing && !(cell->has_state && cell->failing && cell->state_revision == state->revision);
    cell->failing = failing;
    cell->has_state = true;
    cell->state_told = true;
    cell->phase = (uint8_t)state->phase;
    cell->state_revision = state->revision;
    if (failing)
        note_error(fleet, deployment, target.device, state, news);
    if (changed || failing)
        fleet_status_changed(fleet, deployment);
    fleet_look_for_left_over(fleet, deployment, device);
}

void fleet_delete_state(struct fleet *fleet, const char *key)
{
    cleanup_error struct error refused = ERROR_INIT;
    struct fleet_deployment *deployment = NULL;
    struct wire_target target;

    if (device_state_key_parse(key, &target, &refused) < 0)
        return;
    struct cell *cell = find_cell(fleet, &target, &deployment);
    if (!cell || !cell->has_state)
        return;
    cell->has_state = false;
    fleet_status_changed(fleet, deployment);
}

void fleet_begin_cells(struct fleet *fleet, enum fleet_bucket bucket)
{
    for (size_t i = 0; i < fleet->deployment_count; i++) {
        struct fleet_deployment *deployment = fleet->deployments[i];

        for (uint32_t device = 0; device < deployment->cell_count; device++) {
            struct cell *cell = &deployment->cells[device];

            if (bucket == FLEET_STATE) {
                cell->state_told = false;
                continue;
            }
            cell->key_told = false;
            cell->key_revision = 0; /* a bucket made anew counts anew */
            cell->deleted = false;  /* likewise */
        }
    }
}

/** What has not been told again is not there any more. */
void fleet_complete_cells(struct fleet *fleet, enum fleet_bucket bucket)
{
    for (size_t i = 0; i < fleet->deployment_count; i++) {
        struct fleet_deployment *deployment = fleet->deployments[i];

        for (uint32_t device = 0; device < deployment->cell_count; device++) {
            struct cell *cell = &deployment->cells[device];

            if (bucket == FLEET_STATE) {
                cell->has_state = cell->has_state && cell->state_told;
            } else if (cell->has_key && !cell->key_told) {
                cell->has_key = false;
                cell->key_lost = true;
            }
        }
    }
}

void fleet_match(struct fleet *fleet, struct fleet_deployment *deployment, struct fleet_device *device)
{
    bool matched = device->registered && deployment->selector &&
                   selector_matches(deployment->selector, device->labels, device->label_count);

    if (!matched && device->index >= deployment->cell_count)
        return;
    struct cell *cell = fleet_cell(fleet, deployment, device);
    cell->matched = matched;
    key_changed(fleet, deployment, cell);
    fleet_look_for_left_over(fleet, deployment, device);
}

void fleet_match_device(struct fleet *fleet, struct fleet_device *device)
{
    for (size_t i = 0; i < fleet->deployment_count; i++) {
        if (fleet->deployments[i]->known)
            fleet_match(fleet, fleet->deployments[i], device);
        else
            fleet_look_for_left_over(fleet, fleet->deployments[i], device);
    }
}

void fleet_match_deployment(struct fleet *fleet, struct fleet_deployment *deployment)
{
    for (uint32_t i = 0; i < fleet->device_count; i++) {
        if (fleet->devices[i])
            fleet_match(fleet, deployment, fleet->devices[i]);
    }
}
