/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/bench_pod.h"

#define RUNS    5
#define DEVICES 10000
#define IDLE_S  60

/** Commands come first: what is brought up by ourselves takes a share of the machine, and us out of its network. */
static const struct bench_group groups[] = {
    {"cluster-up", "fleet-e2e cluster up after down, and again; ends what anybody runs there", bench_cluster_up,
     .is_cold = true},
    {"ping", "the whole command ctest -R '^pod.*ping$' of the debug build", bench_pod_ping, false},
    {"bring-up", "no namespace → NATS, operator and an agent in Pods, the agent having answered", bench_pod_bring_up,
     false},
    {"cr-to-key", "a Deployment applied → its desired-state key, one device", bench_cr_to_key, false},
    {"converge", "a Deployment applied → its status says that it runs on 1,000 simulated devices", bench_converge,
     false},
    {"operator-size", "the operator's memory at 1,000 devices and 100 Deployments", bench_operator_size, false},
    {"heartbeats", "what the operator costs while nothing but heartbeats come", bench_heartbeats, false},
};

static void end(struct bench *bench)
{
    stack_free(bench->pods);
}

int main(int argc, char **argv)
{
    static const struct bench_suite suite = {
        .program = "fleet-bench-pod",
        .label = "bench pod",
        .text = "Measure the control plane in the cluster that runs share, which is brought up if it is down.",
        .groups = groups,
        .group_count = ARRAY_SIZE(groups),
        .runs = RUNS,
        .devices = DEVICES,
        .idle_s = IDLE_S,
        .end = end,
    };

    return bench_main(&suite, argc, argv);
}
