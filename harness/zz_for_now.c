/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "harness/report.h"

__attribute__((weak)) const char *report_directory(void)
{
    const char *chosen = getenv("FLEET_E2E_REPORT");

    return chosen && *chosen ? chosen : "fleet-e2e-report";
}

/* Until report.c and doctor.c are there. */
#include "harness/capability.h"

__attribute__((weak)) int doctor_main(const char *require)
{
    (void)require;
    return 1;
}

__attribute__((weak)) int report_write(const char *directory, FILE *out, int *failed, struct error *err)
{
    (void)out;
    (void)failed;
    return error_set(err, &general_error_domain, GENERAL_UNSUPPORTED, "writing report", directory, "not built");
}

__attribute__((weak)) int report_clear(const char *directory, struct error *err)
{
    return error_set(err, &general_error_domain, GENERAL_UNSUPPORTED, "clearing report", directory, "not built");
}
