/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The command line of harmony-fleet-deploy: each option has an environment variable of the same meaning.
 */

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"

#define DEPLOY_PROGRAM "harmony-fleet-deploy"

enum deploy_option {
    OPTION_FILTER,
    OPTION_NAMESPACE,
    OPTION_KUBECONFIG,
    OPTION_CONTEXT,
    OPTION_TIMEOUT,
    OPTION_NATS_IMAGE,
    OPTION_NATS_ADMIN_USER,
    OPTION_NATS_ADMIN_PASSWORD_FILE,
    OPTION_NATS_DEVICE_USER,
    OPTION_NATS_DEVICE_PASSWORD_FILE,
    OPTION_NATS_REPLICAS,
    OPTION_NATS_NODE_PORT,
    OPTION_NODE_ADDRESS,
    OPTION_NATS_STORAGE,
    OPTION_NATS_STORAGE_CLASS,
    OPTION_NATS_SYNC_INTERVAL,
    OPTION_NATS_URL,
    OPTION_OPERATOR_IMAGE,
    OPTION_OPERATOR_REPLICAS,
    OPTION_OFFLINE_AFTER_MS,
    DEPLOY_OPTION_COUNT,
};

/** Which scores are deployed. */
enum deploy_filter { DEPLOY_SERVER, DEPLOY_NATS, DEPLOY_OPERATOR };

struct deploy_options {
    const char *values[DEPLOY_OPTION_COUNT]; /**< as given, or the default; NULL: none. Borrowed from argv, environ */
    enum deploy_filter filter;
    bool plan; /**< say what would change, and change nothing */
    bool help;
    bool version;
};

/**
 * Read the command line, then for what it does not say the environment.
 * Errors: GENERAL_INVALID, naming every option that is missing and its variable.
 */
MUST_CHECK int deploy_options_parse(int argc, char **argv, struct deploy_options *ret, struct error *err);
/** A whole number of at least 1; 0 where none was given. Errors: GENERAL_INVALID. */
MUST_CHECK int deploy_option_number(const struct deploy_options *options, enum deploy_option option, int *ret,
                                    struct error *err);
/** The text of --help. */
void deploy_options_help(FILE *out);
