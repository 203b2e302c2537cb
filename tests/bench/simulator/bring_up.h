/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A few threads that bring connections up, and up again after a loss: each takes several round trips, and there may be
 * ten thousand.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct bring_up;
/** Bring up one connection and its devices, for the first time or again; called by one thread at a time for the same
 *  one. */
typedef int (*bring_up_one)(void *context, size_t index, struct error *err);
/** All `count` connections are asked for at once. Errors: system. */
MUST_CHECK int bring_up_start(size_t count, bring_up_one one, void *context, struct bring_up **ret, struct error *err);
/** Bring connection `index` up again. Any thread; does not block. */
void bring_up_again(struct bring_up *bring_up, size_t index);
/** All have been up. What fails is said once it does and tried again, as devices do. */
bool bring_up_is_complete(struct bring_up *bring_up);
/** End the threads, once what they are at is done: nothing more is brought up. NULL is fine. */
void bring_up_stop(struct bring_up *bring_up);
/** Stop and free. NULL is fine. */
void bring_up_free(struct bring_up *bring_up);
DEFINE_CLEANUP(struct bring_up *, bring_up_free)
