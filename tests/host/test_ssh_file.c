/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files over an SSH session. The device's directory is seen from both sides, so the bytes are checked here.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "deploy/ssh_session.h"
#include "tests/host/ssh_device.h"

#define FILE_MS 30000
#define DEVICE  NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES, CAPABILITY_SSHD)

struct fixture {
    struct ssh_device device;
    struct ssh_session *session;
    char *here;  /**< "<directory>/it's a file" as we see it … */
    char *there; /**< … and as the device does */
};

static int fixture_new(struct test_context *test, const char *user, struct fixture *ret, struct error *err)
{
    TRY(ssh_device_new(test, &ret->device, err));
    ret->here = text_format("%s/files/it's a file", ret->device.directory);
    ret->there = text_copy(DEVICE_SEEN_AT "/files/it's a file");
    cleanup_free char *directory = text_format("%s/files", ret->device.directory);
    TRY(directory_create(directory, 0755, err));
    TRY(ssh_device_open(&ret->device, user, &ret->session, err));
    return 0;
}

static void fixture_clear(struct fixture *fixture)
{
    ssh_session_free(fixture->session);
    ssh_device_clear(&fixture->device);
    free(fixture->here);
    free(fixture->there);
}
#define CLEANUP_FIXTURE __attribute__((cleanup(fixture_clear)))

static int put(struct fixture *fixture, struct ssh_file file, bool *changed, struct error *err)
{
    *changed = false;
    file.path = fixture->there;
    return ssh_session_put_file(fixture->session, &file, deadline_in_ms(FILE_MS), changed, err);
}

static int get(struct fixture *fixture, const char *path, size_t max, char **data, size_t *size, struct error *err)
{
    return ssh_session_get_file(fixture->session, path, max, false, deadline_in_ms(FILE_MS), data, size, err);
}

FLEET_TEST(ssh_file, is_put_only_when_it_differs, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    struct ssh_file file = {.data = "a\0b\n", .size = 4, .mode = 0640};
    struct stat first = {0};
    struct stat status = {0};
    cleanup_free char *data = NULL;
    size_t size = 0;
    bool changed;

    TRY(fixture_new(test, "root", &fixture, err));
    TRY(put(&fixture, file, &changed, err));
    CHECK(changed && stat(fixture.here, &first) == 0 && (first.st_mode & 07777) == 0640, "mode %o", first.st_mode);
    TRY(file_read(fixture.here, 100, &data, &size, err));
    CHECK(size == 4 && memcmp(data, "a\0b\n", 4) == 0, "%zu bytes: %s", size, data);
    TRY(put(&fixture, file, &changed, err));
    CHECK(!changed && stat(fixture.here, &status) == 0 && status.st_ino == first.st_ino, "the same file was replaced");
    file.mode = 0600;
    TRY(put(&fixture, file, &changed, err));
    CHECK(changed && stat(fixture.here, &status) == 0 && (status.st_mode & 07777) == 0600, "mode %o", status.st_mode);
    CHECK(status.st_ino != first.st_ino, "it was changed in place");
    file.data = "a\0c\n";
    TRY(put(&fixture, file, &changed, err));
    CHECK(changed, "other bytes of the same size are no change");
    file.size = 0;
    TRY(put(&fixture, file, &changed, err));
    CHECK(changed && stat(fixture.here, &status) == 0 && status.st_size == 0, "%lld bytes", (long long)status.st_size);
    file.data = NULL;
    TRY(put(&fixture, file, &changed, err));
    CHECK(!changed, "nothing and nothing differ");
    return 0;
}

FLEET_TEST(ssh_file, belongs_to_whom_it_is_given, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    struct ssh_file file = {.data = "x", .size = 1, .mode = 04755, .owner = DEVICE_ADMIN ":root", .as_root = true};
    struct stat status = {0};
    bool changed;

    TRY(fixture_new(test, DEVICE_ADMIN, &fixture, err));
    TRY(put(&fixture, file, &changed, err));
    CHECK(changed && stat(fixture.here, &status) == 0 && status.st_uid == strtoul(DEVICE_ADMIN_ID, NULL, 10) &&
              status.st_gid == 0 && (status.st_mode & 07777) == 04755,
          "%u:%u, mode %o", status.st_uid, status.st_gid, status.st_mode);
    TRY(put(&fixture, file, &changed, err));
    CHECK(!changed, "the same owner by name is a change");
    file.owner = DEVICE_ADMIN_ID ":0";
    TRY(put(&fixture, file, &changed, err));
    CHECK(!changed, "the same owner by number is a change");
    file.owner = "root:root";
    TRY(put(&fixture, file, &changed, err));
    CHECK(changed && stat(fixture.here, &status) == 0 && status.st_uid == 0, "it belongs to %u", status.st_uid);
    file.owner = NULL;
    file.as_root = false; /* the administrator may not write there */
    file.data = "y";
    CHECK_FAILS(put(&fixture, file, &changed, err), ssh_error_domain, SSH_REMOTE_FAILED);
    return 0;
}

