/* SPDX-License-Identifier: Apache-2.0 */
#include "fixtures/cluster_guard.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/process.h"
#include "contracts/custom_resources.h"
#include "deploy/operator_score.h"
#include "harness/journal.h"
#include "harness/program.h"
#include "harness/test.h"
#include "kubernetes/kube_object.h"
#include "kubernetes/kube_watch.h"
#include "tests/pod/namespace_look.h"

#define OPEN_MS    120000 /* it may have to be brought up */
#define STEP_MS    30000
#define LEAVING_MS 10000 /* from SIGKILL to the accepted deletion; it takes a tenth of a second */
#define GONE_MS    90000 /* it is the cluster that takes its time */
#define UP_MAX     4096

static const struct kube_resource deployments = {FLEET_API_VERSION, "Deployment", "deployments", true};

/* Namespaces */

/** A kube_condition: it is being deleted, or gone. */
static int is_leaving(void *context, const cJSON *object, struct error *err)
{
    (void)context;
    (void)err;
    return !object || kube_is_deleting(object);
}

static int wait_leaving(struct cluster *cluster, const char *name, struct error *err)
{
    return kube_wait(cluster_client(cluster), &kube_namespaces, NULL, name, is_leaving, NULL,
                     deadline_in_ms(LEAVING_MS), err);
}

FLEET_TEST(pod_guard, namespace_goes_with_its_guard, .gate = "pod", NEEDS(CAPABILITY_CLUSTER))
{
    CLEANUP(cluster_free) struct cluster *cluster = NULL;
    CLEANUP(cluster_guard_free) struct cluster_guard *guard = NULL;
    CLEANUP(cJSON_Delete) cJSON *object = NULL;
    struct run *run = NULL;
    bool stays = false;

    TRY(test_run(test, &run, err));
    TRY(cluster_open(test->timeline, deadline_in_ms(OPEN_MS), &cluster, err));
    TRY(cluster_guard_new(run, cluster, &guard, err));
    cleanup_free char *name = text_copy(cluster_guard_namespace(guard));
    CHECK(text_starts_with(name, "e2e-") && text_ends_with(name, cluster_guard_suffix(guard)), "it is called %s", name);
    TRY(kube_get(cluster_client(cluster), &kube_namespaces, NULL, name, deadline_in_ms(STEP_MS), &object, err));
    CHECK(text_equal(kube_label(object, GUARD_LABEL), GUARD_LABEL_VALUE) &&
              text_equal(kube_label(object, GUARD_LABEL_RUN), run_id(run)),
          "it does not say whose it is");
    cluster_guard_free(TAKE_PTR(guard));
    TRY(namespace_look(cluster, name, &stays, err));
    CHECK(!stays, "%s is still there, and nobody wants to delete it", name);
    return 0;
}

/* Finalizers */

static int apply_definitions(struct cluster *cluster, struct error *err)
{
    static const struct kube_apply_options options = {.field_manager = FLEET_DEPLOY_MANAGER, .force = true};
    CLEANUP(cJSON_Delete) cJSON *definitions = fleet_custom_resource_definitions();
    struct kube_client *client = cluster_client(cluster);
    const cJSON *definition;

    cJSON_ArrayForEach(definition, definitions) {
        TRY(kube_apply(client, &kube_custom_resource_definitions, definition, &options, deadline_in_ms(STEP_MS), NULL,
                       err));
        TRY(kube_wait_condition(client, &kube_custom_resource_definitions, NULL, kube_name(definition), "Established",
                                deadline_in_ms(STEP_MS), err));
    }
    return 0;
}

/** A Deployment that waits for an operator which is not there. */
static int create_deployment(struct cluster *cluster, const char *namespace_name, const char *name, struct error *err)
{
    CLEANUP(cJSON_Delete)
    cJSON *object =
        kube_json("{\"apiVersion\":\"" FLEET_API_VERSION "\",\"kind\":\"Deployment\","
                  "\"metadata\":{\"name\":\"%s\",\"namespace\":\"%s\",\"finalizers\":[\"" FLEET_FINALIZER "\"]},"
                  "\"spec\":{\"targetSelector\":{},\"score\":{\"type\":\"PodmanV0\",\"data\":{\"services\":[]}}}}",
                  name, namespace_name);

    return kube_create(cluster_client(cluster), &deployments, object, deadline_in_ms(STEP_MS), NULL, err);
}

