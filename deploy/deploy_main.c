/* SPDX-License-Identifier: Apache-2.0 */

/*
 * harmony-fleet-deploy: the scores of the control plane on a Kubernetes cluster.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "deploy/deploy_options.h"
#include "deploy/kubernetes_apply.h"
#include "deploy/operator_manifests.h"
#include "messaging/connection.h"

#define EXIT_USAGE      2
#define EXIT_NO_ANSWER  3
#define TIMEOUT_MAX_S   86400
#define NATS_SERVICE    "nats"
#define NATS_PORT       4222
#define PASSWORD_SOURCE "reading the password"

/** One run. */
struct deployment {
    const struct deploy_options *options;
    char *admin_password;
    char *device_password;
    char *nats_url; /**< of a NATS that is there already */
    struct kube_client *client;
    struct kubernetes_target target;
    struct topology topology;
    struct fleet_server_score score;
    struct deadline deadline;
    struct text_list told; /**< objects that were printed */
    bool changed;
};

static void deployment_clear_at_exit(struct deployment *deployment)
{
    free(deployment->admin_password);
    free(deployment->device_password);
    free(deployment->nats_url);
    kube_client_free(deployment->client);
    text_list_clear(&deployment->told);
}

static void print_step(void *context, const char *step)
{
    const struct deployment *deployment = context;

    if (!deployment->options->plan)
        printf("%s …\n", step);
}

/** A namespace that is not there yet would be told by each score of a plan. */
static void print_object(void *context, const char *object, const char *const *changes)
{
    struct deployment *deployment = context;

    if (text_list_contains(&deployment->told, object))
        return;
    text_list_add(&deployment->told, object);
    printf("  %s %s\n", changes ? "~" : "+", object);
    for (size_t i = 0; changes && changes[i]; i++)
        printf("      %s\n", changes[i]);
}

static int read_passwords(struct deployment *deployment, struct error *err)
{
    const char *const *values = deployment->options->values;

    if (secret_read(values[OPTION_NATS_ADMIN_PASSWORD_FILE], &deployment->admin_password, err) < 0)
        return error_wrap(err, PASSWORD_SOURCE, "of --nats-admin-password-file");
    if (values[OPTION_NATS_DEVICE_PASSWORD_FILE] &&
        secret_read(values[OPTION_NATS_DEVICE_PASSWORD_FILE], &deployment->device_password, err) < 0)
        return error_wrap(err, PASSWORD_SOURCE, "of --nats-device-password-file");
    return 0;
}

static int compose(struct deployment *deployment, struct error *err)
{
    const struct deploy_options *options = deployment->options;
    const char *const *values = options->values;
    struct fleet_nats_score *nats = &deployment->score.nats;
    struct fleet_operator_score *operator_score = &deployment->score.operator;
    int timeout_s;

    if (deploy_option_number(options, OPTION_TIMEOUT, &timeout_s, err) < 0 ||
        deploy_option_number(options, OPTION_NATS_REPLICAS, &nats->replicas, err) < 0 ||
        deploy_option_number(options, OPTION_NATS_NODE_PORT, &nats->node_port, err) < 0 ||
        deploy_option_number(options, OPTION_OPERATOR_REPLICAS, &operator_score->replicas, err) < 0 ||
        deploy_option_number(options, OPTION_OFFLINE_AFTER_MS, &operator_score->offline_after_ms, err) < 0)
        return -1;
    if (timeout_s < 1 || timeout_s > TIMEOUT_MAX_S)
        return error_set(err, &general_error_domain, GENERAL_INVALID, "reading the command line", NULL,
                         "--timeout: %d is not within 1 and %d", timeout_s, TIMEOUT_MAX_S);
    if (!kubernetes_is_namespace_name(values[OPTION_NAMESPACE]))
        return error_set(err, &general_error_domain, GENERAL_INVALID, "reading the command line", NULL,
                         "--namespace: \"%s\" is not 1 to 63 of a-z, 0-9 and '-' within", values[OPTION_NAMESPACE]);
    deployment->deadline = deadline_in_ms((int64_t)timeout_s * 1000);
    nats->image = values[OPTION_NATS_IMAGE];
    nats->storage = values[OPTION_NATS_STORAGE];
    nats->storage_class = values[OPTION_NATS_STORAGE_CLASS];
    nats->sync_interval = values[OPTION_NATS_SYNC_INTERVAL];
    nats->admin = (struct user_password){values[OPTION_NATS_ADMIN_USER], deployment->admin_password};
    nats->device = (struct user_password){values[OPTION_NATS_DEVICE_USER], deployment->device_password};
    operator_score->image = values[OPTION_OPERATOR_IMAGE];
    operator_score->nats = nats->admin;
    operator_score->nats_replicas = nats->replicas;
    operator_score->nats_url = values[OPTION_NATS_URL];
    return 0;
}

static int connect_cluster(struct deployment *deployment, struct error *err)
{
    const char *const *values = deployment->options->values;
    CLEANUP(kube_config_free) struct kube_config *config = NULL;
    bool named = values[OPTION_KUBECONFIG] || values[OPTION_CONTEXT];
    /* $KUBECONFIG may be a list of files, which kube_config_load takes apart itself. */
    const char *path = text_equal(values[OPTION_KUBECONFIG], getenv("KUBECONFIG")) ? NULL : values[OPTION_KUBECONFIG];

    if ((named ? kube_config_load(path, values[OPTION_CONTEXT], &config, err) : kube_config_default(&config, err)) < 0)
        return -1;
    return kube_client_new(config, &deployment->client, err);
}

