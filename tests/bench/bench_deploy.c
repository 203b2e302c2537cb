/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "agent/reconciler.h"
#include "base/memory.h"
#include "tests/bench/bench_host.h"

#define PAIRS       11
#define DEPLOYMENTS 20
#define PASSES      1000

/** toolbox running `sleep`: nothing of the image's own start-up is measured. */
static struct score *sleeping_score(void)
{
    static const char json[] = "{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"sleeper\",\"image\":"
                               "\"" IMAGE_TOOLBOX "\",\"args\":[\"sleep\",\"100000\"]}]}}";
    cleanup_error struct error err = ERROR_INIT;
    struct score *score = NULL;

    if (score_decode(json, sizeof(json) - 1, &score, &err) < 0)
        abort(); /* the text above is part of this program */
    return score;
}

struct pair {
    struct bench *bench;
    struct host_agent *agent;
    const struct score *score;
};

/** Desired state put → Running read from KV. */
static int time_deploy(const struct pair *pair, double *ret_ms, struct error *err)
{
    struct nats_connection *admin = host_stack_admin(pair->bench->host);
    const char *device = host_agent_device(pair->agent);
    cleanup_free char *deployment = host_stack_unique_name("bench");
    struct deadline deadline = deadline_in_ms(30000);
    uint64_t revision;
    int64_t started_us = clock_monotonic_us();

    if (admin_put(admin, device, deployment, pair->score, &revision, err) < 0 ||
        wait_for_phase(admin, device, deployment, PHASE_RUNNING, revision, deadline, NULL, err) < 0)
        return -1;
    *ret_ms = (double)(clock_monotonic_us() - started_us) / 1e3;
    if (admin_delete(admin, device, deployment, err) < 0)
        return -1;
    return wait_for_removed(admin, device, deployment, deadline, err);
}

/** `podman run -d` of the same image in the same podman; `remote` through the API service, else podman itself. */
static int time_podman_run(const struct pair *pair, bool remote, double *ret_ms, struct error *err)
{
    struct podman_host *podman = host_stack_podman(pair->bench->host);
    static const char *const run[] = {"run", "--detach", IMAGE_TOOLBOX, "sleep", "100000", NULL};
    cleanup_free char *id = NULL;
    int64_t started_us = clock_monotonic_us();

    if (remote ? podman_host_cli(podman, run, &id, err) < 0 : podman_host_local_cli(podman, run, &id, err) < 0)
        return -1;
    *ret_ms = (double)(clock_monotonic_us() - started_us) / 1e3;
    id[strcspn(id, "\n")] = '\0';
    const char *const remove[] = {"rm", "--force", "--time", "0", id, NULL};
    return podman_host_cli(podman, remove, NULL, err);
}

int bench_deploy(struct bench *bench, struct error *err)
{
    CLEANUP(host_agent_free) struct host_agent *agent = NULL;
    CLEANUP(score_free) struct score *score = sleeping_score();
    struct host_agent_options options = {.podman = host_stack_podman(bench->host)};
    cleanup_samples struct samples deploy = {0}, run = {0}, remote = {0}, ratio = {0}, remote_ratio = {0};

    if (host_agent_new(bench->host, &options, &agent, err) < 0)
        return -1;
    struct pair pair = {bench, agent, score};
    for (int i = 0; i < PAIRS; i++) {
        double a, b, c;
        if (time_deploy(&pair, &a, err) < 0 || time_podman_run(&pair, false, &b, err) < 0 ||
            time_podman_run(&pair, true, &c, err) < 0)
            return -1;
        if (i == 0)
            continue; /* warm-up */
        samples_add(&deploy, a);
        samples_add(&run, b);
        samples_add(&remote, c);
        samples_add(&ratio, a / b);
        samples_add(&remote_ratio, a / c);
    }
    bench_print("deploy_ms", samples_median(&deploy), "ms");
    bench_print("podman_run_ms", samples_median(&run), "ms");
    bench_print("podman_remote_run_ms", samples_median(&remote), "ms");
    bench_print("deploy_overhead_ratio", samples_median(&ratio), "ratio");
    bench_print("deploy_overhead_remote_ratio", samples_median(&remote_ratio), "ratio");
    return 0;
}

