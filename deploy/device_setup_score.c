/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/device_setup_score.h"

#include "deploy/agent_smoke_check.h"
#include "deploy/device_setup_steps.h"
#include "deploy/score_steps.h"

static int check_host(struct device_setup *setup, struct error *err)
{
    if (score_linux_host(FLEET_DEVICE_SETUP_SCORE, setup->topology, &setup->host, err) < 0)
        return -1;
    if (!setup->host->operations->run)
        return error_set(err, &deploy_error_domain, DEPLOY_NO_CAPABILITY, "deploying " FLEET_DEVICE_SETUP_SCORE " to",
                         setup->topology->name, "it is no Linux host to run programs on as root (run)");
    return 0;
}

static int smoke_check(struct device_setup *setup, struct error *err)
{
    const struct fleet_device_setup_score *score = setup->score;
    const struct agent_smoke_check check = {
        .score = FLEET_DEVICE_SETUP_SCORE,
        .service = DEVICE_AGENT_SERVICE,
        .device_id = score->device_id,
        .nats_url = score->smoke_check_url ? score->smoke_check_url : score->nats_url,
        .user = score->smoke_check,
    };

    return agent_smoke_check(&check, setup->host, setup->deadline, err);
}

static int take_step(struct device_setup *setup, const char *name, device_setup_step function, struct error *err)
{
    struct score_step step = score_step_begin(setup->topology, name, &setup->outcome);

    setup->changed = false;
    int result = function(setup, err);
    step.changed = setup->changed;
    score_step_end(&step);
    return result;
}

static int take_steps(struct device_setup *setup, struct error *err)
{
    static const struct {
        const char *name;
        device_setup_step function;
    } steps[] = {
        {"look at device", device_setup_look},        {"install packages", device_setup_packages},
        {"set up administrator", device_setup_admin}, {"edit hosts", device_setup_hosts},
        {"upload agent", device_setup_program},       {"configure agent", device_setup_configuration},
        {"start podman", device_setup_podman},        {"start agent", device_setup_service},
    };

    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        if (take_step(setup, steps[i].name, steps[i].function, err) < 0)
            return -1;
    }
    return setup->score->smoke_check.user ? take_step(setup, "smoke check of agent", smoke_check, err) : 0;
}

int fleet_device_setup_score_interpret(const struct fleet_device_setup_score *score, struct topology *topology,
                                       struct deadline deadline, struct score_outcome *ret, struct error *err)
{
    cleanup_device_setup struct device_setup setup = {.score = score, .topology = topology, .deadline = deadline};

    if (device_setup_prepare(&setup, err) < 0 || check_host(&setup, err) < 0)
        return -1;
    if (take_steps(&setup, err) < 0) {
        cleanup_free char *subject = text_format("%s on %s", score->device_id, topology->name);
        return error_wrap(err, "setting up device", subject);
    }
    *ret = setup.outcome;
    return 0;
}
