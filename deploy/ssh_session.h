/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One SSH session to one host, kept open and shared. Setting it up costs a key exchange (1.6 s on an emulated device);
 * a command over an open one is a channel and costs next to nothing.
 *
 * Threads: a session of libssh belongs to one thread, so each of ours has an I/O thread that does all of libssh's work,
 * connecting included. Callers hand it operations and wait: any number of threads may use a session at once. At most
 * SSH_OPERATIONS_MAX operations run on the host at a time, further ones wait for their turn (and their deadlines count).
 * Callbacks are called in the thread that called ssh_session_run(): they may block (the host then waits once the
 * windows are full, and nobody else does) and may run commands themselves, as long as there are places left.
 *
 * A session that broke stays broken: what ran fails with SSH_DISCONNECTED, and so does everything after it, until
 * ssh_session_reopen().
 *
 * Sources: RFC 4251-4254; https://api.libssh.org; sshd(8).
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/deadline.h"
#include "base/error.h"

extern const struct error_domain ssh_error_domain;
enum ssh_error {
    SSH_UNREACHABLE = 1,        /**< nothing answers, or what answers does not get as far as a session */
    SSH_HOST_KEY_UNKNOWN,       /**< no key is known for the host, and none may be learnt */
    SSH_HOST_KEY_MISMATCH,      /**< the host shows another key than the known one: it may be another host */
    SSH_AUTHENTICATION_REFUSED, /**< the host does not accept our key for this user */
    SSH_TIMED_OUT,
    SSH_DISCONNECTED,  /**< the session broke; whether a command that ran has ended is not known */
    SSH_REMOTE_FAILED, /**< the host refused or a command failed; the detail is in its own words */
};

/** Half of what sshd(8) allows in a connection (MaxSessions): it counts those that are just being closed, too. */
#define SSH_OPERATIONS_MAX 5
/** Kept of each stream of a command whose output is not streamed; the rest is read and dropped. */
#define SSH_OUTPUT_MAX (8u << 20)
/** Port of a host that runs sshd where it usually is. */
#define SSH_PORT 22

struct ssh_session_options {
    const char *address; /**< numeric, or a name (which is looked up whatever the deadline) */
    int port;            /**< 0: SSH_PORT */
    const char *user;
    const char *private_key; /**< path of an unencrypted private key */
    const char *host_key;    /**< "ssh-ed25519 AAAA…": the only one accepted; NULL: known_hosts decides */
    const char *known_hosts; /**< path of a file as of ssh(1), need not exist; NULL where host_key is given */
    bool learn_host_key;     /**< accept the key of a host that known_hosts does not know, and add it there */
    /** Opening: go on trying while nothing answers, until the deadline. For a host that is just starting. */
    bool wait_for_host;
    int network_namespace; /**< connect in this network namespace (an fd of /proc/PID/ns/net); 0: ours */
    int keepalive_ms;      /**< ask after so much silence; after three times that the session is broken; 0: 15 s */
};

struct ssh_session;
/**
 * Connect, verify the host's key and authenticate. `options` need not outlive the call, but for the namespace's
 * descriptor, which is needed for ssh_session_reopen().
 * Errors: SSH_UNREACHABLE, SSH_HOST_KEY_UNKNOWN, SSH_HOST_KEY_MISMATCH, SSH_AUTHENTICATION_REFUSED, SSH_TIMED_OUT;
 * general/GENERAL_INVALID or system for a key or file that cannot be used.
 */
MUST_CHECK int ssh_session_open(const struct ssh_session_options *options, struct deadline deadline,
                                struct ssh_session **ret, struct error *err);
/** Close the session (commands that run on the host are told); no other thread may be using it. NULL is fine. */
void ssh_session_free(struct ssh_session *session);
DEFINE_CLEANUP(struct ssh_session *, ssh_session_free)
/**
 * Close it and connect anew, say after a reboot; no other thread may be using it meanwhile. On failure the session
 * stays broken and this may be tried again. Errors: as ssh_session_open().
 */
MUST_CHECK int ssh_session_reopen(struct ssh_session *session, struct deadline deadline, struct error *err);

