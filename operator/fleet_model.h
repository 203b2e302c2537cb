/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The inside of a fleet: devices with an index each, Deployments with a cell for each device by that index. A cell is 32
 * bytes, so that 100 Deployments on 1,000 devices take 3 MB. Not for use outside fleet*.c.
 */

#include <pthread.h>

#include "operator/fleet.h"

struct fleet_device {
    char *id;              /* first: the tree is ordered by it */
    uint32_t index;        /* of its cells */
    bool registered;       /* device-info has it */
    uint64_t refused_hash; /* of the device-info that was refused last; 0: none since a good one */
    bool info_told;        /* since that bucket was last begun, even if it cannot be read */
    bool online;
    bool object_exists;    /* in the Kubernetes API */
    int64_t missing_at_ms; /* not registered, but nobody deleted it: given up some time after this; 0: it is not so */
    int64_t heard_at_ms;   /* clock_monotonic_ms() of the last heartbeat, by the server's stamp; INT64_MIN: never */
    int64_t heartbeat_ms;  /* the same since the epoch; 0: never */
    struct device_label *labels; /* sorted by key */
    size_t label_count;
    char *agent_version;
    char *arch;
    char *os;
    uint64_t object_version; /* resourceVersion of what we wrote last: what is older says nothing; 0: nothing */
    uint64_t object_hash;    /* of what was applied, or of what is in the Kubernetes API instead; 0: nothing */
    uint64_t content_hash;   /* of what is in the Kubernetes API: others may have added labels of theirs */
    uint64_t status_hash;
    char ready_since[RFC3339_SIZE]; /* in the Kubernetes API; "": not known */
    bool ready;                     /* likewise */
    int64_t object_made_ms;         /* since the epoch, in whole seconds; 0: not known */
};

/** One device and one Deployment. */
struct cell {
    uint64_t key_hash;
    uint64_t key_revision; /* also of its deletion; what is older says nothing */
    uint64_t state_revision;
    uint8_t phase; /* enum deployment_phase */
    bool matched : 1;
    bool has_key : 1;
    bool key_lost : 1; /* it went with its bucket: nobody deleted it */
    bool deleted : 1;  /* its deletion is in the bucket that is there now */
    bool has_state : 1;
    bool failing : 1;    /* it failed, and nothing better came of its trying again */
    bool key_told : 1;   /* since that bucket was last begun */
    bool state_told : 1; /* likewise */
};

struct fleet_deployment {
    char *name; /* first: the tree is ordered by it */
    bool known; /* the Kubernetes API has it: else these are somebody else's keys and states */
    bool deleting;
    bool has_finalizer;
    struct text_list finalizers;
    bool abandoned; /* not known any more, but keys we wrote are still there: its finalizer was taken off by force */
    char *uid;
    char *resource_version;
    long generation;
    const char *reason; /* why it is not accepted; NULL: it is */
    char *message;
    char *score; /* the last good one; NULL: none yet */
    uint64_t score_hash;
    struct selector *selector;         /* likewise */
    struct deployment_status observed; /* in the Kubernetes API */
    uint64_t observed_version;         /* resourceVersion of what we wrote last: what is older says nothing */
    char *error_device;                /* the one that failed last; NULL: none */
    char *error_message;
    char *error_time;
    int64_t status_at_ms; /* when the status was last written */
    struct cell *cells;
    uint32_t cell_count;
};

struct fleet {
    struct fleet_options options;
    pthread_mutex_t mutex;
    void *device_tree;             /* tsearch(3) */
    struct fleet_device **devices; /* by index; NULL: free */
    uint32_t device_count;         /* indices in use or free */
    uint32_t device_capacity;
    void *deployment_tree;
    struct fleet_deployment **deployments;
    size_t deployment_count;
    bool told[FLEET_BUCKET_COUNT]; /* whole */
    int64_t desired_made_ms;       /* when that bucket was made, since the epoch; 0: not known */
    int64_t judge_at_ms;           /* when to decide on the next; 0: it has been, or not all has been told */
    bool unasked_go;               /* what has neither a Deployment in the Kubernetes API nor a key is not wanted */
    bool deployments_synced;
    bool devices_synced;
    bool connected;
    int64_t connected_at_ms; /* silence before says nothing */
    int64_t sweep_at_ms;
};

/* All of these with the mutex held. */

/** NULL: not known. Borrowed, as all of these. */
struct fleet_device *fleet_find_device(struct fleet *fleet, const char *id);
/** The device, made if it is not known. */
struct fleet_device *fleet_device(struct fleet *fleet, const char *id);
/** Likewise of Deployments. */
struct fleet_deployment *fleet_find_deployment(struct fleet *fleet, const char *name);
struct fleet_deployment *fleet_deployment(struct fleet *fleet, const char *name);
/** The cell of a device, made if there is none. Borrowed until the next one is made. */
struct cell *fleet_cell(struct fleet *fleet, struct fleet_deployment *deployment, const struct fleet_device *device);
/** Free a device's record, if nothing is known of it any more. */
void fleet_drop_device(struct fleet *fleet, struct fleet_device *device);

/** Does a device count? */
bool cell_is_meant(const struct fleet_deployment *deployment, const struct cell *cell);
/** Does a device fail, or succeed, at what is desired now? One that tries again still fails. */
bool cell_has_failed(const struct fleet_deployment *deployment, const struct cell *cell);
bool cell_has_succeeded(const struct fleet_deployment *deployment, const struct cell *cell);
/** Does the device with that id (NULL: none) fail, and count? */
bool fleet_device_fails(struct fleet *fleet, const struct fleet_deployment *deployment, const char *id);

/**
 * Does a device run, or may it, what nobody asks it for, and no deletion says so? An agent that finds another bucket than
 * the one its desired state came from goes on running what it has.
 */
bool cell_is_left_over(const struct fleet *fleet, const struct fleet_deployment *deployment,
                       const struct fleet_device *device, const struct cell *cell);

/** Queue a Deployment, known or not, if such a thing is on this device. */
void fleet_look_for_left_over(struct fleet *fleet, const struct fleet_deployment *deployment,
                              const struct fleet_device *device);

/** Compute anew whether a device is meant, and queue what follows from it. */
void fleet_match(struct fleet *fleet, struct fleet_deployment *deployment, struct fleet_device *device);
void fleet_match_device(struct fleet *fleet, struct fleet_device *device);
void fleet_match_deployment(struct fleet *fleet, struct fleet_deployment *deployment);
/** The status may have to be written, but not too often. */
void fleet_status_changed(struct fleet *fleet, const struct fleet_deployment *deployment);
/** Enough is known to decide on keys. */
bool fleet_is_told(const struct fleet *fleet);

/** What fleet.c hands on, by bucket. */
void fleet_put_desired(struct fleet *fleet, const char *key, uint64_t revision, const char *data, size_t size);
void fleet_delete_desired(struct fleet *fleet, const char *key, uint64_t revision);
void fleet_put_state(struct fleet *fleet, const char *key, const char *data, size_t size);
void fleet_delete_state(struct fleet *fleet, const char *key);
void fleet_put_info(struct fleet *fleet, const char *key, const char *data, size_t size);
void fleet_delete_info(struct fleet *fleet, const char *key);
void fleet_put_heartbeat(struct fleet *fleet, const char *key, int64_t stamp_ms);
void fleet_begin_cells(struct fleet *fleet, enum fleet_bucket bucket);
void fleet_complete_cells(struct fleet *fleet, enum fleet_bucket bucket);
void fleet_begin_infos(struct fleet *fleet);
void fleet_complete_infos(struct fleet *fleet);
