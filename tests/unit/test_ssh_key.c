/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/ssh_key.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "harness/test.h"

static int count_entry(void *context, const char *name, struct error *err)
{
    (void)name;
    (void)err;
    ++*(int *)context;
    return 0;
}

FLEET_TEST(ssh_key, is_made_once)
{
    struct run *run = NULL;
    cleanup_ssh_key_pair struct ssh_key_pair first = {0};
    cleanup_ssh_key_pair struct ssh_key_pair second = {0};
    cleanup_free char *public_text = NULL;
    struct stat status = {0};
    size_t size;
    int entries = 0;

    TRY(test_run(test, &run, err));
    cleanup_free char *directory = text_format("%s/a/b", run_directory(run));
    TRY(ssh_key_pair_ensure(directory, &first, err));
    CHECK(stat(first.private_key, &status) == 0 && (status.st_mode & 07777) == 0600, "mode %o", status.st_mode);
    CHECK(stat(directory, &status) == 0 && (status.st_mode & 07777) == 0700, "directory's mode %o", status.st_mode);
    CHECK(text_starts_with(first.public_key, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5"), "it is %s", first.public_key);
    CHECK(text_ends_with(first.public_key, " harmony-fleet"), "it is %s", first.public_key);
    TRY(ssh_key_pair_ensure(directory, &second, err));
    CHECK(text_equal(first.public_key, second.public_key), "another key the second time");
    cleanup_free char *public_path = text_format("%s.pub", first.private_key);
    TRY(file_read(public_path, 4096, &public_text, &size, err));
    CHECK(text_starts_with(public_text, first.public_key), "the public file is %s", public_text);
    TRY(directory_each(directory, count_entry, &entries, err));
    CHECK(entries == 2, "%d files are left", entries);
    return 0;
}

/* A public file that is lost or wrong is made again: it is never read for more than that. */
FLEET_TEST(ssh_key, public_file_follows_the_private_key)
{
    struct run *run = NULL;
    cleanup_ssh_key_pair struct ssh_key_pair pair = {0};
    cleanup_ssh_key_pair struct ssh_key_pair again = {0};
    cleanup_free char *text = NULL;
    size_t size;

    TRY(test_run(test, &run, err));
    TRY(ssh_key_pair_ensure(run_directory(run), &pair, err));
    cleanup_free char *path = text_format("%s.pub", pair.private_key);
    TRY(file_write_atomic(path, "ssh-ed25519 AAAA\n", 17, 0644, err));
    TRY(ssh_key_pair_ensure(run_directory(run), &again, err));
    TRY(file_read(path, 4096, &text, &size, err));
    CHECK(text_starts_with(text, pair.public_key), "the public file is %s", text);
    return 0;
}

static _Noreturn void race(const char *directory, int gate, int result)
{
    cleanup_error struct error ignored = ERROR_INIT;
    cleanup_ssh_key_pair struct ssh_key_pair pair = {0};
    char go;

    if (read(gate, &go, 1) < 0 || ssh_key_pair_ensure(directory, &pair, &ignored) < 0)
        _exit(1);
    _exit(write(result, pair.public_key, strlen(pair.public_key)) < 0);
}

FLEET_TEST(ssh_key, racing_processes_get_the_same)
{
    enum { RACERS = 8 };
    struct run *run = NULL;
    cleanup_ssh_key_pair struct ssh_key_pair pair = {0};
    int gate[2];
    int results[RACERS][2];
    pid_t pids[RACERS];

    TRY(test_run(test, &run, err));
    cleanup_free char *directory = text_format("%s/raced", run_directory(run));
    CHECK(pipe(gate) == 0, "pipe");
    for (int i = 0; i < RACERS; i++) {
        CHECK(pipe(results[i]) == 0, "pipe");
        pids[i] = fork();
        CHECK(pids[i] >= 0, "fork");
        if (pids[i] == 0) {
            close(gate[1]);
            race(directory, gate[0], results[i][1]);
        }
        close(results[i][1]);
    }
    close(gate[0]);
    close(gate[1]); /* they all read its end now */
    for (int i = 0; i < RACERS; i++) {
        char text[256] = "";
        ssize_t size = read(results[i][0], text, sizeof(text) - 1);
        int status;

        close(results[i][0]);
        CHECK(waitpid(pids[i], &status, 0) == pids[i] && status == 0 && size > 0, "racer %d failed", i);
        if (i == 0)
            TRY(ssh_key_pair_ensure(directory, &pair, err));
        CHECK(text_equal(text, pair.public_key), "racer %d got %s", i, text);
    }
    return 0;
}

FLEET_TEST(ssh_key, unusable_ones_are_refused)
{
    struct run *run = NULL;
    cleanup_ssh_key_pair struct ssh_key_pair pair = {0};
    cleanup_ssh_key_pair struct ssh_key_pair refused = {0};

    TRY(test_run(test, &run, err));
    TRY(ssh_key_pair_ensure(run_directory(run), &pair, err));
    CHECK(chmod(pair.private_key, 0640) == 0, "chmod");
    CHECK_FAILS(ssh_key_pair_ensure(run_directory(run), &refused, err), general_error_domain, GENERAL_INVALID);
    TRY(file_write_atomic(pair.private_key, "no key\n", 7, 0600, err));
    CHECK_FAILS(ssh_key_pair_ensure(run_directory(run), &refused, err), general_error_domain, GENERAL_INVALID);
    cleanup_free char *below = text_format("%s/not/here", pair.private_key);
    CHECK_FAILS(ssh_key_pair_ensure(below, &refused, err), system_error_domain, ENOTDIR);
    return 0;
}

FLEET_TEST(ssh_key, default_place_follows_xdg)
{
    CHECK(setenv("HOME", "/somewhere", 1) == 0 && unsetenv("XDG_DATA_HOME") == 0, "setenv");
    cleanup_free char *home = ssh_key_default_directory();
    CHECK(text_equal(home, "/somewhere/.local/share/harmony/fleet/ssh"), "it is %s", home);
    CHECK(setenv("XDG_DATA_HOME", "/data", 1) == 0, "setenv");
    cleanup_free char *data = ssh_key_default_directory();
    CHECK(text_equal(data, "/data/harmony/fleet/ssh"), "it is %s", data);
    return 0;
}

#define ED25519 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMlZ1pSZ5zbB7mYl6cLZKOmYJLZSgRZXOZ6tTYy8VxQw"

FLEET_TEST(ssh_key, public_ones_are_told_from_other_lines)
{
    static const char *const good[] = {ED25519, ED25519 " somebody@somewhere else"};
    static const char *const bad[] = {NULL,
                                      "",
                                      "ssh-ed25519",
                                      "ssh-ed25519 ",
                                      "ssh-ed25519 AAAA",
                                      "ssh-rsa " ED25519,
                                      "no-pty " ED25519,
                                      "# " ED25519,
                                      ED25519 "\n",
                                      ED25519 " a\nb",
                                      "ssh-wonder AAAAC3NzaC1lZDI1NTE5"};
    cleanup_ssh_key_pair struct ssh_key_pair pair = {0};
    struct run *run = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        cleanup_free char *key = NULL;

        TRY(ssh_public_key_check(good[i], &key, err));
        CHECK(text_equal(key, ED25519), "%s became %s", good[i], key);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        cleanup_free char *key = NULL;

        CHECK_FAILS(ssh_public_key_check(bad[i], &key, err), general_error_domain, GENERAL_INVALID);
    }
    TRY(test_run(test, &run, err));
    TRY(ssh_key_pair_ensure(run_directory(run), &pair, err));
    cleanup_free char *own = NULL;
    TRY(ssh_public_key_check(pair.public_key, &own, err));
    CHECK(text_starts_with(pair.public_key, own), "%s became %s", pair.public_key, own);
    return 0;
}
