/* SPDX-License-Identifier: Apache-2.0 */
#include "operator/fleet.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "operator/fleet_model.h"

#define SWEEP_MS       60000 /* between two looks for devices that nothing is known of any more */
#define OBJECT_TIME_MS 1000  /* the precision of metadata.creationTimestamp */

struct fleet *fleet_new(const struct fleet_options *options)
{
    struct fleet *fleet = NEW(struct fleet);

    fleet->options = *options;
    pthread_mutex_init(&fleet->mutex, NULL);
    return fleet;
}

static void device_free(struct fleet_device *device)
{
    if (!device)
        return;
    for (size_t i = 0; i < device->label_count; i++) {
        free(device->labels[i].key);
        free(device->labels[i].value);
    }
    free(device->labels);
    free(device->agent_version);
    free(device->arch);
    free(device->os);
    free(device->id);
    free(device);
}

static void deployment_free(struct fleet_deployment *deployment)
{
    free(deployment->name);
    text_list_clear(&deployment->finalizers);
    free(deployment->uid);
    free(deployment->resource_version);
    free(deployment->message);
    free(deployment->score);
    selector_free(deployment->selector);
    deployment_status_clear(&deployment->observed);
    free(deployment->error_device);
    free(deployment->error_message);
    free(deployment->error_time);
    free(deployment->cells);
    free(deployment);
}

static void keep(void *node __attribute__((unused)))
{
}

void fleet_free(struct fleet *fleet)
{
    if (!fleet)
        return;
    tdestroy(fleet->device_tree, keep);
    tdestroy(fleet->deployment_tree, keep);
    for (uint32_t i = 0; i < fleet->device_count; i++)
        device_free(fleet->devices[i]);
    for (size_t i = 0; i < fleet->deployment_count; i++)
        deployment_free(fleet->deployments[i]);
    free(fleet->devices);
    free(fleet->deployments);
    pthread_mutex_destroy(&fleet->mutex);
    free(fleet);
}

const struct device_owner *fleet_owner(const struct fleet *fleet)
{
    return &fleet->options.owner;
}

static int compare_devices(const void *a, const void *b)
{
    return strcmp(((const struct fleet_device *)a)->id, ((const struct fleet_device *)b)->id);
}

static int compare_deployments(const void *a, const void *b)
{
    return strcmp(((const struct fleet_deployment *)a)->name, ((const struct fleet_deployment *)b)->name);
}

struct fleet_device *fleet_find_device(struct fleet *fleet, const char *id)
{
    const struct fleet_device wanted = {.id = (char *)id};
    struct fleet_device **found = tfind(&wanted, &fleet->device_tree, compare_devices);

    return found ? *found : NULL;
}

/** A place in the array that is free. */
static uint32_t free_index(struct fleet *fleet)
{
    for (uint32_t i = 0; i < fleet->device_count; i++) {
        if (!fleet->devices[i])
            return i;
    }
    if (fleet->device_count == fleet->device_capacity) {
        fleet->device_capacity = fleet->device_capacity > 0 ? fleet->device_capacity * 2 : 64;
        fleet->devices = memory_resize(fleet->devices, fleet->device_capacity, sizeof(struct fleet_device *));
    }
    return fleet->device_count++;
}

struct fleet_device *fleet_device(struct fleet *fleet, const char *id)
{
    struct fleet_device *device = fleet_find_device(fleet, id);

    if (device)
        return device;
    device = NEW(struct fleet_device);
    device->id = text_copy(id);
    device->heard_at_ms = INT64_MIN;
    device->missing_at_ms = clock_monotonic_ms();
    device->index = free_index(fleet);
    fleet->devices[device->index] = device;
    memory_checked(tsearch(device, &fleet->device_tree, compare_devices));
    return device;
}

struct fleet_deployment *fleet_find_deployment(struct fleet *fleet, const char *name)
{
    const struct fleet_deployment wanted = {.name = (char *)name};
    struct fleet_deployment **found = tfind(&wanted, &fleet->deployment_tree, compare_deployments);

    return found ? *found : NULL;
}

struct fleet_deployment *fleet_deployment(struct fleet *fleet, const char *name)
{
    struct fleet_deployment *deployment = fleet_find_deployment(fleet, name);

    if (deployment)
        return deployment;
    deployment = NEW(struct fleet_deployment);
    deployment->name = text_copy(name);
    memory_checked(tsearch(deployment, &fleet->deployment_tree, compare_deployments));
    fleet->deployments =
        memory_resize(fleet->deployments, fleet->deployment_count + 1, sizeof(struct fleet_deployment *));
    fleet->deployments[fleet->deployment_count++] = deployment;
    return deployment;
}

struct cell *fleet_cell(struct fleet *fleet, struct fleet_deployment *deployment, const struct fleet_device *device)
{
    if (device->index >= deployment->cell_count) {
        uint32_t count = fleet->device_capacity; /* for those that follow, too */

        deployment->cells = memory_resize(deployment->cells, count, sizeof(struct cell));
        memset(deployment->cells + deployment->cell_count, 0, (count - deployment->cell_count) * sizeof(struct cell));
        deployment->cell_count = count;
    }
    return &deployment->cells[device->index];
}

