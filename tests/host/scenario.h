/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the host scenarios share: the workload they deploy and the questions they ask podman.
 */

#include "base/json.h"
#include "fixtures/host_stack.h"
#include "fixtures/images.h"
#include "fixtures/kv_admin.h"

/** What a scenario with a workload takes. */
#define NEEDS_ALL NEEDS(CAPABILITY_NATS_SERVER, CAPABILITY_PODMAN, CAPABILITY_TEST_IMAGES)

/** How long anything that needs podman may take, in ms: generous, since a sanitized agent shares two cores. */
#define SCENARIO_MS 30000

/** hello-web: one service "web" publishing container port 80 at `host_port` (0: not published). Never fails. */
struct score *scenario_hello_web(const char *image, int host_port);
/** hello-web with two variables, a bind mount of `directory` at /data (read only), a volume `volume` at /cache and a port. */
struct score *scenario_hello_web_with_state(const char *image, int host_port, const char *directory,
                                            const char *volume);

/** A stack (shared by the session) with one agent on its podman. */
struct scenario {
    struct host_stack *stack;
    struct host_agent *agent;
    char *deployment; /**< a name of this test's own */
    int port;         /**< free in the podman host's network */
};
/** Bring it up on the session's stack, or on one of the test's own where the test breaks things. */
MUST_CHECK int scenario_new(struct test_context *test, bool own_stack, struct scenario *ret, struct error *err);
/** Only the stack (shared by the session) and an agent without podman: enough to be asked. */
MUST_CHECK int scenario_without_podman(struct test_context *test, struct scenario *ret, struct error *err);
/** scenario_new with hello-web v1 running on it; *id is its container. Caller frees *id. */
MUST_CHECK int scenario_with_web(struct test_context *test, bool own_stack, struct scenario *ret, char **id,
                                 struct error *err);
/** End the agent (a sanitizer report is a failure) and the stack. */
MUST_CHECK int scenario_finish(struct scenario *scenario, struct error *err);
/** The same where the test has failed already. */
void scenario_clear(struct scenario *scenario);
static inline void scenario_clear_at_exit(struct scenario *scenario)
{
    scenario_clear(scenario);
}
#define cleanup_scenario __attribute__((cleanup(scenario_clear_at_exit)))

/** Put the score and wait until it is Running about this very revision. *state may be NULL. */
MUST_CHECK int scenario_deploy(struct scenario *scenario, const struct score *score, struct device_state **state,
                               struct error *err);
/** Put the score and wait until it is reported Failed about this very revision. *state may be NULL. */
MUST_CHECK int scenario_deploy_in_vain(struct scenario *scenario, const struct score *score,
                                       struct device_state **state, struct error *err);
/** The one container of the scenario's deployment by `podman ps`, which must be running. Fields owned by *list. */
MUST_CHECK int scenario_container(struct scenario *scenario, struct podman_container_list *list, struct error *err);
/** Delete the deployment and wait until state and containers are gone. */
MUST_CHECK int scenario_remove(struct scenario *scenario, struct error *err);
/** Wait until state and containers of the deployment, which somebody deleted, are gone. */
MUST_CHECK int scenario_wait_removed(struct scenario *scenario, struct error *err);
/** Wait until the deployment runs as one container whose id is not `old_id` (NULL: any). Caller frees *id. */
MUST_CHECK int scenario_wait_container(struct scenario *scenario, const char *old_id, char **id, struct error *err);
/** GET path of the published port contains `expected`. */
MUST_CHECK int scenario_expect_body(struct scenario *scenario, const char *path, const char *expected,
                                    struct error *err);
