/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * POST /libpod/images/pull: an endless-looking stream of JSON lines, {"stream":"Copying blob sha256:…\n"} while it goes
 * on, then {"images":[…],"id":"…"} or {"error":"…"}. The HTTP status is 200 either way.
 */

#include "agent/podman_client.h"

/** "3 layers", "writing": where it is. Called for every change, from the calling thread. */
typedef void (*podman_pull_progress)(void *context, const char *text);

/**
 * Pull an image into local storage. Ends when podman does, when nothing comes for ten minutes (HTTP_TIMED_OUT), or by
 * podman_client_cancel. Errors: podman PODMAN_REFUSED (its own words), http.
 */
MUST_CHECK int podman_pull(struct podman_client *client, const char *image, podman_pull_progress progress,
                           void *context, struct error *err);