/* A link is replaced by a file, not followed; a directory is left alone. */
FLEET_TEST(ssh_file, stands_where_it_was_put, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    struct ssh_file file = {.data = "x", .size = 1, .mode = 0644};
    struct stat status = {0};
    bool changed;

    TRY(fixture_new(test, "root", &fixture, err));
    cleanup_free char *other = text_format("%s.other", fixture.here);
    TRY(file_write_atomic(other, "x", 1, 0644, err));
    CHECK(symlink("it's a file.other", fixture.here) == 0, "symlink");
    TRY(put(&fixture, file, &changed, err));
    CHECK(changed && lstat(fixture.here, &status) == 0 && S_ISREG(status.st_mode), "the link is still there");
    TRY(file_remove(fixture.here, err));
    TRY(directory_create(fixture.here, 0755, err));
    CHECK_FAILS(put(&fixture, file, &changed, err), ssh_error_domain, SSH_REMOTE_FAILED);
    const struct ssh_file bad[] = {{.path = "relative"}, {.path = "/ends/in/"}, {.path = ""}};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        CHECK_FAILS(ssh_session_put_file(fixture.session, &bad[i], deadline_in_ms(FILE_MS), &changed, err),
                    general_error_domain, GENERAL_INVALID);
    const struct ssh_file nowhere = {.path = "/nonexistent/file", .data = "x", .size = 1};
    CHECK_FAILS(ssh_session_put_file(fixture.session, &nowhere, deadline_in_ms(FILE_MS), &changed, err),
                ssh_error_domain, SSH_REMOTE_FAILED);
    return 0;
}

FLEET_TEST(ssh_file, is_read_up_to_a_limit, DEVICE)
{
    enum { SIZE = 3 << 20 };
    CLEANUP_FIXTURE struct fixture fixture = {0};
    cleanup_free char *original = NEW_ARRAY(char, SIZE);
    cleanup_free char *data = NULL;
    cleanup_free char *none = NULL;
    size_t size = 99;

    for (size_t i = 0; i < SIZE; i++)
        original[i] = (char)(i * 7 % 256);
    TRY(fixture_new(test, "root", &fixture, err));
    TRY(file_write_atomic(fixture.here, original, SIZE, 0644, err));
    TRY(get(&fixture, fixture.there, SIZE, &data, &size, err));
    CHECK(size == SIZE && memcmp(data, original, SIZE) == 0 && data[SIZE] == '\0', "%zu bytes", size);
    CHECK_FAILS(get(&fixture, fixture.there, SIZE - 1, &none, &size, err), general_error_domain, GENERAL_TOO_LARGE);
    TRY(get(&fixture, "/nonexistent/file", 100, &none, &size, err));
    CHECK(!none && size == 0, "a file out of nowhere: %s", none);
    TRY(get(&fixture, "/etc/passwd/file", 100, &none, &size, err));
    CHECK(!none, "a file below a file: %s", none);
    CHECK_FAILS(get(&fixture, "/etc", 100, &none, &size, err), ssh_error_domain, SSH_REMOTE_FAILED);
    CHECK_FAILS(get(&fixture, "etc", 100, &none, &size, err), general_error_domain, GENERAL_INVALID);
    free(TAKE_PTR(data));
    TRY(get(&fixture, "/proc/self/cgroup", 1 << 16, &data, &size, err)); /* of a size nobody knows before */
    CHECK(data && size > 0, "nothing");
    return 0;
}

FLEET_TEST(ssh_file, secrets_are_read_by_sudo, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    cleanup_free char *data = NULL;
    size_t size = 0;

    TRY(fixture_new(test, DEVICE_ADMIN, &fixture, err));
    TRY(file_write_atomic(fixture.here, "secret", 6, 0600, err));
    CHECK_FAILS(get(&fixture, fixture.there, 100, &data, &size, err), ssh_error_domain, SSH_REMOTE_FAILED);
    TRY(ssh_session_get_file(fixture.session, fixture.there, 100, true, deadline_in_ms(FILE_MS), &data, &size, err));
    CHECK(text_equal(data, "secret"), "it is %s", data);
    return 0;
}
