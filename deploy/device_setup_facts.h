/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Everything FleetDeviceSetupScore wants to know of a device, asked in one command: a command costs a tenth of a second
 * and more on a small or emulated device.
 */

#include <stdbool.h>

#include "base/text.h"
#include "deploy/linux_host.h"

/** A small file of the device, with its content. */
struct device_file {
    char *path;
    bool regular; /**< false: a link, a directory, …: it has no content here */
    char *data;   /**< terminated */
    size_t size;
    unsigned int mode; /**< permission bits */
    bool of_root;      /**< user and group are root */
};

struct device_facts {
    char *machine;             /**< as uname(2): "aarch64" */
    char *package_machine;     /**< dpkg's name of it: "arm64"; NULL: the device has no dpkg */
    struct text_list packages; /**< unpacked, for this machine or for all; configured too, unless broken off */
    bool packages_broken_off;  /**< a run of dpkg has not been finished */
    char *admin_home;          /**< home directory of the administrator; NULL: there is no such user */
    struct device_file *files; /**< those asked about that exist */
    size_t file_count;
    char program_digest[65]; /**< SHA-256 of the agent's program; "" where there is none as it should be */
    bool socket_ready;       /**< podman.socket is active and enabled */
    char *deployment;        /**< of the running agent: FLEET_DEPLOYMENT of its environment; NULL: none runs */
};
void device_facts_clear(struct device_facts *facts);
static inline void device_facts_clear_at_exit(struct device_facts *facts)
{
    device_facts_clear(facts);
}
#define cleanup_device_facts __attribute__((cleanup(device_facts_clear_at_exit)))

/** What is asked. */
struct device_question {
    const char *admin;        /**< user name; <home>/.ssh/authorized_keys is one of the files asked about */
    const char *program;      /**< path of the agent's program, which is to belong to root and have mode 0755 */
    const char *service;      /**< the agent's, without ".service" */
    const char *const *paths; /**< NULL-terminated: further files */
};

/** Ask. The host must have `run`. Errors: the host's; GENERAL_FAILED for an answer that makes no sense. */
MUST_CHECK int device_facts_ask(const struct linux_host *host, const struct device_question *question,
                                struct deadline deadline, struct device_facts *ret, struct error *err);
/** Read an answer of the device. Errors: GENERAL_FAILED where it makes no sense. */
MUST_CHECK int device_facts_parse(const char *answer, size_t size, struct device_facts *ret, struct error *err);

/** The file as it was, NULL if there was none; borrowed. */
const struct device_file *device_facts_file(const struct device_facts *facts, const char *path);
/** Are these the bytes and the mode of a regular file of root's? `file` may be NULL. */
bool device_file_is(const struct device_file *file, const void *data, size_t size, unsigned int mode);
