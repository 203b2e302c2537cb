/* SPDX-License-Identifier: Apache-2.0 */
#include "fixtures/vm_budget.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "harness/test.h"

FLEET_TEST(vm_budget, nothing_takes_nothing)
{
    return vm_budget_check(0, 1 << 20, err);
}

FLEET_TEST(vm_budget, says_what_does_not_fit)
{
    int most = (int)sysconf(_SC_NPROCESSORS_ONLN) * 4;

    CHECK_FAILS(vm_budget_check(1, INT_MAX / 4, err), general_error_domain, GENERAL_UNSUPPORTED);
    CHECK_FAILS(vm_budget_check(most + 1, 1, err), general_error_domain, GENERAL_UNSUPPORTED);
    return 0;
}
