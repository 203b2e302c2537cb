/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FleetDeviceSetupScore: the steps that are about the agent.
 *
 * When must it be restarted? After its files were changed, of course; but a run that is broken off between changing them
 * and the restart must not leave the next one thinking that all is well. So what the agent runs with has a name, a digest
 * of all of it, which it gets as FLEET_DEPLOYMENT in its environment: what a process was started with can be asked of
 * the process. The name is in a file that only root can read, because the password is a part of it.
 */
#include <stdlib.h>
#include <string.h>

#include "deploy/device_setup_steps.h"
#include "deploy/score_steps.h"

/* $1 directory  further, for each file: its name, mode and size. The files' content comes one after the other. */
static const char configuration_script[] =
    "set -eu\n"
    "umask 077\n"
    "directory=$1\n"
    "shift\n"
    "mkdir -p -- \"$directory\"\n"
    "chmod 0700 -- \"$directory\"\n"
    "rm -rf -- \"$directory\"/.fleet-*\n" /* of a run that was killed */
    "temporary=$(mktemp -d -- \"$directory/.fleet-XXXXXXXXXX\")\n"
    "trap 'rm -rf -- \"$temporary\"' EXIT\n"
    "trap 'exit 1' HUP INT PIPE TERM\n"
    "count=$#\n"
    "while [ \"$count\" -gt 0 ]; do\n"
    "    head -c \"$3\" >\"$temporary/$1\"\n"
    "    if [ \"$(stat -c %s -- \"$temporary/$1\")\" != \"$3\" ]; then echo 'only a part of it arrived' >&2; exit 1; "
    "fi\n"
    "    chmod -- \"$2\" \"$temporary/$1\"\n"
    "    set -- \"$@\" \"$1\"\n" /* what remains in the end are the names */
    "    shift 3\n"
    "    count=$((count - 3))\n"
    "done\n"
    "for name in \"$@\"; do sync -- \"$temporary/$name\"; done\n"
    "for name in \"$@\"; do mv -fT -- \"$temporary/$name\" \"$directory/$name\"; done\n"
    "sync -- \"$directory\"\n";

static const char podman_script[] = "exec systemctl --quiet enable --now -- podman.socket\n";

static const char *const agent_argv[] = {DEVICE_AGENT_PROGRAM, "--config", DEVICE_CONFIG_FILE, NULL};

/*
 * systemd.service(5), systemd.exec(5). It runs as root, for podman's socket is root's, but with no capability at all and
 * nothing it can write to but its state. Connecting to a socket is no writing. Not here: ProtectHostname, which would hide
 * from the agent that the device was renamed (without a capability it cannot rename it anyway).
 *
 * Containers are no children of the agent: podman.service makes them, each in a control group of its own. So the usual
 * KillMode=control-group ends the agent and nothing else when it is upgraded.
 */
static const char *const agent_settings[] = {
    "Type=notify",
    "WatchdogSec=60",
    "TimeoutStartSec=60",
    "TimeoutStopSec=10",
    "EnvironmentFile=/etc/fleet-agent/deployment", /* DEVICE_DEPLOYMENT_FILE */
    "StateDirectory=fleet-agent",                  /* DEVICE_AGENT_STATE */
    "StateDirectoryMode=0700",
    "UMask=0077",
    "CapabilityBoundingSet=",
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "DevicePolicy=closed",
    "ProtectProc=invisible",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources",
    "SystemCallErrorNumber=EPERM",
    NULL,
};

const struct service_definition device_agent_service = {
    .name = DEVICE_AGENT_SERVICE,
    .argv = agent_argv,
    .settings = agent_settings,
};

int device_setup_program(struct device_setup *setup, struct error *err)
{
    const struct device_agent *agent = &setup->agent;

    if (text_equal(setup->facts.program_digest, agent->program_digest))
        return 0;
    setup->restart = true;
    return setup->host->operations->ensure_file(setup->host->context, DEVICE_AGENT_PROGRAM, agent->program,
                                                agent->program_size, 0755, &setup->changed, err);
}

/** A file below DEVICE_AGENT_CONFIG that only root can read. */
struct private_file {
    const char *path;
    const char *text;
};

static int write_files(const struct device_setup *setup, const struct private_file *files, size_t count,
                       struct error *err)
{
    cleanup_text_list struct text_list arguments = {0};
    cleanup_text_buffer struct text_buffer content = {0};

    text_list_add(&arguments, "write-configuration");
    text_list_add(&arguments, DEVICE_AGENT_CONFIG);
    for (size_t i = 0; i < count; i++) {
        text_list_add(&arguments, files[i].path + strlen(DEVICE_AGENT_CONFIG "/"));
        text_list_add(&arguments, "0600");
        text_list_format(&arguments, "%zu", strlen(files[i].text));
        text_buffer_add(&content, files[i].text);
    }
    if (device_setup_run(setup, configuration_script, (const char *const *)arguments.items, text_buffer_text(&content),
                         content.size, err) < 0)
        return error_wrap(err, "writing to", DEVICE_AGENT_CONFIG);
    return 0;
}

int device_setup_configuration(struct device_setup *setup, struct error *err)
{
    const struct device_agent *agent = &setup->agent;
    cleanup_free char *deployment = text_format("FLEET_DEPLOYMENT=%s\n", agent->deployment);
    const struct private_file files[] = {
        {DEVICE_CONFIG_FILE, agent->configuration},
        {DEVICE_PASSWORD_FILE, agent->password},
        {DEVICE_DEPLOYMENT_FILE, deployment},
    };
    struct private_file different[ARRAY_SIZE(files)];
    size_t count = 0;

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        const struct device_file *file = device_facts_file(&setup->facts, files[i].path);

        if (!device_file_is(file, files[i].text, strlen(files[i].text), 0600))
            different[count++] = files[i];
    }
    if (count == 0)
        return 0;
    setup->changed = true;
    setup->restart = true;
    return write_files(setup, different, count, err);
}

int device_setup_podman(struct device_setup *setup, struct error *err)
{
    static const char *const arguments[] = {"start-podman", NULL};

    if (setup->facts.socket_ready)
        return 0;
    setup->changed = true;
    if (device_setup_run(setup, podman_script, arguments, NULL, 0, err) < 0)
        return error_wrap(err, "starting", "podman.socket");
    return 0;
}

int device_setup_service(struct device_setup *setup, struct error *err)
{
    const struct linux_host *host = setup->host;
    const char *running = setup->facts.deployment; /* NULL: none, or one that another unit started */
    bool restart = setup->restart || (running && !text_equal(running, setup->agent.deployment));

    if (host->operations->ensure_service(host->context, &device_agent_service, restart, &setup->changed, err) < 0)
        return score_start_failed(err, host, DEVICE_AGENT_SERVICE);
    return 0;
}
