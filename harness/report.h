/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * From the records of a run's tests (harness/phase.h): the breakdown table, JUnit XML and one self-contained HTML page
 * with a timeline of phases per test.
 */

#include <stdio.h>

#include "base/error.h"

/** Where records and reports go: $FLEET_E2E_REPORT, else ./fleet-e2e-report. Borrowed. */
const char *report_directory(void);
/**
 * Read `directory`/records, write `directory`/junit.xml and `directory`/report.html, print the table to `out`. A record
 * still "running" is reported as crashed. *failed counts tests that failed or crashed (may be NULL).
 */
MUST_CHECK int report_write(const char *directory, FILE *out, int *failed, struct error *err);
/** Remove what an earlier run left there: records, bundles, both reports, what was said of kept runs. */
MUST_CHECK int report_clear(const char *directory, struct error *err);
/**
 * Print what is kept and how to look at it, and append it to `report_directory()`/kept.txt: CTest shows nothing of what
 * passed tests print.
 */
void report_kept(const char *text);
