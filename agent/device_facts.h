/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the agent knows of the device it runs on: the value of device-info.
 */

#include "agent/config.h"

/** Look at the system. `runtime` ("podman 4.3.1") may be NULL. Never NULL; freed by device_info_free. */
struct device_info *device_facts(const struct agent_config *config, const char *version, const char *runtime);

/** PRETTY_NAME of an os-release file's text (os-release(5)), unquoted; NULL when it has none. Caller frees. */
char *os_release_pretty_name(const char *text);
