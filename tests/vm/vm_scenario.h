/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the scenarios on virtual machines share: the session's stack and its device. They leave the device as they found
 * it: nothing desired of it, no container, its agent running, its cable plugged in and NATS up.
 */

#include "deploy/device_setup_score.h"
#include "fixtures/kv_admin.h"
#include "fixtures/vm_stack.h"

#define VM_NEEDS                                                                                                       \
    NEEDS(CAPABILITY_LIBVIRT, CAPABILITY_QEMU, CAPABILITY_VM_IMAGE, CAPABILITY_VM_AGENT, CAPABILITY_VM_WORKLOADS,      \
          CAPABILITY_NATS_SERVER, CAPABILITY_REGISTRY)

/** How long one step with podman on an emulated device may take, in ms: generous, it may share two cores with a build. */
#define VM_STEP_MS 90000
/** Where workloads publish their web server: the device is this test's alone meanwhile, and so are its ports. */
#define VM_WEB_PORT 8080
/** The agent's configuration on a device. */
#define AGENT_CONFIG DEVICE_AGENT_CONFIG "/agent-config.toml"

struct vm_scenario {
    struct vm_stack *stack;
    struct vm_device *device; /**< the stack's first; borrowed */
    char *deployment;         /**< a name of this test's own */
};
/** Attach to the session's stack, or bring up one of the test's own where there is no session. */
MUST_CHECK int vm_scenario_new(struct test_context *test, struct vm_scenario *ret, struct error *err);
/** vm_scenario_new with hello-web v1 running on the device; *id is its container. Caller frees *id. */
MUST_CHECK int vm_scenario_with_web(struct test_context *test, struct vm_scenario *ret, char **id, struct error *err);
/** Take away whatever is still desired of the device, and let the stack go. */
MUST_CHECK int vm_scenario_finish(struct vm_scenario *scenario, struct error *err);
/** The same where the test has failed already: what goes wrong now is told on stderr. */
void vm_scenario_clear(struct vm_scenario *scenario);
static inline void vm_scenario_clear_at_exit(struct vm_scenario *scenario)
{
    vm_scenario_clear(scenario);
}
#define cleanup_vm_scenario __attribute__((cleanup(vm_scenario_clear_at_exit)))

/** Borrowed, of the stack's infra. */
struct nats_connection *vm_scenario_admin(const struct vm_scenario *scenario);
/** hello-web as the device pulls it, published at VM_WEB_PORT; `version` is "v1" or "v2". Never fails. */
struct score *vm_scenario_web(const struct vm_scenario *scenario, const char *version);
/** Put the score and wait until it is Running about this very revision. *state may be NULL. */
MUST_CHECK int vm_scenario_deploy(struct vm_scenario *scenario, const struct score *score, struct device_state **state,
                                  struct error *err);
/** The one container on the device, which belongs to the scenario's deployment and runs. Fields owned by *list. */
MUST_CHECK int vm_scenario_container(struct vm_scenario *scenario, struct podman_container_list *list,
                                     struct error *err);
/** CHECK that the one container on the device is still `id`, by `podman ps` on the device. */
MUST_CHECK int vm_scenario_expect_container(struct vm_scenario *scenario, const char *id, struct error *err);
/** GET path of VM_WEB_PORT, from outside the device, contains `expected`. */
MUST_CHECK int vm_scenario_expect_body(struct vm_scenario *scenario, const char *path, const char *expected,
                                       struct error *err);
/** Delete the deployment and wait until its state is gone; then no container is left on the device. */
MUST_CHECK int vm_scenario_remove(struct vm_scenario *scenario, struct error *err);

/** Ping until it is answered. *reply may be NULL, else freed by ping_reply_free. */
MUST_CHECK int vm_scenario_wait_for_ping(struct vm_scenario *scenario, struct ping_reply **reply, struct error *err);
/** A property of the agent's unit as `systemctl show` prints it: "MainPID", "InvocationID". Caller frees *ret. */
MUST_CHECK int vm_agent_property(struct vm_device *device, const char *property, char **ret, struct error *err);
/** vm_device_shell() without the newline at the end of what it prints. Caller frees *ret. */
MUST_CHECK int vm_device_line(struct vm_device *device, const char *command, char **ret, struct error *err);
