/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/text.h"
#include "harness/test.h"
#include "tests/fault/bring_up_kill.h"

/* Kills spread over the whole bring-up. */
#define KILLS 30
/* Until a kill hits a phase of a few ms. */
#define TRIES 40
/* What a person would accept; the benchmark reports the figure. */
#define REAPED_MAX_MS 5000

/** Kill one victim in a directory of its own. `report->phase` is freed by the caller. */
static int kill_one(struct run *run, struct victim_moment moment, struct victim_report *report, struct error *err)
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

/** Kill one victim after the other until one was in `phase` when it died: the signal may come just too late. */
static int kill_in_phase(struct run *run, const char *phase, struct error *err)
{
    bool hit = false;

    for (int i = 0; i < TRIES && !hit; i++) {
        struct victim_report report = {0};
        int result = kill_one(run, (struct victim_moment){.phase = phase}, &report, err);

        hit = text_equal(report.phase, phase);
        free(report.phase);
        TRY(result);
    }
    CHECK(hit, "%d kills came too late for the phase %s", TRIES, phase);
    return 0;
}

FLEET_TEST(bring_up_killed, leaves_nothing_at_any_moment, .gate = "host",
           NEEDS(CAPABILITY_NATS_SERVER, CAPABILITY_PODMAN, CAPABILITY_TEST_IMAGES))
{
    struct run *run = NULL;
    int64_t whole_ms = 0;

    TRY(test_run(test, &run, err));
    for (int i = 0; i <= KILLS; i++) {
        struct victim_moment moment = {.delay_ms = i == 0 ? -1 : whole_ms * (i - 1) / KILLS};
        struct victim_report report = {0};
        int result = kill_one(run, moment, &report, err);

        free(report.phase);
        TRY(result);
        if (i == 0)
            whole_ms = report.killed_ms;
    }
    return 0;
}

FLEET_TEST(bring_up_killed, leaves_nothing_in_any_phase, .gate = "host",
           NEEDS(CAPABILITY_NATS_SERVER, CAPABILITY_PODMAN, CAPABILITY_TEST_IMAGES))
{
    static const char *const phases[] = {"start nats-server", "smoke check of nats",  "podman answers",
                                         "start agent",       "smoke check of agent", "deploy hello-web"};
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    for (size_t i = 0; i < ARRAY_SIZE(phases); i++)
        TRY(kill_in_phase(run, phases[i], err));
    return 0;
}
