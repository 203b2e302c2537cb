/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "tests/bench/bench_pod.h"
#include "tests/bench/operator_probe.h"
#include "tests/pod/pod_scenario.h"

#define DEVICES     1000
#define DEPLOYMENTS 100
#define GROUPS      10 /* the simulator's */
#define QUIET_MS    20000
#define QUIET_IN_MS 300000

#define WRITES "harmony_fleet_operator_kube_writes_total"

/** Caller frees. */
static char *deployment_name(int number)
{
    return text_format("size-%03d", number);
}

static int apply_all(struct bench *bench, const struct simulation *simulation, struct error *err)
{
    for (int i = 0; i < DEPLOYMENTS; i++) {
        cleanup_free char *name = deployment_name(i);

        if (pod_bench_apply(bench, simulation, name, i % GROUPS, err) < 0)
            return -1;
    }
    for (int i = 0; i < DEPLOYMENTS; i++) {
        cleanup_free char *name = deployment_name(i);

        if (pod_bench_wait_succeeded(bench, name, DEVICES / GROUPS, err) < 0)
            return -1;
    }
    return 0;
}

static int remove_all(struct bench *bench, struct error *err)
{
    for (int i = 0; i < DEPLOYMENTS; i++) {
        cleanup_free char *name = deployment_name(i);

        if (pod_remove(bench->pods, name, err) < 0)
            return -1;
    }
    return 0;
}

int bench_operator_size(struct bench *bench, struct error *err)
{
    CLEANUP(simulation_free) struct simulation *simulation = NULL;
    double resident, anonymous;
    pid_t pid;

    if (pod_bench_stack(bench, err) < 0 || operator_pid(bench->pods, &pid, err) < 0 ||
        pod_bench_simulate(bench, DEVICES, 0, &simulation, err) < 0 || apply_all(bench, simulation, err) < 0 ||
        process_memory_kb(pid, "VmRSS", &resident, err) < 0 || process_memory_kb(pid, "RssAnon", &anonymous, err) < 0)
        return -1;
    bench_print("operator_rss_kb", resident, "kB");
    bench_print("operator_rss_anon_kb", anonymous, "kB");
    if (remove_all(bench, err) < 0)
        return -1;
    return pod_bench_end_simulation(bench, simulation, err);
}

struct quiet_wait {
    struct stack *stack;
    double writes;
    int64_t since_ms;
};

/** No write for longer than each device takes to beat once. */
static int is_quiet(void *context, struct text_buffer *state, struct error *err)
{
    struct quiet_wait *wait = context;
    double writes;

    if (operator_metric(wait->stack, WRITES, &writes, err) < 0)
        return -1;
    if (writes != wait->writes)
        wait->since_ms = clock_monotonic_ms();
    wait->writes = writes;
    text_buffer_format(state, "%.0f writes so far", writes);
    return clock_monotonic_ms() - wait->since_ms >= QUIET_MS;
}

struct cost {
    double cpu_s;
    double writes;
    double api_writes;
};

static int read_cost(struct bench *bench, pid_t pid, struct cost *ret, struct error *err)
{
    if (operator_metric(bench->pods, WRITES, &ret->writes, err) < 0 ||
        api_server_fleet_writes(bench->pods, &ret->api_writes, err) < 0)
        return -1;
    return process_cpu_s(pid, &ret->cpu_s, err);
}

static int time_has_come(void *context, struct text_buffer *state, struct error *err __attribute__((unused)))
{
    const int64_t *until_ms = context;

    text_buffer_add(state, "measuring");
    return clock_monotonic_ms() >= *until_ms;
}

static int watch_idle(struct bench *bench, pid_t pid, struct error *err)
{
    int64_t until_ms = clock_monotonic_ms() + bench->idle_s * 1000;
    static const struct wait_options second = {.interval_ms = 200};
    struct cost before, after;

    if (read_cost(bench, pid, &before, err) < 0)
        return -1;
    int64_t started_us = clock_monotonic_us();
    if (wait_until("the idle time", time_has_come, &until_ms, &second, DEADLINE_NEVER, err) < 0 ||
        read_cost(bench, pid, &after, err) < 0)
        return -1;
    double seconds = (double)(clock_monotonic_us() - started_us) / 1e6;
    bench_print("heartbeats_10k_operator_cpu", (after.cpu_s - before.cpu_s) / seconds * 100, "% of a core");
    bench_print("heartbeats_10k_kube_writes", (after.writes - before.writes) / seconds, "1/s");
    bench_print("heartbeats_10k_api_server_writes", (after.api_writes - before.api_writes) / seconds, "1/s");
    return 0;
}

int bench_heartbeats(struct bench *bench, struct error *err)
{
    CLEANUP(simulation_free) struct simulation *simulation = NULL;
    static const struct wait_options seldom = {.interval_ms = 200};
    struct quiet_wait quiet = {.writes = -1};
    double resident;
    pid_t pid;

    if (pod_bench_stack(bench, err) < 0 || operator_pid(bench->pods, &pid, err) < 0)
        return -1;
    int64_t started_us = clock_monotonic_us();
    if (pod_bench_simulate(bench, bench->devices, 0, &simulation, err) < 0)
        return -1;
    bench_print("heartbeats_10k_devices", bench->devices, "devices");
    bench_print("heartbeats_10k_online_s", (double)(clock_monotonic_us() - started_us) / 1e6, "s");
    quiet.stack = bench->pods;
    quiet.since_ms = clock_monotonic_ms();
    if (wait_until("the operator to be quiet", is_quiet, &quiet, &seldom, deadline_in_ms(QUIET_IN_MS), err) < 0 ||
        watch_idle(bench, pid, err) < 0 || process_memory_kb(pid, "VmRSS", &resident, err) < 0)
        return -1;
    bench_print("heartbeats_10k_operator_rss_kb", resident, "kB");
    return pod_bench_end_simulation(bench, simulation, err);
}