FLEET_TEST(pod_guard, finalizers_do_not_hold_a_namespace, .gate = "pod", NEEDS(CAPABILITY_CLUSTER))
{
    CLEANUP(cluster_free) struct cluster *cluster = NULL;
    CLEANUP(cluster_guard_free) struct cluster_guard *guard = NULL;
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    TRY(cluster_open(test->timeline, deadline_in_ms(OPEN_MS), &cluster, err));
    TRY(apply_definitions(cluster, err));
    TRY(cluster_guard_new(run, cluster, &guard, err));
    cleanup_free char *name = text_copy(cluster_guard_namespace(guard));
    TRY(create_deployment(cluster, name, "web-1", err));
    TRY(create_deployment(cluster, name, "web-2", err));
    cluster_guard_free(TAKE_PTR(guard));
    return kube_wait_gone(cluster_client(cluster), &kube_namespaces, NULL, name, deadline_in_ms(GONE_MS), err);
}

/* NodePorts */

static int take_port(struct cluster *cluster, struct cluster_guard *guard, int port, struct error *err)
{
    CLEANUP(cJSON_Delete)
    cJSON *service =
        kube_json("{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"taken\",\"namespace\":\"%s\"},"
                  "\"spec\":{\"type\":\"NodePort\",\"ports\":[{\"port\":80,\"nodePort\":%d}]}}",
                  cluster_guard_namespace(guard), port);

    return kube_create(cluster_client(cluster), &kube_services, service, deadline_in_ms(STEP_MS), NULL, err);
}

FLEET_TEST(pod_guard, runs_side_by_side_get_ports_of_their_own, .gate = "pod", NEEDS(CAPABILITY_CLUSTER))
{
    CLEANUP(cluster_free) struct cluster *cluster = NULL;
    CLEANUP(cluster_guard_free) struct cluster_guard *guard = NULL;
    CLEANUP(cluster_guard_free) struct cluster_guard *other = NULL;
    struct run *run = NULL;
    int first, last, port, later;

    TRY(test_run(test, &run, err));
    TRY(cluster_open(test->timeline, deadline_in_ms(OPEN_MS), &cluster, err));
    TRY(cluster_guard_new(run, cluster, &guard, err));
    TRY(cluster_guard_new(run, cluster, &other, err));
    CHECK(!text_equal(cluster_guard_namespace(guard), cluster_guard_namespace(other)), "both have the same namespace");
    cluster_node_ports(cluster, &first, &last);
    TRY(cluster_guard_node_port(guard, 0, &port, err));
    CHECK(port >= first && port <= last, "%d is not published (%d-%d)", port, first, last);
    TRY(take_port(cluster, guard, port, err));
    for (int attempt = 0; attempt < last - first; attempt++) {
        cleanup_error struct error none = ERROR_INIT;
        if (cluster_guard_node_port(other, attempt, &later, &none) < 0) {
            CHECK(attempt > 0 && error_is(&none, &general_error_domain, GENERAL_NOT_FOUND), "no port for another: %s",
                  error_root_detail(&none));
            break;
        }
        CHECK(later != port, "%d is offered though it is taken", port);
    }
    return 0;
}

/* Runs that end otherwise */

/** A process that made a namespace in a run of its own. */
struct victim {
    struct process *process;
    char *up; /**< the file it writes once it has */
    char *namespace_name;
    char *run_directory;
};

static void victim_clear(struct victim *victim)
{
    process_free(victim->process);
    free(victim->up);
    free(victim->namespace_name);
    free(victim->run_directory);
}

static void victim_clear_at_exit(struct victim *victim)
{
    victim_clear(victim);
}
#define cleanup_victim __attribute__((cleanup(victim_clear_at_exit)))

static int is_up(void *context, struct text_buffer *state, struct error *err)
{
    const struct victim *victim = context;
    int exit_code = 0;

    if (file_exists(victim->up))
        return 1;
    text_buffer_add(state, "it has no namespace yet");
    if (process_ended(victim->process, &exit_code, NULL))
        return error_set(err, &general_error_domain, GENERAL_FAILED, "running", "the victim", "exit code %d",
                         exit_code);
    return 0;
}

static int start(struct run *run, const char *name, bool keep, struct victim *ret, struct error *err)
{
    cleanup_free char *program = NULL;
    cleanup_free char *log = text_format("%s/%s.log", run_directory(run), name);
    cleanup_free char *text = NULL;
    size_t size;

    TRY(program_find("fleet-guard-victim", &program, err));
    ret->up = text_format("%s/%s.up", run_directory(run), name);
    const char *const argv[] = {program, ret->up, NULL};
    const char *const environment[] = {keep ? "FLEET_E2E_KEEP=1" : "FLEET_E2E_KEEP", NULL};
    const struct process_options options = {.argv = argv, .environment = environment, .log_path = log};
    TRY(process_start(&options, &ret->process, err));
    TRY(wait_until("the victim to have a namespace", is_up, ret, NULL, deadline_in_ms(OPEN_MS), err));
    TRY(file_read(ret->up, UP_MAX, &text, &size, err));
    ret->namespace_name = text_copy_n(text, strcspn(text, "\n"));
    const char *second = text + strcspn(text, "\n") + 1;
    ret->run_directory = text_copy_n(second, strcspn(second, "\n"));
    return 0;
}

