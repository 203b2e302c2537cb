/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * From a container of a score to what podman is asked to create, and the names both are known by.
 */

#include <stdbool.h>

#include "contracts/score.h"

/** Whose container it is. */
struct container_owner {
    const char *device;
    const char *deployment;
    bool init; /**< an init container, not a service */
};

/** "fleet.<deployment>.<service>", "fleet.<deployment>.init.<name>". Never NULL; caller frees. */
char *container_name(const struct container_owner *owner, const char *name);

/** The SpecGenerator document (POST /libpod/containers/create). Never NULL; caller frees. */
char *container_create_document(const struct container_owner *owner, const struct container_spec *spec);
