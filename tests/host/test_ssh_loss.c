/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSH sessions that break: the host's sshd dies, its power or its network goes.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "deploy/ssh_session.h"
#include "tests/host/ssh_device.h"

#define RUN_MS 30000
#define DEVICE NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES, CAPABILITY_SSHD)

/** A command that runs in a thread of its own until the session breaks. */
struct runner {
    struct ssh_session *session;
    atomic_bool started;
    struct error error;
    pthread_t thread;
};

static int note_start(void *context, enum ssh_stream stream, const char *data, size_t size, struct error *err)
{
    (void)stream;
    (void)data;
    (void)size;
    (void)err;
    atomic_store((atomic_bool *)context, true);
    return 0;
}

static void *run_for_ever(void *context)
{
    struct runner *runner = context;
    static const char *const argv[] = {"sh", "-c", "echo; sleep 1000", NULL};
    const struct ssh_command command = {.argv = argv, .on_output = note_start, .context = &runner->started};
    cleanup_ssh_result struct ssh_result result = {0};

    return ssh_session_run(runner->session, &command, DEADLINE_NEVER, &result, &runner->error) < 0 ? runner : NULL;
}

static int has_started(void *context, struct text_buffer *state, struct error *err)
{
    (void)state;
    (void)err;
    return atomic_load((atomic_bool *)context);
}

static int runner_start(struct ssh_session *session, struct runner *ret, struct error *err)
{
    ret->session = session;
    CHECK(pthread_create(&ret->thread, NULL, run_for_ever, ret) == 0, "pthread_create");
    return wait_until("the command to start", has_started, &ret->started, NULL, deadline_in_ms(RUN_MS), err);
}

/** It must have failed with this code; the error is consumed. */
static int runner_check(struct runner *runner, enum ssh_error code, struct error *err)
{
    pthread_join(runner->thread, NULL);
    cleanup_free char *text = error_text(&runner->error);
    bool as_expected = error_is(&runner->error, &ssh_error_domain, code);
    error_clear(&runner->error);
    CHECK(as_expected, "it ended by: %s", text);
    return 0;
}

static int run_true(struct ssh_session *session, struct error *err)
{
    static const char *const argv[] = {"true", NULL};
    const struct ssh_command command = {.argv = argv};

    return ssh_session_run_checked(session, &command, deadline_in_ms(RUN_MS), NULL, err);
}

/** In a command line: the sshd that serves the session. The command's parent is timeout(1). */
#define SSHD_OF_SESSION "$(sed -n 's/^PPid:[[:space:]]*//p' /proc/$PPID/status)"

FLEET_TEST(ssh_loss, sshd_dies, DEVICE)
{
    cleanup_ssh_device struct ssh_device device = {.network_namespace = -1};
    CLEANUP(ssh_session_free) struct ssh_session *session = NULL;
    struct runner runner = {0};
    static const char *const argv[] = {"sh", "-c", "kill -KILL " SSHD_OF_SESSION "; sleep 1000", NULL};
    const struct ssh_command suicide = {.argv = argv};

    TRY(ssh_device_new(test, &device, err));
    TRY(ssh_device_open(&device, "root", &session, err));
    TRY(runner_start(session, &runner, err));
    CHECK_FAILS(ssh_session_run_checked(session, &suicide, deadline_in_ms(RUN_MS), NULL, err), ssh_error_domain,
                SSH_DISCONNECTED);
    TRY(runner_check(&runner, SSH_DISCONNECTED, err));
    CHECK(!ssh_session_is_open(session), "it is open without a host");
    CHECK_FAILS(run_true(session, err), ssh_error_domain, SSH_DISCONNECTED);
    TRY(ssh_session_reopen(session, deadline_in_ms(RUN_MS), err));
    CHECK(ssh_session_is_open(session), "reopened, it is not open");
    TRY(run_true(session, err));
    return 0;
}

FLEET_TEST(ssh_loss, silent_host_is_given_up, DEVICE)
{
    cleanup_ssh_device struct ssh_device device = {.network_namespace = -1};
    CLEANUP(ssh_session_free) struct ssh_session *session = NULL;
    struct runner runner = {0};

    TRY(ssh_device_new(test, &device, err));
    struct ssh_session_options options = ssh_device_options(&device, "root");
    options.keepalive_ms = 200;
    TRY(ssh_session_open(&options, deadline_in_ms(RUN_MS), &session, err));
    TRY(runner_start(session, &runner, err));
    TRY(ssh_device_set_link(&device, false, err));
    TRY(runner_check(&runner, SSH_DISCONNECTED, err));
    CHECK_FAILS(run_true(session, err), ssh_error_domain, SSH_DISCONNECTED);
    CHECK_FAILS(ssh_session_reopen(session, deadline_in_ms(300), err), ssh_error_domain, SSH_TIMED_OUT);
    CHECK_FAILS(run_true(session, err), ssh_error_domain, SSH_DISCONNECTED);
    TRY(ssh_device_set_link(&device, true, err));
    TRY(ssh_session_reopen(session, deadline_in_ms(RUN_MS), err));
    TRY(run_true(session, err));
    return 0;
}

static int count_lines(void *context, enum ssh_stream stream, const char *data, size_t size, struct error *err)
{
    (void)stream;
    (void)err;
    for (size_t i = 0; i < size; i++)
        *(int *)context += data[i] == '\n';
    return 0;
}

