/* SPDX-License-Identifier: Apache-2.0 */
#include "images/vm/identity_files.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "harness/test.h"

#define ADMIN_HOME "/srv/fleet-admin"
#define PASSWD     "root:x:0:0::/:/bin/sh\nfleet-admin:x:1234:1235::" ADMIN_HOME ":/bin/sh\n"

/* A guest's file system as far as it matters, below the test's own directory. Caller frees *root. */
static int make_root(const struct test_context *test, const char *passwd, char **ret, struct error *err)
{
    static const char *const directories[] = {"etc/ssh", "srv/fleet-admin", "var/lib/systemd"};
    cleanup_free char *root = text_format("%s/root", test->artefacts);
    for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
        cleanup_free char *path = text_format("%s/%s", root, directories[i]);
        TRY(directory_create(path, 0755, err));
    }
    cleanup_free char *passwd_path = text_format("%s/etc/passwd", root);
    cleanup_free char *random_path = text_format("%s/var/lib/systemd/random-seed", root);
    TRY(file_write_atomic(passwd_path, passwd, strlen(passwd), 0644, err));
    TRY(file_write_atomic(random_path, "old", 3, 0600, err));
    *ret = TAKE_PTR(root);
    return 0;
}

static struct seed example(void)
{
    static char hostname[] = "fleet-0";
    static char machine_id[] = "0123456789abcdef0123456789abcdef";
    static char host_key[] = "private\n";
    static char host_key_public[] = "ssh-ed25519 AAAA";
    static char authorized_key[] = "ssh-ed25519 BBBB somebody";
    return (struct seed){.kind = SEED_DEVICE,
                         .hostname = hostname,
                         .machine_id = machine_id,
                         .host_key = host_key,
                         .host_key_public = host_key_public,
                         .authorized_key = authorized_key};
}

static int check_file(const char *root, const char *name, const char *expected, mode_t mode, uid_t uid,
                      struct error *err)
{
    cleanup_free char *path = text_format("%s/%s", root, name);
    cleanup_free char *text = NULL;
    size_t size = 0;
    struct stat status;
    TRY(file_read(path, 4096, &text, &size, err));
    CHECK(text_equal(text, expected), "%s: %s", name, text);
    CHECK(stat(path, &status) == 0 && (status.st_mode & 07777) == mode, "%s: mode %o", name, status.st_mode);
    CHECK(status.st_uid == uid, "%s: owner %u", name, status.st_uid);
    return 0;
}

FLEET_TEST(identity_files, are_those_of_the_device, NEEDS(CAPABILITY_ROOT))
{
    cleanup_free char *root = NULL;
    struct seed seed = example();
    bool changed = false;

    TRY(make_root(test, PASSWD, &root, err));
    TRY(identity_files_write(root, &seed, &changed, err));
    CHECK(changed, "nothing changed");
    TRY(check_file(root, "etc/hostname", "fleet-0\n", 0644, 0, err));
    TRY(check_file(root, "etc/machine-id", "0123456789abcdef0123456789abcdef\n", 0444, 0, err));
    TRY(check_file(root, "etc/ssh/ssh_host_ed25519_key", "private\n", 0600, 0, err));
    TRY(check_file(root, "etc/ssh/ssh_host_ed25519_key.pub", "ssh-ed25519 AAAA\n", 0644, 0, err));
    TRY(check_file(root, "srv/fleet-admin/.ssh/authorized_keys", "ssh-ed25519 BBBB somebody\n", 0600, 1234, err));
    cleanup_free char *ssh = text_format("%s/srv/fleet-admin/.ssh", root);
    struct stat status;
    CHECK(stat(ssh, &status) == 0 && status.st_mode == (S_IFDIR | 0700), "mode %o", status.st_mode);
    CHECK(status.st_uid == 1234 && status.st_gid == 1235, "owner %u:%u", status.st_uid, status.st_gid);
    cleanup_free char *random = text_format("%s/var/lib/systemd/random-seed", root);
    CHECK(!file_exists(random), "another guest's random seed is still there");
    return 0;
}

FLEET_TEST(identity_files, are_left_alone_when_they_are_right, NEEDS(CAPABILITY_ROOT))
{
    cleanup_free char *root = NULL;
    struct seed seed = example();
    bool changed = false;

    TRY(make_root(test, PASSWD, &root, err));
    TRY(identity_files_write(root, &seed, &changed, err));
    cleanup_free char *random = text_format("%s/var/lib/systemd/random-seed", root);
    TRY(file_write_atomic(random, "its own", 7, 0600, err));
    TRY(identity_files_write(root, &seed, &changed, err));
    CHECK(!changed, "something changed");
    CHECK(file_exists(random), "its own random seed is gone");
    return 0;
}

FLEET_TEST(identity_files, of_another_device_replace_them, NEEDS(CAPABILITY_ROOT))
{
    static char other[] = "fleet-1";
    cleanup_free char *root = NULL;
    struct seed seed = example();
    bool changed = false;

    TRY(make_root(test, PASSWD, &root, err));
    TRY(identity_files_write(root, &seed, &changed, err));
    cleanup_free char *key = text_format("%s/etc/ssh/ssh_host_ed25519_key", root);
    CHECK(chmod(key, 0644) == 0, "chmod");
    seed.hostname = other;
    TRY(identity_files_write(root, &seed, &changed, err));
    CHECK(changed, "nothing changed");
    TRY(check_file(root, "etc/hostname", "fleet-1\n", 0644, 0, err));
    TRY(check_file(root, "etc/ssh/ssh_host_ed25519_key", "private\n", 0600, 0, err));
    return 0;
}

FLEET_TEST(identity_files, need_the_user, NEEDS(CAPABILITY_ROOT))
{
    cleanup_free char *root = NULL;
    struct seed seed = example();
    bool changed = false;

    TRY(make_root(test, "root:x:0:0::/:/bin/sh\n", &root, err));
    CHECK_FAILS(identity_files_write(root, &seed, &changed, err), general_error_domain, GENERAL_NOT_FOUND);
    return 0;
}
