/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The link keeps KV and device in step: after every connect it watches the desired state anew and writes all it has to
 * say once more; in between it writes what changes, and heartbeats. One thread of its own does all writing, so that
 * nobody else ever waits for NATS.
 */

#include "agent/desired_watch.h"
#include "agent/outbox.h"

struct link_options {
    const char *device_id; /**< borrowed; all of these outlive the link */
    struct nats_connection *connection;
    struct outbox *outbox;
    struct desired_watch *watch;
    int heartbeat_interval_ms;
    int check_interval_ms; /**< how often the watch is checked */
    /** Caller frees the result; NULL: none this time. */
    char *(*make_heartbeat)(void *context);
    /** Called from the link's thread once what was sent after a connect has reached the server. */
    void (*on_ready)(void *context);
    void *context;
};

struct link;
/** Starts the thread; it waits for link_connected(). Errors: system. */
MUST_CHECK int link_start(const struct link_options *options, struct link **ret, struct error *err);
/** The connection has come up (again), or is lost. Any thread. */
void link_connected(struct link *link, bool connected);
/** There is something new in the outbox. Any thread. */
void link_wake(struct link *link);
/** Something may have been missed: begin as after a connect. Any thread. */
void link_doubt(struct link *link);
/** Write what waits, if connected, until the deadline, then stop. Returns when done or at the deadline. */
void link_drain(struct link *link, struct deadline deadline);
/** Ends the thread (after nats_connection_close() at the latest), frees. NULL is fine. */
void link_free(struct link *link);
DEFINE_CLEANUP(struct link *, link_free)
