/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/retry_delay.h"

#include <inttypes.h>

#include "harness/test.h"

FLEET_TEST(retry_delay, doubles_up_to_the_most)
{
    for (int failures = 1; failures < 100; failures++) {
        for (int i = 0; i < 50; i++) {
            int64_t delay = retry_delay_ms(failures, 1000, 300000);
            int64_t middle = failures < 10 ? INT64_C(1000) << (failures - 1) : 300000;
            middle = middle < 300000 ? middle : 300000;
            CHECK(delay >= 1000 && delay <= 300000, "%" PRId64 " after %d failures", delay, failures);
            CHECK(delay >= middle - middle / 4 && delay <= middle + middle / 4 + 1, "%" PRId64 " after %d failures",
                  delay, failures);
        }
    }
    return 0;
}

FLEET_TEST(retry_delay, is_not_the_same_for_everybody)
{
    int64_t first = retry_delay_ms(4, 1000, 300000);

    for (int i = 0; i < 100; i++) {
        if (retry_delay_ms(4, 1000, 300000) != first)
            return 0;
    }
    CHECK(false, "a hundred times %" PRId64, first);
    return 0;
}
