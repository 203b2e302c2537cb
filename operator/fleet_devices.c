/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/memory.h"
#include "contracts/custom_resources.h"
#include "contracts/wire_time.h"
#include "kubernetes/kube_object.h"
#include "operator/fleet_model.h"
#include "operator/hash.h"

/** The device id after `prefix`; NULL when the key is none. */
static const char *id_of(const char *key, const char *prefix)
{
    if (!text_starts_with(key, prefix) || !token_is_valid(key + strlen(prefix)))
        return NULL;
    return key + strlen(prefix);
}

static void swap_text(char **a, char **b)
{
    char *saved = *a;

    *a = *b;
    *b = saved;
}

/** Take the information over; returns whether the labels changed. What was there is freed with `info`. */
static bool take_info(struct fleet_device *device, struct device_info *info)
{
    bool same = device->label_count == info->label_count;

    for (size_t i = 0; same && i < info->label_count; i++)
        same = strcmp(device->labels[i].key, info->labels[i].key) == 0 &&
               strcmp(device->labels[i].value, info->labels[i].value) == 0;
    struct device_label *labels = device->labels;
    size_t count = device->label_count;
    device->labels = info->labels;
    device->label_count = info->label_count;
    info->labels = labels;
    info->label_count = count;
    swap_text(&device->agent_version, &info->agent_version);
    swap_text(&device->arch, &info->arch);
    swap_text(&device->os, &info->os);
    return !same;
}

/** Errors: of the decoder; WIRE_MALFORMED for what another device says of itself. */
static int read_info(const char *id, const char *data, size_t size, struct device_info **ret, struct error *err)
{
    CLEANUP(device_info_free) struct device_info *info = NULL;

    if (device_info_decode(data, size, &info, err) < 0)
        return -1;
    if (strcmp(info->device_id, id) != 0)
        return error_set(err, &wire_error_domain, WIRE_MALFORMED, "reading device-info", id,
                         "$.device_id: is \"%s\", not the one in the key", info->device_id);
    *ret = TAKE_PTR(info);
    return 0;
}

/** Once: the bucket tells the same again after each break. */
static void warn_of_info(struct fleet_device *device, const char *data, size_t size, const struct error *refused)
{
    uint64_t hash = hash_bytes(HASH_INIT, data, size);

    if (hash == device->refused_hash)
        return;
    device->refused_hash = hash;
    log_warning("device-info refused, the device stays as it was known", LOG_TEXT("device", device->id),
                LOG_TEXT("error", error_root_detail(refused)));
}

void fleet_put_info(struct fleet *fleet, const char *key, const char *data, size_t size)
{
    cleanup_error struct error refused = ERROR_INIT;
    CLEANUP(device_info_free) struct device_info *info = NULL;
    const char *id = id_of(key, "info.");

    if (!id)
        return;
    struct fleet_device *device = fleet_device(fleet, id);
    device->info_told = true;
    if (read_info(id, data, size, &info, &refused) < 0) {
        warn_of_info(device, data, size, &refused);
        return;
    }
    device->refused_hash = 0;
    bool changed = take_info(device, info) || !device->registered;
    device->registered = true;
    device->missing_at_ms = 0;
    work_queue_add(fleet->options.devices, id);
    if (changed)
        fleet_match_device(fleet, device);
}

void fleet_delete_info(struct fleet *fleet, const char *key)
{
    const char *id = id_of(key, "info.");
    struct fleet_device *device = id ? fleet_find_device(fleet, id) : NULL;

    if (!device) {
        if (!id)
            return;
        device = fleet_device(fleet, id); /* what it had is known to be nobody's */
    }
    device->registered = false;
    device->missing_at_ms = 0;
    work_queue_add(fleet->options.devices, device->id);
    fleet_match_device(fleet, device);
}

void fleet_begin_infos(struct fleet *fleet)
{
    for (uint32_t i = 0; i < fleet->device_count; i++) {
        if (fleet->devices[i])
            fleet->devices[i]->info_told = false;
    }
}

