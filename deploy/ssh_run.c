/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running a command over an SSH session, the caller's side.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "deploy/ssh_command.h"
#include "deploy/ssh_session_model.h"

enum { TAIL_BYTES = 1024 /* of stderr, in an error */ };

/** What a command wrote, where nobody streams it. */
struct collected {
    struct text_buffer streams[SSH_STREAMS];
    bool truncated;
};

static void collected_clear_at_exit(struct collected *collected)
{
    for (size_t i = 0; i < SSH_STREAMS; i++)
        text_buffer_clear(&collected->streams[i]);
}
#define cleanup_collected __attribute__((cleanup(collected_clear_at_exit)))

static void operation_clear_at_exit(struct ssh_operation *operation)
{
    for (size_t i = 0; i < SSH_STREAMS; i++)
        text_buffer_clear(&operation->arrived[i]);
    pthread_cond_destroy(&operation->changed);
    error_clear(&operation->error);
    free(operation->signal);
}
#define cleanup_operation __attribute__((cleanup(operation_clear_at_exit)))

void ssh_result_clear(struct ssh_result *result)
{
    free(result->signal);
    free(result->output);
    free(result->errors);
    *result = (struct ssh_result){0};
}

static void initialise(struct ssh_operation *operation)
{
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&operation->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static int submit(struct ssh_session *session, struct ssh_operation *operation, struct error *err)
{
    struct ssh_operation **end = &session->submitted;
    int result = 0;

    pthread_mutex_lock(&session->lock);
    if (session->broken) {
        result =
            error_set(err, &ssh_error_domain, SSH_DISCONNECTED, "talking to", session->name, "%s", session->why_broken);
    } else {
        while (*end)
            end = &(*end)->next;
        *end = operation;
    }
    pthread_mutex_unlock(&session->lock);
    ssh_session_wake(session);
    return result;
}

static void collect(struct collected *collected, enum ssh_stream stream, const struct text_buffer *piece)
{
    struct text_buffer *kept = &collected->streams[stream];
    size_t room = SSH_OUTPUT_MAX - kept->size;

    if (piece->size > room)
        collected->truncated = true;
    text_buffer_append(kept, text_buffer_text(piece), piece->size < room ? piece->size : room);
}

/** Hand on what has arrived. Called and left with the lock held, but not while the caller's callback runs. */
static int deliver(struct ssh_session *session, struct ssh_operation *operation, const struct ssh_command *command,
                   struct collected *collected, struct error *err)
{
    int result = 0;

    for (enum ssh_stream stream = 0; stream < SSH_STREAMS && result == 0; stream++) {
        cleanup_text_buffer struct text_buffer piece = operation->arrived[stream];

        operation->arrived[stream] = (struct text_buffer){0};
        if (piece.size == 0)
            continue;
        pthread_mutex_unlock(&session->lock);
        ssh_session_wake(session); /* there is room again */
        if (command->on_output)
            result = command->on_output(command->context, stream, piece.data, piece.size, err);
        else
            collect(collected, stream, &piece);
        pthread_mutex_lock(&session->lock);
    }
    return result;
}

static void wait_for_change(struct ssh_session *session, struct ssh_operation *operation, struct deadline deadline)
{
    struct timespec until = {.tv_sec = deadline.at_ms / 1000, .tv_nsec = deadline.at_ms % 1000 * 1000000};

    if (deadline.at_ms == DEADLINE_NEVER.at_ms)
        pthread_cond_wait(&operation->changed, &session->lock);
    else
        pthread_cond_timedwait(&operation->changed, &session->lock, &until);
}

static bool has_arrived(const struct ssh_operation *operation)
{
    return operation->arrived[SSH_STANDARD_OUTPUT].size > 0 || operation->arrived[SSH_STANDARD_ERROR].size > 0;
}

/** Returns 0 when the command ended, 1 at the deadline, -1 with *err set when a callback gave it up. */
static int follow(struct ssh_session *session, struct ssh_operation *operation, const struct ssh_command *command,
                  struct deadline deadline, struct collected *collected, struct error *err)
{
    int result = 0;

    pthread_mutex_lock(&session->lock);
    while (result == 0 && (!operation->finished || has_arrived(operation))) {
        if (has_arrived(operation))
            result = deliver(session, operation, command, collected, err);
        else if (!operation->finished)
            wait_for_change(session, operation, deadline);
        if (result == 0 && !operation->finished && deadline_passed(deadline))
            result = 1;
    }
    operation->abandoned = result != 0;
    if (!operation->finished)
        ssh_session_wake(session);
    while (!operation->finished)
        wait_for_change(session, operation, DEADLINE_NEVER);
    pthread_mutex_unlock(&session->lock);
    return result;
}

/** The last lines of `text` on one line. Caller frees. */
static char *last_lines(const char *text)
{
    cleanup_text_buffer struct text_buffer joined = {0};
    size_t size = strlen(text);
    const char *begin = size > TAIL_BYTES ? text + size - TAIL_BYTES : text;

    if (begin > text && strchr(begin, '\n'))
        begin = strchr(begin, '\n') + 1;
    cleanup_free char *copy = text_copy(begin);
    for (char *rest = copy, *line; (line = strsep(&rest, "\r\n"));) {
        if (*line)
            text_buffer_format(&joined, "%s%s", joined.size ? "; " : "", line);
    }
    return text_buffer_take(&joined);
}

static int set_timed_out(const struct ssh_session *session, const struct ssh_command *command, int64_t began_ms,
                         const struct collected *collected, struct error *err)
{
    cleanup_free char *subject = text_format("%s on %s", command->argv[0], session->name);
    cleanup_free char *words = last_lines(text_buffer_text(&collected->streams[SSH_STANDARD_ERROR]));

    return error_set(err, &ssh_error_domain, SSH_TIMED_OUT, "running", subject, "given up after %d ms%s%s",
                     (int)(clock_monotonic_ms() - began_ms), *words ? ": " : "", words);
}

static void take_result(struct ssh_operation *operation, const struct ssh_command *command, struct collected *collected,
                        struct ssh_result *ret)
{
    struct text_buffer *streams = collected->streams;

    *ret = (struct ssh_result){
        .exit_code = operation->exit_code,
        .signal = TAKE_PTR(operation->signal),
        .truncated = collected->truncated,
        .output_size = streams[SSH_STANDARD_OUTPUT].size,
    };
    if (!command->on_output) {
        ret->output = text_buffer_take(&streams[SSH_STANDARD_OUTPUT]);
        ret->errors = text_buffer_take(&streams[SSH_STANDARD_ERROR]);
    }
}

int ssh_session_run(struct ssh_session *session, const struct ssh_command *command, struct deadline deadline,
                    struct ssh_result *ret, struct error *err)
{
    cleanup_operation struct ssh_operation operation = {.told_code = -1};
    cleanup_collected struct collected collected = {0};
    bool sudo = command->as_root && !text_equal(session->options.user, "root");
    cleanup_free char *line = NULL;
    int64_t began_ms = clock_monotonic_ms();

    initialise(&operation);
    if (ssh_command_line(command, sudo, deadline, &line, err) < 0)
        return -1;
    operation.command = line;
    operation.input = command->input;
    operation.input_size = command->input ? command->input_size : 0;
    if (submit(session, &operation, err) < 0)
        return error_wrap(err, "running", command->argv[0]);
    int gave_up = follow(session, &operation, command, deadline, &collected, err);
    if (gave_up < 0)
        return error_wrap(err, "running", command->argv[0]);
    if (gave_up > 0)
        return set_timed_out(session, command, began_ms, &collected, err);
    if (!operation.ended) {
        error_move(err, &operation.error);
        return error_wrap(err, "running", command->argv[0]);
    }
    take_result(&operation, command, &collected, ret);
    return 0;
}

int ssh_session_run_checked(struct ssh_session *session, const struct ssh_command *command, struct deadline deadline,
                            struct ssh_result *ret, struct error *err)
{
    cleanup_ssh_result struct ssh_result result = {0};

    if (ssh_session_run(session, command, deadline, &result, err) < 0)
        return -1;
    if (result.signal || result.exit_code != 0) {
        cleanup_free char *subject = text_format("%s on %s", command->argv[0], session->name);
        cleanup_free char *words = last_lines(result.errors ? result.errors : "");
        cleanup_free char *end = result.signal ? text_format("ended by SIG%s", result.signal)
                                               : text_format("exit code %d", result.exit_code);
        return error_set(err, &ssh_error_domain, SSH_REMOTE_FAILED, "running", subject, "%s%s%s", end,
                         *words ? ": " : "", words);
    }
    if (ret) {
        *ret = result;
        result = (struct ssh_result){0};
    }
    return 0;
}
