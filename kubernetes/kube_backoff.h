/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How long to wait before the next attempt: doubled from 100 ms to 5 s, with jitter, so that a server that comes back is
 * neither kept waiting nor stormed.
 */

#include <stdbool.h>

/** Milliseconds before the attempt after `failures` (from 1) in a row. */
int kube_backoff_ms(int failures);
/** Sleep so long, unless one of the descriptors (0: none) becomes readable: then false. */
bool kube_backoff_wait(int milliseconds, int cancel_fd, int stop_fd);
