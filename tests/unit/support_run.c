/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/support_run.h"

#include <stdlib.h>

#include "base/text.h"
#include "harness/place.h"

int support_private_runs(struct test_context *test, struct error *err)
{
    struct run *outer = NULL;

    if (test_run(test, &outer, err) < 0)
        return -1;
    cleanup_free char *runs = text_format("%s/runs", run_directory(outer));
    unsetenv(RUN_KEEP);
    setenv("FLEET_E2E_RUNS", runs, 1);
    return 0;
}

int support_private_run(struct test_context *test, struct run **ret, struct error *err)
{
    static const struct run_options options = {.label = "unit"};

    return support_private_runs(test, err) < 0 ? -1 : run_start(&options, ret, err);
}
