/* SPDX-License-Identifier: Apache-2.0 */
#include "operator/operator.h"

#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <unistd.h>

#include "auth/credentials.h"
#include "base/log.h"
#include "contracts/custom_resources.h"
#include "kubernetes/kube_object.h"
#include "kubernetes/kube_watch.h"
#include "operator/controller.h"
#include "operator/http_server.h"
#include "operator/nats_link.h"
#include "operator/status_pages.h"

#define TICK_MS            200
#define TRIM_MS            2000 /* between two times that memory which is free is given back */
#define END_MS             4000 /* nothing is waited for any more; NATS may take 3000 to confirm, the lease 1000 */
#define RETRY_MIN_MS       50
#define RETRY_MAX_MS       5000
#define NAMESPACE_RETRY_MS 1000
#define NAMESPACE_MS       5000
#define DEVICE_WORKERS     2
#define CONTROLLER_COUNT   3
#define LIST_PAGE          100 /* objects of a list that are in memory at a time */
#define MMAP_THRESHOLD     (64 << 10)
#define MALLOC_ARENAS      2
#define SYNCED_ALL         2 /* watches */

struct program {
    const struct operator_options *options;
    const char *namespace_name; /* of the lease */
    const char *watch_namespace;
    struct kube_client *client;
    char *namespace_uid;
    struct credentials *credentials;
    struct work_queue *deployments;
    struct work_queue *statuses;
    struct work_queue *devices;
    struct fleet *fleet;
    struct metrics metrics;
    struct leader *leader;
    struct nats_link *link;
    struct kube_watch *deployment_watch;
    struct kube_watch *device_watch;
    struct controller_context context;
    struct controller *controllers[CONTROLLER_COUNT + 1]; /* NULL-terminated */
    struct status_pages pages;
    struct http_server *server;
    atomic_int synced; /* watches that have told all there is */
    int signal_fd;
};

static sigset_t handled_signals(void)
{
    sigset_t handled;

    sigemptyset(&handled);
    sigaddset(&handled, SIGTERM);
    sigaddset(&handled, SIGINT);
    return handled;
}

void operator_block_signals(void)
{
    sigset_t handled = handled_signals();

    signal(SIGPIPE, SIG_IGN); /* a connection that breaks is an error like any other */
    pthread_sigmask(SIG_BLOCK, &handled, NULL);
}

/* What the Kubernetes API tells. */

static void on_deployment(void *context, enum kube_event event, const cJSON *object)
{
    struct program *program = context;

    if (event == KUBE_DELETED)
        fleet_deployment_gone(program->fleet, object);
    else
        fleet_deployment_seen(program->fleet, object);
}

static void on_device(void *context, enum kube_event event, const cJSON *object)
{
    struct program *program = context;

    if (event == KUBE_DELETED)
        fleet_device_gone(program->fleet, object);
    else
        fleet_device_seen(program->fleet, object);
}

static void on_synced(void *context)
{
    struct program *program = context;

    if (atomic_fetch_add(&program->synced, 1) + 1 == SYNCED_ALL)
        atomic_store(&program->pages.synced, true);
}

static void on_deployments_synced(void *context)
{
    struct program *program = context;

    fleet_deployments_synced(program->fleet);
    on_synced(context);
}

static void on_devices_synced(void *context)
{
    struct program *program = context;

    fleet_devices_synced(program->fleet);
    on_synced(context);
}

static void on_trouble(void *context, const struct error *trouble)
{
    struct program *program = context;

    metrics_add(&program->metrics, METRIC_KUBE_TROUBLE, 1);
    if (error_is(trouble, &kube_error_domain, KUBE_GONE)) /* usual where much changes: what is ours is listed again */
        log_debug("the Kubernetes API has forgotten where a watch was");
    else
        log_trouble("the Kubernetes API cannot be watched, trying again", trouble);
}

static int watch_kubernetes(struct program *program, struct error *err)
{
    cleanup_free char *selector = text_format(FLEET_LABEL_FLEET "=%s", program->watch_namespace);
    const struct kube_list_options ours = {.label_selector = selector, .page_size = LIST_PAGE};
    const struct kube_list_options all = {.page_size = LIST_PAGE};
    const struct kube_watch_handler deployments = {on_deployment, on_deployments_synced, on_trouble, program};
    const struct kube_watch_handler devices = {on_device, on_devices_synced, on_trouble, program};

    return kube_watch_start(program->client, &fleet_deployments, program->watch_namespace, &all, &deployments,
                            &program->deployment_watch, err) < 0 ||
                   kube_watch_start(program->client, &fleet_devices, NULL, &ours, &devices, &program->device_watch,
                                    err) < 0
               ? -1
               : 0;
}