void fleet_drop_device(struct fleet *fleet, struct fleet_device *device)
{
    if (device->registered || device->object_exists || device->missing_at_ms != 0)
        return;
    for (size_t i = 0; i < fleet->deployment_count; i++) {
        const struct fleet_deployment *deployment = fleet->deployments[i];

        if (device->index < deployment->cell_count &&
            (deployment->cells[device->index].has_key || deployment->cells[device->index].has_state))
            return;
    }
    for (size_t i = 0; i < fleet->deployment_count; i++) {
        if (device->index < fleet->deployments[i]->cell_count)
            fleet->deployments[i]->cells[device->index] = (struct cell){0};
    }
    tdelete(device, &fleet->device_tree, compare_devices);
    fleet->devices[device->index] = NULL;
    device_free(device);
}

/** Deployments that are neither in the Kubernetes API nor have keys or states. */
static void drop_deployments(struct fleet *fleet)
{
    for (size_t i = fleet->deployment_count; i-- > 0;) {
        struct fleet_deployment *deployment = fleet->deployments[i];
        bool used = deployment->known;

        for (uint32_t device = 0; device < deployment->cell_count && !used; device++)
            used = deployment->cells[device].has_key || deployment->cells[device].has_state;
        if (used)
            continue;
        tdelete(deployment, &fleet->deployment_tree, compare_deployments);
        deployment_free(deployment);
        fleet->deployments[i] = fleet->deployments[--fleet->deployment_count];
    }
}

static void sweep(struct fleet *fleet, int64_t now_ms)
{
    if (now_ms < fleet->sweep_at_ms)
        return;
    fleet->sweep_at_ms = now_ms + SWEEP_MS;
    drop_deployments(fleet);
    for (uint32_t i = 0; i < fleet->device_count; i++) {
        if (fleet->devices[i])
            fleet_drop_device(fleet, fleet->devices[i]);
    }
}

/** Nobody has seen it come back: then it is gone. */
static void give_up(struct fleet *fleet, struct fleet_device *device)
{
    device->missing_at_ms = 0;
    device->registered = false;
    work_queue_add(fleet->options.devices, device->id);
    fleet_match_device(fleet, device);
}

static void tick_device(struct fleet *fleet, struct fleet_device *device, int64_t now_ms)
{
    int64_t silent_since_ms =
        device->heard_at_ms > fleet->connected_at_ms ? device->heard_at_ms : fleet->connected_at_ms;

    if (device->online && now_ms - silent_since_ms > fleet->options.offline_after_ms) {
        device->online = false;
        if (device->registered)
            work_queue_add(fleet->options.devices, device->id);
    }
    if (device->missing_at_ms != 0 && fleet->told[FLEET_INFO] && !device->info_told &&
        now_ms - device->missing_at_ms > fleet->options.offline_after_ms)
        give_up(fleet, device);
}

/**
 * All of NATS has been told for a while: is the Kubernetes API the one to say what is wanted, also by not having it? Only
 * if it has something older than the bucket. One that is as new (everything was lost, and is being set up again) will
 * get its Deployments yet, and meanwhile nobody's containers are touched. Called with the mutex held.
 */
static void judge_unasked(struct fleet *fleet, int64_t now_ms)
{
    if (fleet->judge_at_ms == 0 || now_ms < fleet->judge_at_ms || !fleet->deployments_synced || !fleet->devices_synced)
        return;
    fleet->judge_at_ms = 0;
    for (uint32_t i = 0; i < fleet->device_count && !fleet->unasked_go; i++) {
        const struct fleet_device *device = fleet->devices[i];

        fleet->unasked_go = device && device->object_exists && device->object_made_ms != 0 &&
                            device->object_made_ms + OBJECT_TIME_MS <= fleet->desired_made_ms;
    }
    for (size_t i = 0; i < fleet->deployment_count && fleet->unasked_go; i++) {
        if (!fleet->deployments[i]->known)
            work_queue_add(fleet->options.deployments, fleet->deployments[i]->name);
    }
}

void fleet_tick(struct fleet *fleet)
{
    int64_t now_ms = clock_monotonic_ms();

    pthread_mutex_lock(&fleet->mutex);
    for (uint32_t i = 0; fleet->connected && i < fleet->device_count; i++) {
        if (fleet->devices[i])
            tick_device(fleet, fleet->devices[i], now_ms);
    }
    judge_unasked(fleet, now_ms);
    if (fleet_is_told(fleet))
        sweep(fleet, now_ms);
    pthread_mutex_unlock(&fleet->mutex);
}

/** Not all is known any more. */
static void doubt(struct fleet *fleet, enum fleet_bucket bucket)
{
    fleet->told[bucket] = false;
    fleet->judge_at_ms = 0;
    fleet->unasked_go = false;
}

