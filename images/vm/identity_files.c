/* SPDX-License-Identifier: Apache-2.0 */
#include "images/vm/identity_files.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

struct owner {
    uid_t uid;
    gid_t gid;
};

static const struct owner root_owner = {0, 0};

/* True if the file is exactly `text`, with this mode and owner. */
static bool is_as_wanted(const char *path, const char *text, mode_t mode, struct owner owner)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat status;
    size_t size = strlen(text);
    if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || (size_t)status.st_size != size ||
        (status.st_mode & 07777) != mode || status.st_uid != owner.uid || status.st_gid != owner.gid)
        return false;
    cleanup_free char *found = calloc(1, size + 1);
    return found && read(fd, found, size) == (ssize_t)size && memcmp(found, text, size) == 0;
}

static int write_temporary(const char *path, const char *text, mode_t mode, struct owner owner)
{
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    size_t size = strlen(text);
    if (fd < 0 || write(fd, text, size) != (ssize_t)size || fchown(fd, owner.uid, owner.gid) < 0 ||
        fchmod(fd, mode) < 0)
        return -1;
    return 0;
}

/* Not synced: should the power go first, the next boot does it again. */
static int put(const char *root, const char *path, const char *text, mode_t mode, struct owner owner, bool *changed,
               struct error *err)
{
    cleanup_free char *full = text_format("%s%s", root, path);
    cleanup_free char *temporary = text_format("%s.fleet-new", full);
    if (is_as_wanted(full, text, mode, owner))
        return 0;
    if (write_temporary(temporary, text, mode, owner) < 0 || rename(temporary, full) < 0) {
        int saved_errno = errno;
        (void)unlink(temporary);
        return error_set_errno(err, saved_errno, "writing", full);
    }
    *changed = true;
    return 0;
}

/* The user's entry in <root>/etc/passwd; its strings are good until the next call. */
static const struct passwd *find_user(const char *root, struct error *err)
{
    cleanup_free char *path = text_format("%s/etc/passwd", root);
    FILE *file = fopen(path, "re");
    if (!file) {
        (void)error_set_errno(err, errno, "opening", path);
        return NULL;
    }
    const struct passwd *entry = NULL;
    do
        entry = fgetpwent(file);
    while (entry && !text_equal(entry->pw_name, IDENTITY_USER));
    (void)fclose(file);
    if (!entry)
        (void)error_set(err, &general_error_domain, GENERAL_NOT_FOUND, "looking for the user " IDENTITY_USER, path,
                        "there is none");
    return entry;
}

static int write_authorized_key(const char *root, const char *key, bool *changed, struct error *err)
{
    const struct passwd *user = find_user(root, err);
    if (!user)
        return -1;
    struct owner owner = {user->pw_uid, user->pw_gid};
    cleanup_free char *directory = text_format("%s%s/.ssh", root, user->pw_dir);
    if (mkdir(directory, 0700) < 0 && errno != EEXIST)
        return error_set_errno(err, errno, "making", directory);
    if (chown(directory, owner.uid, owner.gid) < 0)
        return error_set_errno(err, errno, "giving to its owner", directory);
    cleanup_free char *text = text_format("%s\n", key);
    return put(directory, "/authorized_keys", text, 0600, owner, changed, err);
}

/* The private key last: sshd reads both for each connection, and goes by it. */
static int write_host_key(const char *root, const struct seed *seed, bool *changed, struct error *err)
{
    cleanup_free char *public_line = text_format("%s\n", seed->host_key_public);
    if (put(root, "/etc/ssh/ssh_host_ed25519_key.pub", public_line, 0644, root_owner, changed, err) < 0)
        return -1;
    return put(root, "/etc/ssh/ssh_host_ed25519_key", seed->host_key, 0600, root_owner, changed, err);
}

int identity_files_write_machine_id(const char *root, const char *machine_id, bool *changed, struct error *err)
{
    cleanup_free char *text = text_format("%s\n", machine_id);
    return put(root, "/etc/machine-id", text, 0444, root_owner, changed, err);
}

int identity_files_write(const char *root, const struct seed *seed, bool *changed, struct error *err)
{
    cleanup_free char *hostname = text_format("%s\n", seed->hostname);
    cleanup_free char *random_seed = text_format("%s/var/lib/systemd/random-seed", root);
    *changed = false;
    if (identity_files_write_machine_id(root, seed->machine_id, changed, err) < 0 ||
        put(root, "/etc/hostname", hostname, 0644, root_owner, changed, err) < 0 ||
        write_host_key(root, seed, changed, err) < 0 ||
        write_authorized_key(root, seed->authorized_key, changed, err) < 0)
        return -1;
    if (*changed && unlink(random_seed) < 0 && errno != ENOENT)
        return error_set_errno(err, errno, "removing", random_seed);
    return 0;
}
