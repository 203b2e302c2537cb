/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/**
 * How long to wait after the `failures`-th failure in a row (from 1): `first_ms`, doubled each time, up to `most_ms`, of
 * which a random part of up to a quarter is taken away or added, so that devices do not come back all at once.
 * Never less than first_ms nor more than most_ms.
 */
int64_t retry_delay_ms(int failures, int64_t first_ms, int64_t most_ms);
