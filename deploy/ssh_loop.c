/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I/O thread of an SSH session: opens it, serves operations, keeps it alive, closes it.
 */
#include <libssh/server.h> /* ssh_send_keepalive() is declared there, for both sides */
#include <poll.h>
#include <sched.h>
#include <stdlib.h>

#include "deploy/ssh_session_model.h"

enum {
    SILENCES_MAX = 3, /* keepalive intervals without a byte */
    FLUSH_MS = 500,   /* for the last words to a host that is left */
};

static void break_session(struct ssh_session *session, const char *why)
{
    pthread_mutex_lock(&session->lock);
    if (!session->broken)
        session->why_broken = text_copy(why);
    session->broken = true;
    pthread_mutex_unlock(&session->lock);
}

static bool is_broken_or_closing(struct ssh_session *session)
{
    pthread_mutex_lock(&session->lock);
    bool result = session->broken || session->closing;
    pthread_mutex_unlock(&session->lock);
    return result;
}

bool ssh_session_is_connected(const struct ssh_session *session)
{
    return ssh_is_connected(session->libssh) && !(ssh_get_status(session->libssh) & (SSH_CLOSED | SSH_CLOSED_ERROR));
}

struct silence {
    uint64_t bytes;
    int64_t heard_ms;
    int64_t asked_ms;
};

/**
 * Ask a silent host for an answer, any answer, and give it up when none comes. Returns the milliseconds until this is to
 * be done again. libssh hands out the answer to a former question (a refusal) before it sends another: hence twice.
 */
static int keep_alive(struct ssh_session *session, struct silence *silence)
{
    int64_t now_ms = clock_monotonic_ms();
    int64_t interval_ms = session->options.keepalive_ms;

    if (session->heard.in_bytes != silence->bytes)
        *silence = (struct silence){session->heard.in_bytes, now_ms, now_ms};
    if (now_ms - silence->heard_ms >= SILENCES_MAX * interval_ms) {
        cleanup_free char *why = text_format("the host has not answered for %d ms", (int)(now_ms - silence->heard_ms));
        break_session(session, why);
        return 0;
    }
    if (now_ms - silence->asked_ms >= interval_ms) {
        ssh_send_keepalive(session->libssh);
        ssh_send_keepalive(session->libssh);
        silence->asked_ms = now_ms;
    }
    return (int)(silence->asked_ms + interval_ms - now_ms);
}

static int on_wake(socket_t fd, int events, void *context)
{
    struct ssh_session *session = context;
    eventfd_t count;

    (void)events;
    eventfd_read(fd, &count);
    session->moved = true; /* libssh may call this in the middle of a round, from wherever it takes in packets */
    return 0;
}

static void serve(struct ssh_session *session)
{
    struct silence silence = {.heard_ms = clock_monotonic_ms(), .asked_ms = clock_monotonic_ms()};

    while (!is_broken_or_closing(session)) {
        ssh_operations_step(session);
        int wait_ms = ssh_operations_idle_ms(session, keep_alive(session, &silence));
        /* Asked first: the end may have been found in the last step, and the socket is not watched any more then. */
        if (!ssh_session_is_connected(session) || ssh_event_dopoll(session->event, wait_ms) == SSH_ERROR)
            break_session(session, ssh_get_error(session->libssh));
    }
}

static int start(struct ssh_session *session, struct error *err)
{
    int namespace = session->options.network_namespace;

    if (namespace > 0 && setns(namespace, CLONE_NEWNET) < 0) /* moves this thread only */
        return error_set_errno(err, errno, "entering the network namespace of", session->name);
    if (ssh_session_connect(session, err) < 0)
        return -1;
    session->event = ssh_event_new();
    if (!session->event || ssh_event_add_session(session->event, session->libssh) != SSH_OK ||
        ssh_event_add_fd(session->event, session->wake_fd, POLLIN, on_wake, session) != SSH_OK)
        return error_set(err, &ssh_error_domain, SSH_UNREACHABLE, "opening SSH session", session->name,
                         "libssh cannot watch it");
    return 0;
}

static void stop(struct ssh_session *session)
{
    if (session->event && ssh_session_is_connected(session))
        ssh_blocking_flush(session->libssh, FLUSH_MS);
    if (session->event && session->libssh)
        ssh_event_remove_session(session->event, session->libssh);
    if (session->libssh) {
        ssh_disconnect(session->libssh);
        ssh_free(TAKE_PTR(session->libssh));
    }
    if (session->event) {
        ssh_event_remove_fd(session->event, session->wake_fd);
        ssh_event_free(TAKE_PTR(session->event));
    }
}

void *ssh_session_thread(void *context)
{
    struct ssh_session *session = context;
    cleanup_error struct error err = ERROR_INIT;
    bool opened = start(session, &err) == 0;

    pthread_mutex_lock(&session->lock);
    session->opened = opened;
    if (!opened)
        error_move(&session->open_error, &err);
    pthread_cond_signal(&session->opened_or_failed);
    pthread_mutex_unlock(&session->lock);
    if (opened) {
        serve(session);
        break_session(session, "it was closed");
        ssh_operations_end(session);
    }
    stop(session);
    return NULL;
}