/** For the operator alone: the NATS that is in the namespace. */
static int find_nats(struct deployment *deployment, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *service = NULL;

    if (deployment->score.operator.nats_url)
        return 0;
    if (kube_get(deployment->client, &kube_services, deployment->target.namespace_name, NATS_SERVICE,
                 deployment->deadline, &service, err) < 0)
        return error_wrap(err, "finding NATS", "(--nats-url was not given)");
    const char *address = kube_text(service, "spec.clusterIP", "");
    deployment->nats_url = text_format(strchr(address, ':') ? "nats://[%s]:%d" : "nats://%s:%d", address, NATS_PORT);
    deployment->score.operator.nats_url = deployment->nats_url;
    return 0;
}

static int deploy_nats(struct deployment *deployment, struct error *err)
{
    struct fleet_nats_deployed deployed = {0};

    if (fleet_nats_score_interpret(&deployment->score.nats, &deployment->topology, deployment->deadline, &deployed,
                                   err) < 0)
        return -1;
    deployment->changed = deployed.outcome.changed;
    if (!deployment->options->plan)
        printf("NATS: %s for Pods%s%s\n", deployed.in_cluster_url, deployed.url ? ", from here " : "",
               deployed.url ? deployed.url : "");
    fleet_nats_deployed_clear(&deployed);
    return 0;
}

static int deploy_operator(struct deployment *deployment, struct error *err)
{
    struct fleet_operator_deployed deployed = {0};

    if (operator_score_validate(&deployment->score.operator, false, err) < 0 || find_nats(deployment, err) < 0 ||
        fleet_operator_score_interpret(&deployment->score.operator, & deployment->topology, deployment->deadline,
                                       &deployed, err) < 0)
        return -1;
    deployment->changed = deployed.outcome.changed;
    return 0;
}

static int deploy_server(struct deployment *deployment, struct error *err)
{
    struct fleet_server_deployed deployed = {0};

    if (fleet_server_score_interpret(&deployment->score, &deployment->topology, deployment->deadline, &deployed, err) <
        0)
        return -1;
    deployment->changed = deployed.outcome.changed;
    if (!deployment->options->plan)
        printf("NATS: %s for Pods%s%s\n", deployed.nats.in_cluster_url, deployed.nats.url ? ", from here " : "",
               deployed.nats.url ? deployed.nats.url : "");
    fleet_server_deployed_clear(&deployed);
    return 0;
}

static int deploy(struct deployment *deployment, struct error *err)
{
    switch (deployment->options->filter) {
    case DEPLOY_NATS:
        return deploy_nats(deployment, err);
    case DEPLOY_OPERATOR:
        return deploy_operator(deployment, err);
    case DEPLOY_SERVER:
        break;
    }
    return deploy_server(deployment, err);
}

/** *prepared: what we were given could be read, and what fails from there on is the cluster's. */
static int run(const struct deploy_options *options, bool *prepared, struct error *err)
{
    __attribute__((cleanup(deployment_clear_at_exit))) struct deployment deployment = {.options = options};
    const struct score_observer observer = {
        .step_begin = print_step, .object_changed = print_object, .context = &deployment};

    if (read_passwords(&deployment, err) < 0 || compose(&deployment, err) < 0)
        return -1;
    *prepared = true;
    if (connect_cluster(&deployment, err) < 0)
        return -1;
    deployment.target = (struct kubernetes_target){
        .client = deployment.client,
        .namespace_name = options->values[OPTION_NAMESPACE],
        .node_address = options->values[OPTION_NODE_ADDRESS],
        .create_namespace = true,
        .dry_run = options->plan,
    };
    deployment.topology = (struct topology){
        .name = kube_client_server(deployment.client), .kubernetes = &deployment.target, .observer = &observer};
    if (deploy(&deployment, err) < 0)
        return -1;
    if (options->plan)
        puts(deployment.changed ? "plan: this would change (+ new, ~ different)" : "plan: nothing would change");
    else
        puts(deployment.changed ? "deployed" : "deployed: nothing was to be changed");
    return 0;
}

static int exit_code(const struct error *err, bool prepared)
{
    if (!prepared || error_is(err, &deploy_error_domain, DEPLOY_INVALID_SCORE))
        return EXIT_USAGE;
    return error_is(err, &deploy_error_domain, DEPLOY_SMOKE_CHECK_FAILED) ? EXIT_NO_ANSWER : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    cleanup_error struct error err = ERROR_INIT;
    struct deploy_options options = {0};
    bool prepared = false;

    log_start(DEPLOY_PROGRAM);
    setvbuf(stdout, NULL, _IOLBF, 0); /* what was done is told in a pipe, too, when we are ended in the middle */
    int result = deploy_options_parse(argc, argv, &options, &err);
    if (result == 0 && options.help) {
        deploy_options_help(stdout);
        return EXIT_SUCCESS;
    }
    if (result == 0 && options.version) {
        puts(DEPLOY_PROGRAM " " FLEET_VERSION);
        return EXIT_SUCCESS;
    }
    nats_library_start();
    if (result == 0)
        result = run(&options, &prepared, &err);
    nats_library_stop();
    if (result == 0)
        return EXIT_SUCCESS;
    cleanup_free char *text = error_text(&err);
    fprintf(stderr, DEPLOY_PROGRAM ": %s\n", text);
    return exit_code(&err, prepared);
}
