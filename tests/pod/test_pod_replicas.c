/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/http.h"
#include "base/process.h"
#include "contracts/custom_resources.h"
#include "deploy/free_port.h"
#include "fixtures/sanitizer.h"
#include "harness/program.h"
#include "tests/pod/pod_scenario.h"

/*
 * Operators as processes beside the cluster, instead of those in it: Kubernetes asks a Pod to end, but only a process can
 * be killed without a word, and only it can be cut off from the API server alone.
 */

#define LEASE_MS 2000

struct bench {
    struct stack *stack; /* its own operators are scaled away meanwhile */
    char *directory;
    char *label;
    const char *device;
    char *report_prefix;
};

static void bench_clear(struct bench *bench)
{
    cleanup_error struct error err = ERROR_INIT;

    if (bench->stack && stack_scale_operator(bench->stack, 1, &err) < 0) {
        cleanup_free char *text = error_text(&err);
        fprintf(stderr, "the stack is left without an operator: %s\n", text);
    }
    stack_free(bench->stack);
    free(bench->directory);
    free(bench->label);
    free(bench->report_prefix);
}
#define cleanup_bench __attribute__((cleanup(bench_clear)))

static int bench_new(struct test_context *test, struct bench *ret, struct error *err)
{
    const struct credentials *admin;
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    TRY(stack_shared(test, &ret->stack, err));
    ret->directory = text_copy(run_directory(run));
    ret->label = host_stack_unique_name("label");
    ret->report_prefix = text_format("%s/operator.sanitizer", ret->directory);
    TRY(pod_add_device(ret->stack, "replicas", ret->label, &ret->device, err));
    TRY(stack_scale_operator(ret->stack, 0, err));
    admin = host_stack_admin_credentials(stack_infra(ret->stack));
    cleanup_free char *password = text_format("%s/nats-password", ret->directory);
    return file_write_atomic(password, admin->password, strlen(admin->password), 0600, err);
}

/** An operator of that name. `kubeconfig` NULL: the cluster's own. *ret_port: of its pages; may be NULL. */
static int start_operator(const struct bench *bench, const char *identity, const char *kubeconfig, struct process **ret,
                          int *ret_port, struct error *err)
{
    cleanup_text_list struct text_list argv = {0};
    cleanup_text_list struct text_list environment = {0};
    cleanup_free char *program = NULL;
    cleanup_free char *log = text_format("%s/%s.log", bench->directory, identity);
    const struct credentials *admin = host_stack_admin_credentials(stack_infra(bench->stack));
    int port;

    if (program_find("harmony-fleet-operator", &program, err) < 0 || free_port_find(&port, err) < 0)
        return -1;
    text_list_add(&argv, program);
    text_list_format(&argv, "--nats-url=%s", stack_nats_url(bench->stack));
    text_list_format(&argv, "--nats-user=%s", admin->user);
    text_list_format(&argv, "--nats-password-file=%s/nats-password", bench->directory);
    text_list_format(&argv, "--namespace=%s", stack_namespace(bench->stack));
    text_list_format(&argv, "--identity=%s", identity);
    text_list_format(&argv, "--listen=127.0.0.1:%d", port);
    if (ret_port)
        *ret_port = port;
    text_list_format(&argv, "--kubeconfig=%s",
                     kubeconfig ? kubeconfig : cluster_kubeconfig(stack_cluster(bench->stack)));
    text_list_format(&argv, "--lease-ms=%d", LEASE_MS);
    sanitizer_environment(bench->report_prefix, &environment);
    const struct process_options options = {
        .argv = (const char *const *)argv.items,
        .environment = (const char *const *)environment.items,
        .log_path = log,
        .die_with_parent = true,
    };
    return process_start(&options, ret, err);
}

static int is_held_by(void *context, const cJSON *lease, struct error *err)
{
    (void)err;
    return lease && text_equal(kube_text(lease, "spec.holderIdentity", ""), context);
}

static int wait_leader(const struct bench *bench, char *identity, struct error *err)
{
    return kube_wait(stack_kube(bench->stack), &kube_leases, stack_namespace(bench->stack), FLEET_OPERATOR_LEASE,
                     is_held_by, identity, deadline_in_ms(POD_STEP_MS), err);
}

