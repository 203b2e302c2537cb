/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The Linux-host capability: files, directories and services of one host. A service is a program that is kept
 * running: a systemd unit on a device, a process on the local host.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/deadline.h"
#include "base/error.h"

/** A program to run on the host as root. */
struct host_command {
    const char *const *argv;        /**< NULL-terminated; argv[0] is looked up in the host's PATH */
    const char *const *environment; /**< NULL-terminated "NAME=value" added to the host's; may be NULL */
    const void *input;              /**< bytes for its standard input, then its end; NULL: none */
    size_t input_size;
    struct deadline deadline; /**< when it is ended, on the host too */
};

struct service_definition {
    const char *name;               /**< one token, e.g. "fleet-nats" */
    const char *const *argv;        /**< NULL-terminated, absolute program */
    const char *const *environment; /**< NULL-terminated "NAME=value"; may be NULL */
    /** NULL-terminated lines "Name=value" for the [Service] section of a systemd unit, instead of or beside what it has
     *  otherwise; hosts whose services are no units do not look at them. May be NULL. */
    const char *const *settings;
};

struct service_status {
    bool running;
    pid_t pid;      /**< 0 where not known */
    char *log_path; /**< a file of this machine its output goes to; NULL where it is none; owned */
};
void service_status_clear(struct service_status *status);

struct linux_host_operations {
    /** Make `path` a directory with `mode`. *changed is set true if anything was done (same below). */
    int (*ensure_directory)(void *context, const char *path, mode_t mode, bool *changed, struct error *err);
    /** Make the file's bytes and mode these (compared byte by byte; replaced atomically). */
    int (*ensure_file)(void *context, const char *path, const void *data, size_t size, mode_t mode, bool *changed,
                       struct error *err);
    /** Read a file of at most `max` bytes, terminated; *data is NULL when it does not exist. Caller frees *data. */
    int (*read_file)(void *context, const char *path, size_t max, char **data, size_t *size, struct error *err);
    /** Have the service running as defined: started, or restarted if the definition changed or `restart` is set. */
    int (*ensure_service)(void *context, const struct service_definition *definition, bool restart, bool *changed,
                          struct error *err);
    int (*service_status)(void *context, const char *name, struct service_status *ret, struct error *err);
    /** Stop the service and forget it; missing is fine. */
    int (*remove_service)(void *context, const char *name, bool *changed, struct error *err);
    /** The last lines a service wrote, for an error; caller frees *ret. NULL: read them from service_status's log_path. */
    int (*service_log)(void *context, const char *name, char **ret, struct error *err);
    /**
     * Run a program until it has ended; *output is what it wrote to its standard output, terminated with a NUL that
     * *size does not count. Caller frees *output. An exit code other than 0 is an error in the last words of its
     * standard error. NULL: this host is none to run programs on as root.
     */
    int (*run)(void *context, const struct host_command *command, char **output, size_t *size, struct error *err);
};

struct linux_host {
    const struct linux_host_operations *operations;
    void *context;
};
