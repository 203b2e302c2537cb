/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A device to log in to: a real sshd and a real sudo in mount, network, PID and other namespaces of their own, with
 * /etc and /usr of this machine that can be written to without changing them. It has no systemd and no packages:
 * systemctl, journalctl, apt-get, dpkg and dpkg-query are the scripts in tests/host/device. Nothing of it is left when it
 * ends, however that happens.
 */

#include "base/process.h"
#include "deploy/ssh_key.h"
#include "deploy/ssh_session.h"
#include "harness/test.h"

#define DEVICE_ADMIN    "fleet-admin"
#define DEVICE_ADMIN_ID "4001" /* user and group */
#define DEVICE_ADDRESS  "127.0.0.1"
#define DEVICE_PORT_2   2222 /* sshd's second port: it allows two commands at a time there, not ten */
#define DEVICE_PID_FILE "init.pid"
#define DEVICE_SEEN_AT  "/mnt" /* where the device sees its directory */

struct ssh_device {
    struct run *run;
    char *directory;
    char *known_hosts; /**< a path; nothing is there yet */
    char *host_key;    /**< "ssh-ed25519 AAAA…" */
    struct ssh_key_pair key;
    struct process *process;
    int network_namespace; /**< -1 while it is off */
};

/** Start one in the run of the test; it is being started, not ready: sessions wait for it. */
MUST_CHECK int ssh_device_new(struct test_context *test, struct ssh_device *ret, struct error *err);
void ssh_device_clear(struct ssh_device *device);
static inline void ssh_device_clear_at_exit(struct ssh_device *device)
{
    ssh_device_clear(device);
}
#define cleanup_ssh_device __attribute__((cleanup(ssh_device_clear_at_exit)))

/** Options of a session that gets in: host key pinned, waiting for a device that is starting. */
struct ssh_session_options ssh_device_options(const struct ssh_device *device, const char *user);
/** Open a session as `user` by these options. */
MUST_CHECK int ssh_device_open(const struct ssh_device *device, const char *user, struct ssh_session **ret,
                               struct error *err);
/** What a script says as root on the device, without the newline at its end. Replaces *ret; the caller frees it. */
MUST_CHECK int ssh_device_ask(struct ssh_session *session, const char *script, char **ret, struct error *err);

/** Pull and put back the network cable. */
MUST_CHECK int ssh_device_set_link(const struct ssh_device *device, bool up, struct error *err);

/** The same from inside: set the state of the loopback interface of the calling thread's network. */
MUST_CHECK int device_link_set(bool up, struct error *err);