/** The key is there; *revision tells whether it is written again. */
static int key_revision(const struct bench *bench, const char *deployment, uint64_t *revision, struct error *err)
{
    struct kv_value value = {0};

    if (pod_wait_key(bench->stack, bench->device, deployment, NULL, &value, err) < 0)
        return -1;
    *revision = value.revision;
    kv_value_clear(&value);
    return 0;
}

static int stop_operator(struct process **process, struct error *err)
{
    int exit_code = -1;

    TRY(process_stop(*process, SIGTERM, deadline_in_ms(POD_STEP_MS), &exit_code, err));
    process_free(TAKE_PTR(*process));
    CHECK(exit_code == 0, "the operator ended with %d", exit_code);
    return 0;
}

FLEET_TEST(pod_replicas, one_is_killed_and_the_other_takes_over, .gate = "pod", POD_NEEDS)
{
    static char first_name[] = "first";
    static char second_name[] = "second";
    cleanup_bench struct bench bench = {0};
    CLEANUP(process_free) struct process *first = NULL;
    CLEANUP(process_free) struct process *second = NULL;
    cleanup_free char *before = host_stack_unique_name("before");
    cleanup_free char *meanwhile = host_stack_unique_name("meanwhile");
    const struct aggregate refused = {.matched = 1, .failed = 1};
    uint64_t written, found;

    TRY(bench_new(test, &bench, err));
    TRY(start_operator(&bench, first_name, NULL, &first, NULL, err));
    TRY(wait_leader(&bench, first_name, err));
    TRY(start_operator(&bench, second_name, NULL, &second, NULL, err));
    TRY(pod_apply(bench.stack, before, bench.label, POD_SCORE, err));
    TRY(pod_wait_aggregate(bench.stack, before, refused, err));
    TRY(key_revision(&bench, before, &written, err));

    TRY(process_signal(first, SIGKILL, err));
    TRY(pod_apply(bench.stack, meanwhile, bench.label, POD_SCORE, err));
    TRY(wait_leader(&bench, second_name, err));
    TRY(pod_wait_aggregate(bench.stack, meanwhile, refused, err));
    TRY(key_revision(&bench, before, &found, err));
    CHECK(found == written, "the key was written again: revision %" PRIu64 " after %" PRIu64, found, written);

    TRY(pod_remove(bench.stack, before, err));
    TRY(pod_remove(bench.stack, meanwhile, err));
    TRY(stop_operator(&second, err));
    return sanitizer_check(bench.report_prefix, err);
}

/* The way to the API server */

/** A kubeconfig as the cluster's, but for the address. */
static int write_kubeconfig(const struct bench *bench, const char *address, char **ret, struct error *err)
{
    CLEANUP(kube_config_free) struct kube_config *config = NULL;
    cleanup_free char *authority = text_format("%s/ca.crt", bench->directory);
    cleanup_free char *certificate = text_format("%s/client.crt", bench->directory);
    cleanup_free char *key = text_format("%s/client.key", bench->directory);

    if (kube_config_load(cluster_kubeconfig(stack_cluster(bench->stack)), NULL, &config, err) < 0)
        return -1;
    CHECK(config->ca_data && config->client_certificate && config->client_key, "its administrator has no certificate");
    CLEANUP(cJSON_Delete)
    cJSON *document = kube_json(
        "{\"apiVersion\":\"v1\",\"kind\":\"Config\",\"current-context\":\"c\","
        "\"contexts\":[{\"name\":\"c\",\"context\":{\"cluster\":\"c\",\"user\":\"u\"}}],"
        "\"clusters\":[{\"name\":\"c\",\"cluster\":{\"server\":\"https://%s\",\"tls-server-name\":\"kubernetes\","
        "\"certificate-authority\":\"%s\"}}],"
        "\"users\":[{\"name\":\"u\",\"user\":{\"client-certificate\":\"%s\",\"client-key\":\"%s\"}}]}",
        address, authority, certificate, key);
    cleanup_free char *text = json_print(document);
    cleanup_free char *path = text_format("%s/kubeconfig", bench->directory);
    if (file_write_atomic(authority, config->ca_data, strlen(config->ca_data), 0600, err) < 0 ||
        file_write_atomic(certificate, config->client_certificate, strlen(config->client_certificate), 0600, err) < 0 ||
        file_write_atomic(key, config->client_key, strlen(config->client_key), 0600, err) < 0 ||
        file_write_atomic(path, text, strlen(text), 0600, err) < 0)
        return -1;
    *ret = TAKE_PTR(path);
    return 0;
}

