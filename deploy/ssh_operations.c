/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations of an SSH session, in its I/O thread: from handed in to handed back. libssh is used in its non-blocking
 * mode only: a call either does something now or says SSH_AGAIN and is repeated after the next packet.
 */
#include <stdlib.h>

#include "deploy/ssh_session_model.h"

enum {
    READ_SIZE = 32 << 10,
    REFUSED_MS = 5000, /* how long it may be that commands given up still occupy the host's channels */
    RETRY_MS = 20,
};

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
    session->moved = true; /* its place is free */
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
    fail_operation(session, operation, ssh_session_is_connected(session) ? SSH_REMOTE_FAILED : SSH_DISCONNECTED,
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

static void step_orphan(struct ssh_session *session, struct ssh_orphan *orphan)
{
    if (orphan->state == SSH_OPERATION_OPENING) {
        if (ssh_channel_open_session(orphan->channel) != SSH_AGAIN)
            ssh_channel_free(TAKE_PTR(orphan->channel));
    } else if (ssh_channel_request_exec(orphan->channel, "") != SSH_AGAIN) { /* only asks for the answer */
        end_command(TAKE_PTR(orphan->channel));
    }
    session->moved = session->moved || !orphan->channel;
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

static void enter(struct ssh_session *session, struct ssh_operation *operation, enum ssh_operation_state state)
{
    operation->state = state;
    session->moved = true;
}

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
    if (places_taken(session) == SSH_OPERATIONS_MAX || operation->retry_ms > clock_monotonic_ms())
        return;
    operation->channel = ssh_channel_new(session->libssh);
    if (operation->channel)
        enter(session, operation, SSH_OPERATION_OPENING);
    else
        fail_as_libssh_says(session, operation);
}

/** The host opens no channel: it has too many, perhaps, and that passes. */
static void queue_again(struct ssh_session *session, struct ssh_operation *operation)
{
    int64_t now_ms = clock_monotonic_ms();

    if (operation->refused_ms == 0)
        operation->refused_ms = now_ms;
    if (now_ms - operation->refused_ms >= REFUSED_MS || !ssh_session_is_connected(session)) {
        fail_as_libssh_says(session, operation);
        return;
    }
    ssh_channel_free(take_channel(operation));
    operation->retry_ms = now_ms + RETRY_MS;
    enter(session, operation, SSH_OPERATION_QUEUED);
}

static void step_opening(struct ssh_session *session, struct ssh_operation *operation)
{
    int result = ssh_channel_open_session(operation->channel);

    if (result == SSH_AGAIN)
        return;
    if (result != SSH_OK) {
        queue_again(session, operation);
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
    enter(session, operation, SSH_OPERATION_REQUESTING);
}

static void step_requesting(struct ssh_session *session, struct ssh_operation *operation)
{
    int result = ssh_channel_request_exec(operation->channel, operation->command);

    if (result == SSH_OK)
        enter(session, operation, SSH_OPERATION_RUNNING);
    else if (result != SSH_AGAIN)
        fail_as_libssh_says(session, operation);
}

/** How long nothing is to be done but what the socket or a caller says; `most_ms` where nothing waits for its time. */
int ssh_operations_idle_ms(const struct ssh_session *session, int most_ms)
{
    for (const struct ssh_operation *operation = session->operations; operation; operation = operation->next) {
        if (operation->state == SSH_OPERATION_QUEUED && operation->retry_ms && most_ms > RETRY_MS)
            most_ms = RETRY_MS;
    }
    return most_ms;
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
            step_orphan(session, &session->orphans[i]);
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

void ssh_operations_step(struct ssh_session *session)
{
    uint64_t packets;

    do {
        packets = session->packets.in_packets;
        session->moved = false;
        take_submitted(session);
        step_all(session);
    } while (session->moved || session->packets.in_packets != packets);
}

void ssh_operations_end(struct ssh_session *session)
{
    take_submitted(session);
    while (session->operations) {
        struct ssh_operation *operation = session->operations;

        if (operation->state == SSH_OPERATION_RUNNING && ssh_session_is_connected(session))
            ssh_channel_request_send_signal(operation->channel, "TERM");
        fail_operation(session, operation, SSH_DISCONNECTED, session->why_broken);
    }
    for (size_t i = 0; i < ARRAY_SIZE(session->orphans); i++)
        ssh_channel_free(TAKE_PTR(session->orphans[i].channel));
}
