/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I/O thread of an SSH session. libssh is used in its non-blocking mode only: a call either does something now or
 * says SSH_AGAIN and is repeated after the next packet. A packet for one operation may be taken in while another one is
 * looked at, so the operations are gone over until a round took in no packet; only then is there nothing to do but wait.
 */
#include <libssh/server.h> /* ssh_send_keepalive() is declared there, for both sides */
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "deploy/ssh_session_model.h"

enum {
    READ_SIZE = 32 << 10,
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

static bool is_connected(const struct ssh_session *session)
{
    return ssh_is_connected(session->libssh) && !(ssh_get_status(session->libssh) & (SSH_CLOSED | SSH_CLOSED_ERROR));
}

/* The end of an operation */

static void unlink_operation(struct ssh_session *session, const struct ssh_operation *operation)
{
    struct ssh_operation **link = &session->operations;

    while (*link != operation)
        link = &(*link)->next;
    *link = operation->next;
}

/** Hand it back. From here on it may be gone at any moment. */
static void publish(struct ssh_session *session, struct ssh_operation *operation, bool ended)
{
    unlink_operation(session, operation);
    pthread_mutex_lock(&session->lock);
    operation->finished = true;
    operation->ended = ended;
    operation->exit_code = operation->told_code;
    operation->signal = TAKE_PTR(operation->told_signal);
    pthread_cond_signal(&operation->changed);
    pthread_mutex_unlock(&session->lock);
}

static ssh_channel take_channel(struct ssh_operation *operation)
{
    if (operation->state > SSH_OPERATION_OPENING)
        ssh_remove_channel_callbacks(operation->channel, &operation->callbacks);
    return TAKE_PTR(operation->channel);
}

static void fail_operation(struct ssh_session *session, struct ssh_operation *operation, enum ssh_error code,
                           const char *detail)
{
    error_set(&operation->error, &ssh_error_domain, code, "talking to", session->name, "%s", detail);
    ssh_channel_free(take_channel(operation));
    publish(session, operation, false);
}

/** libssh failed at something: because the host refused it, or because there is no host any more. */
static void fail_as_libssh_says(struct ssh_session *session, struct ssh_operation *operation)
{
    fail_operation(session, operation, is_connected(session) ? SSH_REMOTE_FAILED : SSH_DISCONNECTED,
                   ssh_get_error(session->libssh));
}

/** sshd sends the signal to the process group it started for the channel. */
static void end_command(ssh_channel channel)
{
    ssh_channel_request_send_signal(channel, "TERM");
    ssh_channel_free(channel); /* closes it; libssh keeps what it needs until the host has closed it too */
}

static void adopt(struct ssh_session *session, ssh_channel channel, enum ssh_operation_state state)
{
    for (size_t i = 0; i < ARRAY_SIZE(session->orphans); i++) {
        if (!session->orphans[i].channel) {
            session->orphans[i] = (struct ssh_orphan){channel, state};
            return;
        }
    }
}

static void abandon_operation(struct ssh_session *session, struct ssh_operation *operation)
{
    ssh_channel channel = take_channel(operation);

    if (operation->state == SSH_OPERATION_RUNNING)
        end_command(channel);
    else if (channel)
        adopt(session, channel, operation->state); /* there is a place: it counts as an operation until now */
    publish(session, operation, false);
}

static void step_orphan(struct ssh_orphan *orphan)
{
    if (orphan->state == SSH_OPERATION_OPENING) {
        if (ssh_channel_open_session(orphan->channel) != SSH_AGAIN)
            ssh_channel_free(TAKE_PTR(orphan->channel));
    } else if (ssh_channel_request_exec(orphan->channel, "") != SSH_AGAIN) { /* only asks for the answer */
        end_command(TAKE_PTR(orphan->channel));
    }
}

/* What libssh tells about a channel */

static void on_exit_status(ssh_session libssh, ssh_channel channel, int exit_status, void *context)
{
    struct ssh_operation *operation = context;

    (void)libssh;
    (void)channel;
    operation->told = true;
    operation->told_code = exit_status;
}

static void on_exit_signal(ssh_session libssh, ssh_channel channel, const char *signal, int core, const char *message,
                           const char *language, void *context)
{
    struct ssh_operation *operation = context;

    (void)libssh;
    (void)channel;
    (void)core;
    (void)message;
    (void)language;
    operation->told = true;
    operation->told_code = -1;
    free(operation->told_signal);
    operation->told_signal = text_copy(signal);
}

static void on_close(ssh_session libssh, ssh_channel channel, void *context)
{
    struct ssh_operation *operation = context;

    (void)libssh;
    (void)channel;
    operation->closed = true;
}

/* A command that runs */

static int write_input(struct ssh_operation *operation)
{
    while (!operation->closed && operation->input_sent < operation->input_size) {
        size_t left = operation->input_size - operation->input_sent;
        uint32_t window = ssh_channel_window_size(operation->channel);
        uint32_t size = left < window ? (uint32_t)left : window;
        int written = size ? ssh_channel_write(operation->channel, operation->input + operation->input_sent, size) : 0;

        if (written < 0)
            return -1;
        if (written == 0)
            return 0; /* until the host's window grows */
        operation->input_sent += (size_t)written;
    }
    if (!operation->input_ended && !operation->closed) {
        operation->input_ended = true;
        return ssh_channel_send_eof(operation->channel) == SSH_ERROR ? -1 : 0;
    }
    return 0;
}

/** Take what is there, as far as there is room. True when nothing is left. */
static bool read_stream(struct ssh_session *session, struct ssh_operation *operation, enum ssh_stream stream)
{
    char buffer[READ_SIZE];

    for (;;) {
        pthread_mutex_lock(&session->lock);
        size_t used = operation->arrived[stream].size;
        pthread_mutex_unlock(&session->lock);
        if (used >= SSH_ARRIVED_MAX)
            return false;
        size_t room = SSH_ARRIVED_MAX - used;
        int size = ssh_channel_read_nonblocking(operation->channel, buffer,
                                                (uint32_t)(room < sizeof(buffer) ? room : sizeof(buffer)),
                                                stream == SSH_STANDARD_ERROR);
        if (size <= 0)
            return true;
        pthread_mutex_lock(&session->lock);
        text_buffer_append(&operation->arrived[stream], buffer, (size_t)size);
        pthread_cond_signal(&operation->changed);
        pthread_mutex_unlock(&session->lock);
    }
}

static void step_running(struct ssh_session *session, struct ssh_operation *operation)
{
    bool closed = operation->closed; /* asked before reading: what came with the closing is then read too */

    if (write_input(operation) < 0 && !operation->closed) {
        fail_as_libssh_says(session, operation);
        return;
    }
    bool empty = read_stream(session, operation, SSH_STANDARD_OUTPUT);
    empty = read_stream(session, operation, SSH_STANDARD_ERROR) && empty;
    if (!closed || !empty)
        return;
    if (!operation->told) {
        fail_operation(session, operation, SSH_REMOTE_FAILED, "the host did not say how the command ended");
        return;
    }
    ssh_channel_free(take_channel(operation));
    publish(session, operation, true);
}

/* From submitted to running */

static size_t places_taken(const struct ssh_session *session)
{
    size_t count = 0;

    for (const struct ssh_operation *operation = session->operations; operation; operation = operation->next)
        count += operation->state != SSH_OPERATION_QUEUED;
    for (size_t i = 0; i < ARRAY_SIZE(session->orphans); i++)
        count += session->orphans[i].channel != NULL;
    return count;
}

static void step_queued(struct ssh_session *session, struct ssh_operation *operation)
{
    if (places_taken(session) == SSH_OPERATIONS_MAX)
        return;
    operation->channel = ssh_channel_new(session->libssh);
    if (operation->channel)
        operation->state = SSH_OPERATION_OPENING;
    else
        fail_as_libssh_says(session, operation);
}

static void step_opening(struct ssh_session *session, struct ssh_operation *operation)
{
    int result = ssh_channel_open_session(operation->channel);

    if (result == SSH_AGAIN)
        return;
    if (result != SSH_OK) {
        fail_as_libssh_says(session, operation);
        return;
    }
    operation->callbacks = (struct ssh_channel_callbacks_struct){
        .userdata = operation,
        .channel_exit_status_function = on_exit_status,
        .channel_exit_signal_function = on_exit_signal,
        .channel_close_function = on_close,
    };
    ssh_callbacks_init(&operation->callbacks);
    ssh_add_channel_callbacks(operation->channel, &operation->callbacks);
    operation->state = SSH_OPERATION_REQUESTING;
}

static void step_requesting(struct ssh_session *session, struct ssh_operation *operation)
{
    int result = ssh_channel_request_exec(operation->channel, operation->command);

    if (result == SSH_OK)
        operation->state = SSH_OPERATION_RUNNING;
    else if (result != SSH_AGAIN)
        fail_as_libssh_says(session, operation);
}

/** One step of each operation, as its state says; one that fails because the session broke is told so afterwards. */
static void step_all(struct ssh_session *session)
{
    static void (*const steps[])(struct ssh_session *, struct ssh_operation *) = {
        [SSH_OPERATION_QUEUED] = step_queued,
        [SSH_OPERATION_OPENING] = step_opening,
        [SSH_OPERATION_REQUESTING] = step_requesting,
        [SSH_OPERATION_RUNNING] = step_running,
    };

    for (size_t i = 0; i < ARRAY_SIZE(session->orphans); i++) {
        if (session->orphans[i].channel)
            step_orphan(&session->orphans[i]);
    }
    for (struct ssh_operation *operation = session->operations, *next; operation; operation = next) {
        next = operation->next;
        pthread_mutex_lock(&session->lock);
        bool abandoned = operation->abandoned;
        pthread_mutex_unlock(&session->lock);
        if (abandoned)
            abandon_operation(session, operation);
        else
            steps[operation->state](session, operation);
    }
}

static void take_submitted(struct ssh_session *session)
{
    struct ssh_operation **end = &session->operations;

    while (*end)
        end = &(*end)->next;
    pthread_mutex_lock(&session->lock);
    *end = TAKE_PTR(session->submitted);
    pthread_mutex_unlock(&session->lock);
}

/* The life of a session */

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
    eventfd_t count;