static int start_way(const struct bench *bench, const char *address, struct process **ret, struct error *err)
{
    const char *server = kube_client_server(stack_kube(bench->stack)) + strlen("https://");
    cleanup_free char *program = NULL;

    if (program_find("fleet-relay", &program, err) < 0)
        return -1;
    const char *const argv[] = {program, "-", address, "-", server, NULL};
    const struct process_options options = {.argv = argv, .die_with_parent = true};
    return process_start(&options, ret, err);
}

static int is_healthy(void *context, struct text_buffer *state, struct error *err)
{
    static const struct http_request health = {.method = "GET", .path = "/healthz"};
    cleanup_error struct error failure = ERROR_INIT;
    cleanup_http_reply struct http_reply reply = {0};

    (void)err;
    if (http_exchange(context, &health, deadline_in_ms(1000), &reply, &failure) < 0) {
        text_buffer_add(state, error_root_detail(&failure));
        return 0;
    }
    text_buffer_format(state, "%d %s", reply.status, reply.body);
    return reply.status == 200;
}

static int wait_healthy(int port, struct error *err)
{
    cleanup_free char *url = text_format("http://127.0.0.1:%d", port);
    CLEANUP(http_client_free) struct http_client *client = NULL;

    TRY(http_client_new(&(struct http_client_options){.base_url = url}, &client, err));
    TRY(wait_until("/healthz", is_healthy, client, NULL, deadline_in_ms(POD_STEP_MS), err));
    return 0;
}

FLEET_TEST(pod_replicas, api_server_is_away_and_back, .gate = "pod", POD_NEEDS)
{
    static char name[] = "alone";
    cleanup_bench struct bench bench = {0};
    CLEANUP(process_free) struct process *way = NULL;
    CLEANUP(process_free) struct process *operator= NULL;
    cleanup_free char *before = host_stack_unique_name("before");
    cleanup_free char *meanwhile = host_stack_unique_name("meanwhile");
    const struct aggregate refused = {.matched = 1, .failed = 1};
    cleanup_free char *kubeconfig = NULL;
    uint64_t written, found;
    bool has_key = true;
    int port, pages;

    TRY(bench_new(test, &bench, err));
    TRY(free_port_find(&port, err));
    cleanup_free char *address = text_format("127.0.0.1:%d", port);
    TRY(write_kubeconfig(&bench, address, &kubeconfig, err));

    /* It is in good health while it waits for the API server. */
    TRY(start_operator(&bench, name, kubeconfig, &operator, & pages, err));
    TRY(wait_healthy(pages, err));
    TRY(start_way(&bench, address, &way, err));
    TRY(pod_apply(bench.stack, before, bench.label, POD_SCORE, err));
    TRY(pod_wait_aggregate(bench.stack, before, refused, err));
    TRY(key_revision(&bench, before, &written, err));

    process_free(TAKE_PTR(way)); /* every connection ends with it */
    TRY(pod_apply(bench.stack, meanwhile, bench.label, POD_SCORE, err));
    TRY(kube_delete(stack_kube(bench.stack), &fleet_deployments, stack_namespace(bench.stack), before, KUBE_BACKGROUND,
                    -1, deadline_in_ms(POD_STEP_MS), err));
    TRY(key_revision(&bench, before, &found, err));
    CHECK(found == written, "the key was written again: revision %" PRIu64 " after %" PRIu64, found, written);
    TRY(pod_has_key(bench.stack, bench.device, meanwhile, &has_key, err));
    CHECK(!has_key, "somebody told the operator of %s", meanwhile);

    TRY(start_way(&bench, address, &way, err));
    TRY(pod_wait_key(bench.stack, bench.device, meanwhile, NULL, NULL, err));
    TRY(pod_wait_no_key(bench.stack, bench.device, before, err));
    TRY(kube_wait_gone(stack_kube(bench.stack), &fleet_deployments, stack_namespace(bench.stack), before,
                       deadline_in_ms(POD_STEP_MS), err));
    TRY(pod_wait_aggregate(bench.stack, meanwhile, refused, err));
    TRY(pod_remove(bench.stack, meanwhile, err));
    TRY(stop_operator(&operator, err));
    return sanitizer_check(bench.report_prefix, err);
}
