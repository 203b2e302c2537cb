/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/retry_delay.h"

#include <sys/random.h>

int64_t retry_delay_ms(int failures, int64_t first_ms, int64_t most_ms)
{
    int64_t delay = first_ms;
    uint16_t random = 0;

    for (int i = 1; i < failures && delay < most_ms; i++)
        delay *= 2;
    if (getrandom(&random, sizeof(random), 0) == sizeof(random))
        delay += delay / 2 * random / UINT16_MAX - delay / 4;
    if (delay < first_ms)
        return first_ms;
    return delay < most_ms ? delay : most_ms;
}
