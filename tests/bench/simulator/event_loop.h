/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One thread that reads and writes for any number of NATS connections. nats.c starts a thread a connection unless it is
 * given an event loop, and ten thousand devices are not to be ten thousand threads.
 */

#include <nats/nats.h>
#include <stdbool.h>

#include "base/error.h"

struct event_loop;
/** Start the thread. Errors: system. */
MUST_CHECK int event_loop_start(struct event_loop **ret, struct error *err);
/** End the thread; the connections must have been closed. NULL is fine. */
void event_loop_free(struct event_loop *loop);
DEFINE_CLEANUP(struct event_loop *, event_loop_free)

/** Make a connection that is opened with these options one of the loop's. The loop must outlive the connection. */
natsStatus event_loop_use(struct event_loop *loop, natsOptions *options);
