/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/** Whether tests behind the gate ("host", "pod", "vm") run: its variable is "1", or FLEET_E2E_REQUIRE has it. */
bool test_gate_is_open(const char *gate);
