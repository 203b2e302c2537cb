/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A Linux host over SSH as a topology: services are systemd units. The session's user is root or may become root by
 * `sudo -n`; everything is done as root and belongs to root.
 */

#include "deploy/linux_host.h"
#include "deploy/ssh_session.h"

/** Where the units of an administrator are; see systemd.unit(5). */
#define SSH_HOST_UNIT_DIRECTORY "/etc/systemd/system"

struct ssh_host_options {
    struct ssh_session *session; /**< borrowed: must outlive the host */
    int operation_ms; /**< deadline of each operation; 0: 2 minutes, more than a unit has to stop and start */
};

struct ssh_host;
/** Nothing is done on the host yet. `options` need not outlive the call. */
void ssh_host_new(const struct ssh_host_options *options, struct ssh_host **ret);
/** Frees the topology, not what was deployed to it. */
void ssh_host_free(struct ssh_host *host);
DEFINE_CLEANUP(struct ssh_host *, ssh_host_free)
/** The capability; borrowed. */
struct linux_host *ssh_host_linux(struct ssh_host *host);
