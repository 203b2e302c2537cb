/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A fleet of simulated devices on the real wire: connections, devices, heartbeats, and lines of JSON that tell what they
 * did.
 */

#include "auth/credentials.h"
#include "base/deadline.h"
#include "contracts/device.h"

#define SIMULATOR_DEVICES_MAX 100000

struct simulator_options {
    const char *url;
    const struct credentials *credentials; /**< NULL: none */
    int devices;
    int connections;    /**< they share; 0: one each */
    const char *prefix; /**< device ids are "<prefix>-<number>-<suffix>" */
    const char *suffix;
    int heartbeat_ms; /**< each device's; they are spread over it */
    int delay_ms;
    int failed_percent;
    int report_ms;
    const struct device_label *labels; /**< of every device, besides "simulator" (the suffix) and "group" */
    size_t label_count;
};

struct simulator;
/** All pointers in `options` must outlive it. Nothing is connected yet. Errors: WIRE_INVALID_NAME, WIRE_MALFORMED. */
MUST_CHECK int simulator_new(const struct simulator_options *options, struct simulator **ret, struct error *err);
/** Connect and simulate until `stop_fd` is readable. Errors: nats, kv (at the beginning; later it tries on), system. */
MUST_CHECK int simulator_run(struct simulator *simulator, int stop_fd, struct error *err);
/** Remove every key that was written. Errors: GENERAL_TIMEOUT when the server did not take all in time. */
MUST_CHECK int simulator_withdraw(struct simulator *simulator, struct deadline deadline, struct error *err);
/** Close all connections: afterwards the library of NATS is to be stopped (nats_library_stop), and then this freed. */
void simulator_close(struct simulator *simulator);
/** NULL is fine. */
void simulator_free(struct simulator *simulator);
DEFINE_CLEANUP(struct simulator *, simulator_free)
