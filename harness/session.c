/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/session.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/process_identity.h"
#include "base/text.h"
#include "harness/journal.h"

#define SESSION_BYTES_MAX (1u << 20)

const char *session_path(void)
{
    const char *path = getenv("FLEET_E2E_SESSION");

    return path && *path ? path : NULL;
}

pid_t session_owner(void)
{
    struct process_stat status;

    for (pid_t pid = getppid(); pid > 1; pid = status.parent) {
        if (process_stat_read(pid, &status) < 0)
            break;
        if (strcmp(status.comm, "ctest") == 0)
            return pid;
    }
    return getppid();
}

int session_write(struct run *run, cJSON *document, struct error *err)
{
    const char *path = session_path();

    if (!path)
        return error_set(err, &general_error_domain, GENERAL_INVALID, "writing session", NULL,
                         "FLEET_E2E_SESSION is not set");
    cJSON_DeleteItemFromObjectCaseSensitive(document, SESSION_RUN_MEMBER);
    json_add_text(document, SESSION_RUN_MEMBER, run_directory(run));
    cleanup_free char *text = json_print(document);
    if (file_write_atomic(path, text, strlen(text), 0600, err) < 0)
        return error_wrap(err, "writing session", path);
    return 0;
}

/* *ret is NULL when there is no session file. */
static int read_document(const char *path, cJSON **ret, struct error *err)
{
    cleanup_free char *data = NULL;
    size_t size;

    *ret = NULL;
    if (file_read(path, SESSION_BYTES_MAX, &data, &size, err) < 0) {
        if (!error_is(err, &system_error_domain, ENOENT))
            return error_wrap(err, "reading session", path);
        error_clear(err);
        return 0;
    }
    if (json_parse(data, size, ret, err) < 0)
        return error_wrap(err, "reading session", path);
    return 0;
}

/* The directory in a session document; "" when it has none. */
static const char *run_of(const cJSON *document)
{
    const char *directory = json_text_or(document, SESSION_RUN_MEMBER, NULL);

    return directory ? directory : "";
}

/* A session of another ctest that was killed: its run is gone, is going, or is kept for a person to look at. */
static int run_is_there(const char *directory, bool *ret, struct error *err)
{
    cleanup_journal struct journal journal = {0};

    if (journal_read(directory, &journal, err) < 0)
        return -1;
    *ret = journal.started && process_identity_alive(&journal.owner);
    return 0;
}

int session_read(cJSON **ret, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *document = NULL;
    bool there = false;

    *ret = NULL;
    if (!session_path())
        return 0;
    if (read_document(session_path(), &document, err) < 0)
        return -1;
    if (document && run_is_there(run_of(document), &there, err) < 0)
        return error_wrap(err, "reading session", session_path());
    if (there)
        *ret = TAKE_PTR(document);
    return 0;
}

int session_end(struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *document = NULL;
    struct run *run = NULL;

    if (session_read(&document, err) < 0)
        return error_wrap(err, "ending session", NULL);
    if (document && (run_open(run_of(document), &run, err) < 0 || run_finish(TAKE_PTR(run), err) < 0))
        return error_wrap(err, "ending session", session_path());
    return session_path() ? file_remove(session_path(), err) : 0;
}

int session_begin(struct run **ret, struct error *err)
{
    const struct run_options options = {.label = "session", .owner = session_owner()};
    CLEANUP(cJSON_Delete) cJSON *former = NULL;

    if (session_read(&former, err) < 0 || (former && session_end(err) < 0))
        return error_wrap(err, "beginning session", NULL);
    return run_start(&options, ret, err);
}