struct running {
    int count;
};

static void count_running(void *context, const char *deployment, const struct device_state *state)
{
    struct running *running = context;

    (void)deployment;
    if (state->phase == PHASE_RUNNING)
        __atomic_add_fetch(&running->count, 1, __ATOMIC_RELAXED);
}

static void ignore_removed(void *context, const char *deployment)
{
    (void)deployment;
    __atomic_sub_fetch(&((struct running *)context)->count, 1, __ATOMIC_RELAXED);
}

static void ignore_runtime(void *context, const char *runtime)
{
    (void)context;
    (void)runtime;
}

static int all_run(void *context, struct text_buffer *state, struct error *err)
{
    int count = __atomic_load_n(&((struct running *)context)->count, __ATOMIC_RELAXED);

    (void)err;
    text_buffer_format(state, "%d of %d deployments run", count, DEPLOYMENTS);
    return count == DEPLOYMENTS;
}

static int none_runs(void *context, struct text_buffer *state, struct error *err)
{
    int count = __atomic_load_n(&((struct running *)context)->count, __ATOMIC_RELAXED);

    (void)err;
    text_buffer_format(state, "%d deployments are left", count);
    return count == 0;
}

struct pass_wait {
    struct reconciler *reconciler;
    uint64_t target;
};

static int pass_done(void *context, struct text_buffer *state, struct error *err)
{
    const struct pass_wait *wait = context;
    uint64_t passes = reconciler_passes(wait->reconciler);

    (void)err;
    text_buffer_format(state, "%llu passes", (unsigned long long)passes);
    return passes >= wait->target;
}

static double cpu_ms(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

/** CPU time of PASSES passes, one after the other, each asked for when the former is done. */
static int time_passes(struct reconciler *reconciler, double *ret_cpu_ms, double *ret_wall_ms, struct error *err)
{
    static const struct wait_options options = {.interval_ms = 1};
    double started_cpu_ms = cpu_ms();
    int64_t started_us = clock_monotonic_us();

    for (int i = 0; i < PASSES; i++) {
        struct pass_wait wait = {reconciler, reconciler_passes(reconciler) + 1};
        reconciler_wake(reconciler);
        if (wait_until("a reconcile", pass_done, &wait, &options, deadline_in_ms(10000), err) < 0)
            return -1;
    }
    *ret_cpu_ms = (cpu_ms() - started_cpu_ms) / PASSES;
    *ret_wall_ms = (double)(clock_monotonic_us() - started_us) / 1e3 / PASSES;
    return 0;
}

int bench_reconcile(struct bench *bench, struct error *err)
{
    struct running running = {0};
    CLEANUP(score_free) struct score *score = sleeping_score();
    cleanup_free char *value = NULL;
    cleanup_free char *state_directory = text_format("%s/reconcile-state", run_directory(bench->run));
    CLEANUP(reconciler_free) struct reconciler *reconciler = NULL;
    double cpu, wall;

    if (score_encode(score, &value, err) < 0)
        return -1;
    struct reconciler_options options = {
        .device_id = "bench-reconcile",
        .state_directory = state_directory,
        .podman_socket = podman_host_socket(host_stack_podman(bench->host)),
        .runtime_enabled = true,
        .interval_ms = 3600 * 1000,
        .sink = {count_running, ignore_removed, ignore_runtime, &running},
    };
    if (reconciler_new(&options, &reconciler, err) < 0)
        return -1;
    for (int i = 0; i < DEPLOYMENTS; i++) {
        cleanup_free char *deployment = text_format("sleeper-%d", i);
        reconciler_put(reconciler, deployment, 1, value, strlen(value));
    }
    if (wait_until("the deployments", all_run, &running, NULL, deadline_in_ms(60000), err) < 0 ||
        time_passes(reconciler, &cpu, &wall, err) < 0)
        return -1;
    bench_print("agent_reconcile_1000", cpu, "ms CPU each");
    bench_print("agent_reconcile_1000_wall", wall, "ms each");
    reconciler_retain(reconciler, NULL, 0);
    return wait_until("the deployments to go", none_runs, &running, NULL, deadline_in_ms(120000), err);
}
