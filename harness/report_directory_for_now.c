/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "harness/report.h"

__attribute__((weak)) const char *report_directory(void)
{
    const char *chosen = getenv("FLEET_E2E_REPORT");

    return chosen && *chosen ? chosen : "fleet-e2e-report";
}
