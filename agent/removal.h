/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Removes several containers side by side: each may take its whole grace period to stop.
 */

#include <stddef.h>

#include "agent/podman_client.h"

/**
 * Stop (SIGTERM, SIGKILL after `grace_s`) and remove every one of the containers, whatever becomes of the others.
 * Cancelling `client` ends it. Errors: the first container's that could not be removed; system.
 */
MUST_CHECK int containers_remove(struct podman_client *client, const struct observed_container *const *containers,
                                 size_t count, int grace_s, struct error *err);
