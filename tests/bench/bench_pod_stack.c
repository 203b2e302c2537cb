/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "kubernetes/kube_object.h"
#include "kubernetes/kube_watch.h"
#include "messaging/kv.h"
#include "tests/bench/bench_pod.h"
#include "tests/bench/operator_probe.h"
#include "tests/pod/pod_scenario.h"

#define ONLINE_MS       900000 /* ten thousand objects are written meanwhile */
#define STEP_MS         60000
#define KEY_ROUNDS      200
#define CONVERGE_ROUNDS 20
#define CONVERGE        1000

#define ONLINE "harmony_fleet_operator_devices{phase=\"Online\"}"
#define QUEUED "harmony_fleet_operator_queue_length"

int pod_bench_stack(struct bench *bench, struct error *err)
{
    static const struct stack_options no_devices = {.num_devices = 0};

    if (bench->pods)
        return 0;
    if (bench_run(bench, err) < 0)
        return -1;
    return stack_new(bench->run, NULL, &no_devices, &bench->pods, err);
}

int pod_bench_simulate(struct bench *bench, int devices, int connections, struct simulation **ret, struct error *err)
{
    const struct simulation_options options = {
        .directory = run_directory(bench->run),
        .nats_url = stack_nats_url(bench->pods),
        .credentials = host_stack_admin_credentials(stack_infra(bench->pods)),
        .devices = devices,
        .connections = connections,
        .heartbeat_ms = 15000,
    };

    fprintf(stderr, "  bringing up %d simulated devices …\n", devices);
    if (simulation_start(&options, deadline_in_ms(ONLINE_MS), ret, err) < 0)
        return -1;
    return pod_bench_wait_online(bench, devices, err);
}

struct online_wait {
    struct bench *bench;
    int devices;
};

static int are_online(void *context, struct text_buffer *state, struct error *err)
{
    const struct online_wait *wait = context;
    double online, queued;

    if (operator_metric(wait->bench->pods, ONLINE, &online, err) < 0 ||
        operator_metric(wait->bench->pods, QUEUED, &queued, err) < 0)
        return -1;
    text_buffer_format(state, "%.0f of %d online, %.0f keys queued", online, wait->devices, queued);
    return online == wait->devices && queued == 0;
}

int pod_bench_wait_online(struct bench *bench, int devices, struct error *err)
{
    static const struct wait_options seldom = {.interval_ms = 100};
    struct online_wait wait = {bench, devices};

    return wait_until("the operator to know the devices", are_online, &wait, &seldom, deadline_in_ms(ONLINE_MS), err);
}

int pod_bench_end_simulation(struct bench *bench, struct simulation *simulation, struct error *err)
{
    if (simulation_stop(simulation, deadline_in_ms(STEP_MS), err) < 0)
        return -1;
    return pod_bench_wait_online(bench, 0, err);
}

int pod_bench_apply(struct bench *bench, const struct simulation *simulation, const char *name, int group,
                    struct error *err)
{
    cleanup_free char *in_group = group < 0 ? text_copy("") : text_format(",\"group\":\"g%d\"", group);
    cleanup_free char *spec =
        text_format("{\"targetSelector\":{\"matchLabels\":{\"simulator\":\"%s\"%s}},\"score\":" POD_SCORE "}",
                    simulation_suffix(simulation), in_group);

    return pod_apply_spec(bench->pods, name, spec, err);
}

struct succeeded_wait {
    long devices;
};

static int has_succeeded(void *context, const cJSON *object, struct error *err __attribute__((unused)))
{
    const struct succeeded_wait *wait = context;

    return object && kube_number(object, "status.observedGeneration", -1) == kube_generation(object) &&
           kube_number(object, "status.aggregate.succeeded", -1) == wait->devices;
}

int pod_bench_wait_succeeded(struct bench *bench, const char *name, long devices, struct error *err)
{
    struct succeeded_wait wait = {devices};

    return kube_wait(stack_kube(bench->pods), &fleet_deployments, stack_namespace(bench->pods), name, has_succeeded,
                     &wait, deadline_in_ms(STEP_MS), err);
}

/** Bring-up: no namespace → first ping answered. */
static int time_bring_up(struct bench *bench, double *ret_s, struct error *err)
{
    static const struct stack_options one_device = {.num_devices = 1};
    CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;
    CLEANUP(stack_free) struct stack *stack = NULL;
    int64_t started_us = clock_monotonic_us();

    if (stack_new(bench->run, NULL, &one_device, &stack, err) < 0 ||
        fleet_ping(stack_commands(stack), stack_device(stack, 0), deadline_in_ms(STEP_MS), &reply, err) < 0)
        return -1;
    *ret_s = (double)(clock_monotonic_us() - started_us) / 1e6;
    fprintf(stderr, "  brought up: %.2f s\n", *ret_s);
    return 0;
}

int bench_pod_bring_up(struct bench *bench, struct error *err)
{
    cleanup_samples struct samples seconds = {0};

    if (bench_run(bench, err) < 0)
        return -1;
    for (int i = -1; i < bench->runs; i++) { /* the first may have to bring up the cluster and build images */
        double one;
        if (time_bring_up(bench, &one, err) < 0)
            return -1;
        if (i >= 0)
            samples_add(&seconds, one);
    }
    bench_print("pod_bring_up_s", samples_median(&seconds), "s");
    return 0;
}