/** "user@address", for messages; borrowed. */
const char *ssh_session_name(const struct ssh_session *session);
/** The host's key, "ssh-ed25519 AAAA…"; borrowed, until the session is reopened. */
const char *ssh_session_host_key(const struct ssh_session *session);
/** False once it is known to be broken. */
bool ssh_session_is_open(struct ssh_session *session);

enum ssh_stream { SSH_STANDARD_OUTPUT, SSH_STANDARD_ERROR };
/** Called with each piece a command writes. Returns 0 to go on, -1 with *err set to give the command up. */
typedef int (*ssh_on_output)(void *context, enum ssh_stream stream, const char *data, size_t size, struct error *err);

struct ssh_command {
    const char *const *argv;        /**< NULL-terminated; argv[0] is looked up in the PATH the host gives */
    const char *const *environment; /**< NULL-terminated "NAME=value" added to the host's; may be NULL */
    const void *input;              /**< bytes for stdin, then its end; NULL: none */
    size_t input_size;
    bool as_root;            /**< through `sudo -n`, unless the session's user is root */
    ssh_on_output on_output; /**< NULL: what it writes is collected in the result */
    void *context;
};

struct ssh_result {
    int exit_code; /**< 0..255, or -1 when `signal` is set */
    char *signal;  /**< "KILL", without "SIG"; NULL: it exited; owned */
    char *output;  /**< stdout, terminated; NULL when it was streamed; owned */
    size_t output_size;
    char *errors;   /**< stderr, terminated; NULL when it was streamed; owned */
    bool truncated; /**< more than SSH_OUTPUT_MAX bytes came on one stream */
};
void ssh_result_clear(struct ssh_result *result);
static inline void ssh_result_clear_at_exit(struct ssh_result *result)
{
    ssh_result_clear(result);
}
#define cleanup_ssh_result __attribute__((cleanup(ssh_result_clear_at_exit)))

/**
 * Run a program until it has ended and closed its output (so one that leaves something running in the background must
 * redirect its output, as with ssh(1)). A non-zero exit is no error here: read `ret->exit_code`.
 *
 * The deadline holds on the host too: the program runs under timeout(1), which sends its process group SIGTERM a second
 * after the deadline, even if the connection is gone by then, and SIGKILL two seconds later. A program that does not
 * run as root is told at once, by way of sshd, and likewise when a callback gives it up or the session is closed.
 * Errors: SSH_TIMED_OUT, SSH_DISCONNECTED, SSH_REMOTE_FAILED (it could not be started); what the callback set;
 * GENERAL_INVALID, GENERAL_TOO_LARGE (a command line the host could not take).
 */
MUST_CHECK int ssh_session_run(struct ssh_session *session, const struct ssh_command *command, struct deadline deadline,
                               struct ssh_result *ret, struct error *err);
/** ssh_session_run() where a non-zero exit or a signal is SSH_REMOTE_FAILED. `ret` may be NULL. */
MUST_CHECK int ssh_session_run_checked(struct ssh_session *session, const struct ssh_command *command,
                                       struct deadline deadline, struct ssh_result *ret, struct error *err);

struct ssh_file {
    const char *path; /**< absolute; its directory exists */
    const void *data;
    size_t size;
    mode_t mode;
    const char *owner; /**< "user:group", by name or number; NULL: whoever writes it, and not compared */
    bool as_root;
};
/**
 * Make the file on the host these bytes with this mode and owner. What is there is compared byte by byte, and nothing is
 * done if it is the same; else *changed is set true and it is replaced atomically and durably (a temporary file beside
 * it, fsync, rename). A connection that breaks on the way leaves the old file.
 */
MUST_CHECK int ssh_session_put_file(struct ssh_session *session, const struct ssh_file *file, struct deadline deadline,
                                    bool *changed, struct error *err);
/**
 * Read a file of the host, terminated with a NUL that `*size` does not count; *data is NULL when it does not exist.
 * Caller frees *data. Errors: as ssh_session_run_checked(), GENERAL_TOO_LARGE beyond `max` bytes.
 */
MUST_CHECK int ssh_session_get_file(struct ssh_session *session, const char *path, size_t max, bool as_root,
                                    struct deadline deadline, char **data, size_t *size, struct error *err);