static int open_client(struct program *program, struct error *err)
{
    const struct operator_options *options = program->options;
    CLEANUP(kube_config_free) struct kube_config *config = NULL;

    if ((options->kubeconfig ? kube_config_load(options->kubeconfig, NULL, &config, err)
                             : kube_config_default(&config, err)) < 0)
        return -1;
    if (kube_client_new(config, &program->client, err) < 0)
        return -1;
    program->namespace_name =
        options->namespace_name ? options->namespace_name : kube_client_namespace(program->client);
    program->watch_namespace = options->watch_namespace ? options->watch_namespace : program->namespace_name;
    return 0;
}

/** Devices end with the namespace they belong to: its UID is what says so. Until the server answers there is nothing else
 *  to do, so this waits for it, and for the end of the program. */
static int learn_namespace(struct program *program, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *object = NULL;
    bool told = false;

    while (kube_get(program->client, &kube_namespaces, NULL, program->watch_namespace, deadline_in_ms(NAMESPACE_MS),
                    &object, err) < 0) {
        struct pollfd signals = {.fd = program->signal_fd, .events = POLLIN};
        bool for_good =
            !error_is(err, &kube_error_domain, KUBE_UNAVAILABLE) && !error_is(err, &kube_error_domain, KUBE_THROTTLED);

        if (for_good)
            return error_wrap(err, "looking at namespace", program->watch_namespace);
        if (!told)
            log_trouble("the Kubernetes API cannot be reached, trying again", err);
        told = true;
        error_clear(err);
        if (poll(&signals, 1, NAMESPACE_RETRY_MS) > 0)
            return 0; /* the main loop will read it */
    }
    program->namespace_uid = text_copy(kube_uid(object));
    return 0;
}

static void make_fleet(struct program *program)
{
    program->deployments = work_queue_new(RETRY_MIN_MS, RETRY_MAX_MS);
    program->statuses = work_queue_new(RETRY_MIN_MS, RETRY_MAX_MS);
    program->devices = work_queue_new(RETRY_MIN_MS, RETRY_MAX_MS);
    const struct fleet_options options = {
        .deployments = program->deployments,
        .statuses = program->statuses,
        .devices = program->devices,
        .owner = {program->watch_namespace, program->namespace_uid},
        .offline_after_ms = program->options->offline_after_ms,
        .status_interval_ms = program->options->status_interval_ms,
    };
    program->fleet = fleet_new(&options);
}

static int open_nats(struct program *program, struct error *err)
{
    const struct operator_options *options = program->options;
    cleanup_free char *name = text_format(OPERATOR_PROGRAM " %s", options->identity);
    cleanup_free char *password = NULL;

    if (options->nats_user && (secret_read(options->nats_password_file, &password, err) < 0 ||
                               credentials_user_password(options->nats_user, password, &program->credentials, err) < 0))
        return -1;
    const struct nats_link_options link = {
        .nats = {.urls = (const char *const *)options->nats_urls.items,
                 .name = name,
                 .credentials = program->credentials},
        .fleet = program->fleet,
        .metrics = &program->metrics,
        .replicas = options->nats_replicas,
    };
    return nats_link_start(&link, &program->link, err);
}

static int start_controllers(struct program *program, struct error *err)
{
    const struct leader_options election = {
        .client = program->options->leader_election ? program->client : NULL,
        .namespace_name = program->namespace_name,
        .lease = FLEET_OPERATOR_LEASE,
        .identity = program->options->identity,
        .lease_ms = program->options->lease_ms,
        .renew_ms = program->options->renew_ms,
    };

    if (leader_start(&election, &program->leader, err) < 0)
        return -1;
    program->context = (struct controller_context){
        .fleet = program->fleet,
        .leader = program->leader,
        .client = program->client,
        .connection = nats_link_connection(program->link),
        .metrics = &program->metrics,
        .namespace_name = program->watch_namespace,
    };
    if (controller_start(&deployment_controller, &program->context, program->deployments, 1, &program->controllers[0],
                         err) < 0 ||
        controller_start(&status_controller, &program->context, program->statuses, 1, &program->controllers[1], err) <
            0)
        return -1;
    return controller_start(&device_controller, &program->context, program->devices, DEVICE_WORKERS,
                            &program->controllers[2], err);
}

