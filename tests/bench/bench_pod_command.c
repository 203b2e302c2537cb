/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/program.h"
#include "tests/bench/bench_command.h"
#include "tests/bench/bench_pod.h"

int bench_pod_ping(struct bench *bench, struct error *err)
{
    static const char *const environment[] = {"FLEET_E2E_REQUIRE=pod", "FLEET_E2E_KEEP", NULL};
    cleanup_samples struct samples seconds = {0};

    for (int i = -1; i < bench->runs; i++) { /* the first may have to bring up the cluster and build images */
        double one;
        if (bench_time_ctest("-R", "^pod.*ping$", environment, &one, err) < 0)
            return -1;
        if (i >= 0)
            samples_add(&seconds, one);
    }
    bench_print("pod_ping_warm_s", samples_median(&seconds), "s");
    return 0;
}

int bench_cluster_up(struct bench *bench, struct error *err)
{
    cleanup_samples struct samples up = {0}, again = {0};
    cleanup_free char *program = NULL;
    double seconds;

    if (program_find("fleet-e2e", &program, err) < 0)
        return -1;
    const char *const bring_up[] = {program, "cluster", "up", NULL};
    const char *const take_down[] = {program, "cluster", "down", NULL};
    for (int i = 0; i < bench->runs; i++) {
        if (bench_time_command(take_down, NULL, &seconds, err) < 0 ||
            bench_time_command(bring_up, NULL, &seconds, err) < 0)
            return -1;
        samples_add(&up, seconds);
        if (bench_time_command(bring_up, NULL, &seconds, err) < 0)
            return -1;
        samples_add(&again, seconds);
    }
    bench_print("cluster_up_s", samples_median(&up), "s");
    bench_print("cluster_up_again_s", samples_median(&again), "s");
    return 0;
}
