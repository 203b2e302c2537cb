/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/agent_smoke_check.h"

#include "deploy/score_steps.h"
#include "messaging/connection.h"
#include "operator/commands_client.h"

#define PING_MS       1000 /* one ping; without the agent it fails at once */
#define FIRST_WAIT_MS 1    /* between pings; an agent needs some 20 ms to start */

/** What asking needs. */
struct question {
    const struct agent_smoke_check *check;
    struct deadline deadline;
    struct fleet_commands_client *client;
    agent_still_running still_running;
    void *context; /**< of still_running */
};

/** What asking a host needs. */
struct host_question {
    const struct linux_host *host;
    const char *service;
};

static int answers_ping(void *context, struct text_buffer *state, struct error *err)
{
    const struct question *question = context;
    CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;
    cleanup_error struct error failure = ERROR_INIT;
    struct deadline deadline = deadline_min(deadline_in_ms(PING_MS), question->deadline);

    if (fleet_ping(question->client, question->check->device_id, deadline, &reply, &failure) == 0)
        return 1;
    text_buffer_add(state, error_root_detail(&failure));
    if (!error_is(&failure, &command_error_domain, COMMAND_DEVICE_OFFLINE) &&
        !error_is(&failure, &command_error_domain, COMMAND_TIMEOUT)) {
        error_move(err, &failure);
        return -1;
    }
    return question->still_running(question->context, err);
}

int agent_answers(const struct agent_smoke_check *check, agent_still_running still_running, void *context,
                  struct deadline deadline, struct error *err)
{
    static const struct wait_options options = {.interval_ms = FIRST_WAIT_MS};
    CLEANUP(credentials_free) struct credentials *credentials = NULL;
    CLEANUP(nats_connection_free) struct nats_connection *connection = NULL;
    CLEANUP(fleet_commands_client_free) struct fleet_commands_client *client = NULL;
    const char *const urls[] = {check->nats_url, NULL};
    struct nats_settings settings = {
        .urls = urls, .name = "smoke check", .connect_timeout_ms = deadline_poll_ms(deadline)};

    if (score_check_credentials(check->score, "smoke_check", &check->user, &credentials, err) < 0)
        return -1;
    settings.credentials = credentials;
    if (nats_connection_open(&settings, &connection, err) < 0 ||
        fleet_commands_client_new(connection, "smoke-check", &client, err) < 0)
        return -1;
    struct question question = {check, deadline, client, still_running, context};
    return wait_until("the agent to answer a ping", answers_ping, &question, &options, deadline, err);
}

static int runs_on_host(void *context, struct error *err)
{
    const struct host_question *question = context;

    return score_check_running(question->host, question->service, err);
}

int agent_smoke_check(const struct agent_smoke_check *check, const struct linux_host *host, struct deadline deadline,
                      struct error *err)
{
    struct host_question question = {host, check->service};

    if (agent_answers(check, runs_on_host, &question, deadline, err) < 0)
        return score_smoke_check_failed(err, host, check->service);
    return 0;
}