static int start_pages(struct program *program, struct error *err)
{
    if (http_server_start(program->options->listen, status_pages_answer, &program->pages, &program->server, err) < 0)
        return -1;
    log_info("serving /healthz, /readyz and /metrics", LOG_INTEGER("port", http_server_port(program->server)));
    return 0;
}

/** From here on there is more to say than that it starts. */
static void fill_pages(struct program *program)
{
    program->pages.context = &program->context;
    program->pages.controllers = program->controllers;
    program->pages.link = program->link;
    program->pages.deployments = program->deployments;
    program->pages.statuses = program->statuses;
    program->pages.devices = program->devices;
    atomic_store(&program->pages.ticked_at_ms, clock_monotonic_ms());
    atomic_store(&program->pages.started, true);
}

/** The pages come first: who waits for the API server is healthy, and restarting it would only make it come up later. */
static int start(struct program *program, struct error *err)
{
    sigset_t handled = handled_signals();

    program->signal_fd = signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK);
    if (program->signal_fd < 0)
        return error_set_errno(err, errno, "opening a signalfd", NULL);
    if (open_client(program, err) < 0 || start_pages(program, err) < 0 || learn_namespace(program, err) < 0)
        return -1;
    make_fleet(program);
    nats_library_start();
    if (open_nats(program, err) < 0 || start_controllers(program, err) < 0)
        return -1;
    fill_pages(program);
    return watch_kubernetes(program, err);
}

/** Time passes until a signal comes. */
static void loop(struct program *program)
{
    struct pollfd signals = {.fd = program->signal_fd, .events = POLLIN};
    struct signalfd_siginfo information;
    int64_t trim_at_ms = clock_monotonic_ms() + TRIM_MS;

    while (poll(&signals, 1, TICK_MS) <= 0) {
        fleet_tick(program->fleet);
        atomic_store(&program->pages.ticked_at_ms, clock_monotonic_ms());
        if (clock_monotonic_ms() < trim_at_ms)
            continue;
        malloc_trim(0); /* what reading all of the buckets took */
        trim_at_ms = clock_monotonic_ms() + TRIM_MS;
    }
    if (read(program->signal_fd, &information, sizeof(information)) == sizeof(information))
        log_info("ending", LOG_TEXT("signal", sigabbrev_np((int)information.ssi_signo)));
}

static volatile sig_atomic_t end_code;

static void end_at_once(int signal __attribute__((unused)))
{
    _exit(end_code);
}

/** All that is done can be broken off and done again: ending in time is worth more. */
static void limit_end(int code)
{
    struct itimerval timer = {.it_value = {.tv_sec = END_MS / 1000}};

    end_code = code;
    signal(SIGALRM, end_at_once);
    setitimer(ITIMER_REAL, &timer, NULL);
}

/** First nobody writes any more, then the lease is given back, then all ends in the order that leaves nobody calling into
 *  what is gone. */
static void stop(struct program *program)
{
    if (program->leader)
        leader_resign(program->leader);
    for (size_t i = 0; i < CONTROLLER_COUNT; i++)
        controller_stop(program->controllers[i]);
    if (program->leader)
        leader_stop(program->leader);
    http_server_free(program->server);
    kube_watch_free(program->deployment_watch);
    kube_watch_free(program->device_watch);
    if (program->link)
        nats_link_stop(program->link);
    for (size_t i = 0; i < CONTROLLER_COUNT; i++)
        controller_free(program->controllers[i]);
    nats_link_free(program->link);
    leader_free(program->leader);
    fleet_free(program->fleet);
    work_queue_free(program->deployments);
    work_queue_free(program->statuses);
    work_queue_free(program->devices);
    kube_client_free(program->client);
    credentials_free(program->credentials);
    free(program->namespace_uid);
    close_fd(program->signal_fd);
    nats_library_stop();
}

int operator_run(const struct operator_options *options, struct error *err)
{
    struct program program = {.options = options, .signal_fd = -1};
    int result;

    mallopt(M_ARENA_MAX, MALLOC_ARENAS);       /* a dozen threads that mostly wait need no arena each */
    mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD); /* pages of lists go back at once, and leave no hole in the heap */
    log_info("starting", LOG_TEXT("identity", options->identity), LOG_TEXT("version", FLEET_VERSION));
    result = start(&program, err);
    if (result == 0)
        loop(&program);
    limit_end(result == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
    stop(&program);
    return result;
}
