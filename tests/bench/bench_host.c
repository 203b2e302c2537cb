/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/bench_host.h"

#define IDLE_S 60

static const struct bench_group groups[] = {
    {"bring-up", "nothing running → first ping answered, without and with podman", bench_bring_up, false},
    {"agent-size", "the stripped program", bench_agent_size, false},
    {"agent-start", "the agent is executed → ping answered, NATS being up", bench_agent_start, false},
    {"ping", "a ping / a raw request-reply of nats.c: round trip, throughput", bench_ping, false},
    {"deploy", "desired state put → Running / a plain podman run of the same image", bench_deploy, false},
    {"reconcile", "processor time of reconciling 20 unchanged deployments, 1,000 times", bench_reconcile, false},
    {"agent-memory", "the agent's memory after idling", bench_agent_memory, false},
    {"reap", "SIGKILL in the middle of a bring-up → nothing left of it", bench_reap, false},
};

static int begin(struct bench *bench, struct error *err)
{
    static const struct host_stack_options with_podman = {.with_podman = true};

    return bench_run(bench, err) < 0 ? -1 : host_stack_new(bench->run, NULL, &with_podman, &bench->host, err);
}

static void end(struct bench *bench)
{
    host_stack_free(bench->host);
}

int main(int argc, char **argv)
{
    static const struct bench_suite suite = {
        .program = "fleet-bench-host",
        .label = "bench host",
        .text = "Measure the agent and the fixtures on this machine, with NATS and podman as processes of its own.",
        .groups = groups,
        .group_count = ARRAY_SIZE(groups),
        .idle_s = IDLE_S,
        .begin = begin,
        .end = end,
    };

    return bench_main(&suite, argc, argv);
}
