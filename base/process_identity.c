/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process_identity.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

pid_t process_number(const char *text)
{
    char *end = NULL;
    long number = isdigit((unsigned char)text[0]) ? strtol(text, &end, 10) : 0;

    return number > 0 && number <= INT_MAX ? (pid_t)number : 0;
}

/* Fields after the command's name, from 3 (state) on. See proc(5). */
enum { FIELD_STATE = 3, FIELD_PARENT = 4, FIELD_FLAGS = 9, FIELD_START = 22 };

/* Split "PID (comm) S ppid …": comm may hold blanks and parentheses, the last ")" ends it. */
static int parse_stat(char *line, struct process_stat *ret)
{
    char *open = strchr(line, '(');
    char *close = strrchr(line, ')');
    char *rest = NULL;
    int field = FIELD_STATE;

    if (!open || !close)
        return -1;
    *close = '\0';
    snprintf(ret->comm, sizeof(ret->comm), "%s", open + 1);
    for (char *word = strtok_r(close + 1, " ", &rest); word; word = strtok_r(NULL, " ", &rest), field++) {
        if (field == FIELD_STATE)
            ret->state = word[0];
        else if (field == FIELD_PARENT)
            ret->parent = process_number(word);
        else if (field == FIELD_FLAGS)
            ret->flags = (unsigned)strtoul(word, NULL, 10);
        else if (field == FIELD_START)
            ret->start = strtoull(word, NULL, 10);
    }
    return field > FIELD_START ? 0 : -1;
}

int process_stat_read(pid_t pid, struct process_stat *ret)
{
    char path[32];
    char line[1024];

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t size = read(fd, line, sizeof(line) - 1);
    if (size < 0)
        return -1;
    line[size] = '\0';
    if (parse_stat(line, ret) < 0) {
        errno = EBADMSG;
        return -1;
    }
    return 0;
}

int process_identity_of(pid_t pid, struct process_identity *ret, struct error *err)
{
    struct process_stat status;
    char subject[16];

    snprintf(subject, sizeof(subject), "%d", pid);
    if (process_stat_read(pid, &status) < 0)
        return error_set_errno(err, errno == ENOENT ? ESRCH : errno, "identifying process", subject);
    if (status.state == 'Z' || status.state == 'X')
        return error_set_errno(err, ESRCH, "identifying process", subject);
    *ret = (struct process_identity){pid, status.start};
    return 0;
}

bool process_identity_alive(const struct process_identity *identity)
{
    struct process_stat status;

    if (identity->pid <= 0 || process_stat_read(identity->pid, &status) < 0)
        return false;
    return status.start == identity->start && status.state != 'Z' && status.state != 'X';
}

int process_identity_open(const struct process_identity *identity)
{
    cleanup_close int fd = identity->pid > 0 ? pidfd_open(identity->pid, 0) : -1;

    /* The descriptor pins the process: if the number is still the right process now, so was it then. */
    if (fd < 0 || !process_identity_alive(identity))
        return -1;
    return TAKE_FD(fd);
}

void pidfd_kill(int pidfd, int signal)
{
    (void)pidfd_send_signal(pidfd, signal, NULL, 0);
}
