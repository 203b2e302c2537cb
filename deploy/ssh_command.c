/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/ssh_command.h"

#include <inttypes.h>
#include <string.h>

/* MAX_ARG_STRLEN of Linux (include/uapi/linux/binfmts.h), for the whole line is one argument of the user's shell. */
#define LINE_MAX_SIZE (128u << 10)

/* After the caller's own deadline, so that it is always the caller who says that time is up. */
#define REMOTE_SLACK_MS 1000
#define KILL_AFTER_S    2

void ssh_quote(struct text_buffer *line, const char *word)
{
    text_buffer_add(line, "'");
    for (const char *at = word; *at; at++) {
        if (*at == '\'')
            text_buffer_add(line, "'\\''");
        else
            text_buffer_append(line, at, 1);
    }
    text_buffer_add(line, "'");
}

static int check_assignment(const char *assignment, struct error *err)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    size_t size = strspn(assignment, letters);

    if (size == 0 || assignment[size] != '=' || (assignment[0] >= '0' && assignment[0] <= '9'))
        return error_set(err, &general_error_domain, GENERAL_INVALID, "setting environment", assignment,
                         "it is not NAME=value");
    return 0;
}

static int add_environment(struct text_buffer *line, const char *const *environment, struct error *err)
{
    if (!environment || !*environment)
        return 0;
    text_buffer_add(line, "env ");
    for (; *environment; environment++) {
        if (check_assignment(*environment, err) < 0)
            return -1;
        ssh_quote(line, *environment);
        text_buffer_add(line, " ");
    }
    return 0;
}

/** Without a limit it is there all the same: a SIGTERM by way of sshd is followed by SIGKILL only with it. */
static void add_timeout(struct text_buffer *line, struct deadline deadline)
{
    int64_t limit_ms = 0; /* timeout(1): no limit */

    if (deadline.at_ms != DEADLINE_NEVER.at_ms) {
        int64_t left_ms = deadline.at_ms - clock_monotonic_ms();
        limit_ms = (left_ms > 0 ? left_ms : 0) + REMOTE_SLACK_MS;
    }
    text_buffer_format(line, "timeout -k %d %" PRId64 ".%03d", KILL_AFTER_S, limit_ms / 1000, (int)(limit_ms % 1000));
}

int ssh_command_line(const struct ssh_command *command, bool sudo, struct deadline deadline, char **ret,
                     struct error *err)
{
    cleanup_text_buffer struct text_buffer line = {0};

    if (!command->argv || !command->argv[0] || !*command->argv[0])
        return error_set(err, &general_error_domain, GENERAL_INVALID, "running", NULL, "there is no command");
    text_buffer_add(&line, "exec "); /* the process sshd knows, and so signals, is then the program itself */
    if (sudo)
        text_buffer_add(&line, "sudo -n -- ");
    if (add_environment(&line, command->environment, err) < 0)
        return -1;
    add_timeout(&line, deadline);
    for (const char *const *word = command->argv; *word; word++) {
        text_buffer_add(&line, " ");
        ssh_quote(&line, *word);
    }
    if (line.size >= LINE_MAX_SIZE)
        return error_set(err, &general_error_domain, GENERAL_TOO_LARGE, "running", command->argv[0],
                         "its command line has %zu bytes, more than %u", line.size, LINE_MAX_SIZE - 1);
    *ret = text_buffer_take(&line);
    return 0;
}
