/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * FleetDeviceSetupScore: a Debian machine becomes a device of the fleet. What it manages there, and nothing else:
 *
 *   packages                              installed, without recommended ones
 *   the administrator                     a user, one line of its authorized_keys, /etc/sudoers.d/90-harmony-fleet
 *   /etc/hosts                            one block of lines (deploy/hosts_block.h)
 *   /usr/local/bin/harmony-fleet-agent    the agent
 *   /etc/fleet-agent/                     its configuration and secret
 *   fleet-agent.service, podman.socket    running and enabled
 *   libpod-conmon-.scope.d/               how long podman's scopes may take to end when the device goes down
 */

#include "contracts/device.h"
#include "deploy/hosts_block.h"
#include "deploy/nats_score.h"

#define DEVICE_AGENT_SERVICE "fleet-agent"
#define DEVICE_AGENT_PROGRAM "/usr/local/bin/harmony-fleet-agent"
#define DEVICE_AGENT_CONFIG  "/etc/fleet-agent"
#define DEVICE_AGENT_STATE   "/var/lib/fleet-agent"

struct fleet_device_setup_score {
    const char *agent_program; /**< absolute path on this machine of an agent for the device's machine */
    const char *device_id;
    const struct device_label *labels;
    size_t label_count;
    const char *nats_url;
    struct user_password credentials; /**< the device user */
    int heartbeat_interval_ms;        /**< 0: the agent's default; same below */
    int reconcile_interval_ms;

    const char *const *packages; /**< NULL-terminated; NULL: device_setup_default_packages */
    const char *apt_proxy;       /**< URL for apt-get, for installing these only; NULL: the device's own settings */
    const struct hosts_entry *hosts;
    size_t host_count;
    const char *admin;            /**< user name; may become root without a password */
    const char *admin_public_key; /**< a line of authorized_keys: "ssh-ed25519 AAAA… comment" */

    /** The smoke check asks as this user (needs request rights); user NULL: no smoke check (NATS is known to be down). */
    struct user_password smoke_check;
    const char *smoke_check_url; /**< where we reach that NATS; NULL: nats_url */
};

/** podman with what it needs, the agent's libraries and sudo; NULL-terminated. */
extern const char *const device_setup_default_packages[];

/**
 * Set a device up. Smoke check: the agent answers a ping over NATS.
 *
 * Steps told to the topology's observer: "look at device", "install packages", "set up administrator", "edit hosts",
 * "upload agent", "configure agent", "start podman", "start agent", "smoke check of agent". Each changes only what is not
 * as it should be; a run that was broken off at any point is finished by the next one. The agent is restarted only
 * where what it runs with differs from what it should run with, and containers go on running meanwhile.
 *
 * @param topology  a Linux host that has `run` and is a Debian with systemd
 * @param deadline  of the whole; installing podman takes minutes on a small device
 * @param ret       whether anything was changed
 * Errors: DEPLOY_INVALID_SCORE (nothing was touched: also for an agent built for another machine), DEPLOY_NO_CAPABILITY,
 * DEPLOY_SMOKE_CHECK_FAILED; what the topology reports, with apt's or systemd's last words.
 */
MUST_CHECK int fleet_device_setup_score_interpret(const struct fleet_device_setup_score *score,
                                                  struct topology *topology, struct deadline deadline,
                                                  struct score_outcome *ret, struct error *err);
