/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The parts of the reconciler: reconciler.c is its face and its worker's loop, reconciler_desired.c what is wanted,
 * reconciler_pass.c what is compared and done.
 */

#include <stdatomic.h>

#include "agent/deployment_table.h"
#include "agent/desired_store.h"
#include "agent/inbox.h"
#include "agent/look.h"
#include "agent/podman_events.h"
#include "agent/reconciler.h"
#include "base/thread.h"

/** podman does not answer. */
struct outage {
    int64_t since_ms; /**< 0: it does answer */
    int64_t retry_ms; /**< when to ask again */
    int failures;
    char *text; /**< what went wrong */
};

struct reconciler {
    char *device_id;
    char *podman_socket;
    bool runtime_enabled;
    int interval_ms;
    struct state_sink sink;
    struct inbox *inbox;
    struct podman_events *events; /**< NULL: runtime disabled */
    struct look *look;            /**< NULL: runtime disabled */
    struct thread thread;
    atomic_uint_least64_t passes;
    atomic_uint_least64_t turns; /* of the worker, whether podman answers or not */

    /* What follows is the worker thread's. */
    struct desired_store *store;
    struct deployment_table table;
    struct outage outage;
    uint64_t bucket;       /**< the present one, known by when it was made; 0: not known */
    bool bucket_seen;      /**< the whole bucket was read: a container of a deployment not in the table is a leftover */
    uint64_t last_removal; /**< a look up to this one may still show what is gone */
    uint64_t last_look;    /**< number of the last look requested */
    int64_t trim_ms;       /**< when to give memory back; INT64_MAX: it was */
    int64_t tick_ms;       /**< the next periodic pass */
    int64_t look_again_ms; /**< a deployment asked to be looked at again then */
    char *runtime;         /**< as told to the sink */
};

/* reconciler_desired.c */

/** Take what the store has. */
MUST_CHECK int reconciler_load(struct reconciler *reconciler, struct error *err);
/** Change what is wanted. */
void reconciler_apply(struct reconciler *reconciler, struct command *commands);

/* reconciler_pass.c */

/** Give memory back once it has been quiet for a moment. */
void reconciler_trim(struct reconciler *reconciler);
/** Take progress and results of all work. True when some ended: a pass is wanted. */
bool reconciler_collect(struct reconciler *reconciler);
/** Have all containers listed; what comes of it is for reconciler_observe. */
void reconciler_look(struct reconciler *reconciler);
/** Compare everything with what was listed, if something was. */
void reconciler_observe(struct reconciler *reconciler);
/** There is room for more work, and podman answers (or there is something to put on disk). */
bool reconciler_can_begin(const struct reconciler *reconciler, const struct deployment *deployment);
/** Begin the work that is due. */
void reconciler_begin(struct reconciler *reconciler);
/** Tell the sink what has changed. */
void reconciler_report(struct reconciler *reconciler);
