/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

/**
 * A TCP port that nothing is bound to in the calling thread's network. It lies below the range that the system gives
 * to outgoing connections (and to bind(0)), so that nobody gets it by chance while its service is down for a restart.
 */
MUST_CHECK int free_port_find(int *ret, struct error *err);
