/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pod/pod_runner.h"

void runner_clear(struct runner *runner)
{
    host_agent_free(runner->agent);
    podman_host_free(runner->podman);
}

int runner_new(struct test_context *test, struct stack *stack, const char *label, struct runner *ret, struct error *err)
{
    cleanup_free char *value = text_copy(label);
    const struct device_label labels[] = {{.key = pod_label, .value = value}};
    struct run *run = NULL;

    if (test_run(test, &run, err) < 0 || podman_host_new(run, test->timeline, "runner", &ret->podman, err) < 0)
        return -1;
    const struct host_agent_options options = {
        .podman = ret->podman, .heartbeat_interval_ms = 500, .labels = labels, .label_count = 1};
    if (host_agent_new(stack_infra(stack), &options, &ret->agent, err) < 0)
        return -1;
    ret->device = host_agent_device(ret->agent);
    return 0;
}
