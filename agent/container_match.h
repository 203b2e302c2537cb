/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Drift: does a container differ in structure from what a score asks for? Decided from `podman inspect` of the
 * container and of the image, never from a hash or from how the container came about, so that one made by hand counts
 * for what it is. State (running, exited, …) is no part of it.
 */

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "contracts/score.h"

/**
 * Compare the image (its name as podman normalizes it, or its id), entry point, arguments, environment, mounts, ports,
 * restart policy, health check and privileges. What comes from the image or is podman's own (PATH, TERM, container,
 * HOME, HOSTNAME, the proxies; volumes the image declares) is no drift.
 * @param container  libpod's inspect document of the container
 * @param image      libpod's inspect document of spec->image; NULL when it is not in local storage: then what would
 *                   have to be known of it is not compared
 * @param difference set to what differs when the result is false; caller frees
 */
bool container_matches(const struct container_spec *spec, const cJSON *container, const cJSON *image,
                       char **difference);
