/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/credentials.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/text.h"

#define CREDENTIAL_TEXT_MAX 256  /* bytes of a user name or password */
#define GROUPS_MAX          64   /* of this process that are looked at */
#define SECRET_FILE_MAX     4096 /* bytes of a secret's file; a token will fit too */

static const char *auth_code_name(int code)
{
    switch ((enum auth_error)code) {
    case AUTH_INSECURE_FILE:
        return "insecure-file";
    case AUTH_INVALID:
        return "invalid";
    }
    return "unknown";
}

const struct error_domain auth_error_domain = {"auth", auth_code_name};

/** Overwrite and free a secret, so that it does not linger in freed memory. */
static void secret_free(char *secret)
{
    if (!secret)
        return;
    explicit_bzero(secret, strlen(secret));
    free(secret);
}

static int check_text(const char *what, const char *text, struct error *err)
{
    size_t size = text ? strlen(text) : 0;

    if (size == 0)
        return error_set(err, &auth_error_domain, AUTH_INVALID, "checking credentials", what, "is empty");
    if (size > CREDENTIAL_TEXT_MAX)
        return error_set(err, &auth_error_domain, AUTH_INVALID, "checking credentials", what,
                         "is %zu bytes long; at most %d are allowed", size, CREDENTIAL_TEXT_MAX);
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];

        if (byte < 0x20 || byte == 0x7f)
            return error_set(err, &auth_error_domain, AUTH_INVALID, "checking credentials", what,
                             "has a control character at byte %zu", i + 1);
    }
    return 0;
}

int credentials_user_password(const char *user, const char *password, struct credentials **ret, struct error *err)
{
    struct credentials *credentials;

    if (check_text("user", user, err) < 0 || check_text("password", password, err) < 0)
        return -1;
    credentials = NEW(struct credentials);
    credentials->type = CREDENTIAL_USER_PASSWORD;
    credentials->user = text_copy(user);
    credentials->password = text_copy(password);
    *ret = credentials;
    return 0;
}

void credentials_free(struct credentials *credentials)
{
    if (!credentials)
        return;
    free(credentials->user);
    secret_free(credentials->password);
    free(credentials);
}

/**
 * A file of root's that one group of ours may read, and nobody change: how a Secret comes to a Pod that is not root's.
 * Source: https://kubernetes.io/docs/tasks/configure-pod-container/security-context/ (fsGroup)
 */
static bool is_given_to_our_group(const struct stat *status)
{
    gid_t groups[GROUPS_MAX];
    int count = getgroups(ARRAY_SIZE(groups), groups);

    if (geteuid() == 0 || status->st_uid != 0 || (status->st_mode & 07777) != 0440)
        return false;
    for (int i = 0; i < count; i++)
        if (groups[i] == status->st_gid)
            return true;
    return status->st_gid == getegid();
}

/** Refuse a file whose content others could have read or written. */
static int check_private(const char *path, const struct stat *status, struct error *err)
{
    unsigned int mode = status->st_mode & 07777;

    if (!S_ISREG(status->st_mode))
        return error_set(err, &auth_error_domain, AUTH_INVALID, "reading secret", path, "is not a regular file");
    if (is_given_to_our_group(status))
        return 0;
    if (mode & 077)
        return error_set(err, &auth_error_domain, AUTH_INSECURE_FILE, "reading secret", path,
                         "mode %04o lets group or others use it; mend it with: chmod 600 %s", mode, path);
    if (status->st_uid != geteuid() && status->st_uid != 0)
        return error_set(err, &auth_error_domain, AUTH_INSECURE_FILE, "reading secret", path,
                         "belongs to user %u, neither to us (user %u) nor to root; mend it with: chown %u %s",
                         status->st_uid, geteuid(), geteuid(), path);
    return 0;
}

/** Read at most `size` bytes to the end of the file. Returns the count, or -1 with errno set. */
static ssize_t read_all(int fd, char *buffer, size_t size)
{
    size_t used = 0;

    while (used < size) {
        ssize_t got = read(fd, buffer + used, size - used);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        used += (size_t)got;
    }
    return (ssize_t)used;
}

/** Take the first line out of the file's bytes. */
static int first_line(const char *path, const char *data, size_t size, char **ret, struct error *err)
{
    const char *end = memchr(data, '\n', size);
    size_t length = end ? (size_t)(end - data) : size;

    if (length > 0 && data[length - 1] == '\r')
        length--;
    if (length == 0)
        return error_set(err, &auth_error_domain, AUTH_INVALID, "reading secret", path, "its first line is empty");
    if (memchr(data, '\0', length))
        return error_set(err, &auth_error_domain, AUTH_INVALID, "reading secret", path, "has a NUL byte");
    *ret = text_copy_n(data, length);
    return 0;
}

/** Open a secret's file. Returns -1 with *err set. */
static int open_private(const char *path, struct error *err)
{
    /* O_NONBLOCK: opening a FIFO must not hang; what is checked is the opened file, not the name. */
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0)
        return error_set_errno(err, errno, "reading secret", path);
    if (check_private(path, &status, err) < 0)
        return -1;
    return TAKE_FD(fd);
}

int secret_check(const char *path, struct error *err)
{
    cleanup_close int fd = open_private(path, err);

    return fd < 0 ? -1 : 0;
}

int secret_read(const char *path, char **ret, struct error *err)
{
    cleanup_close int fd = open_private(path, err);
    char data[SECRET_FILE_MAX + 1];
    ssize_t size;
    int result;

    if (fd < 0)
        return -1;
    size = read_all(fd, data, sizeof(data));
    if (size < 0)
        return error_set_errno(err, errno, "reading secret", path);
    if (size > SECRET_FILE_MAX)
        result = error_set(err, &auth_error_domain, AUTH_INVALID, "reading secret", path,
                           "is over %d bytes: not a secret", SECRET_FILE_MAX);
    else
        result = first_line(path, data, (size_t)size, ret, err);
    explicit_bzero(data, sizeof(data));
    return result;
}
