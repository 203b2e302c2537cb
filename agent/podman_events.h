/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Listens to what podman does to this device's containers: GET /libpod/events in a thread and on a connection of its
 * own, for ever, reconnecting with back-off. Asks for podman's version on the side.
 */

#include "base/error.h"

/** Something happened to a container with our device label. Texts are borrowed for the call; "" where not known. */
struct podman_event {
    const char *action; /**< podman's word: "died", "remove", … */
    const char *id;
    const char *deployment; /**< our labels */
    const char *service;
    int exit_code; /**< of "died" */
};

/** Called from the listener's threads. */
struct podman_listener {
    void (*connected)(void *context); /**< podman answers and is about to be listened to: look what was missed */
    void (*event)(void *context, const struct podman_event *event);
    void (*version)(void *context, const char *version); /**< "4.3.1", some time after each connect */
    void *context;
};

struct podman_events;
/** Errors: system. */
MUST_CHECK int podman_events_start(const char *socket, const char *device, const struct podman_listener *listener,
                                   struct podman_events **ret, struct error *err);
/** Ends the thread and frees. NULL is fine. */
void podman_events_free(struct podman_events *events);
