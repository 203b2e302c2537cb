/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/text.h"
#include "harness/test.h"
#include "tests/fault/bring_up_kill.h"

/* Kills spread over the whole bring-up: enough to hit every phase of it, the shortest being a few per cent. */
#define KILLS 30
/* What a person would accept; the benchmark reports the figure. */
#define REAPED_MAX_MS 5000

/** Kill one victim after `delay_ms` in a directory of its own. */
static int kill_one(struct run *run, int number, int64_t delay_ms, struct victim_report *report, struct error *err)
{
    cleanup_free char *directory = text_format("%s/victim-%d", run_directory(run), number);

    TRY(directory_create(directory, 0700, err));
    TRY(victim_kill(directory, delay_ms, report, err));
    CHECK(report->reaped_ms < REAPED_MAX_MS, "killed in phase %s, it took %" PRId64 " ms until all was gone",
          report->phase, report->reaped_ms);
    return 0;
}

FLEET_TEST(bring_up_killed, leaves_nothing_at_any_moment, .gate = "host",
           NEEDS(CAPABILITY_NATS_SERVER, CAPABILITY_PODMAN, CAPABILITY_TEST_IMAGES))
{
    struct run *run = NULL;
    struct victim_report whole = {0};
    cleanup_text_list struct text_list phases = {0};

    TRY(test_run(test, &run, err));
    TRY(kill_one(run, 0, -1, &whole, err));
    free(whole.phase);
    for (int i = 0; i < KILLS; i++) {
        struct victim_report report = {0};
        int result = kill_one(run, i + 1, whole.killed_ms * i / KILLS, &report, err);

        if (report.phase && !text_list_contains(&phases, report.phase))
            text_list_add(&phases, report.phase);
        free(report.phase);
        TRY(result);
    }
    static const char *const expected[] = {"start nats-server", "podman answers", "deploy hello-web"};
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
        CHECK(text_list_contains(&phases, expected[i]), "no kill hit the phase \"%s\"", expected[i]);
    return 0;
}
