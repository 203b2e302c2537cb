/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Internal to FleetDeviceSetupScore: its steps. Each looks at what is known of the device, runs a command only where
 * something is not as it should be, and says so in `changed` then.
 */

#include "deploy/device_setup_facts.h"
#include "deploy/device_setup_score.h"
#include "deploy/digest.h"

/** Score name in messages. */
#define FLEET_DEVICE_SETUP_SCORE "FleetDeviceSetupScore"

#define DEVICE_HOSTS_FILE      "/etc/hosts"
#define DEVICE_SUDOERS_FILE    "/etc/sudoers.d/90-harmony-fleet"
#define DEVICE_CONFIG_FILE     DEVICE_AGENT_CONFIG "/agent-config.toml"
#define DEVICE_PASSWORD_FILE   DEVICE_AGENT_CONFIG "/nats-password"
#define DEVICE_DEPLOYMENT_FILE DEVICE_AGENT_CONFIG "/deployment"
#define DEVICE_PODMAN_SOCKET   "/run/podman/podman.sock"

/** What the agent is to run with. */
struct device_agent {
    char *program; /**< the file's bytes */
    size_t program_size;
    const char *machine;              /**< it is for; see elf_machine() */
    char program_digest[DIGEST_SIZE]; /**< its SHA-256 */
    char *configuration;              /**< text of agent-config.toml */
    char *password;                   /**< text of the password's file */
    char deployment[DIGEST_SIZE];     /**< of all of it, the unit included */
};

/** One interpretation. */
struct device_setup {
    const struct fleet_device_setup_score *score;
    const struct topology *topology;
    struct linux_host *host;
    struct deadline deadline;
    char *admin_key; /**< the administrator's key without its comment */
    struct device_agent agent;
    struct device_facts facts;
    bool changed; /**< by the step being taken */
    bool restart; /**< the agent's files changed */
    struct score_outcome outcome;
};

/** Refuse what cannot be deployed, and read what is to be: *ret's agent and admin_key. Errors: DEPLOY_INVALID_SCORE. */
MUST_CHECK int device_setup_prepare(struct device_setup *setup, struct error *err);
void device_setup_clear(struct device_setup *setup);
static inline void device_setup_clear_at_exit(struct device_setup *setup)
{
    device_setup_clear(setup);
}
#define cleanup_device_setup __attribute__((cleanup(device_setup_clear_at_exit)))

/** The agent's service. Its unit is static data but for what the definition points to, which is static too. */
extern const struct service_definition device_agent_service;

/** A step; `changed` is false when it begins. */
typedef int (*device_setup_step)(struct device_setup *setup, struct error *err);

/** Ask for the facts, and refuse an agent for another machine. Errors: DEPLOY_INVALID_SCORE; the host's. */
MUST_CHECK int device_setup_look(struct device_setup *setup, struct error *err);
/** Finish what dpkg has not finished, install what is missing, and look again if anything was done. */
MUST_CHECK int device_setup_packages(struct device_setup *setup, struct error *err);
MUST_CHECK int device_setup_admin(struct device_setup *setup, struct error *err);
MUST_CHECK int device_setup_hosts(struct device_setup *setup, struct error *err);
MUST_CHECK int device_setup_program(struct device_setup *setup, struct error *err);
/** Configuration, secret, and the name of the deployment they belong to: one command for all that differ. */
MUST_CHECK int device_setup_configuration(struct device_setup *setup, struct error *err);
MUST_CHECK int device_setup_podman(struct device_setup *setup, struct error *err);
/** The unit, and a restart if the agent does not run with what it should run with. */
MUST_CHECK int device_setup_service(struct device_setup *setup, struct error *err);

/**
 * Run a script of ours on the device, as root.
 * @param arguments  NULL-terminated: $0 and the script's parameters
 * @param input      for its standard input; NULL: none
 */
MUST_CHECK int device_setup_run(const struct device_setup *setup, const char *script, const char *const *arguments,
                                const void *input, size_t input_size, struct error *err);
