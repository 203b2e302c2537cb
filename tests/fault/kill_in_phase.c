/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fault/kill_in_phase.h"

#include <inttypes.h>

#include "base/file.h"
#include "base/text.h"
#include "harness/test.h"

/* Until a kill hits a phase of a few ms. */
#define TRIES 40
/* What a person would accept; the benchmark reports the figure. */
#define REAPED_MAX_MS 5000

int kill_victim(struct run *run, struct victim_moment moment, struct victim_report *report, struct error *err)
{
    char suffix[9];

    text_random_hex(suffix, sizeof(suffix));
    cleanup_free char *directory = text_format("%s/victim-%s", run_directory(run), suffix);
    TRY(directory_create(directory, 0700, err));
    TRY(victim_kill(directory, moment, report, err));
    CHECK(report->reaped_ms < REAPED_MAX_MS, "killed in phase %s, it took %" PRId64 " ms until all was gone",
          report->phase, report->reaped_ms);
    return 0;
}

int kill_in_phase(struct run *run, const char *stack, const char *phase, struct error *err)
{
    bool hit = false;

    for (int i = 0; i < TRIES && !hit; i++) {
        cleanup_victim_report struct victim_report report = {0};

        TRY(kill_victim(run, (struct victim_moment){.stack = stack, .phase = phase}, &report, err));
        hit = text_equal(report.phase, phase);
    }
    CHECK(hit, "%d kills came too late for the phase %s", TRIES, phase);
    return 0;
}
