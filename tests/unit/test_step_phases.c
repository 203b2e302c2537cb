/* SPDX-License-Identifier: Apache-2.0 */
#include "fixtures/step_phases.h"

#include <string.h>

#include "base/deadline.h"
#include "base/text.h"
#include "harness/test.h"

static void take_steps(const struct step_phases *phases)
{
    const struct score_observer *observer = &phases->observer;

    observer->step_begin(observer->context, "upload agent");
    observer->step_end(observer->context, "upload agent", true);
    observer->step_begin(observer->context, "start agent");
    observer->step_end(observer->context, "start agent", true);
}

FLEET_TEST(step_phases, are_told_as_they_happen)
{
    CLEANUP(timeline_free) struct timeline *timeline = NULL;
    struct step_phases phases;

    TRY(timeline_new("suite", "name", NULL, &timeline, err));
    step_phases_open(&phases, timeline);
    take_steps(&phases);
    CHECK(phases.taken_count == 0, "%zu steps were taken down", phases.taken_count);
    cleanup_free char *table = timeline_table(timeline);
    CHECK(strstr(table, "upload agent") && strstr(table, "start agent"), "the table is\n%s", table);
    step_phases_clear(&phases);
    return 0;
}

FLEET_TEST(step_phases, are_taken_down_and_told_later)
{
    CLEANUP(timeline_free) struct timeline *timeline = NULL;
    struct step_phases phases;

    TRY(timeline_new("suite", "name", NULL, &timeline, err));
    step_phases_open(&phases, NULL);
    take_steps(&phases);
    cleanup_free char *before = timeline_table(timeline);
    CHECK(!strstr(before, "upload agent"), "told before it was asked for");
    CHECK(phases.taken_count == 2, "%zu steps were taken down", phases.taken_count);
    step_phases_tell(&phases, timeline, NULL);
    cleanup_free char *after = timeline_table(timeline);
    CHECK(strstr(after, "upload agent") && strstr(after, "start agent"), "the table is\n%s", after);
    CHECK(phases.taken_count == 0, "they would be told again");
    return 0;
}