void fleet_nats_changed(struct fleet *fleet, bool connected)
{
    pthread_mutex_lock(&fleet->mutex);
    fleet->connected = connected;
    fleet->connected_at_ms = clock_monotonic_ms();
    for (size_t i = 0; i < FLEET_BUCKET_COUNT && !connected; i++)
        doubt(fleet, (enum fleet_bucket)i); /* nothing is decided until all has been told again */
    pthread_mutex_unlock(&fleet->mutex);
}

const char *fleet_bucket_name(enum fleet_bucket bucket)
{
    switch (bucket) {
    case FLEET_DESIRED:
        return BUCKET_DESIRED_STATE;
    case FLEET_INFO:
        return BUCKET_DEVICE_INFO;
    case FLEET_STATE:
        return BUCKET_DEVICE_STATE;
    case FLEET_HEARTBEAT:
        return BUCKET_DEVICE_HEARTBEAT;
    case FLEET_BUCKET_COUNT:
        break;
    }
    return NULL;
}

bool fleet_is_told(const struct fleet *fleet)
{
    return fleet->told[FLEET_DESIRED] && fleet->told[FLEET_INFO];
}

void fleet_told_begin(struct fleet *fleet, enum fleet_bucket bucket)
{
    pthread_mutex_lock(&fleet->mutex);
    doubt(fleet, bucket);
    if (bucket == FLEET_DESIRED || bucket == FLEET_STATE)
        fleet_begin_cells(fleet, bucket);
    else if (bucket == FLEET_INFO)
        fleet_begin_infos(fleet);
    pthread_mutex_unlock(&fleet->mutex);
}

void fleet_told_made(struct fleet *fleet, enum fleet_bucket bucket, uint64_t made_us)
{
    pthread_mutex_lock(&fleet->mutex);
    if (bucket == FLEET_DESIRED)
        fleet->desired_made_ms = (int64_t)(made_us / 1000);
    pthread_mutex_unlock(&fleet->mutex);
}

void fleet_told_complete(struct fleet *fleet, enum fleet_bucket bucket)
{
    pthread_mutex_lock(&fleet->mutex);
    fleet->told[bucket] = true;
    if (fleet_is_told(fleet) && fleet->told[FLEET_STATE])
        fleet->judge_at_ms = clock_monotonic_ms() + fleet->options.offline_after_ms;
    if (bucket == FLEET_DESIRED || bucket == FLEET_STATE)
        fleet_complete_cells(fleet, bucket);
    else if (bucket == FLEET_INFO)
        fleet_complete_infos(fleet);
    for (uint32_t i = 0; i < fleet->device_count; i++) {
        if (fleet->devices[i] && (bucket == FLEET_INFO || bucket == FLEET_HEARTBEAT))
            work_queue_add(fleet->options.devices, fleet->devices[i]->id);
    }
    for (size_t i = 0; i < fleet->deployment_count; i++) {
        if ((!fleet->deployments[i]->known && !fleet->deployments[i]->abandoned) || bucket == FLEET_HEARTBEAT)
            continue;
        work_queue_add(fleet->options.deployments, fleet->deployments[i]->name);
        fleet_status_changed(fleet, fleet->deployments[i]);
    }
    pthread_mutex_unlock(&fleet->mutex);
}

void fleet_told_put(struct fleet *fleet, enum fleet_bucket bucket, const char *key, uint64_t revision, int64_t stamp_ms,
                    const char *data, size_t size)
{
    pthread_mutex_lock(&fleet->mutex);
    if (bucket == FLEET_DESIRED)
        fleet_put_desired(fleet, key, revision, data, size);
    else if (bucket == FLEET_STATE)
        fleet_put_state(fleet, key, data, size);
    else if (bucket == FLEET_INFO)
        fleet_put_info(fleet, key, data, size);
    else
        fleet_put_heartbeat(fleet, key, stamp_ms);
    pthread_mutex_unlock(&fleet->mutex);
}

void fleet_told_deleted(struct fleet *fleet, enum fleet_bucket bucket, const char *key, uint64_t revision)
{
    pthread_mutex_lock(&fleet->mutex);
    if (bucket == FLEET_DESIRED)
        fleet_delete_desired(fleet, key, revision);
    else if (bucket == FLEET_STATE)
        fleet_delete_state(fleet, key);
    else if (bucket == FLEET_INFO)
        fleet_delete_info(fleet, key);
    pthread_mutex_unlock(&fleet->mutex);
}

void fleet_count(struct fleet *fleet, struct fleet_counts *ret)
{
    *ret = (struct fleet_counts){.complete = true};
    pthread_mutex_lock(&fleet->mutex);
    for (uint32_t i = 0; i < fleet->device_count; i++) {
        const struct fleet_device *device = fleet->devices[i];

        if (device && device->registered && device->online)
            ret->online++;
        else if (device && device->registered)
            ret->offline++;
    }
    for (size_t i = 0; i < fleet->deployment_count; i++)
        ret->deployments += fleet->deployments[i]->known;
    for (size_t i = 0; i < FLEET_BUCKET_COUNT; i++)
        ret->complete = ret->complete && fleet->told[i];
    pthread_mutex_unlock(&fleet->mutex);
}
