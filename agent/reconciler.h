/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The reconciler brings podman to the desired state and keeps it there (docs/reconciling.md). It owns one worker
 * thread, which waits for nobody, and those that wait for podman: one listens to its events, one lists containers, one
 * more for each deployment while that is worked on. Every function here is thread-safe, queues, and returns at once.
 *
 * Desired states live in its store (state_directory/desired/), atomically and fsynced, so that a start without NATS
 * brings every workload back. What it finds out goes to the sink; the sink's owner publishes it when it can.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "contracts/device.h"

/** Called from the worker thread; must not block on NATS for long and must copy what it keeps. */
struct state_sink {
    void (*changed)(void *context, const char *deployment, const struct device_state *state);
    /** The deployment is gone: its containers are removed and its state key should be deleted. */
    void (*removed)(void *context, const char *deployment);
    /** "podman 4.3.1" once known (for device-info). */
    void (*runtime_seen)(void *context, const char *runtime);
    void *context;
};

struct reconciler_options {
    const char *device_id;
    const char *state_directory;
    const char *podman_socket;
    bool runtime_enabled; /**< false: every desired state is refused with a clear Failed state, podman is never used */
    int interval_ms;      /**< periodic reconcile */
    struct state_sink sink;
};

struct reconciler;
/** Loads the store and starts reconciling at once. Errors: system (the state directory). */
MUST_CHECK int reconciler_new(const struct reconciler_options *options, struct reconciler **ret, struct error *err);
/** Ends the worker (a running podman call is cancelled), frees. Containers keep running. < 500 ms. NULL is fine. */
void reconciler_free(struct reconciler *reconciler);
DEFINE_CLEANUP(struct reconciler *, reconciler_free)

/** A desired-state value as it came from KV; bytes are copied. An unusable value becomes a Failed state. */
void reconciler_put(struct reconciler *reconciler, const char *deployment, uint64_t revision, const char *data,
                    size_t size);
/** The desired state was deleted. */
void reconciler_delete(struct reconciler *reconciler, const char *deployment);
/**
 * What comes from now on is of this bucket, which is known by when it was made (0 before: a bucket that is not known).
 */
void reconciler_bucket(struct reconciler *reconciler, uint64_t bucket);
/**
 * After a full re-read of the bucket: every deployment not in `deployments` (count) that came from this very bucket was
 * deleted meanwhile. One that came from another is kept: that bucket was lost, and what runs is all that is left of it.
 */
void reconciler_retain(struct reconciler *reconciler, const char *const *deployments, size_t count);
/** Report every known state to the sink again (after a reconnect). */
void reconciler_report_all(struct reconciler *reconciler);
/** Reconcile now. */
void reconciler_wake(struct reconciler *reconciler);
/** Number of full reconcile passes done so far (for tests and metrics). */
uint64_t reconciler_passes(struct reconciler *reconciler);
/** Grows as long as the worker goes round, also while podman cannot be reached (for the watchdog). */
uint64_t reconciler_turns(struct reconciler *reconciler);
