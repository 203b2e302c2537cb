/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/ssh_session.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "deploy/ssh_command.h"
#include "deploy/ssh_session_model.h"

#define KEEPALIVE_MS 15000
#define PORT_MAX     65535

static const char *code_name(int code)
{
    switch ((enum ssh_error)code) {
    case SSH_UNREACHABLE:
        return "unreachable";
    case SSH_HOST_KEY_UNKNOWN:
        return "host-key-unknown";
    case SSH_HOST_KEY_MISMATCH:
        return "host-key-mismatch";
    case SSH_AUTHENTICATION_REFUSED:
        return "authentication-refused";
    case SSH_TIMED_OUT:
        return "timed-out";
    case SSH_DISCONNECTED:
        return "disconnected";
    case SSH_REMOTE_FAILED:
        return "remote-failed";
    }
    return "unknown";
}
const struct error_domain ssh_error_domain = {"ssh", code_name};

/* Opening and closing */

static int check_options(const struct ssh_session_options *options, struct error *err)
{
    const char *missing = !options->address       ? "no address"
                          : !options->user        ? "no user"
                          : !options->private_key ? "no private key"
                                                  : NULL;

    if (!missing && !options->host_key && !options->known_hosts)
        missing = "neither a host key nor a known-hosts file";
    if (missing)
        return error_set(err, &general_error_domain, GENERAL_INVALID, "opening SSH session", options->address, "%s",
                         missing);
    if (options->port < 0 || options->port > PORT_MAX)
        return error_set(err, &general_error_domain, GENERAL_INVALID, "opening SSH session", options->address,
                         "there is no port %d", options->port);
    return 0;
}

static int read_private_key(const char *path, ssh_key *ret, struct error *err)
{
    int result = ssh_pki_import_privkey_file(path, NULL, NULL, NULL, ret);

    if (result == SSH_OK)
        return 0;
    if (access(path, R_OK) < 0)
        return error_set_errno(err, errno, "reading SSH key", path);
    return error_set(err, &general_error_domain, GENERAL_INVALID, "reading SSH key", path,
                     "it is no unencrypted private key");
}

static struct ssh_session *new_session(const struct ssh_session_options *options, int wake_fd)
{
    struct ssh_session *session = NEW(struct ssh_session);
    pthread_condattr_t monotonic;

    session->options = *options;
    session->options.address = text_copy(options->address);
    session->options.user = text_copy(options->user);
    session->options.private_key = NULL;
    session->options.host_key = text_copy(options->host_key);
    session->options.known_hosts = text_copy(options->known_hosts);
    session->options.port = options->port ? options->port : SSH_PORT;
    session->options.keepalive_ms = options->keepalive_ms > 0 ? options->keepalive_ms : KEEPALIVE_MS;
    session->name = text_format("%s@%s", options->user, options->address);
    session->wake_fd = wake_fd;
    pthread_mutex_init(&session->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&session->opened_or_failed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return session;
}

/** End the I/O thread; every operation has its error then. */
static void stop_thread(struct ssh_session *session)
{
    if (!session->has_thread)
        return;
    pthread_mutex_lock(&session->lock);
    session->closing = true;
    pthread_mutex_unlock(&session->lock);
    ssh_session_wake(session);
    pthread_join(session->thread, NULL);
    session->has_thread = false;
}

/** The thread is to get no signal: they are its program's, not ours. It inherits the mask it is created under. */
static int start_thread(struct ssh_session *session, struct error *err)
{
    sigset_t all;
    sigset_t before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int why = pthread_create(&session->thread, NULL, ssh_session_thread, session);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (why)
        return error_set_errno(err, why, "opening SSH session", session->name);
    session->has_thread = true;
    return 0;
}

int ssh_session_reopen(struct ssh_session *session, struct deadline deadline, struct error *err)
{
    stop_thread(session);
    session->opened = session->broken = session->closing = false;
    free(TAKE_PTR(session->why_broken));
    session->open_deadline = deadline;
    if (start_thread(session, err) < 0) {
        session->broken = true;
        session->why_broken = text_copy("it could not be opened");
        return -1;
    }
    pthread_mutex_lock(&session->lock);
    while (!session->opened && !error_is_set(&session->open_error))
        pthread_cond_wait(&session->opened_or_failed, &session->lock);
    bool opened = session->opened;
    if (!opened) {
        session->broken = true;
        session->why_broken = text_copy(error_root_detail(&session->open_error));
        error_move(err, &session->open_error);
    }
    pthread_mutex_unlock(&session->lock);
    return opened ? 0 : -1;
}

int ssh_session_open(const struct ssh_session_options *options, struct deadline deadline, struct ssh_session **ret,
                     struct error *err)
{
    CLEANUP(ssh_session_free) struct ssh_session *session = NULL;
    cleanup_close int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (check_options(options, err) < 0)
        return -1;
    if (wake_fd < 0)
        return error_set_errno(err, errno, "opening SSH session", options->address);
    session = new_session(options, TAKE_FD(wake_fd));
    if (read_private_key(options->private_key, &session->private_key, err) < 0 ||
        ssh_session_reopen(session, deadline, err) < 0)
        return -1;
    *ret = TAKE_PTR(session);
    return 0;
}

void ssh_session_free(struct ssh_session *session)
{
    if (!session)
        return;
    stop_thread(session);
    pthread_mutex_destroy(&session->lock);
    pthread_cond_destroy(&session->opened_or_failed);
    close_fd(session->wake_fd);
    ssh_key_free(session->private_key);
    free((char *)session->options.address);
    free((char *)session->options.user);
    free((char *)session->options.host_key);
    free((char *)session->options.known_hosts);
    free(session->why_broken);
    free(session->host_key);
    free(session->name);
    error_clear(&session->open_error);
    free(session);
}

const char *ssh_session_name(const struct ssh_session *session)
{
    return session->name;
}

const char *ssh_session_host_key(const struct ssh_session *session)
{
    return session->host_key;
}

bool ssh_session_is_open(struct ssh_session *session)
{
    pthread_mutex_lock(&session->lock);
    bool result = session->opened && !session->broken;
    pthread_mutex_unlock(&session->lock);
    return result;
}
