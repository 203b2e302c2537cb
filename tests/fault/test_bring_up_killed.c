/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/test.h"
#include "tests/fault/kill_in_phase.h"

/* Kills spread over the whole bring-up. */
#define KILLS 30

FLEET_TEST(bring_up_killed, leaves_nothing_at_any_moment, .gate = "host",
           NEEDS(CAPABILITY_NATS_SERVER, CAPABILITY_PODMAN, CAPABILITY_TEST_IMAGES))
{
    struct run *run = NULL;
    int64_t whole_ms = 0;

    TRY(test_run(test, &run, err));
    for (int i = 0; i <= KILLS; i++) {
        struct victim_moment moment = {.delay_ms = i == 0 ? -1 : whole_ms * (i - 1) / KILLS};
        cleanup_victim_report struct victim_report report = {0};

        TRY(kill_victim(run, moment, &report, err));
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
        TRY(kill_in_phase(run, "host", phases[i], err));
    return 0;
}