/*
 * A device that is not told of any more, though nobody deleted it, was lost with its bucket, and will register again as
 * soon as it hears of NATS. It keeps what it has for as long as a silent one counts as online.
 */
void fleet_complete_infos(struct fleet *fleet)
{
    int64_t now_ms = clock_monotonic_ms();

    for (uint32_t i = 0; i < fleet->device_count; i++) {
        struct fleet_device *device = fleet->devices[i];

        if (device && device->registered && !device->info_told && device->missing_at_ms == 0)
            device->missing_at_ms = now_ms;
    }
}

static int64_t clock_realtime_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void fleet_put_heartbeat(struct fleet *fleet, const char *key, int64_t stamp_ms)
{
    const char *id = id_of(key, "heartbeat.");

    if (!id)
        return;
    struct fleet_device *device = fleet_device(fleet, id);
    /* Only what was there before needs the server's clock compared with ours. */
    int64_t age_ms = fleet->told[FLEET_HEARTBEAT] ? 0 : clock_realtime_ms() - stamp_ms;
    device->heard_at_ms = clock_monotonic_ms() - (age_ms > 0 ? age_ms : 0);
    device->heartbeat_ms = stamp_ms;
    if (device->online || age_ms > fleet->options.offline_after_ms)
        return;
    device->online = true;
    if (device->registered)
        work_queue_add(fleet->options.devices, id);
}

/** What the object there is says of itself. */
static void take_times(struct fleet_device *device, const cJSON *object)
{
    cleanup_error struct error none = ERROR_INIT;

    if (wire_time_parse(kube_text(object, "metadata.creationTimestamp", ""), &device->object_made_ms, &none) < 0)
        device->object_made_ms = 0;
    snprintf(device->ready_since, sizeof(device->ready_since), "%s", device_ready_since(object, &device->ready));
}

/** Labels others added are theirs: what was applied, and what came of it, stays good until something changes. */
static void take_content(struct fleet_device *device, uint64_t hash)
{
    if (hash != device->content_hash)
        device->object_hash = hash;
    device->content_hash = hash;
}

/** The device whose object has that name. Called with the mutex held. */
static struct fleet_device *find_by_name(struct fleet *fleet, const char *object_name)
{
    struct fleet_device *device = fleet_find_device(fleet, object_name);

    for (uint32_t i = 0; i < fleet->device_count && !device; i++) {
        cleanup_free char *name = fleet->devices[i] ? device_object_name(fleet->devices[i]->id) : NULL;

        if (text_equal(name, object_name))
            device = fleet->devices[i];
    }
    return device;
}

/** Called with the mutex held. */
static void see_object(struct fleet *fleet, struct fleet_device *device, const cJSON *object)
{
    uint64_t version = strtoull(kube_resource_version(object), NULL, 10);

    if (!device->object_exists && !device->online && device->heard_at_ms == INT64_MIN)
        device->online =
            strcmp(kube_text(object, "status.phase", ""), "Online") == 0; /* until silence says otherwise */
    if (version < device->object_version)
        return; /* we have written since */
    device->object_exists = true;
    take_content(device, device_object_hash(object));
    device->status_hash = device_status_hash_of(object);
    take_times(device, object);
    work_queue_add(fleet->options.devices, device->id);
}

void fleet_device_seen(struct fleet *fleet, const cJSON *object)
{
    const char *id = kube_text(object, "spec.deviceId", "");
    cleanup_free char *name = token_is_valid(id) ? device_object_name(id) : NULL;

    pthread_mutex_lock(&fleet->mutex);
    /* With another name than its id gives it, it is somebody's own, or one of ours whose id somebody changed. */
    struct fleet_device *device =
        text_equal(name, kube_name(object)) ? fleet_device(fleet, id) : find_by_name(fleet, kube_name(object));
    if (device)
        see_object(fleet, device, object);
    pthread_mutex_unlock(&fleet->mutex);
}

