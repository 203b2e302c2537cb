/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/test.h"

FLEET_TEST(harness_test, passes)
{
    CHECK(test->timeline != NULL, "no timeline");
    return 0;
}

static int fail(int result, struct error *err)
{
    return result < 0 ? error_set(err, &general_error_domain, GENERAL_INVALID, "failing", NULL, "as told") : 0;
}

FLEET_TEST(harness_test, an_expected_failure_is_consumed)
{
    CHECK_FAILS(fail(-1, err), general_error_domain, GENERAL_INVALID);
    CHECK(!error_is_set(err), "the error is still set");
    TRY(fail(0, err));
    return 0;
}
