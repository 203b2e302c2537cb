/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One simulated device: it says what it is, beats, follows its desired states and claims to have done what they ask.
 */

#include "contracts/device.h"
#include "tests/bench/simulator/wire.h"

struct simulated_device;

/** What is the same of all devices. */
struct device_behaviour {
    int delay_ms;       /**< between a desired state and its Running or Failed; Pending is said meanwhile. 0: at once */
    int failed_percent; /**< of the devices, the ones with the lowest numbers modulo 100, that fail everything */
    /** `deployment` is to be answered by simulated_device_answer in delay_ms. From any thread. */
    void (*later)(void *context, struct simulated_device *device, const char *deployment, uint64_t revision);
    void *context;
};

/**
 * @param wire       its connection, perhaps one of several devices'; must outlive it, as must `behaviour`
 * @param info       what it says of itself; copied
 * Errors: WIRE_INVALID_NAME, WIRE_MALFORMED.
 */
MUST_CHECK int simulated_device_new(struct wire *wire, const struct device_behaviour *behaviour, size_t number,
                                    const struct device_info *info, struct simulated_device **ret, struct error *err);
/**
 * Subscribe, watch, and write device-info and a heartbeat; again after the connection was lost. Waits for the server.
 * One call at a time. Errors: nats.
 */
MUST_CHECK int simulated_device_bring_up(struct simulated_device *device, struct error *err);
/** True from the first bring-up on. */
bool simulated_device_is_up(const struct simulated_device *device);
void simulated_device_beat(struct simulated_device *device);
/** What `later` was called for. Nothing happens when the deployment is another one by now. */
void simulated_device_answer(struct simulated_device *device, const char *deployment, uint64_t revision);
/** Delete every key it wrote, and write none any more. */
void simulated_device_withdraw(struct simulated_device *device);
/** Of a wire that was closed; nats.c must have been stopped. NULL is fine. */
void simulated_device_free(struct simulated_device *device);
