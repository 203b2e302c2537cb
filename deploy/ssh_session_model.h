/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Internal to ssh_session: what its files share, and who may touch what.
 *
 *   callers (ssh_run.c)                          I/O thread (ssh_loop.c, ssh_operations.c)
 *     submit ──────────── submitted ───────────▶   queued ─▶ opening ─▶ requesting ─▶ running ─▶ (finished)
 *     take what arrived ◀── arrived, finished ──     │          │            │           │
 *     abandon ─────────── abandoned ───────────▶     └──────────┴────────────┴───────────┴─▶ (finished)
 *
 * Everything between the columns is guarded by the session's lock; the wake-up of the I/O thread is `wake_fd`, that of a
 * caller its operation's condition. An operation lives on its caller's stack: the caller waits until it is finished,
 * which the I/O thread, which never blocks, says at once also of an abandoned one.
 */

#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "base/text.h"
#include "deploy/ssh_session.h"

/** What is kept of one stream for a caller that is slow to take it; beyond that the host waits. */
#define SSH_ARRIVED_MAX (256u << 10)
#define SSH_STREAMS     2

enum ssh_operation_state {
    SSH_OPERATION_QUEUED,     /**< waits for one of SSH_OPERATIONS_MAX places */
    SSH_OPERATION_OPENING,    /**< the channel is being opened */
    SSH_OPERATION_REQUESTING, /**< the host is being asked to run the command */
    SSH_OPERATION_RUNNING,
};

struct ssh_operation {
    /* set by the caller, then read by the I/O thread until it is finished */
    const char *command;
    const char *input;
    size_t input_size;

    /* guarded by the session's lock */
    struct text_buffer arrived[SSH_STREAMS];
    bool abandoned; /**< by the caller */
    bool finished;  /**< the I/O thread does not know it any more */
    bool ended;     /**< finished because the command ended: exit_code and signal stand */
    int exit_code;
    char *signal;       /**< owned */
    struct error error; /**< why it failed, unless it ended or was abandoned */
    pthread_cond_t changed;

    /* the I/O thread's */
    enum ssh_operation_state state;
    int64_t refused_ms; /**< since when the host opens no channel for it, 0: it has not been asked, or did */
    int64_t retry_ms;   /**< when to ask again */
    ssh_channel channel;
    struct ssh_channel_callbacks_struct callbacks;
    size_t input_sent;
    bool input_ended;
    bool closed;       /**< by the host: nothing more comes but what libssh has already */
    bool told;         /**< the host said how the command ended */
    int told_code;     /**< -1: by told_signal */
    char *told_signal; /**< owned */
    struct ssh_operation *next;
};

/** The channel of an operation abandoned before the host had answered: it is closed once it has. */
struct ssh_orphan {
    ssh_channel channel;            /**< NULL: a free place */
    enum ssh_operation_state state; /**< OPENING or REQUESTING */
};

struct ssh_session {
    struct ssh_session_options options; /**< its strings are owned */
    char *name;                         /**< "user@address" */
    ssh_key private_key;
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t lock;
    pthread_cond_t opened_or_failed;
    int wake_fd; /**< eventfd: something below `lock` changed for the I/O thread */
    /* guarded by lock */
    struct ssh_operation *submitted; /**< oldest first */
    bool opened, broken, closing;
    char *why_broken;
    struct error open_error;

    /* the I/O thread's; host_key is written before `opened` and read after it */
    struct deadline open_deadline;
    ssh_session libssh;
    ssh_event event;
    struct ssh_counter_struct heard, packets; /**< bytes of the socket; packets taken apart */
    bool moved; /**< an operation changed its state, or a caller wants something: there may be more to do */
    struct ssh_operation *operations; /**< oldest first */
    struct ssh_orphan orphans[SSH_OPERATIONS_MAX];
    char *host_key;
};

/** Have the I/O thread look again. Thread-safe. */
static inline void ssh_session_wake(const struct ssh_session *session)
{
    eventfd_write(session->wake_fd, 1); /* fails when the counter is full: then it is awake */
}

/** In the I/O thread: is there a host still? */
bool ssh_session_is_connected(const struct ssh_session *session);
/**
 * In the I/O thread: take in what was handed in, and go over all operations until there is nothing to do but wait. A
 * packet for one operation may be taken in while another one is looked at, so they are gone over until a round took in
 * no packet and changed nothing.
 */
void ssh_operations_step(struct ssh_session *session);
/** How long to wait at most, at most `most_ms`: an operation may have to try again. */
int ssh_operations_idle_ms(const struct ssh_session *session, int most_ms);
/** Nothing can be handed in any more: say so to everybody who waits. */
void ssh_operations_end(struct ssh_session *session);

/** The I/O thread: connect, then serve operations until the session is closed or broken (ssh_loop.c). */
void *ssh_session_thread(void *context);
/** In the I/O thread: make session->libssh a session that is ready to use (ssh_connect.c). */
MUST_CHECK int ssh_session_connect(struct ssh_session *session, struct error *err);
