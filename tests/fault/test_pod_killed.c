/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/text.h"
#include "fixtures/cluster_guard.h"
#include "harness/test.h"
#include "kubernetes/kube_object.h"
#include "tests/fault/kill_in_phase.h"

#define POD_NEEDS NEEDS(CAPABILITY_CLUSTER, CAPABILITY_NATS_SERVER, CAPABILITY_PODMAN)

#define OPEN_MS 120000 /* it may have to be brought up */
#define STEP_MS 30000
#define TRIES   20 /* until a kill hits a phase of a few ms */

/** What a run has in the cluster. */
struct namespaces {
    size_t count;
    struct text_buffer stay; /**< of these nobody has asked for the deletion */
};

static int look_at(void *context, cJSON *item, struct error *err)
{
    struct namespaces *namespaces = context;

    (void)err;
    namespaces->count++;
    if (!kube_is_deleting(item))
        text_buffer_format(&namespaces->stay, "namespace %s; ", kube_name(item));
    return 0;
}

/** Nothing of the killed run stays in the cluster; *count: there are so many namespaces on their way out. */
static int check_cluster(struct cluster *cluster, const struct victim_report *report, size_t *count, struct error *err)
{
    cleanup_free char *selector = text_format(GUARD_LABEL_RUN "=%s", report->run_id ? report->run_id : "none");
    const struct kube_list_options options = {.label_selector = selector};
    struct namespaces namespaces = {0};

    int result = kube_list(cluster_client(cluster), &kube_namespaces, NULL, &options, look_at, &namespaces,
                           deadline_in_ms(STEP_MS), NULL, err);
    cleanup_free char *stay = text_buffer_take(&namespaces.stay);
    TRY(result);
    CHECK(!*stay, "killed in phase %s, run %s left %s", report->phase, report->run_id, stay);
    *count = namespaces.count;
    return 0;
}

/* The cluster is no part of the run: it is up before, and stays. */
FLEET_TEST(pod_killed, stack_that_is_up_leaves_nothing, .gate = "pod", POD_NEEDS)
{
    CLEANUP(cluster_free) struct cluster *cluster = NULL;
    cleanup_victim_report struct victim_report report = {0};
    struct run *run = NULL;
    size_t count = 0;

    TRY(test_run(test, &run, err));
    TRY(cluster_open(test->timeline, deadline_in_ms(OPEN_MS), &cluster, err));
    TRY(kill_victim(run, (struct victim_moment){.stack = "pod", .delay_ms = -1}, &report, err));
    CHECK(strstr(report.found, "run directory"), "no run was found before the kill: %s", report.found);
    TRY(check_cluster(cluster, &report, &count, err));
    CHECK(count == 1, "there were %zu namespaces of run %s: the test looks in the wrong place", count, report.run_id);
    return 0;
}

FLEET_TEST(pod_killed, bring_up_leaves_nothing_in_any_phase, .gate = "pod", POD_NEEDS)
{
    static const char *const phases[] = {"namespace", "apply nats", "smoke check of nats", "smoke check of operator"};
    CLEANUP(cluster_free) struct cluster *cluster = NULL;
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    TRY(cluster_open(test->timeline, deadline_in_ms(OPEN_MS), &cluster, err));
    for (size_t i = 0; i < ARRAY_SIZE(phases); i++) {
        bool hit = false;
        for (int tries = 0; tries < TRIES && !hit; tries++) {
            cleanup_victim_report struct victim_report report = {0};
            size_t count;

            TRY(kill_victim(run, (struct victim_moment){.stack = "pod", .phase = phases[i]}, &report, err));
            TRY(check_cluster(cluster, &report, &count, err));
            hit = text_equal(report.phase, phases[i]);
        }
        CHECK(hit, "%d kills came too late for the phase %s", TRIES, phases[i]);
    }
    return 0;
}
