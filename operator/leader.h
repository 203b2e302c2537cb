/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Of several operators one leads: the one whose name is in a Lease, as long as it renews it. Others stand by. A leader
 * that could not renew in time stops being one before anybody else can become it.
 * Source: https://kubernetes.io/docs/concepts/architecture/leases/
 */

#include "kubernetes/kube_client.h"

struct leader_options {
    struct kube_client *client; /**< must outlive it; NULL: no election, it leads at once and for ever */
    const char *namespace_name; /**< texts are copied */
    const char *lease;
    const char *identity; /**< unique among the operators */
    int lease_ms;         /**< how long a lease holds after its last renewal; 0: 6000 */
    int renew_ms;         /**< between renewals, and between attempts to become leader; 0: 2000 */
};

struct leader;
/** Begin to stand for it, in a thread of its own. Errors: system. */
MUST_CHECK int leader_start(const struct leader_options *options, struct leader **ret, struct error *err);
/** To be asked before every write. */
bool leader_is(struct leader *leader);
/** Wait until it leads. False: leader_resign() was called. */
bool leader_wait(struct leader *leader);
/** By when a write must be done, for it to be a leader's. */
struct deadline leader_deadline(struct leader *leader);
/** The end begins: nobody waits for it any more. What is being written may end. */
void leader_resign(struct leader *leader);
/** Lead no more, and give the lease back, so that another takes over at once. Call it when all writes have ended. */
void leader_stop(struct leader *leader);
/** Stops first. NULL is fine. */
void leader_free(struct leader *leader);
DEFINE_CLEANUP(struct leader *, leader_free)