void fleet_device_gone(struct fleet *fleet, const cJSON *object)
{
    pthread_mutex_lock(&fleet->mutex);
    /* By its name: of one that went while the watch was broken off, nothing else is known. */
    struct fleet_device *device = find_by_name(fleet, kube_name(object));
    if (device) {
        device->object_exists = false;
        device->object_version = 0;
        device->object_hash = 0;
        device->content_hash = 0;
        device->status_hash = 0;
        device->ready_since[0] = '\0';
        work_queue_add(fleet->options.devices, device->id);
    }
    pthread_mutex_unlock(&fleet->mutex);
}

void fleet_deployments_synced(struct fleet *fleet)
{
    pthread_mutex_lock(&fleet->mutex);
    fleet->deployments_synced = true;
    pthread_mutex_unlock(&fleet->mutex);
}

void fleet_devices_synced(struct fleet *fleet)
{
    pthread_mutex_lock(&fleet->mutex);
    fleet->devices_synced = true;
    for (uint32_t i = 0; i < fleet->device_count; i++) {
        if (fleet->devices[i])
            work_queue_add(fleet->options.devices, fleet->devices[i]->id);
    }
    pthread_mutex_unlock(&fleet->mutex);
}

/** Called with the mutex held, of a registered device. */
static void plan_objects(const struct fleet *fleet, const struct fleet_device *device, struct device_plan *ret)
{
    cleanup_error struct error impossible = ERROR_INIT;
    char heartbeat[RFC3339_SIZE];
    struct device_facts facts = {
        .device_id = device->id,
        .labels = device->labels,
        .label_count = device->label_count,
        .agent_version = device->agent_version,
        .arch = device->arch,
        .os = device->os,
        .online = device->online,
    };

    if (device->heartbeat_ms > 0 && wire_time_format(device->heartbeat_ms, heartbeat, &impossible) == 0)
        facts.last_heartbeat = heartbeat;
    if (device->ready_since[0] != '\0' && device->ready == device->online)
        facts.since = device->ready_since;
    CLEANUP(cJSON_Delete) cJSON *object = device_object(&facts, &fleet->options.owner);
    ret->exists = device->object_exists;
    ret->object_hash = device_object_hash(object);
    ret->status_hash = device_status_hash(&facts);
    if (!device->object_exists || ret->object_hash != device->object_hash)
        ret->object = TAKE_PTR(object);
    if (!device->object_exists || ret->status_hash != device->status_hash)
        ret->status = device_status_patch(&facts);
}

bool fleet_plan_device(struct fleet *fleet, const char *device_id, struct device_plan *ret)
{
    *ret = (struct device_plan){0};
    pthread_mutex_lock(&fleet->mutex);
    const struct fleet_device *device = fleet_find_device(fleet, device_id);
    bool decided = device && fleet->devices_synced && fleet->told[FLEET_INFO] && fleet->told[FLEET_HEARTBEAT];
    if (decided && device->registered)
        plan_objects(fleet, device, ret);
    else if (decided && device->missing_at_ms == 0)
        ret->remove = device->object_exists;
    pthread_mutex_unlock(&fleet->mutex);
    return ret->remove || ret->object || ret->status;
}

void device_plan_clear(struct device_plan *plan)
{
    cJSON_Delete(plan->object);
    cJSON_Delete(plan->status);
    *plan = (struct device_plan){0};
}

void fleet_device_written(struct fleet *fleet, const char *device_id, const struct device_plan *plan,
                          const cJSON *object)
{
    pthread_mutex_lock(&fleet->mutex);
    struct fleet_device *device = fleet_find_device(fleet, device_id);
    if (device) {
        device->object_exists = !plan->remove;
        device->object_version = strtoull(kube_resource_version(object), NULL, 10);
        device->object_hash = plan->remove ? 0 : plan->object_hash;
        device->status_hash = plan->remove ? 0 : plan->status_hash;
        if (plan->remove || plan->object)
            device->content_hash = plan->content_hash;
        take_times(device, object);
    }
    pthread_mutex_unlock(&fleet->mutex);
}
