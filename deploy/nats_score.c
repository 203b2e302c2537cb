/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/nats_score.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/text.h"
#include "deploy/free_port.h"
#include "deploy/log_tail.h"
#include "deploy/nats_config.h"
#include "deploy/nats_smoke_check.h"
#include "deploy/score_steps.h"

#define SERVICE       "fleet-nats"
#define PORT_ATTEMPTS 3 /* of asking for a port that somebody else takes before the server does */
#define PORT_TEXT_MAX 16
#define PROBE_MS      1 /* first pause between attempts to connect; the server needs some 30 ms to start */

/** One interpretation. */
struct deployment {
    const struct fleet_nats_score *score;
    const struct topology *topology;
    struct linux_host *host;
    struct deadline deadline;
    int port;
    bool port_is_new; /**< asked for just now: somebody else may have it by the time the server starts */
    char *url;
    bool started; /**< the service was: what fails from here on is that it does not answer */
    struct score_outcome outcome;
};

void fleet_nats_deployed_clear(struct fleet_nats_deployed *deployed)
{
    free(deployed->url);
    free(deployed->in_cluster_url);
    *deployed = (struct fleet_nats_deployed){0};
}

/** The port of an earlier interpretation, 0 when there was none. */
static int read_kept_port(const struct deployment *deployment, const char *path, int *ret, struct error *err)
{
    cleanup_free char *text = NULL;
    size_t size = 0;

    if (deployment->host->operations->read_file(deployment->host->context, path, PORT_TEXT_MAX, &text, &size, err) < 0)
        return -1;
    long port = text ? strtol(text, NULL, 10) : 0;
    if (text && (port <= 0 || port > UINT16_MAX))
        return error_set(err, &general_error_domain, GENERAL_INVALID, "reading the kept port", path,
                         "\"%s\" is not a port", text);
    *ret = (int)port;
    return 0;
}

static int choose_port(struct deployment *deployment, struct error *err)
{
    cleanup_free char *path = text_format("%s/port", deployment->score->directory);

    deployment->port = deployment->score->port;
    deployment->port_is_new = false;
    if (deployment->port == 0 && read_kept_port(deployment, path, &deployment->port, err) < 0)
        return -1;
    if (deployment->port == 0) {
        deployment->port_is_new = true;
        if (free_port_find(&deployment->port, err) < 0)
            return -1;
    }
    const char *address = nats_connect_address(deployment->score);
    bool version_6 = strchr(address, ':') != NULL;
    free(deployment->url);
    deployment->url = text_format(version_6 ? "nats://[%s]:%d" : "nats://%s:%d", address, deployment->port);
    return 0;
}

static int configure(const struct deployment *deployment, const char *path, bool *changed, struct error *err)
{
    const struct linux_host_operations *operations = deployment->host->operations;
    void *context = deployment->host->context;
    cleanup_free char *text = nats_config_text(deployment->score, deployment->port);

    if (operations->ensure_directory(context, deployment->score->directory, 0700, changed, err) < 0)
        return -1;
    return operations->ensure_file(context, path, text, strlen(text), 0600, changed, err);
}

static int start(const struct deployment *deployment, const char *configuration, bool restart, bool *changed,
                 struct error *err)
{
    const char *const argv[] = {deployment->score->server_program, "--config", configuration, NULL};
    struct service_definition definition = {.name = SERVICE, .argv = argv};

    return deployment->host->operations->ensure_service(deployment->host->context, &definition, restart, changed, err);
}

/** Connect once, as any client would. */
static bool accepts(const char *address, int port)
{
    struct sockaddr_in version_4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 version_6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    bool is_4 = inet_pton(AF_INET, address, &version_4.sin_addr) == 1;
    const struct sockaddr *peer = is_4 ? (const struct sockaddr *)&version_4 : (const struct sockaddr *)&version_6;

    if (!is_4 && inet_pton(AF_INET6, address, &version_6.sin6_addr) != 1)
        return false;
    cleanup_close int fd = socket(is_4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, peer, is_4 ? sizeof(version_4) : sizeof(version_6)) == 0;
}

static int is_listening(void *context, struct text_buffer *state, struct error *err)
{
    const struct deployment *deployment = context;

    if (accepts(nats_connect_address(deployment->score), deployment->port))
        return 1;
    text_buffer_format(state, "%s does not accept connections", deployment->url);
    return score_check_running(deployment->host, SERVICE, err);
}

