/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/process.h"
#include "harness/program.h"
#include "tests/bench/bench_host.h"

#define STARTS    15
#define BRING_UPS 9

/** Nothing running → NATS and one agent deployed → first ping answered. The scores' smoke checks are that ping. */
static int time_bring_up(struct bench *bench, bool with_podman, double *ret_s, struct error *err)
{
    CLEANUP(host_stack_free) struct host_stack *stack = NULL;
    CLEANUP(host_agent_free) struct host_agent *agent = NULL;
    CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;
    struct host_stack_options stack_options = {.with_podman = with_podman};
    int64_t started_us = clock_monotonic_us();

    if (host_stack_new(bench->run, NULL, &stack_options, &stack, err) < 0)
        return -1;
    struct host_agent_options agent_options = {.podman = host_stack_podman(stack)};
    if (host_agent_new(stack, &agent_options, &agent, err) < 0 ||
        fleet_ping(host_stack_commands(stack), host_agent_device(agent), deadline_in_ms(5000), &reply, err) < 0)
        return -1;
    *ret_s = (double)(clock_monotonic_us() - started_us) / 1e6;
    return 0;
}

int bench_bring_up(struct bench *bench, struct error *err)
{
    cleanup_samples struct samples plain = {0}, with_podman = {0};

    for (int i = 0; i < BRING_UPS; i++) {
        double seconds;
        if (time_bring_up(bench, false, &seconds, err) < 0)
            return -1;
        samples_add(&plain, seconds);
        if (time_bring_up(bench, true, &seconds, err) < 0)
            return -1;
        samples_add(&with_podman, seconds);
    }
    bench_print("host_bring_up_s", samples_median(&plain), "s");
    bench_print("host_bring_up_with_podman_s", samples_median(&with_podman), "s");
    return 0;
}

int bench_agent_size(struct bench *bench, struct error *err)
{
    cleanup_free char *agent = NULL;
    struct stat status;

    if (program_find("harmony-fleet-agent", &agent, err) < 0)
        return -1;
    cleanup_free char *stripped = text_format("%s/agent-stripped", run_directory(bench->run));
    const char *const argv[] = {"strip", "-o", stripped, agent, NULL};
    struct process_options options = {.argv = argv};
    if (process_run_checked(&options, deadline_in_ms(10000), NULL, err) < 0)
        return -1;
    if (stat(stripped, &status) < 0)
        return error_set_errno(err, errno, "measuring", stripped);
    bench_print("agent_binary_kb", (double)status.st_size / 1024, "kB");
    return 0;
}

int bench_agent_start(struct bench *bench, struct error *err)
{
    CLEANUP(host_agent_free) struct host_agent *agent = NULL;
    cleanup_samples struct samples milliseconds = {0};
    struct host_agent_options options = {.podman = host_stack_podman(bench->host)};

    if (host_agent_new(bench->host, &options, &agent, err) < 0)
        return -1;
    for (int i = 0; i < STARTS; i++) {
        if (host_agent_stop(agent, NULL, NULL, err) < 0)
            return -1;
        int64_t started_us = clock_monotonic_us();
        if (host_agent_start(agent, false, err) < 0) /* returns once a ping was answered */
            return -1;
        samples_add(&milliseconds, (double)(clock_monotonic_us() - started_us) / 1e3);
    }
    bench_print("agent_start_ms", samples_median(&milliseconds), "ms");
    return 0;
}

/** One "Name:  123 kB" line of /proc/PID/smaps_rollup. */
static int rollup_kb(pid_t pid, const char *name, double *ret, struct error *err)
{
    cleanup_free char *path = text_format("/proc/%d/smaps_rollup", pid);
    cleanup_free char *data = NULL;
    cleanup_free char *needle = text_format("\n%s:", name);
    size_t size;

    if (file_read(path, 65536, &data, &size, err) < 0)
        return -1;
    const char *line = strstr(data, needle);
    if (!line)
        return error_set(err, &general_error_domain, GENERAL_NOT_FOUND, "reading", path, "no %s", name);
    *ret = strtod(line + strlen(needle), NULL);
    return 0;
}

static int time_has_come(void *context, struct text_buffer *state, struct error *err)
{
    const int64_t *until_ms = context;

    (void)err;
    text_buffer_add(state, "idling");
    return clock_monotonic_ms() >= *until_ms;
}

int bench_agent_memory(struct bench *bench, struct error *err)
{
    CLEANUP(host_agent_free) struct host_agent *agent = NULL;
    struct host_agent_options options = {.podman = host_stack_podman(bench->host)};
    int64_t until_ms = clock_monotonic_ms() + bench->idle_s * 1000;
    static const struct wait_options second = {.interval_ms = 200};
    double pss, private_dirty, private_clean;

    if (host_agent_new(bench->host, &options, &agent, err) < 0 ||
        wait_until("the idle time", time_has_come, &until_ms, &second, deadline_in_ms(bench->idle_s * 1000 + 5000),
                   err) < 0)
        return -1;
    pid_t pid = host_agent_pid(agent);
    if (rollup_kb(pid, "Pss", &pss, err) < 0 || rollup_kb(pid, "Private_Dirty", &private_dirty, err) < 0 ||
        rollup_kb(pid, "Private_Clean", &private_clean, err) < 0)
        return -1;
    bench_print("agent_pss_kb", pss, "kB");
    bench_print("agent_private_kb", private_dirty, "kB");
    bench_print("agent_private_clean_kb", private_clean, "kB");
    return 0;
}
