/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/kube_client.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/memory.h"
#include "kubernetes/kube_backoff.h"
#include "kubernetes/kube_status.h"
#include "kubernetes/kube_transport.h"

enum {
    IDLE_MAX = 4,    /* connections kept; a TLS connection is some 100 KiB */
    DELAYS_MAX = 10, /* times an exchange is put off when the server asks for it, as in client-go */
    LONGEST_DELAY_S = 300,
};

struct kube_client {
    struct kube_config config;
    struct kube_credentials *credentials;
    int cancel_fd;         /* readable for ever once cancelled */
    pthread_mutex_t mutex; /* of the pool */
    struct kube_connection *idle[IDLE_MAX];
    int idle_count;
};

static void config_copy(const struct kube_config *config, struct kube_config *ret)
{
    *ret = (struct kube_config){
        .server = text_copy(config->server),
        .namespace_name = text_copy(config->namespace_name ? config->namespace_name : "default"),
        .ca_data = text_copy(config->ca_data),
        .client_certificate = text_copy(config->client_certificate),
        .client_key = text_copy(config->client_key),
        .token = text_copy(config->token),
        .token_file = text_copy(config->token_file),
        .user = text_copy(config->user),
        .password = text_copy(config->password),
        .tls_server_name = text_copy(config->tls_server_name),
        .proxy_url = text_copy(config->proxy_url),
        .insecure_skip_tls = config->insecure_skip_tls,
        .exec_api_version = text_copy(config->exec_api_version),
        .exec_install_hint = text_copy(config->exec_install_hint),
        .exec_cluster_info = config->exec_cluster_info,
    };
    for (size_t i = 0; i < config->exec.count; i++)
        text_list_add(&ret->exec, config->exec.items[i]);
    for (size_t i = 0; i < config->exec_env.count; i++)
        text_list_add(&ret->exec_env, config->exec_env.items[i]);
}

int kube_client_new(const struct kube_config *config, struct kube_client **ret, struct error *err)
{
    if (!config->server ||
        (!text_starts_with(config->server, "https://") && !text_starts_with(config->server, "http://")))
        return error_set(err, &kube_error_domain, KUBE_CONFIG, "creating Kubernetes client", config->server,
                         "the server's URL must begin with https:// or http://");
    if (!config->client_certificate != !config->client_key)
        return error_set(err, &kube_error_domain, KUBE_CONFIG, "creating Kubernetes client", config->server,
                         "a client certificate needs its key");
    int cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (cancel_fd < 0)
        return error_set_errno(err, errno, "creating Kubernetes client", config->server);
    struct kube_client *client = NEW(struct kube_client);
    config_copy(config, &client->config);
    client->credentials = kube_credentials_new(&client->config);
    client->cancel_fd = cancel_fd;
    pthread_mutex_init(&client->mutex, NULL);
    *ret = client;
    return 0;
}

/* What a config that was copied into place owns. */
static void config_clear(struct kube_config *config)
{
    struct kube_config *copy = NEW(struct kube_config);

    *copy = *config;
    kube_config_free(copy);
}

void kube_client_free(struct kube_client *client)
{
    if (!client)
        return;
    for (int i = 0; i < client->idle_count; i++)
        kube_connection_free(client->idle[i]);
    kube_credentials_free(client->credentials);
    config_clear(&client->config);
    close_fd(client->cancel_fd);
    pthread_mutex_destroy(&client->mutex);
    free(client);
}

const char *kube_client_namespace(const struct kube_client *client)
{
    return client->config.namespace_name;
}

const char *kube_namespace_or_default(const struct kube_client *client, const char *namespace_name)
{
    return namespace_name && *namespace_name ? namespace_name : client->config.namespace_name;
}

const char *kube_client_server(const struct kube_client *client)
{
    return client->config.server;
}

void kube_client_cancel(struct kube_client *client)
{
    const uint64_t one = 1;
    ssize_t ignored = write(client->cancel_fd, &one, sizeof(one)); /* fails only when it is readable already */

    (void)ignored;
}

int kube_client_cancel_fd(const struct kube_client *client)
{
    return client->cancel_fd;
}

static struct kube_connection *take_connection(struct kube_client *client)
{
    struct kube_connection *connection = NULL;

    pthread_mutex_lock(&client->mutex);
    if (client->idle_count > 0)
        connection = client->idle[--client->idle_count];
    pthread_mutex_unlock(&client->mutex);
    return connection ? connection : kube_connection_new(&client->config, client->cancel_fd);
}

static void give_connection(struct kube_client *client, struct kube_connection *connection)
{
    pthread_mutex_lock(&client->mutex);
    bool kept = client->idle_count < IDLE_MAX;
    if (kept)
        client->idle[client->idle_count++] = connection;
    pthread_mutex_unlock(&client->mutex);
    if (!kept)
        kube_connection_free(connection);
}

/* With the credentials of now; *identity tells which. */
static int exchange_once(struct kube_client *client, const struct kube_call *call, struct deadline deadline,
                         struct kube_identity *identity, struct kube_answer *ret, struct error *err)
{
    if (kube_credentials_get(client->credentials, deadline, identity, err) < 0)
        return error_wrap(err, call->operation, call->subject);
    struct kube_connection *connection = take_connection(client);
    int result = kube_connection_exchange(connection, call, identity, deadline, ret, err);
    give_connection(client, connection);
    return result;
}

/* The server did nothing but ask us to come back later: wait so long. Returns false when there is no such time. */
static bool wait_as_told(struct kube_client *client, const struct kube_call *call, const struct kube_answer *answer,
                         struct deadline deadline)
{
    bool is_told = (answer->status == 429 || answer->status >= 500) && answer->retry_after_s > 0 &&
                   answer->retry_after_s <= LONGEST_DELAY_S;
    int wait_ms = is_told ? (int)answer->retry_after_s * 1000 : 0;

    if (!is_told || deadline_in_ms(wait_ms).at_ms >= deadline.at_ms)
        return false;
    return kube_backoff_wait(wait_ms, client->cancel_fd, call->stop_fd);
}

int kube_exchange(struct kube_client *client, const struct kube_call *call, struct deadline deadline,
                  struct kube_answer *ret, struct error *err)
{
    bool was_refused = false;

    for (int delays = 0;;) {
        __attribute__((cleanup(kube_identity_clear_at_exit))) struct kube_identity identity = {0};
        __attribute__((cleanup(kube_answer_clear_at_exit))) struct kube_answer answer = {0};
        if (exchange_once(client, call, deadline, &identity, &answer, err) < 0)
            return -1;
        bool is_success = (answer.status >= 200 && answer.status < 300) || (answer.stopped && answer.status == 0);
        if (is_success) {
            *ret = answer;
            answer = (struct kube_answer){0};
            return 0;
        }
        if (answer.status == 401 && !was_refused && kube_credentials_refused(client->credentials, &identity))
            was_refused = true;
        else if (delays++ == DELAYS_MAX || !wait_as_told(client, call, &answer, deadline))
            return kube_status_refuse(answer.status, answer.body, answer.size, call->operation, call->subject, err);
    }
}
