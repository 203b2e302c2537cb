/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <sysexits.h>

#include "agent/agent.h"
#include "agent/config.h"
#include "base/log.h"

#define PROGRAM        "harmony-fleet-agent"
#define DEFAULT_CONFIG "/etc/harmony-fleet-agent/agent-config.toml"

static const char help[] =
    "Usage: " PROGRAM " [--config PATH] [--check-config]\n"
    "Run the containers that NATS desires for this device, and report on them.\n"
    "\n"
    "  --config PATH   configuration, default " DEFAULT_CONFIG "\n"
    "  --check-config  read it, say what is wrong with it, and end\n"
    "  --help          this text\n"
    "  --version       the version\n"
    "\n"
    "Exit codes: 0 ended by a signal, 1 could not go on, 64 wrong usage, 78 wrong configuration.\n";

struct command_line {
    const char *config_path;
    bool check_only;
};

/** Returns -1 to go on, else the exit code. */
static int parse_command_line(int argc, char **argv, struct command_line *ret)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check-config", no_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            ret->config_path = optarg;
            break;
        case 'n':
            ret->check_only = true;
            break;
        case 'h':
            fputs(help, stdout);
            return EX_OK;
        case 'v':
            puts(PROGRAM " " FLEET_VERSION);
            return EX_OK;
        default:
            fputs("Try " PROGRAM " --help.\n", stderr);
            return EX_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, PROGRAM ": unexpected argument: %s\nTry " PROGRAM " --help.\n", argv[optind]);
        return EX_USAGE;
    }
    return -1;
}

int main(int argc, char **argv)
{
    CLEANUP(agent_config_free) struct agent_config *config = NULL;
    struct command_line line = {.config_path = DEFAULT_CONFIG};
    cleanup_error struct error failure = ERROR_INIT;
    int code = parse_command_line(argc, argv, &line);

    if (code >= 0)
        return code;
    agent_block_signals();
    log_start(PROGRAM);
    if (agent_config_load(line.config_path, &config, &failure) < 0 || agent_check(config, &failure) < 0) {
        log_failure("the configuration cannot be used", &failure);
        return EX_CONFIG;
    }
    if (line.check_only) {
        printf("%s: ok: device %s, %zu NATS URL(s), runtime %s\n", line.config_path, config->device_id,
               config->nats_urls.count, config->runtime_enabled ? "enabled" : "disabled");
        return EX_OK;
    }
    if (agent_run(config, &failure) < 0) {
        log_failure("the agent cannot go on", &failure);
        return 1;
    }
    return EX_OK;
}
