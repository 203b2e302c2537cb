/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/vm_seed.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

#define SEED_SIZE       (64u << 10)
#define RANDOM_SIZE     512
#define KEY_MAX         (16u << 10)
#define MACHINE_ID_SIZE 33 /* 32 hex digits: machine-id(5) */

static char *base64(const void *data, size_t size)
{
    unsigned char *encoded = NEW_ARRAY(unsigned char, (size + 2) / 3 * 4 + 1);

    EVP_EncodeBlock(encoded, data, (int)size);
    return (char *)encoded;
}

static int add_random(struct text_buffer *seed, struct error *err)
{
    unsigned char bytes[RANDOM_SIZE];
    ssize_t got = getrandom(bytes, sizeof(bytes), 0);

    if (got != sizeof(bytes))
        return error_set_errno(err, got < 0 ? errno : EIO, "reading", "random bytes");
    cleanup_free char *encoded = base64(bytes, sizeof(bytes));
    text_buffer_format(seed, "random=%s\n", encoded);
    return 0;
}

static int add_identity(struct text_buffer *seed, const struct vm_identity *identity, struct error *err)
{
    cleanup_free char *key = NULL;
    char machine_id[MACHINE_ID_SIZE];
    size_t size;

    if (file_read(identity->host_key, KEY_MAX, &key, &size, err) < 0)
        return -1;
    cleanup_free char *encoded = base64(key, size);
    text_random_hex(machine_id, sizeof(machine_id));
    text_buffer_format(seed, "hostname=%s\nmachine-id=%s\nmac=%s\n", identity->hostname, machine_id, identity->mac);
    text_buffer_format(seed, "host-key=%s\nhost-key-public=%s\n", encoded, identity->host_key_public);
    text_buffer_format(seed, "authorized-key=%s\n", identity->authorized_key);
    return add_random(seed, err);
}

int vm_seed_write(const char *path, const struct vm_identity *identity, struct error *err)
{
    cleanup_text_buffer struct text_buffer seed = {0};

    text_buffer_format(&seed, "FLEET-SEED 1\nkind=%s\n", identity ? "device" : "pristine");
    if (identity && add_identity(&seed, identity, err) < 0)
        return error_wrap(err, "writing seed", path);
    text_buffer_add(&seed, "end=1\n");
    if (seed.size >= SEED_SIZE)
        return error_set(err, &general_error_domain, GENERAL_TOO_LARGE, "writing seed", path,
                         "%zu bytes do not fit into %u", seed.size, SEED_SIZE);
    cleanup_free char *image = memory_new(1, SEED_SIZE);
    memcpy(image, seed.data, seed.size);
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || file_write_all(fd, image, SEED_SIZE) < 0)
        return error_set_errno(err, errno, "writing seed", path);
    return 0;
}
