/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * FleetCommandsClient: ask a device something and wait for the answer.
 */

#include "contracts/commands.h"
#include "messaging/connection.h"

extern const struct error_domain command_error_domain;
enum command_error {
    COMMAND_DEVICE_OFFLINE = 1, /**< nobody subscribes to the device's commands; known at once */
    COMMAND_TIMEOUT,
    COMMAND_BAD_REPLY,         /**< the reply does not decode */
    COMMAND_REMOTE_BASE = 100, /**< + enum command_error_kind: the agent answered with an error */
    COMMAND_NATS = 200,        /**< its cause is in domain "nats" */
};

struct fleet_commands_client;
/** `connection` must outlive the client. `operator_sub` goes into X-Harmony-Operator-Sub (NULL: none). */
MUST_CHECK int fleet_commands_client_new(struct nats_connection *connection, const char *operator_sub,
                                         struct fleet_commands_client **ret, struct error *err);
void fleet_commands_client_free(struct fleet_commands_client *client);
DEFINE_CLEANUP(struct fleet_commands_client *, fleet_commands_client_free)

/**
 * Ping a device. Thread-safe; many may be in flight.
 * Errors: domain "command" (above); WIRE_INVALID_NAME for a device id that is not one.
 */
MUST_CHECK int fleet_ping(struct fleet_commands_client *client, const char *device, struct deadline deadline,
                          struct ping_reply **ret, struct error *err);
