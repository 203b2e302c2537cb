/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Keeps the fleet told of what is in NATS: after every connect the buckets are made where missing and watched anew, and
 * now and then it is checked that nothing was missed. In a cluster of servers the buckets are replicated: nobody else is
 * sure to reach NATS. What stands in the way of that stands in the way of nothing else.
 */

#include "messaging/connection.h"
#include "operator/fleet.h"
#include "operator/metrics.h"

struct nats_link_options {
    struct nats_settings nats; /**< its callbacks and context are ours; what it points to must outlive the link */
    struct fleet *fleet;       /**< must outlive it, like metrics */
    struct metrics *metrics;
    int check_interval_ms; /**< 0: 30000 */
    int replicas;          /**< servers the buckets are to be on; 0 or 1: as they are */
};

struct nats_link;
/** Begin to connect, for ever. Errors: nats (unusable settings), system. */
MUST_CHECK int nats_link_start(const struct nats_link_options *options, struct nats_link **ret, struct error *err);
/** The connection; borrowed. */
struct nats_connection *nats_link_connection(struct nats_link *link);
/** Connected, and all watches run. */
bool nats_link_is_up(struct nats_link *link);
/** Close the connection: what is in progress on it ends. */
void nats_link_stop(struct nats_link *link);
/** Stops first. NULL is fine. */
void nats_link_free(struct nats_link *link);
DEFINE_CLEANUP(struct nats_link *, nats_link_free)
