/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The last desired states, on disk: one file <state_directory>/desired/<deployment>.json each, replaced atomically and
 * fsynced, so that a start without NATS brings every workload back. A file is
 *
 *   {"revision":7,"bucket":5,"desired":{"type":"PodmanV0",…}}    what should run, in the bytes of the KV value
 *   {"revision":7,"removing":true}                               it was deleted, its containers may be there yet
 *
 * "bucket" tells the bucket it came from: when that was made, in µs since the epoch; 0 or none: not known.
 *
 * Only usable desired states are kept: one that was refused does not replace what the device could fall back to.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct desired_store;
/** Makes the directory. Errors: system. */
MUST_CHECK int desired_store_new(const char *state_directory, struct desired_store **ret, struct error *err);
void desired_store_free(struct desired_store *store);
DEFINE_CLEANUP(struct desired_store *, desired_store_free)

/** One stored desired state; borrowed for the call. */
struct desired_record {
    const char *deployment;
    uint64_t revision;
    uint64_t bucket;
    const char *data; /**< the value, terminated; NULL: being removed */
    size_t size;
};
typedef void (*desired_visit)(void *context, const struct desired_record *record);

/**
 * Visit every stored desired state. A file that cannot be used is renamed to <name>.corrupt, reported in the log, and
 * passed over. Errors: system (the directory cannot be read).
 */
MUST_CHECK int desired_store_load(struct desired_store *store, desired_visit visit, void *context, struct error *err);

/** What is to be put on disk of one deployment. Zero: nothing. */
struct desired_change {
    enum { CHANGE_NONE, CHANGE_PUT, CHANGE_REMOVING } kind;
    uint64_t revision;
    uint64_t bucket;
    char *data; /**< CHANGE_PUT: a JSON document; owned */
    size_t size;
    bool failed; /**< it was tried before */
};
void desired_change_clear(struct desired_change *change);
/** Put it on disk; it may take long when the disk is busy. Different deployments may be changed in different threads at
 * the same time. Errors: system. */
MUST_CHECK int desired_store_apply(const struct desired_store *store, const char *deployment,
                                   const struct desired_change *change, struct error *err);
MUST_CHECK int desired_store_remove(const struct desired_store *store, const char *deployment, struct error *err);
