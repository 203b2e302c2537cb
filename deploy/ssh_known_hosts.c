/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/ssh_known_hosts.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "deploy/ssh_session.h"

#define FILE_MAX (16u << 20)

void ssh_pins_clear(struct ssh_pins *pins)
{
    for (size_t i = 0; i < pins->count; i++)
        ssh_key_free(pins->keys[i]);
    free(pins->keys);
    *pins = (struct ssh_pins){0};
}

/** Takes the key. */
static void add_pin(struct ssh_pins *pins, ssh_key key)
{
    pins->keys = memory_resize(pins->keys, pins->count + 1, sizeof(ssh_key));
    pins->keys[pins->count++] = key;
}

int ssh_pins_parse(const char *text, struct ssh_pins *ret, struct error *err)
{
    cleanup_free char *copy = text_copy(text);
    char *rest = copy;
    const char *type = strsep(&rest, " ");
    const char *base64 = strsep(&rest, " \r\n");
    ssh_key key = NULL;

    if (!base64 || ssh_pki_import_pubkey_base64(base64, ssh_key_type_from_name(type), &key) != SSH_OK)
        return error_set(err, &general_error_domain, GENERAL_INVALID, "reading host key", text,
                         "it is not \"<type> <base64>\"");
    add_pin(ret, key);
    return 0;
}

/** The name a host has in known-hosts files. Caller frees. */
static char *host_pattern(const char *address, int port)
{
    return port == SSH_PORT ? text_copy(address) : text_format("[%s]:%d", address, port);
}

int ssh_pins_read(const char *path, const char *address, int port, struct ssh_pins *ret, struct error *err)
{
    cleanup_free char *host = host_pattern(address, port);
    cleanup_free char *text = NULL;
    size_t size;

    if (!file_exists(path))
        return 0;
    if (file_read(path, FILE_MAX, &text, &size, err) < 0)
        return -1;
    for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
        struct ssh_knownhosts_entry *entry = NULL;

        line[strcspn(line, "\r")] = '\0';
        if (*line == '#' || ssh_known_hosts_parse_line(host, line, &entry) != SSH_OK)
            continue;
        add_pin(ret, TAKE_PTR(entry->publickey));
        ssh_knownhosts_entry_free(entry);
    }
    return 0;
}

bool ssh_pins_have(const struct ssh_pins *pins, ssh_key key)
{
    for (size_t i = 0; i < pins->count; i++) {
        if (ssh_key_cmp(pins->keys[i], key, SSH_KEY_CMP_PUBLIC) == 0)
            return true;
    }
    return false;
}

/** RSA keys sign by several algorithms; the one that bears the key's name (SHA-1) is not asked for. */
static void add_algorithms(struct text_list *list, const char *key_type)
{
    static const char *const rsa[] = {"rsa-sha2-512", "rsa-sha2-256"};
    bool is_rsa = text_equal(key_type, "ssh-rsa");

    for (size_t i = 0; i < (is_rsa ? ARRAY_SIZE(rsa) : 1); i++) {
        const char *algorithm = is_rsa ? rsa[i] : key_type;
        if (!text_list_contains(list, algorithm))
            text_list_add(list, algorithm);
    }
}

char *ssh_pins_algorithms(const struct ssh_pins *pins)
{
    static const char *const usual[] = {"ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384",
                                        "ecdsa-sha2-nistp521", "ssh-rsa"};
    cleanup_text_list struct text_list list = {0};
    struct text_buffer joined = {0};

    for (size_t i = 0; i < pins->count; i++)
        add_algorithms(&list, ssh_key_type_to_char(ssh_key_type(pins->keys[i])));
    for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
        add_algorithms(&list, usual[i]);
    for (size_t i = 0; i < list.count; i++)
        text_buffer_format(&joined, "%s%s", i ? "," : "", list.items[i]);
    return text_buffer_take(&joined);
}

char *ssh_host_key_text(ssh_key key)
{
    char *base64 = NULL;

    if (ssh_pki_export_pubkey_base64(key, &base64) != SSH_OK)
        memory_checked(NULL); /* its only other failure is a key that is none */
    char *text = text_format("%s %s", ssh_key_type_to_char(ssh_key_type(key)), base64);
    ssh_string_free_char(base64);
    return text;
}

char *ssh_host_key_fingerprint(ssh_key key)
{
    unsigned char *hash = NULL;
    size_t size = 0;

    if (ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &size) != 0)
        memory_checked(NULL);
    char *shown = memory_checked(ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, size));
    char *text = text_copy(shown);
    ssh_string_free_char(shown);
    ssh_clean_pubkey_hash(&hash);
    return text;
}

/** Does the file, which may be empty, lack the newline at its end? */
static bool ends_in_mid_line(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    char last = '\n';

    return size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

int ssh_known_hosts_add(const char *path, const char *address, int port, ssh_key key, struct error *err)
{
    cleanup_free char *host = host_pattern(address, port);
    cleanup_free char *key_text = ssh_host_key_text(key);
    cleanup_close int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return error_set_errno(err, errno, "adding a host key to", path);
    cleanup_free char *line = text_format("%s%s %s\n", ends_in_mid_line(fd) ? "\n" : "", host, key_text);
    /* One write at the end: whoever adds another host at the same moment loses nothing, and neither do we. */
    ssize_t written = write(fd, line, strlen(line));
    if (written >= 0 && (size_t)written != strlen(line))
        errno = ENOSPC;
    if (written < 0 || (size_t)written != strlen(line) || fsync(fd) < 0)
        return error_set_errno(err, errno, "adding a host key to", path);
    return 0;
}
