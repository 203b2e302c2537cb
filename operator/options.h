/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What harmony-fleet-operator is told: by flags, else by the environment, else defaults.
 */

#include <stdbool.h>

#include "base/error.h"
#include "base/text.h"

#define OPERATOR_PROGRAM "harmony-fleet-operator"

struct operator_options {
    struct text_list nats_urls;
    char *nats_user; /**< NULL: none */
    char *nats_password_file;
    int nats_replicas;     /**< servers of NATS the buckets are to be on */
    char *namespace_name;  /**< of the lease; NULL: the client's */
    char *watch_namespace; /**< of the Deployments; NULL: the same */
    char *identity;        /**< among the operators that want to lead */
    char *listen;
    char *kubeconfig; /**< NULL: the Pod's service account, else the default kubeconfig */
    int offline_after_ms;
    int status_interval_ms;
    int lease_ms;
    int renew_ms;
    bool leader_election;
};

/**
 * Read the command line and the environment.
 * @param ret_exit  -1: go on; else the program is done (help, version, wrong usage) with this code
 * Errors: GENERAL_INVALID names the flag or variable.
 */
MUST_CHECK int operator_options_read(int argc, char **argv, struct operator_options *ret, int *ret_exit,
                                     struct error *err);
void operator_options_clear(struct operator_options *options);
static inline void operator_options_clear_at_exit(struct operator_options *options)
{
    operator_options_clear(options);
}
#define cleanup_operator_options __attribute__((cleanup(operator_options_clear_at_exit)))
