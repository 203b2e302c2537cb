/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FleetDeviceSetupScore: everything that is looked at before the device is.
 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "deploy/agent_config_text.h"
#include "deploy/device_setup_steps.h"
#include "deploy/elf_machine.h"
#include "deploy/score_steps.h"
#include "deploy/service_unit.h"
#include "deploy/ssh_key.h"

#define PROGRAM_MAX   (64u << 20)
#define URL_MAX       512
#define USER_MAX      32 /* useradd(8) */
#define LOWER         "abcdefghijklmnopqrstuvwxyz"
#define DIGITS        "0123456789"
#define NAME_OF_SCORE FLEET_DEVICE_SETUP_SCORE

/* The agent links libnats, libcjson, libcurl, libstdc++ and, by way of libnats, libcrypto; all else comes with these. */
const char *const device_setup_default_packages[] = {"podman",     "crun",      "netavark", "iptables",
                                                     "libnats3.4", "libcjson1", "libcurl4", "libstdc++6",
                                                     "libssl3",    "sudo",      NULL};

/** The same agent as FleetAgentScore knows it, for its validation and its configuration's text. */
static struct fleet_agent_score agent_score(const struct fleet_device_setup_score *score)
{
    return (struct fleet_agent_score){
        .agent_program = score->agent_program,
        .directory = DEVICE_AGENT_CONFIG,
        .device_id = score->device_id,
        .labels = score->labels,
        .label_count = score->label_count,
        .nats_url = score->nats_url,
        .credentials = score->credentials,
        .runtime_enabled = true,
        .podman_socket = DEVICE_PODMAN_SOCKET,
        .heartbeat_interval_ms = score->heartbeat_interval_ms,
        .reconcile_interval_ms = score->reconcile_interval_ms,
        .smoke_check = score->smoke_check,
    };
}

/** Debian Policy, 5.6.1. A name with "-" at its end would be an order to remove the package. */
static int check_packages(const struct fleet_device_setup_score *score, struct error *err)
{
    for (const char *const *name = score->packages; name && *name; name++) {
        size_t size = strlen(*name);

        if (size < 2 || strspn(*name, LOWER DIGITS "+-.") != size || !strchr(LOWER DIGITS, **name) ||
            text_ends_with(*name, "-"))
            return score_refuse(err, NAME_OF_SCORE, "packages", "\"%s\" is no package's name", *name);
    }
    return 0;
}

static int check_proxy(const char *url, struct error *err)
{
    if (url && (strlen(url) > URL_MAX || strpbrk(url, " \"\\") || text_has_control(url) ||
                (!text_starts_with(url, "http://") && !text_starts_with(url, "https://"))))
        return score_refuse(err, NAME_OF_SCORE, "apt_proxy", "it must be http:// or https:// and a host");
    return 0;
}

static int check_hosts(const struct fleet_device_setup_score *score, struct error *err)
{
    cleanup_error struct error unusable = ERROR_INIT;

    for (size_t i = 0; i < score->host_count; i++) {
        if (hosts_entry_check(&score->hosts[i], &unusable) < 0)
            return score_refuse(err, NAME_OF_SCORE, "hosts", "\"%s\": %s",
                                score->hosts[i].name ? score->hosts[i].name : "", error_root_detail(&unusable));
    }
    return 0;
}

static int check_admin(struct device_setup *setup, struct error *err)
{
    cleanup_error struct error unusable = ERROR_INIT;
    const char *name = setup->score->admin;
    size_t size = name ? strlen(name) : 0;

    if (size < 1 || size > USER_MAX || strspn(name, LOWER DIGITS "_-") != size || !strchr(LOWER "_", name[0]))
        return score_refuse(err, NAME_OF_SCORE, "admin",
                            "\"%s\" is not 1 to %d of a-z, 0-9, '_' and '-', beginning with a letter or '_'",
                            name ? name : "", USER_MAX);
    if (text_equal(name, "root"))
        return score_refuse(err, NAME_OF_SCORE, "admin", "root needs no administrator's rights");
    if (ssh_public_key_check(setup->score->admin_public_key, &setup->admin_key, &unusable) < 0)
        return score_refuse(err, NAME_OF_SCORE, "admin_public_key", "%s", error_root_detail(&unusable));
    return 0;
}

static int read_program(const struct fleet_device_setup_score *score, struct device_agent *agent, struct error *err)
{
    cleanup_error struct error unreadable = ERROR_INIT;

    if (file_read(score->agent_program, PROGRAM_MAX, &agent->program, &agent->program_size, &unreadable) < 0)
        return score_refuse(err, NAME_OF_SCORE, "agent_program", "%s: %s", score->agent_program,
                            error_root_detail(&unreadable));
    agent->machine = elf_machine(agent->program, agent->program_size);
    if (!agent->machine)
        return score_refuse(err, NAME_OF_SCORE, "agent_program", "%s is no ELF program", score->agent_program);
    digest_sha256(agent->program, agent->program_size, agent->program_digest);
    return 0;
}

/** What the agent runs with, under one name: while it has that name in its environment it need not be restarted. */
static void name_deployment(struct device_agent *agent)
{
    cleanup_free char *unit = service_unit_text(&device_agent_service);
    const char *const parts[] = {agent->program_digest, agent->configuration, agent->password, unit};
    cleanup_text_buffer struct text_buffer all = {0};

    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        text_buffer_format(&all, "%zu:%s", strlen(parts[i]), parts[i]);
    digest_sha256(text_buffer_text(&all), all.size, agent->deployment);
}

int device_setup_prepare(struct device_setup *setup, struct error *err)
{
    const struct fleet_device_setup_score *score = setup->score;
    struct fleet_agent_score agent = agent_score(score);

    if (agent_score_validate(&agent, err) < 0)
        return error_wrap(err, "validating", NAME_OF_SCORE);
    if (score->smoke_check_url && agent_score_check_url("smoke_check_url", score->smoke_check_url, err) < 0)
        return error_wrap(err, "validating", NAME_OF_SCORE);
    if (check_packages(score, err) < 0 || check_proxy(score->apt_proxy, err) < 0 || check_hosts(score, err) < 0 ||
        check_admin(setup, err) < 0 || read_program(score, &setup->agent, err) < 0)
        return -1;
    setup->agent.configuration = agent_config_text(&agent, DEVICE_AGENT_STATE, DEVICE_PASSWORD_FILE);
    setup->agent.password = text_format("%s\n", score->credentials.password);
    name_deployment(&setup->agent);
    return 0;
}

void device_setup_clear(struct device_setup *setup)
{
    free(setup->admin_key);
    free(setup->agent.program);
    free(setup->agent.configuration);
    free(setup->agent.password);
    device_facts_clear(&setup->facts);
    *setup = (struct device_setup){0};
}
