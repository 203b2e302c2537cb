/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "fixtures/cluster_admin.h"
#include "fixtures/cluster_sandbox.h"
#include "kubernetes/kube_object.h"
#include "kubernetes/kube_watch.h"
#include "tests/bench/bench.h"

#define RUNS    3
#define STEP_MS 120000
#define SERVICE "cluster"

struct figures {
    struct samples up_s;
    struct samples again_ms;
    struct samples pod_s;
    struct samples down_s;
};

static void figures_clear(struct figures *figures)
{
    samples_clear(&figures->up_s);
    samples_clear(&figures->again_ms);
    samples_clear(&figures->pod_s);
    samples_clear(&figures->down_s);
}
#define cleanup_figures __attribute__((cleanup(figures_clear)))

static double ms_since(int64_t began_us)
{
    return (double)(clock_monotonic_us() - began_us) / 1e3;
}

/** One Pod of the smallest image: created → Ready, as a client sees it. */
static int measure_pod(struct cluster *cluster, struct figures *figures, struct error *err)
{
    struct kube_client *client = cluster_client(cluster);
    struct deadline deadline = deadline_in_ms(STEP_MS);
    CLEANUP(cJSON_Delete)
    cJSON *pod = kube_json("{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"measured\", "
                           "\"namespace\": \"default\"},"
                           " \"spec\": {\"automountServiceAccountToken\": false, \"containers\": [{\"name\": \"pause\","
                           " \"image\": \"" CLUSTER_PAUSE_IMAGE "\"}]}}");

    int64_t began_us = clock_monotonic_us();

    if (kube_create(client, &kube_pods, pod, deadline, NULL, err) < 0 ||
        kube_wait_condition(client, &kube_pods, "default", "measured", "Ready", deadline, err) < 0)
        return -1;
    samples_add(&figures->pod_s, ms_since(began_us) / 1e3);
    return 0;
}

/** Nothing → a Ready node; the same asked for again; a Pod; everything gone. */
static int measure_once(const struct cluster_native_place *place, struct figures *figures, struct error *err)
{
    CLEANUP(cluster_free) struct cluster *cluster = NULL;
    CLEANUP(cluster_free) struct cluster *again = NULL;
    int64_t began_us = clock_monotonic_us();

    if (cluster_native_open(place, deadline_in_ms(STEP_MS), NULL, &cluster, err) < 0)
        return -1;
    samples_add(&figures->up_s, ms_since(began_us) / 1e3);
    began_us = clock_monotonic_us();
    if (cluster_native_open(place, deadline_in_ms(STEP_MS), NULL, &again, err) < 0)
        return -1;
    samples_add(&figures->again_ms, ms_since(began_us));
    if (measure_pod(cluster, figures, err) < 0)
        return -1;
    began_us = clock_monotonic_us();
    if (cluster_native_down(place, deadline_in_ms(STEP_MS), err) < 0)
        return -1;
    samples_add(&figures->down_s, ms_since(began_us) / 1e3);
    return 0;
}

/** The clusters are of the run: their network, control groups and processes are known by its name. */
static int measure(struct bench *bench, struct error *err)
{
    if (bench_run(bench, err) < 0)
        return -1;
    cleanup_free char *directory = text_format("%s/" SERVICE, run_directory(bench->run));
    cleanup_free char *mark = run_mark(bench->run, SERVICE);
    const struct cluster_native_place place = {run_id(bench->run), directory, mark};
    cleanup_figures struct figures figures = {0};

    if (run_journal(bench->run, RESOURCE_CGROUP, run_id(bench->run), err) < 0 ||
        run_journal(bench->run, RESOURCE_NETWORK_NAMESPACE, run_id(bench->run), err) < 0 ||
        run_journal(bench->run, RESOURCE_PROCESS, SERVICE, err) < 0)
        return -1;
    for (int i = 0; i < bench->runs; i++) {
        fprintf(stderr, "  cluster %d of %d\n", i + 1, bench->runs);
        if (measure_once(&place, &figures, err) < 0)
            return -1;
    }
    bench_print("cluster_up_s", samples_median(&figures.up_s), "s");
    bench_print("cluster_again_ms", samples_median(&figures.again_ms), "ms");
    bench_print("cluster_pod_s", samples_median(&figures.pod_s), "s");
    bench_print("cluster_down_s", samples_median(&figures.down_s), "s");
    return 0;
}

int main(int argc, char **argv)
{
    static const struct bench_group group = {"native", "nothing → a Ready node; asked again; a Pod; taken down",
                                             measure, false};
    static const struct bench_suite suite = {
        .program = "fleet-bench-cluster",
        .label = "bench cluster",
        .text = "Measure native clusters of its own. The one that runs share is left alone.",
        .groups = &group,
        .group_count = 1,
        .runs = RUNS,
    };

    return bench_main(&suite, argc, argv);
}