/* Silent commands on a host that is there: keepalives are answered, for much longer than three intervals. */
FLEET_TEST(ssh_loss, quiet_host_is_kept, DEVICE)
{
    cleanup_ssh_device struct ssh_device device = {.network_namespace = -1};
    CLEANUP(ssh_session_free) struct ssh_session *session = NULL;
    static const char *const argv[] = {"sh", "-c", "sleep 2; echo; sleep 1", NULL};
    int lines = 0;
    const struct ssh_command command = {.argv = argv, .on_output = count_lines, .context = &lines};

    TRY(ssh_device_new(test, &device, err));
    struct ssh_session_options options = ssh_device_options(&device, "root");
    options.keepalive_ms = 100;
    TRY(ssh_session_open(&options, deadline_in_ms(RUN_MS), &session, err));
    TRY(ssh_session_run_checked(session, &command, deadline_in_ms(RUN_MS), NULL, err));
    CHECK(lines == 1, "%d lines", lines);
    return 0;
}

/* A network that is away for less than that is not noticed. */
FLEET_TEST(ssh_loss, short_partition_is_survived, DEVICE)
{
    cleanup_ssh_device struct ssh_device device = {.network_namespace = -1};
    CLEANUP(ssh_session_free) struct ssh_session *session = NULL;
    static const char *const argv[] = {"sh", "-c", "echo", NULL};
    const struct ssh_command command = {.argv = argv};

    TRY(ssh_device_new(test, &device, err));
    TRY(ssh_device_open(&device, "root", &session, err));
    TRY(ssh_device_set_link(&device, false, err));
    CHECK_FAILS(ssh_session_run_checked(session, &command, deadline_in_ms(500), NULL, err), ssh_error_domain,
                SSH_TIMED_OUT);
    CHECK(ssh_session_is_open(session), "it was given up at once");
    TRY(ssh_device_set_link(&device, true, err));
    TRY(run_true(session, err));
    return 0;
}

/* Uploads */

#define FILES DEVICE_SEEN_AT "/files"

/** Name of the one entry of a directory. */
static int note_entry(void *context, const char *name, struct error *err)
{
    (void)err;
    text_list_add(context, name);
    return 0;
}

static int only_the_old_file(void *context, struct text_buffer *state, struct error *err)
{
    cleanup_text_list struct text_list names = {0};

    if (directory_each(context, note_entry, &names, err) < 0)
        return -1;
    text_buffer_clear(state);
    for (size_t i = 0; i < names.count; i++)
        text_buffer_format(state, "%s ", names.items[i]);
    return names.count == 1 && text_equal(names.items[0], "file");
}

/** Kills the session's sshd once an upload has begun. */
static void *kill_during_upload(void *context)
{
    struct runner *runner = context;
    static const char *const argv[] = {"sh", "-c",
                                       "sshd=" SSHD_OF_SESSION "; echo; until set -- " FILES
                                       "/.fleet-*; [ -e \"$1\" ]; do :; done; kill -KILL $sshd",
                                       NULL};
    const struct ssh_command command = {.argv = argv, .on_output = note_start, .context = &runner->started};
    cleanup_ssh_result struct ssh_result result = {0};

    return ssh_session_run(runner->session, &command, DEADLINE_NEVER, &result, &runner->error) < 0 ? runner : NULL;
}

/* Half a file is no file: the old one stays, and nothing is left beside it. */
FLEET_TEST(ssh_loss, broken_upload_leaves_the_old_file, DEVICE)
{
    enum { SIZE = 48 << 20 };
    cleanup_ssh_device struct ssh_device device = {.network_namespace = -1};
    CLEANUP(ssh_session_free) struct ssh_session *session = NULL;
    cleanup_free char *data = NEW_ARRAY(char, SIZE);
    cleanup_free char *kept = NULL;
    struct runner runner = {0};
    size_t size;
    bool changed = false;

    TRY(ssh_device_new(test, &device, err));
    cleanup_free char *directory = text_format("%s/files", device.directory);
    cleanup_free char *path = text_format("%s/file", directory);
    TRY(directory_create(directory, 0755, err));
    TRY(file_write_atomic(path, "old", 3, 0644, err));
    TRY(ssh_device_open(&device, "root", &session, err));
    runner.session = session;
    CHECK(pthread_create(&runner.thread, NULL, kill_during_upload, &runner) == 0, "pthread_create");
    TRY(wait_until("the killer to be ready", has_started, &runner.started, NULL, deadline_in_ms(RUN_MS), err));
    const struct ssh_file file = {.path = FILES "/file", .data = data, .size = SIZE, .mode = 0600};
    CHECK_FAILS(ssh_session_put_file(session, &file, deadline_in_ms(RUN_MS), &changed, err), ssh_error_domain,
                SSH_DISCONNECTED);
    TRY(runner_check(&runner, SSH_DISCONNECTED, err));
    TRY(wait_until("the device to tidy up", only_the_old_file, directory, NULL, deadline_in_ms(RUN_MS), err));
    TRY(file_read(path, 4096, &kept, &size, err));
    CHECK(text_equal(kept, "old") && !changed, "the file is \"%s\"", kept);
    return 0;
}
