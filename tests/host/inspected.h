/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What podman says of hello-web, held against what was asked for; for scenarios on any kind of device.
 */

#include <stdbool.h>

#include "contracts/device.h"
#include "fixtures/podman_host.h"

/** CHECK that KV reports, without an error, the one container that `podman ps` shows, of this image. */
MUST_CHECK int expect_reported_container(const struct device_state *state, const struct podman_container_list *list,
                                         const char *image, struct error *err);
/**
 * CHECK in the output of `podman inspect` what scenario_hello_web_with_state() asks for: both variables, the directory
 * read-only at /data, the volume at /cache.
 */
MUST_CHECK int expect_inspected_state(const cJSON *inspected, const char *directory, const char *volume,
                                      struct error *err);
