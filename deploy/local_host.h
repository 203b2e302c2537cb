/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The local host as a topology: services are plain processes under `state_directory`, each with its log and a record
 * of pid and definition there, so that another process of the same run can find, stop and restart them.
 */

#include "deploy/linux_host.h"
#include "deploy/score.h"

struct local_host_options {
    const char *state_directory; /**< exists; service records and logs go here */
    /**
     * Told of a resource *before* it is created ("process" and the service's name, "directory" and a path). Returns
     * environment to add to a service's process, NULL for none; the string is owned by the callee. May be NULL.
     */
    int (*announce)(void *context, const char *kind, const char *name, const char **environment, struct error *err);
    void *context;
};

struct local_host;
/** Errors: system (there is no such state directory). Freed by local_host_free. */
MUST_CHECK int local_host_new(const struct local_host_options *options, struct local_host **ret, struct error *err);
/** Frees the topology, not what was deployed to it. */
void local_host_free(struct local_host *host);
DEFINE_CLEANUP(struct local_host *, local_host_free)
/** Its capability, to put into a topology; borrowed. */
struct linux_host *local_host_linux(struct local_host *host);
/**
 * Signal a service without forgetting it and, for SIGKILL and SIGTERM, wait for its end.
 * *exit_code: its exit code, -1 when a signal ended it or it is no child of ours; may be NULL.
 */
MUST_CHECK int local_host_signal(struct local_host *host, const char *service, int signal, int *exit_code,
                                 struct error *err);
