/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * systemd's notification protocol (sd_notify(3)): datagrams of NAME=value lines to $NOTIFY_SOCKET. Spoken here in a few
 * lines because libsystemd brings in five libraries that the agent would keep in memory for nothing else.
 */

#include <stdint.h>

#include "base/error.h"

/** Send "READY=1", "STATUS=connected to NATS", …; a no-op when not started by systemd. Errors: system. */
MUST_CHECK int notify_send(const char *state, struct error *err);
/** How often systemd wants WATCHDOG=1, in ms; 0: not at all (or not of this process). */
int64_t notify_watchdog_ms(void);
