/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of a host, by way of its own programs: SFTP cannot become root and cannot compare. Each operation is one
 * command, so a connection that breaks leaves nothing half done, and one round trip, which is what costs.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/ssh_session.h"

#define MISSING_EXIT_CODE 44 /* of read_script: there is no such file */

/*
 * $1 path  $2 its directory  $3 mode  $4 owner or nothing  $5 size in bytes  $6 what stat(1) is to compare
 * cat ends when the connection does: what arrived is only a file if it is all of it.
 */
static const char write_script[] =
    "set -eu\n"
    "umask 077\n"
    "temporary=$(mktemp -- \"$2/.fleet-XXXXXXXXXX\")\n"
    "trap 'rm -f -- \"$temporary\"' EXIT\n"
    "trap 'exit 1' HUP INT PIPE TERM\n"
    "cat >\"$temporary\"\n"
    "if [ \"$(stat -c %s -- \"$temporary\")\" != \"$5\" ]; then echo 'only a part of it arrived' >&2; exit 1; fi\n"
    "[ -z \"$4\" ] || chown -- \"$4\" \"$temporary\"\n"
    "chmod -- \"$3\" \"$temporary\"\n"
    "if [ -f \"$1\" ] && [ ! -L \"$1\" ] && [ \"$(stat -c \"$6\" -- \"$1\")\" = \"$(stat -c \"$6\" -- "
    "\"$temporary\")\" ] &&\n"
    "    cmp -s -- \"$temporary\" \"$1\"; then echo same; exit 0; fi\n"
    "sync -- \"$temporary\"\n"
    "mv -fT -- \"$temporary\" \"$1\"\n"
    "sync -- \"$2\"\n"
    "echo changed\n";

/* $1 path  $2 bytes to read at most */
static const char read_script[] =
    "set -eu\n"
    "if ! kind=$(stat -L -c %F -- \"$1\" 2>&1); then\n"
    "    case $kind in *': No such file or directory' | *': Not a directory') exit 44 ;; esac\n"
    "    printf '%s\\n' \"$kind\" >&2\n"
    "    exit 1\n"
    "fi\n"
    "case $kind in regular*) ;; *) echo \"it is a $kind\" >&2; exit 1 ;; esac\n"
    "exec head -c \"$2\" -- \"$1\"\n";

static const char *const plain_words[] = {"LC_ALL=C", NULL};

static int check_path(const char *path, struct error *err)
{
    size_t size = strlen(path);

    if (path[0] != '/' || path[size - 1] == '/')
        return error_set(err, &general_error_domain, GENERAL_INVALID, "naming file", path,
                         "it is not the absolute path of a file");
    return 0;
}

/** Directory of an absolute path. Caller frees. */
static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == path ? text_copy("/") : text_copy_n(path, (size_t)(slash - path));
}

int ssh_session_put_file(struct ssh_session *session, const struct ssh_file *file, struct deadline deadline,
                         bool *changed, struct error *err)
{
    cleanup_ssh_result struct ssh_result result = {0};

    if (check_path(file->path, err) < 0)
        return -1;
    cleanup_free char *directory = directory_of(file->path);
    cleanup_free char *mode = text_format("%04o", (unsigned int)file->mode & 07777);
    cleanup_free char *size = text_format("%zu", file->size);
    const char *const argv[] = {"sh",         "-c",
                                write_script, "put-file",
                                file->path,   directory,
                                mode,         file->owner ? file->owner : "",
                                size,         file->owner ? "%s %a %u %g" : "%s %a",
                                NULL};
    const struct ssh_command command = {
        .argv = argv,
        .environment = plain_words,
        .input = file->data,
        .input_size = file->size,
        .as_root = file->as_root,
    };
    if (ssh_session_run_checked(session, &command, deadline, &result, err) < 0)
        return error_wrap(err, "writing", file->path);
    if (text_equal(result.output, "changed\n"))
        *changed = true;
    else if (!text_equal(result.output, "same\n"))
        return error_set(err, &ssh_error_domain, SSH_REMOTE_FAILED, "writing", file->path,
                         "the host said \"%s\" and not whether it changed", result.output);
    return 0;
}

/** A file being read. */
struct incoming {
    struct text_buffer data, errors;
};

static void incoming_clear_at_exit(struct incoming *incoming)
{
    text_buffer_clear(&incoming->data);
    text_buffer_clear(&incoming->errors);
}

/** Neither can grow beyond reason: the data comes from head(1), the errors from stat(1). */
static int take_piece(void *context, enum ssh_stream stream, const char *data, size_t size, struct error *err)
{
    struct incoming *incoming = context;

    (void)err;
    text_buffer_append(stream == SSH_STANDARD_OUTPUT ? &incoming->data : &incoming->errors, data, size);
    return 0;
}

int ssh_session_get_file(struct ssh_session *session, const char *path, size_t max, bool as_root,
                         struct deadline deadline, char **data, size_t *size, struct error *err)
{
    __attribute__((cleanup(incoming_clear_at_exit))) struct incoming incoming = {0};
    cleanup_ssh_result struct ssh_result result = {0};
    cleanup_free char *most = text_format("%zu", max < SIZE_MAX ? max + 1 : max); /* one more tells "too large" */
    const char *const argv[] = {"sh", "-c", read_script, "get-file", path, most, NULL};
    const struct ssh_command command = {
        .argv = argv,
        .environment = plain_words,
        .as_root = as_root,
        .on_output = take_piece,
        .context = &incoming,
    };

    if (check_path(path, err) < 0)
        return -1;
    if (ssh_session_run(session, &command, deadline, &result, err) < 0)
        return error_wrap(err, "reading", path);
    if (result.exit_code == MISSING_EXIT_CODE) {
        *data = NULL;
        *size = 0;
        return 0;
    }
    if (result.exit_code != 0)
        return error_set(err, &ssh_error_domain, SSH_REMOTE_FAILED, "reading", path, "%s",
                         text_buffer_text(&incoming.errors));
    if (incoming.data.size > max)
        return error_set(err, &general_error_domain, GENERAL_TOO_LARGE, "reading", path, "more than %zu bytes", max);
    *size = incoming.data.size;
    *data = text_buffer_take(&incoming.data);
    return 0;
}
