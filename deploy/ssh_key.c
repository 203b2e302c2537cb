/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/ssh_key.h"

#include <libssh/libssh.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

#define COMMENT "harmony-fleet"

DEFINE_CLEANUP(ssh_key, ssh_key_free)

void ssh_key_pair_clear(struct ssh_key_pair *pair)
{
    free(pair->private_key);
    free(pair->public_key);
    *pair = (struct ssh_key_pair){0};
}

char *ssh_key_default_directory(void)
{
    const char *data = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");

    if (data && *data == '/')
        return text_format("%s/harmony/fleet/ssh", data);
    if (!home || *home != '/') {
        const struct passwd *user = getpwuid(getuid());
        home = user ? user->pw_dir : "";
    }
    return text_format("%s/.local/share/harmony/fleet/ssh", home);
}

/** A new private key in OpenSSH's format. Caller frees. */
static int generate(char **ret, struct error *err)
{
    CLEANUP(ssh_key_free) ssh_key key = NULL;
    char *text = NULL;

    if (ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &key) != SSH_OK ||
        ssh_pki_export_privkey_base64(key, NULL, NULL, NULL, &text) != SSH_OK)
        return error_set(err, &general_error_domain, GENERAL_FAILED, "generating", "an SSH key", "libssh cannot");
    *ret = text_copy(text);
    explicit_bzero(text, strlen(text));
    ssh_string_free_char(text);
    return 0;
}

/**
 * The finished key gets its name by link(2), which never replaces a file: of several processes one wins, and the others
 * find its key.
 */
static int create_private_key(const char *path, struct error *err)
{
    cleanup_free char *text = NULL;
    char random[9];

    if (generate(&text, err) < 0)
        return -1;
    text_random_hex(random, sizeof(random));
    cleanup_free char *temporary = text_format("%s.%s", path, random);
    int result = file_write_atomic(temporary, text, strlen(text), 0600, err);
    explicit_bzero(text, strlen(text));
    if (result < 0)
        return -1;
    if (link(temporary, path) < 0 && errno != EEXIST) {
        int saved_errno = errno;
        unlink(temporary);
        return error_set_errno(err, saved_errno, "creating SSH key", path);
    }
    return file_remove(temporary, err);
}

static int check_private_key(const char *path, struct error *err)
{
    struct stat status;

    if (stat(path, &status) < 0)
        return error_set_errno(err, errno, "reading SSH key", path);
    if (status.st_mode & 077)
        return error_set(err, &general_error_domain, GENERAL_INVALID, "reading SSH key", path,
                         "others can read it (mode %04o): chmod 600, or remove it to get a new one",
                         (unsigned int)status.st_mode & 07777);
    return 0;
}

static int read_public_key(const char *path, char **ret, struct error *err)
{
    CLEANUP(ssh_key_free) ssh_key key = NULL;
    char *base64 = NULL;

    if (ssh_pki_import_privkey_file(path, NULL, NULL, NULL, &key) != SSH_OK ||
        ssh_pki_export_pubkey_base64(key, &base64) != SSH_OK)
        return error_set(err, &general_error_domain, GENERAL_INVALID, "reading SSH key", path,
                         "it is no unencrypted private key");
    *ret = text_format("%s %s " COMMENT, ssh_key_type_to_char(ssh_key_type(key)), base64);
    ssh_string_free_char(base64);
    return 0;
}

/** The public key is for people: made again whenever it is not what the private key says. */
static int ensure_public_file(const char *path, const char *public_key, struct error *err)
{
    cleanup_free char *line = text_format("%s\n", public_key);
    cleanup_error struct error unreadable = ERROR_INIT;
    cleanup_free char *present = NULL;
    size_t size;

    if (file_read(path, strlen(line), &present, &size, &unreadable) == 0 && text_equal(present, line))
        return 0;
    return file_write_atomic(path, line, strlen(line), 0644, err);
}

int ssh_key_pair_ensure(const char *directory, struct ssh_key_pair *ret, struct error *err)
{
    cleanup_free char *fallback = directory ? NULL : ssh_key_default_directory();
    const char *place = directory ? directory : fallback;
    cleanup_free char *path = text_format("%s/" SSH_KEY_NAME, place);
    cleanup_free char *public_path = text_format("%s.pub", path);
    cleanup_free char *public_key = NULL;

    if (directory_create(place, 0700, err) < 0)
        return -1;
    if (!file_exists(path) && create_private_key(path, err) < 0)
        return -1;
    if (check_private_key(path, err) < 0 || read_public_key(path, &public_key, err) < 0 ||
        ensure_public_file(public_path, public_key, err) < 0)
        return -1;
    *ret = (struct ssh_key_pair){.private_key = TAKE_PTR(path), .public_key = TAKE_PTR(public_key)};
    return 0;
}

int ssh_public_key_check(const char *line, char **ret, struct error *err)
{
    CLEANUP(ssh_key_free) ssh_key key = NULL;
    size_t type_size = line ? strcspn(line, " ") : 0;

    if (type_size == 0 || !line[type_size] || text_has_control(line))
        return error_set(err, &general_error_domain, GENERAL_INVALID, "reading", "public key",
                         "it is not \"type base64 comment\" on one line");
    const char *base64_text = line + type_size + 1;
    cleanup_free char *type = text_copy_n(line, type_size);
    cleanup_free char *base64 = text_copy_n(base64_text, strcspn(base64_text, " "));
    enum ssh_keytypes_e known = ssh_key_type_from_name(type);
    if (known == SSH_KEYTYPE_UNKNOWN || ssh_pki_import_pubkey_base64(base64, known, &key) != SSH_OK)
        return error_set(err, &general_error_domain, GENERAL_INVALID, "reading", "public key",
                         "it is no public key of a type that is known: \"%s\"", type);
    *ret = text_format("%s %s", type, base64);
    return 0;
}
