/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/agent_score.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "deploy/agent_config_text.h"
#include "deploy/agent_smoke_check.h"
#include "deploy/score_steps.h"

/** One interpretation. */
struct deployment {
    const struct fleet_agent_score *score;
    const struct topology *topology;
    struct linux_host *host;
    struct deadline deadline;
    struct fleet_agent_deployed deployed;
};

void fleet_agent_deployed_clear(struct fleet_agent_deployed *deployed)
{
    free(deployed->service);
    free(deployed->log_path);
    *deployed = (struct fleet_agent_deployed){0};
}

/** Directories, secret, configuration: what the agent finds when it starts. */
static int configure(const struct deployment *deployment, const char *configuration, bool *changed, struct error *err)
{
    const struct fleet_agent_score *score = deployment->score;
    const struct linux_host_operations *operations = deployment->host->operations;
    void *context = deployment->host->context;
    cleanup_free char *state_directory = text_format("%s/state", score->directory);
    cleanup_free char *password_file = text_format("%s/nats-password", score->directory);
    cleanup_free char *password = text_format("%s\n", score->credentials.password);
    cleanup_free char *text = agent_config_text(score, state_directory, password_file);

    if (operations->ensure_directory(context, score->directory, 0700, changed, err) < 0 ||
        operations->ensure_directory(context, state_directory, 0700, changed, err) < 0 ||
        operations->ensure_file(context, password_file, password, strlen(password), 0600, changed, err) < 0)
        return -1;
    return operations->ensure_file(context, configuration, text, strlen(text), 0600, changed, err);
}

static int start(const struct deployment *deployment, const char *configuration, bool restart, bool *changed,
                 struct error *err)
{
    const char *const argv[] = {deployment->score->agent_program, "--config", configuration, NULL};
    struct service_definition definition = {
        .name = deployment->deployed.service,
        .argv = argv,
        .environment = deployment->score->environment,
    };

    return deployment->host->operations->ensure_service(deployment->host->context, &definition, restart, changed, err);
}

static int configure_and_start(struct deployment *deployment, struct error *err)
{
    cleanup_free char *configuration = text_format("%s/agent-config.toml", deployment->score->directory);
    struct score_outcome *outcome = &deployment->deployed.outcome;
    struct score_step configuring = score_step_begin(deployment->topology, "configure agent", outcome);
    int result = configure(deployment, configuration, &configuring.changed, err);
    bool restart = configuring.changed;

    score_step_end(&configuring);
    if (result < 0)
        return -1;
    struct score_step starting = score_step_begin(deployment->topology, "start agent", outcome);
    result = start(deployment, configuration, restart, &starting.changed, err);
    score_step_end(&starting);
    return result;
}

static int smoke_check(struct deployment *deployment, struct error *err)
{
    const struct fleet_agent_score *score = deployment->score;
    const struct agent_smoke_check check = {
        .score = FLEET_AGENT_SCORE,
        .service = deployment->deployed.service,
        .device_id = score->device_id,
        .nats_url = score->nats_url,
        .user = score->smoke_check,
    };

    if (!score->smoke_check.user)
        return 0;
    struct score_step step =
        score_step_begin(deployment->topology, "smoke check of agent", &deployment->deployed.outcome);
    int result = agent_smoke_check(&check, deployment->host, deployment->deadline, err);
    score_step_end(&step);
    return result;
}

static int find_log(struct deployment *deployment, struct error *err)
{
    struct service_status status = {0};

    if (deployment->host->operations->service_status(deployment->host->context, deployment->deployed.service, &status,
                                                     err) < 0)
        return -1;
    deployment->deployed.log_path = TAKE_PTR(status.log_path);
    service_status_clear(&status);
    return 0;
}

static int interpret_on_kubernetes(const struct fleet_agent_score *score, struct topology *topology,
                                   struct deadline deadline, struct fleet_agent_deployed *ret, struct error *err)
{
    struct fleet_agent_deployed deployed = {0};

    if (fleet_agent_score_apply(score, topology, deadline, &deployed, err) < 0)
        return -1;
    if (fleet_agent_score_wait(score, topology, deadline, &deployed, err) < 0) {
        fleet_agent_deployed_clear(&deployed);
        return -1;
    }
    fleet_agent_deployed_clear(ret);
    *ret = deployed;
    return 0;
}

int fleet_agent_score_interpret(const struct fleet_agent_score *score, struct topology *topology,
                                struct deadline deadline, struct fleet_agent_deployed *ret, struct error *err)
{
    struct deployment deployment = {.score = score, .topology = topology, .deadline = deadline};

    if (topology->kubernetes)
        return interpret_on_kubernetes(score, topology, deadline, ret, err);
    if (agent_score_validate(score, err) < 0 ||
        score_linux_host(FLEET_AGENT_SCORE, topology, &deployment.host, err) < 0)
        return -1;
    deployment.deployed.service = text_format("fleet-agent-%s", score->device_id);
    if (configure_and_start(&deployment, err) < 0 || smoke_check(&deployment, err) < 0 ||
        find_log(&deployment, err) < 0) {
        cleanup_free char *subject = text_format("%s to %s", score->device_id, topology->name);
        fleet_agent_deployed_clear(&deployment.deployed);
        return error_wrap(err, "deploying agent", subject);
    }
    fleet_agent_deployed_clear(ret);
    *ret = deployment.deployed;
    return 0;
}