/** Did the server end because somebody else took the port between our asking and its start? */
static bool port_was_taken(const struct deployment *deployment)
{
    cleanup_error struct error ignored = ERROR_INIT;
    struct service_status status = {0};
    bool taken = false;

    if (deployment->port_is_new &&
        deployment->host->operations->service_status(deployment->host->context, SERVICE, &status, &ignored) == 0 &&
        !status.running && status.log_path) {
        cleanup_free char *tail = log_tail(status.log_path);
        taken = strstr(tail, "address already in use") != NULL;
    }
    service_status_clear(&status);
    return taken;
}

/** Configure, start, wait until it listens. */
static int bring_up(struct deployment *deployment, struct error *err)
{
    static const struct wait_options options = {.interval_ms = PROBE_MS};
    cleanup_free char *configuration = text_format("%s/nats-server.conf", deployment->score->directory);
    struct score_step configuring = score_step_begin(deployment->topology, "configure nats", &deployment->outcome);
    int result = choose_port(deployment, err);

    if (result == 0)
        result = configure(deployment, configuration, &configuring.changed, err);
    bool restart = configuring.changed;
    score_step_end(&configuring);
    if (result < 0)
        return -1;
    struct score_step starting = score_step_begin(deployment->topology, "start nats-server", &deployment->outcome);
    result = start(deployment, configuration, restart, &starting.changed, err);
    deployment->started = result == 0;
    if (result == 0)
        result = wait_until("nats-server to listen", is_listening, deployment, &options, deployment->deadline, err);
    score_step_end(&starting);
    return result;
}

/** From now on this is its port, also after a restart. */
static int keep_port(struct deployment *deployment, struct error *err)
{
    cleanup_free char *path = text_format("%s/port", deployment->score->directory);
    cleanup_free char *text = text_format("%d\n", deployment->port);
    struct linux_host *host = deployment->host;

    if (!deployment->port_is_new)
        return 0;
    return host->operations->ensure_file(host->context, path, text, strlen(text), 0644, &deployment->outcome.changed,
                                         err);
}

static int smoke_check(struct deployment *deployment, struct error *err)
{
    struct score_step step = score_step_begin(deployment->topology, "smoke check of nats", &deployment->outcome);
    int result = nats_smoke_check(deployment->score, deployment->url, deployment->deadline, err);

    score_step_end(&step);
    return result;
}

/** Everything once. What is configured and started but does not answer is a failed smoke check. */
static int deploy_once(struct deployment *deployment, struct error *err)
{
    deployment->started = false;
    if (bring_up(deployment, err) < 0 || smoke_check(deployment, err) < 0)
        return deployment->started ? score_smoke_check_failed(err, deployment->host, SERVICE) : -1;
    return keep_port(deployment, err);
}

static int interpret_on_kubernetes(const struct fleet_nats_score *score, struct topology *topology,
                                   struct deadline deadline, struct fleet_nats_deployed *ret, struct error *err)
{
    struct fleet_nats_deployed deployed = {0};

    if (fleet_nats_score_apply(score, topology, deadline, &deployed, err) < 0)
        return -1;
    if (fleet_nats_score_wait(score, topology, deadline, &deployed, err) < 0) {
        fleet_nats_deployed_clear(&deployed);
        return -1;
    }
    fleet_nats_deployed_clear(ret);
    *ret = deployed;
    return 0;
}

int fleet_nats_score_interpret(const struct fleet_nats_score *score, struct topology *topology,
                               struct deadline deadline, struct fleet_nats_deployed *ret, struct error *err)
{
    struct deployment deployment = {.score = score, .topology = topology, .deadline = deadline};
    int result;

    if (topology->kubernetes)
        return interpret_on_kubernetes(score, topology, deadline, ret, err);
    if (nats_score_validate(score, err) < 0 || score_linux_host(FLEET_NATS_SCORE, topology, &deployment.host, err) < 0)
        return -1;
    for (int attempt = 1; (result = deploy_once(&deployment, err)) < 0; attempt++) {
        if (attempt >= PORT_ATTEMPTS || !port_was_taken(&deployment))
            break;
        error_clear(err);
    }
    if (result < 0) {
        free(deployment.url);
        return error_wrap(err, "deploying NATS to", topology->name);
    }
    fleet_nats_deployed_clear(ret);
    *ret = (struct fleet_nats_deployed){.url = deployment.url, .port = deployment.port, .outcome = deployment.outcome};
    return 0;
}
