/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A stack by its options alone: the environment names another cluster, no registry, and nothing to be kept.
 */

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "fixtures/registry.h"
#include "fixtures/stack.h"
#include "harness/cluster_environment.h"
#include "kubernetes/kube_object.h"
#include "tests/pod/namespace_look.h"
#include "tests/pod/own_cluster.h"

#define OPEN_MS     120000
#define STEP_MS     60000
#define REGISTRY_AT "127.0.0.1:5000" /* of the node too, which asks its own addresses without TLS */

/** Another process's run, which is ended by that one's end. */
static int start_run(struct test_context *test, struct process **owner, struct run **ret, struct error *err)
{
    static const char *const argv[] = {"sleep", "1000", NULL};
    const struct process_options sleeping = {.argv = argv, .die_with_parent = true};

    cleanup_free char *runs = text_format("%s/runs", run_directory(test->run));
    setenv("FLEET_E2E_RUNS", runs, 1);
    TRY(process_start(&sleeping, owner, err));
    const struct run_options options = {.label = "by options", .owner = process_pid(*owner)};
    return run_start(&options, ret, err);
}

/** *name: of its namespace, which the caller frees. */
static int use_stack(struct test_context *test, struct run *run, struct cluster *native, char **name, struct error *err)
{
    const struct stack_options options = {.kubeconfig = cluster_kubeconfig(native),
                                          .registry = "http://" REGISTRY_AT "/fleet",
                                          .keep = true,
                                          .num_devices = 1};
    CLEANUP(stack_free) struct stack *stack = NULL;

    unsetenv("KUBECONFIG");
    unsetenv(CLUSTER_REGISTRY);
    unsetenv("FLEET_E2E_KEEP");
    setenv(CLUSTER_CHOICE, "native", 1);
    TRY(stack_new(run, test->timeline, &options, &stack, err));
    const struct cluster *cluster = stack_cluster(stack);
    CHECK(cluster_kind(cluster) == CLUSTER_KUBECONFIG &&
              text_equal(cluster_kubeconfig(cluster), cluster_kubeconfig(native)),
          "it is in %s, %s", cluster_kind_name(cluster_kind(cluster)), cluster_kubeconfig(cluster));
    CHECK(run_keeps(run), "its run is not kept");
    *name = text_copy(stack_namespace(stack));
    return 0;
}

static int check_kept(struct run *run, struct process *owner, struct cluster *cluster, const char *name,
                      struct error *err)
{
    cleanup_free char *id = text_copy(run_id(run));
    bool stays = false;

    TRY(namespace_look(cluster, name, &stays, err));
    CHECK(stays, "%s went with its stack", name);
    run_release(run);
    TRY(process_stop(owner, SIGKILL, deadline_in_ms(STEP_MS), NULL, err));
    TRY(runs_down(id, err)); /* as a person does in the end */
    TRY(namespace_look(cluster, name, &stays, err));
    CHECK(!stays, "%s is left", name);
    return 0;
}

FLEET_TEST(pod_options, stack_is_what_its_options_say, .gate = "pod",
           NEEDS(CAPABILITY_ROOT, CAPABILITY_CLUSTER, CAPABILITY_REGISTRY, CAPABILITY_PODMAN, CAPABILITY_NATS_SERVER))
{
    cleanup_own_cluster struct own_cluster own = {0};
    CLEANUP(cluster_free) struct cluster *cluster = NULL;
    CLEANUP(process_free) struct process *registry = NULL;
    CLEANUP(process_free) struct process *owner = NULL;
    struct run *run = NULL;
    cleanup_free char *name = NULL;

    TRY(own_cluster_name(test, &own, err));
    TRY(cluster_native_open(&own.place, deadline_in_ms(OPEN_MS), NULL, &cluster, err));
    cleanup_free char *storage = text_format("%s/images", run_directory(own.run));
    const struct registry_options options = {
        .name = "images", .network = cluster_network_namespace(cluster), .address = REGISTRY_AT, .storage = storage};
    TRY(registry_serve(own.run, &options, &registry, err));
    TRY(start_run(test, &owner, &run, err));
    int result = use_stack(test, run, cluster, &name, err);
    if (result < 0)
        run_release(run);
    else
        result = check_kept(run, owner, cluster, name, err);
    TRY(result);
    return cluster_native_down(&own.place, deadline_in_ms(STEP_MS), err);
}

/* Nothing is asked of anybody for these. */
FLEET_TEST(pod_options, what_cannot_be_is_refused_at_once, .gate = "pod")
{
    static const struct stack_options bad_name = {.cluster_kind = "native", .cluster_name = "docker"};
    static const struct stack_options unknown_kind = {.cluster_kind = "kind"};
    static const struct stack_options no_file = {.kubeconfig = "/none", .registry = "host:5000"};
    struct stack *stack = NULL;
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    CHECK_FAILS(stack_new(run, NULL, &bad_name, &stack, err), general_error_domain, GENERAL_INVALID);
    CHECK_FAILS(stack_new(run, NULL, &unknown_kind, &stack, err), general_error_domain, GENERAL_INVALID);
    CHECK_FAILS(stack_new(run, NULL, &no_file, &stack, err), general_error_domain, GENERAL_UNSUPPORTED);
    return 0;
}
