/* SPDX-License-Identifier: Apache-2.0 */

/*
 * harmony-fleet-deploy as its users have it: a program, its exit codes and what it prints.
 */

#include <string.h>

#include "base/file.h"
#include "base/process.h"
#include "harness/program.h"
#include "kubernetes/kube_object.h"
#include "tests/pod/pod_place.h"

#define PROGRAM       "harmony-fleet-deploy"
#define ARGUMENTS_MAX 40

/** Run it in the namespace with the arguments, to which the cluster, images and credentials are added. */
static int deploy(struct test_context *test, const struct pod_place *place, const char *const *arguments,
                  struct process_result *ret, struct error *err)
{
    cleanup_free char *program = NULL;
    cleanup_free char *admin = text_format("%s/admin-password", test->artefacts);
    cleanup_free char *device = text_format("%s/device-password", test->artefacts);
    cleanup_text_list struct text_list argv = {0};

    TRY(program_find(PROGRAM, &program, err));
    TRY(file_write_atomic(admin, "admin-password\n", 15, 0600, err));
    TRY(file_write_atomic(device, "device-password\n", 16, 0600, err));
    const char *const common[] = {program,
                                  "--kubeconfig",
                                  cluster_kubeconfig(place->cluster),
                                  "--namespace",
                                  place->target.namespace_name,
                                  "--nats-image",
                                  place->images.nats,
                                  "--operator-image",
                                  place->images.operator,
                                  "--nats-admin-user",
                                  "admin",
                                  "--nats-admin-password-file",
                                  admin,
                                  "--nats-device-user",
                                  "device",
                                  "--nats-device-password-file",
                                  device,
                                  NULL};
    for (size_t i = 0; common[i]; i++)
        text_list_add(&argv, common[i]);
    for (size_t i = 0; arguments[i]; i++)
        text_list_add(&argv, arguments[i]);
    const struct process_options options = {.argv = (const char *const *)argv.items};
    return process_run(&options, deadline_in_ms(2 * PLACE_STEP_MS), ret, err);
}

FLEET_TEST(pod_deploy_cli, plans_deploys_and_repeats, .gate = "pod", PLACE_NEEDS)
{
    static const char *const plan[] = {"plan", NULL};
    static const char *const apply[] = {NULL};
    cleanup_pod_place struct pod_place place = {0};
    cleanup_process_result struct process_result planned = {0};
    cleanup_process_result struct process_result deployed = {0};
    cleanup_process_result struct process_result repeated = {0};
    CLEANUP(cJSON_Delete) cJSON *set = NULL;

    TRY(pod_place_open(test, &place, err));
    TRY(deploy(test, &place, plan, &planned, err));
    CHECK(planned.exit_code == 0 && strstr(planned.output, "+ StatefulSet") && strstr(planned.output, "/nats\n"),
          "plan: exit %d, %s%s", planned.exit_code, planned.output, planned.errors);
    CHECK_FAILS(pod_place_get(&place, &kube_stateful_sets, "nats", &set, err), kube_error_domain, KUBE_NOT_FOUND);
    TRY(deploy(test, &place, apply, &deployed, err));
    CHECK(deployed.exit_code == 0 && strstr(deployed.output, "\ndeployed\n"), "apply: exit %d, %s%s",
          deployed.exit_code, deployed.output, deployed.errors);
    TRY(deploy(test, &place, apply, &repeated, err));
    CHECK(repeated.exit_code == 0 && strstr(repeated.output, "nothing was to be changed"), "again: exit %d, %s%s",
          repeated.exit_code, repeated.output, repeated.errors);
    return 0;
}

FLEET_TEST(pod_deploy_cli, a_filter_deploys_one_score, .gate = "pod", PLACE_NEEDS)
{
    static const char *const nats[] = {"--filter", "nats", NULL};
    static const char *const operator_plan[] = {"--filter", "operator", "--operator-replicas", "2", "plan", NULL};
    cleanup_pod_place struct pod_place place = {0};
    cleanup_process_result struct process_result result = {0};
    cleanup_process_result struct process_result planned = {0};
    CLEANUP(cJSON_Delete) cJSON *deployment = NULL;

    TRY(pod_place_open(test, &place, err));
    TRY(deploy(test, &place, nats, &result, err));
    CHECK(result.exit_code == 0, "exit %d, %s%s", result.exit_code, result.output, result.errors);
    CHECK_FAILS(pod_place_get(&place, &kube_deployments, "harmony-fleet-operator", &deployment, err), kube_error_domain,
                KUBE_NOT_FOUND);
    TRY(deploy(test, &place, operator_plan, &planned, err));
    CHECK(planned.exit_code == 0 && strstr(planned.output, "+ Deployment") && !strstr(planned.output, "StatefulSet"),
          "exit %d, %s%s", planned.exit_code, planned.output, planned.errors);
    return 0;
}

FLEET_TEST(pod_deploy_cli, says_what_is_wrong, .gate = "pod", PLACE_NEEDS)
{
    static const struct {
        const char *arguments[6];
        int exit_code;
        const char *words;
    } cases[] = {
        {{"--nats-replicas", "2", NULL}, 2, "replicas"},
        {{"--nats-storage", "much", NULL}, 2, "storage"},
        {{"--namespace", "a/b", "--filter", "operator", NULL}, 2, "--namespace"},
        {{"--operator-replicas", "9", "--filter", "operator", NULL}, 2, "replicas"},
        {{"--nats-admin-password-file", "/no/such/file", NULL}, 2, "/no/such/file"},
        {{"--context", "no-such-context", NULL}, 1, "no-such-context"},
        {{"--filter", "nats", "--nats-image", "localhost/no-such-image:1", NULL}, 3, "no-such-image"},
    };
    cleanup_pod_place struct pod_place place = {0};

    TRY(pod_place_open(test, &place, err));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        cleanup_process_result struct process_result result = {0};
        TRY(deploy(test, &place, cases[i].arguments, &result, err));
        CHECK(result.exit_code == cases[i].exit_code && strstr(result.errors, cases[i].words),
              "case %zu: exit %d, %s%s", i, result.exit_code, result.output, result.errors);
    }
    return 0;
}

FLEET_TEST(pod_deploy_cli, goes_nowhere_without_credentials)
{
    cleanup_free char *program = NULL;
    cleanup_process_result struct process_result result = {0};

    TRY(program_find(PROGRAM, &program, err));
    const char *const argv[] = {program, "--nats-image", "n:1", "--operator-image", "o:1", NULL};
    const struct process_options options = {.argv = argv};
    TRY(process_run(&options, deadline_in_ms(PLACE_STEP_MS), &result, err));
    CHECK(result.exit_code == 2 && strstr(result.errors, "--nats-admin-user (HARMONY_FLEET_NATS_ADMIN_USER)") != NULL,
          "exit %d, %s", result.exit_code, result.errors);
    return 0;
}
