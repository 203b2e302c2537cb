/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Answers device-commands.<device>.<verb>, straight from nats.c's delivery thread. It knows nothing of podman and waits
 * for nothing, so that a ping measures the way to the device and not what the device is busy with.
 */

#include <nats/nats.h>

#include "base/error.h"

struct command_server;
/** Errors: WIRE_INVALID_NAME (the device id). Uptimes count from here. */
MUST_CHECK int command_server_new(const char *device_id, const char *version, struct command_server **ret,
                                  struct error *err);
/** Subscribe over this handle; a subscription made before is ended. Errors: nats. */
MUST_CHECK int command_server_subscribe(struct command_server *server, natsConnection *handle, struct error *err);
/** Seconds since command_server_new(). */
int64_t command_server_uptime_s(const struct command_server *server);
/** Take no further request: once the server has heard of it, whoever asks is told at once that nobody is there. */
void command_server_stop(struct command_server *server);
/** Ends the subscription and waits for a request in progress. NULL is fine. */
void command_server_free(struct command_server *server);
DEFINE_CLEANUP(struct command_server *, command_server_free)
