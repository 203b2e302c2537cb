/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The work on one deployment: what is wanted is put on disk, then its containers are brought to that. It has a thread
 * and a connection of its own, so that a busy disk, a long pull, a slow init container or a service that takes its time
 * to stop holds nobody else up. The thread lives as long as the work does.
 */

#include <stdbool.h>

#include "agent/desired_store.h"
#include "base/error.h"
#include "contracts/score.h"

struct work;

struct work_order {
    const char *podman_socket;
    const char *device;
    const char *deployment;
    struct score *score;   /**< borrowed until the work is freed, or see work_keep; NULL: remove the deployment */
    char *const *verified; /**< one per service, see converge.h; copied */
    bool retry_failed;
    int failures; /**< see converge.h */
    const struct desired_store *store;
    struct desired_change change; /**< put on disk first; taken on success */
    bool only_store;              /**< and that is all */
    /** Called from the work's thread when there is progress to take, and when it has ended. */
    void (*notify)(void *context);
    void *context;
};

/** Errors: system (no thread). */
MUST_CHECK int work_start(const struct work_order *order, struct work **ret, struct error *err);
/** Have it end soon. */
void work_cancel(struct work *work);
/** Take over the score of the order: it is freed with the work. */
void work_keep(struct work *work, struct score *score);
/** What it is doing now, when that has changed since the last call; NULL otherwise. Caller frees. */
char *work_progress(struct work *work);
bool work_has_ended(struct work *work);
/** Once it has ended: 0, or -1 with *err moved out. */
MUST_CHECK int work_result(struct work *work, struct error *err);
/** Once it has ended: the verified ids, one per service; borrowed. */
char *const *work_verified(const struct work *work);
/** Cancel, wait for the thread, free. NULL is fine. */
void work_free(struct work *work);
