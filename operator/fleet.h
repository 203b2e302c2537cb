/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the operator knows, of both sides: the Deployments and Devices in the Kubernetes API, and devices, heartbeats,
 * desired states and reported states in NATS. Whoever learns something puts it in here; what has to be done because of
 * it goes into the queues; who does it asks here what exactly. Thread-safe; nothing in here waits for anybody.
 */

#include "contracts/device.h"
#include "operator/deployment_object.h"
#include "operator/device_object.h"
#include "operator/work_queue.h"

struct fleet_options {
    struct work_queue *deployments; /**< names: keys are to be written or deleted, or the finalizer changed */
    struct work_queue *statuses;    /**< names: the status is to be written */
    struct work_queue *devices;     /**< device ids: the Device is to be written or deleted */
    struct device_owner owner;      /**< its texts must outlive the fleet */
    int offline_after_ms;           /**< without a heartbeat a device is offline */
    int status_interval_ms;         /**< a Deployment's status is written at most that often */
};

struct fleet;
/** The queues must outlive it. */
struct fleet *fleet_new(const struct fleet_options *options);
void fleet_free(struct fleet *fleet);
/** Who its Devices belong to; borrowed. */
const struct device_owner *fleet_owner(const struct fleet *fleet);
DEFINE_CLEANUP(struct fleet *, fleet_free)

/* What NATS says. `data` need not be terminated; what does not decode is ignored. */

/** The connection came up or was lost: silence on a lost one says nothing of the devices. */
void fleet_nats_changed(struct fleet *fleet, bool connected);
/** The buckets a fleet is told of, as sets that are told whole and then change. */
enum fleet_bucket { FLEET_DESIRED, FLEET_INFO, FLEET_STATE, FLEET_HEARTBEAT, FLEET_BUCKET_COUNT };
/** The name of its bucket. */
const char *fleet_bucket_name(enum fleet_bucket bucket);
void fleet_told_begin(struct fleet *fleet, enum fleet_bucket bucket);
/** When the server made the bucket that is told of now. @param made_us  in µs since the epoch */
void fleet_told_made(struct fleet *fleet, enum fleet_bucket bucket, uint64_t made_us);
void fleet_told_complete(struct fleet *fleet, enum fleet_bucket bucket);
/** @param stamp_ms  when the server took it, in ms since the epoch */
void fleet_told_put(struct fleet *fleet, enum fleet_bucket bucket, const char *key, uint64_t revision, int64_t stamp_ms,
                    const char *data, size_t size);
void fleet_told_deleted(struct fleet *fleet, enum fleet_bucket bucket, const char *key, uint64_t revision);

/* What the Kubernetes API says. */

/** Objects came, changed or went, as a watch tells it; an answer to a write will do, too. */
void fleet_deployment_seen(struct fleet *fleet, const cJSON *object);
void fleet_deployment_gone(struct fleet *fleet, const cJSON *object);
void fleet_device_seen(struct fleet *fleet, const cJSON *object);
void fleet_device_gone(struct fleet *fleet, const cJSON *object);
/** Every Deployment, every Device there is has been seen. */
void fleet_deployments_synced(struct fleet *fleet);
void fleet_devices_synced(struct fleet *fleet);

/** Time passes: who is offline, who does not come back. A few times a second. */
void fleet_tick(struct fleet *fleet);

/* What is to be done. */

enum plan_finalizer { PLAN_FINALIZER_KEEP, PLAN_FINALIZER_ADD, PLAN_FINALIZER_REMOVE };
/** For one Deployment. */
struct deployment_plan {
    bool wait; /**< not all is known yet; it will be queued then */
    /** Added before keys are written, removed after they are deleted. */
    enum plan_finalizer finalizer;
    struct text_list finalizers;
    char *resource_version;
    char *score;              /**< the value of keys to write; NULL: none are */
    struct text_list puts;    /**< device ids whose key is to be written */
    struct text_list deletes; /**< device ids whose key is to be deleted, though it may be gone already */
    size_t left_over;         /**< of these: what a lost bucket asked for, and nobody asks for now */
    bool more;                /**< there are more keys: it will be queued again */
};
/** False: there is no such Deployment. */
bool fleet_plan_deployment(struct fleet *fleet, const char *name, struct deployment_plan *ret);
void deployment_plan_clear(struct deployment_plan *plan);
/** NATS has confirmed one key the plan said, as its watch will tell later: `data` was put, or it was deleted (NULL). While
 *  the bucket is being told anew, that is what counts. */
void fleet_key_confirmed(struct fleet *fleet, const char *key, uint64_t revision, const char *data, size_t size);
/** It has confirmed all of them. If there is more, it is queued, behind others. */
void fleet_keys_written(struct fleet *fleet, const char *name, const struct deployment_plan *plan);

/** A Deployment's status as it should be. */
struct status_plan {
    struct deployment_status status;
    /** The device that failed last recovered, another one still fails: ask NATS for its error, and put it in. */
    bool error_wanted;
    char failed_device[TOKEN_MAX + 1];
};
/** False: there is no such Deployment, or its status is as it should be. */
bool fleet_plan_status(struct fleet *fleet, const char *name, struct status_plan *ret);
void status_plan_clear(struct status_plan *plan);
/** It was written. @param object  as it is now */
void fleet_status_written(struct fleet *fleet, const char *name, const struct deployment_status *status,
                          const cJSON *object);

/** For one device. */
struct device_plan {
    bool remove;   /**< delete the object */
    bool exists;   /**< it is there, and ours */
    cJSON *object; /**< to apply; NULL: it is as it should be */
    cJSON *status; /**< to patch; NULL: likewise */
    uint64_t object_hash;
    uint64_t status_hash;
    uint64_t content_hash; /**< device_object_hash() of what came of `object`, for fleet_device_written() */
};
/** False: nothing to do. */
bool fleet_plan_device(struct fleet *fleet, const char *device_id, struct device_plan *ret);
void device_plan_clear(struct device_plan *plan);
/** @param object  as it is now; NULL when it was deleted */
void fleet_device_written(struct fleet *fleet, const char *device_id, const struct device_plan *plan,
                          const cJSON *object);

struct fleet_counts {
    size_t online;
    size_t offline;
    size_t deployments;
    bool complete; /**< all of NATS has been told */
};
void fleet_count(struct fleet *fleet, struct fleet_counts *ret);