/** The next entry of a watch. *ret is NULL at the end of what was there when it began. */
static int next_entry(kvWatcher *watcher, kvEntry **ret, struct error *err)
{
    natsStatus status = kvWatcher_Next(ret, watcher, STEP_MS);

    return status == NATS_OK ? 0 : error_set_nats(err, status, "watching", BUCKET_DESIRED_STATE);
}

/** One entry has to come, a put or (after the Deployment was deleted) a deletion. */
static int expect_entry(kvWatcher *watcher, bool put, struct error *err)
{
    for (;;) {
        kvEntry *entry = NULL;

        if (next_entry(watcher, &entry, err) < 0)
            return -1;
        bool is_put = entry && kvEntry_Operation(entry) == kvOp_Put;
        bool is_end = !entry;
        kvEntry_Destroy(entry);
        if (!is_end && is_put == put)
            return 0;
    }
}

static int time_key(struct bench *bench, const struct simulation *simulation, kvWatcher *watcher, double *ret_ms,
                    struct error *err)
{
    cleanup_free char *name = host_stack_unique_name("key");
    int64_t started_us = clock_monotonic_us();

    if (pod_bench_apply(bench, simulation, name, -1, err) < 0 || expect_entry(watcher, true, err) < 0)
        return -1;
    *ret_ms = (double)(clock_monotonic_us() - started_us) / 1e3;
    if (pod_remove(bench->pods, name, err) < 0)
        return -1;
    return expect_entry(watcher, false, err);
}

static int time_keys(struct bench *bench, const struct simulation *simulation, kvWatcher *watcher,
                     struct samples *milliseconds, struct error *err)
{
    for (int i = -1; i < KEY_ROUNDS; i++) {
        double one;
        if (time_key(bench, simulation, watcher, &one, err) < 0)
            return -1;
        if (i >= 0)
            samples_add(milliseconds, one);
    }
    return 0;
}

int bench_cr_to_key(struct bench *bench, struct error *err)
{
    CLEANUP(simulation_free) struct simulation *simulation = NULL;
    CLEANUP(kv_bucket_free) struct kv_bucket *bucket = NULL;
    cleanup_samples struct samples milliseconds = {0};
    kvWatcher *watcher = NULL;
    struct wire_key filter;

    if (pod_bench_stack(bench, err) < 0 || pod_bench_simulate(bench, 1, 0, &simulation, err) < 0 ||
        kv_bucket_open(stack_admin(bench->pods), BUCKET_DESIRED_STATE, 0, &bucket, err) < 0)
        return -1;
    cleanup_free char *device = simulation_device(simulation, 0);
    if (desired_state_filter(device, &filter, err) < 0)
        return -1;
    natsStatus status = kvStore_Watch(&watcher, kv_bucket_handle(bucket), filter.text, NULL);
    if (status != NATS_OK)
        return error_set_nats(err, status, "watching", filter.text);
    int result = time_keys(bench, simulation, watcher, &milliseconds, err);
    kvWatcher_Destroy(watcher);
    if (result < 0)
        return -1;
    bench_print("cr_to_key_p50_ms", samples_median(&milliseconds), "ms");
    bench_print("cr_to_key_p99_ms", samples_percentile(&milliseconds, 99), "ms");
    bench_print("cr_to_key_max_ms", samples_max(&milliseconds), "ms");
    return pod_bench_end_simulation(bench, simulation, err);
}

static int time_converge(struct bench *bench, const struct simulation *simulation, double *ret_ms, struct error *err)
{
    cleanup_free char *name = host_stack_unique_name("converge");
    int64_t started_us = clock_monotonic_us();

    if (pod_bench_apply(bench, simulation, name, -1, err) < 0 ||
        pod_bench_wait_succeeded(bench, name, CONVERGE, err) < 0)
        return -1;
    *ret_ms = (double)(clock_monotonic_us() - started_us) / 1e3;
    fprintf(stderr, "  %d devices converged: %.0f ms\n", CONVERGE, *ret_ms);
    return pod_remove(bench->pods, name, err);
}

int bench_converge(struct bench *bench, struct error *err)
{
    CLEANUP(simulation_free) struct simulation *simulation = NULL;
    cleanup_samples struct samples milliseconds = {0};

    if (pod_bench_stack(bench, err) < 0 || pod_bench_simulate(bench, CONVERGE, 0, &simulation, err) < 0)
        return -1;
    for (int i = -1; i < CONVERGE_ROUNDS; i++) {
        double one;
        if (time_converge(bench, simulation, &one, err) < 0)
            return -1;
        if (i >= 0)
            samples_add(&milliseconds, one);
    }
    bench_print("converge_1000_p50_ms", samples_median(&milliseconds), "ms");
    bench_print("converge_1000_p99_ms", samples_percentile(&milliseconds, 99), "ms");
    return pod_bench_end_simulation(bench, simulation, err);
}
