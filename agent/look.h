/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Lists the containers in a thread of its own: podman answers within milliseconds, but not while it writes a layer of
 * an image, and the worker must not wait for that.
 */

#include <stdbool.h>
#include <stdint.h>

#include "agent/podman_client.h"

struct look;
/** `notify` is called from the thread when there is something to take. Errors: system. */
MUST_CHECK int look_start(const char *podman_socket, const char *device, void (*notify)(void *context), void *context,
                          struct look **ret, struct error *err);
/** Ends a running call, the thread, and frees. NULL is fine. */
void look_free(struct look *look);

/** List once more, after this call. Returns the number of the request, counted from 1. */
uint64_t look_request(struct look *look);

struct look_result {
    struct observed_list observed;
    struct error error; /**< set: it could not be listed */
    int64_t began_ms;   /**< when podman was asked */
    uint64_t request;   /**< number of the last request before that */
};
void look_result_clear(struct look_result *result);
static inline void look_result_clear_at_exit(struct look_result *result)
{
    look_result_clear(result);
}
#define cleanup_look_result __attribute__((cleanup(look_result_clear_at_exit)))

/** Take a result; false when there is none. */
bool look_take(struct look *look, struct look_result *ret);
