/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "fixtures/stack.h"
#include "fixtures/vm_stack.h"
#include "tests/host/scenario.h"

/*
 * fleet-bring-up-victim STACK RECORD UP: bring a stack up as a test does, write the file UP, and wait to be killed. STACK
 * is "host" (with podman, an agent and hello-web), "vm" or "pod" (with one device). RECORD gets the phases, so that the killer
 * knows what it interrupted.
 */

static int bring_up_host(struct run *run, struct timeline *timeline, struct error *err)
{
    static const struct host_stack_options with_podman = {.with_podman = true};
    struct scenario scenario = {0};

    if (host_stack_new(run, timeline, &with_podman, &scenario.stack, err) < 0)
        return -1;
    struct phase *phase = phase_begin(timeline, "agent");
    struct host_agent_options options = {.podman = host_stack_podman(scenario.stack)};
    if (host_agent_new(scenario.stack, &options, &scenario.agent, err) < 0)
        return -1;
    phase_end(phase, NULL);
    phase = phase_begin(timeline, "deploy hello-web");
    scenario.deployment = host_stack_unique_name("web");
    CLEANUP(score_free) struct score *score = scenario_hello_web(IMAGE_HELLO_WEB_V1, 8080);
    if (scenario_deploy(&scenario, score, NULL, err) < 0)
        return -1;
    phase_end(phase, NULL);
    return 0; /* everything stays up: this process is about to be killed */
}

static int bring_up_vm(struct run *run, struct timeline *timeline, struct error *err)
{
    static const struct vm_stack_options one_device = {.devices = 1};
    static struct vm_stack *stack; /* stays up likewise */

    return vm_stack_new(run, timeline, &one_device, &stack, err);
}

static int bring_up_pod(struct run *run, struct timeline *timeline, struct error *err)
{
    static const struct stack_options one_device = {.num_devices = 1};
    static struct stack *stack; /* stays up likewise */

    return stack_new(run, timeline, &one_device, &stack, err);
}

static const struct stack_kind {
    const char *name;
    int (*bring_up)(struct run *run, struct timeline *timeline, struct error *err);
} kinds[] = {{"host", bring_up_host}, {"vm", bring_up_vm}, {"pod", bring_up_pod}};

/** NULL: there is no such stack. */
static const struct stack_kind *find_kind(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (text_equal(kinds[i].name, name))
            return &kinds[i];
    }
    return NULL;
}

int main(int argc, char **argv)
{
    const struct stack_kind *kind = argc == 4 ? find_kind(argv[1]) : NULL;
    cleanup_error struct error err = ERROR_INIT;
    struct run_options options = {.label = "victim"};
    struct timeline *timeline = NULL;
    struct run *run = NULL;

    if (!kind) {
        fprintf(stderr, "usage: fleet-bring-up-victim host|vm|pod RECORD UP\n");
        return 64;
    }
    log_start("fleet-bring-up-victim");
    nats_library_start();
    if (timeline_new("fault", "victim", argv[2], &timeline, &err) < 0 || run_start(&options, &run, &err) < 0 ||
        kind->bring_up(run, timeline, &err) < 0 || file_write_atomic(argv[3], "", 0, 0600, &err) < 0) {
        log_failure("the victim could not be brought up", &err);
        return 1;
    }
    for (;;)
        pause();
}