    (void)events;
    (void)context;
    eventfd_read(fd, &count); /* being awake is all there is to it */
    return 0;
}

static void serve(struct ssh_session *session)
{
    struct silence silence = {.heard_ms = clock_monotonic_ms(), .asked_ms = clock_monotonic_ms()};

    while (!is_broken_or_closing(session)) {
        uint64_t packets;
        do {
            packets = session->packets.in_packets;
            take_submitted(session);
            step_all(session);
        } while (session->packets.in_packets != packets);
        int wait_ms = keep_alive(session, &silence);
        if (ssh_event_dopoll(session->event, wait_ms) == SSH_ERROR || !is_connected(session))
            break_session(session, ssh_get_error(session->libssh));
    }
}

/** Nothing can be handed in any more: say so to everybody who waits. */
static void end_operations(struct ssh_session *session)
{
    take_submitted(session);
    while (session->operations) {
        struct ssh_operation *operation = session->operations;

        if (operation->state == SSH_OPERATION_RUNNING && is_connected(session))
            ssh_channel_request_send_signal(operation->channel, "TERM");
        fail_operation(session, operation, SSH_DISCONNECTED, session->why_broken);
    }
    for (size_t i = 0; i < ARRAY_SIZE(session->orphans); i++)
        ssh_channel_free(TAKE_PTR(session->orphans[i].channel));
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
        ssh_event_add_fd(session->event, session->wake_fd, POLLIN, on_wake, NULL) != SSH_OK)
        return error_set(err, &ssh_error_domain, SSH_UNREACHABLE, "opening SSH session", session->name,
                         "libssh cannot watch it");
    return 0;
}

static void stop(struct ssh_session *session)
{
    if (session->event && is_connected(session))
        ssh_blocking_flush(session->libssh, FLUSH_MS);
    if (session->event && session->libssh)
        ssh_event_remove_session(session->event, session->libssh);
    if (session->libssh) {
        ssh_disconnect(session->libssh);
        ssh_free(TAKE_PTR(session->libssh));
    }
    if (session->event)
        ssh_event_free(TAKE_PTR(session->event));
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
        end_operations(session);
    }
    stop(session);
    return NULL;
}