/** As a power cut does: nobody is left to tidy up. */
static int kill_with_reaper(struct victim *victim, struct error *err)
{
    cleanup_journal struct journal journal = {0};

    TRY(journal_read(victim->run_directory, &journal, err));
    cleanup_close int reaper = process_identity_open(&journal.reaper);
    CHECK(reaper >= 0, "there is no reaper in %s", victim->run_directory);
    pidfd_kill(reaper, SIGKILL);
    return process_stop(victim->process, SIGKILL, deadline_in_ms(STEP_MS), NULL, err);
}

/** A cluster, and a runs directory of the test's own for victims. */
static int begin(struct test_context *test, struct run **run, struct cluster **ret, struct error *err)
{
    TRY(test_run(test, run, err));
    cleanup_free char *runs = text_format("%s/runs", run_directory(*run));
    setenv("FLEET_E2E_RUNS", runs, 1);
    unsetenv("FLEET_E2E_KEEP");
    return cluster_open(test->timeline, deadline_in_ms(OPEN_MS), ret, err);
}

FLEET_TEST(pod_guard, namespace_goes_when_its_owner_is_killed, .gate = "pod", NEEDS(CAPABILITY_CLUSTER))
{
    CLEANUP(cluster_free) struct cluster *cluster = NULL;
    cleanup_victim struct victim victim = {0};
    struct run *run = NULL;
    bool stays = false;

    TRY(begin(test, &run, &cluster, err));
    TRY(start(run, "victim", false, &victim, err));
    TRY(namespace_look(cluster, victim.namespace_name, &stays, err));
    CHECK(stays, "%s is not there before the kill", victim.namespace_name);
    TRY(process_stop(victim.process, SIGKILL, deadline_in_ms(STEP_MS), NULL, err));
    return wait_leaving(cluster, victim.namespace_name, err);
}

/** Like a guard's, but of a run on another machine, of which nothing can be known here. */
static int make_foreign(struct run *run, struct cluster *cluster, const char *name, struct error *err)
{
    const char *network = cluster_network_namespace(cluster);
    cleanup_free char *journalled = text_format("%s %s %s", cluster_kubeconfig(cluster), network ? network : "-", name);
    CLEANUP(cJSON_Delete)
    cJSON *object = kube_json("{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"%s\","
                              "\"labels\":{\"" GUARD_LABEL "\":\"" GUARD_LABEL_VALUE "\"},"
                              "\"annotations\":{\"harmony.io/host\":\"0123456789abcdef\","
                              "\"harmony.io/run-directory\":\"/none/fleet-e2e-00000000\"}}}",
                              name);

    TRY(run_journal(run, RESOURCE_KUBE_NAMESPACE, journalled, err));
    return kube_create(cluster_client(cluster), &kube_namespaces, object, deadline_in_ms(STEP_MS), NULL, err);
}

FLEET_TEST(pod_guard, prune_takes_only_what_dead_runs_left, .gate = "pod", NEEDS(CAPABILITY_CLUSTER))
{
    CLEANUP(cluster_free) struct cluster *cluster = NULL;
    cleanup_victim struct victim live = {0};
    cleanup_victim struct victim kept = {0};
    cleanup_victim struct victim dead = {0};
    struct run *run = NULL;
    char suffix[9];
    bool stays = false;

    TRY(begin(test, &run, &cluster, err));
    text_random_hex(suffix, sizeof(suffix));
    cleanup_free char *foreign = text_format("e2e-%s", suffix);
    TRY(make_foreign(run, cluster, foreign, err));
    TRY(start(run, "live", false, &live, err));
    TRY(start(run, "kept", true, &kept, err));
    TRY(start(run, "dead", false, &dead, err));
    TRY(kill_with_reaper(&kept, err));
    TRY(kill_with_reaper(&dead, err));
    TRY(cluster_prune(cluster, deadline_in_ms(STEP_MS), NULL, err));
    TRY(namespace_look(cluster, dead.namespace_name, &stays, err));
    CHECK(!stays, "the namespace of a dead run is left");
    const char *const others[] = {live.namespace_name, kept.namespace_name, foreign};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        TRY(namespace_look(cluster, others[i], &stays, err));
        CHECK(stays, "number %zu was removed", i);
    }
    TRY(runs_down(strrchr(kept.run_directory, '/') + 1, err)); /* as a person does in the end */
    TRY(wait_leaving(cluster, kept.namespace_name, err));
    TRY(process_stop(live.process, SIGKILL, deadline_in_ms(STEP_MS), NULL, err));
    return wait_leaving(cluster, live.namespace_name, err);
}
