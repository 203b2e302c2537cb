/* SPDX-License-Identifier: Apache-2.0 */
#include "images/vm/seed.h"

#include <stdint.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

#define MAGIC           "FLEET-SEED "
#define FIRST_LINE      MAGIC "1"
#define LAST_LINE       "end=1"
#define PRIVATE_KEY     "-----BEGIN OPENSSH PRIVATE KEY-----\n"
#define RANDOM_SIZE_MIN 32
#define RANDOM_SIZE_MAX 4096

static const char *seed_code_name(int code)
{
    switch ((enum seed_error)code) {
    case SEED_ABSENT:
        return "absent";
    case SEED_INCOMPLETE:
        return "incomplete";
    case SEED_INVALID:
        return "invalid";
    }
    return "unknown";
}

const struct error_domain seed_error_domain = {.name = "seed", .code_name = seed_code_name};

void seed_clear(struct seed *seed)
{
    free(seed->hostname);
    free(seed->machine_id);
    free(seed->host_key);
    free(seed->host_key_public);
    free(seed->authorized_key);
    free(seed->random);
    *seed = (struct seed){0};
}

/* ── values: each reader returns NULL, or what is wrong with the value ── */

static int base64_value(char character)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *place = character ? strchr(digits, character) : NULL;
    return place ? (int)(place - digits) : -1;
}

/* RFC 4648, section 4, without line breaks. *ret is terminated, which *size does not count. */
static const char *decode_base64(const char *text, unsigned char **ret, size_t *size)
{
    size_t length = strlen(text);
    size_t padding = 0;
    while (padding < 2 && padding < length && text[length - 1 - padding] == '=')
        padding++;
    if (length == 0 || length % 4 != 0)
        return "is not base64: its length is no multiple of 4";
    cleanup_free unsigned char *data = memory_new(length / 4 * 3 + 1, 1);
    size_t count = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < length; i++) {
        int value = i < length - padding ? base64_value(text[i]) : 0;
        if (value < 0)
            return "is not base64";
        bits = bits << 6 | (uint32_t)value;
        if (i % 4 == 3) {
            data[count++] = (unsigned char)(bits >> 16);
            data[count++] = (unsigned char)(bits >> 8);
            data[count++] = (unsigned char)bits;
        }
    }
    *size = count - padding;
    data[*size] = '\0';
    *ret = TAKE_PTR(data);
    return NULL;
}

static const char *read_kind(const char *value, struct seed *seed)
{
    if (text_equal(value, "pristine"))
        seed->kind = SEED_PRISTINE;
    else if (text_equal(value, "device"))
        seed->kind = SEED_DEVICE;
    else
        return "must be pristine or device";
    return NULL;
}

/* RFC 1123, section 2.1: one label. */
static const char *read_hostname(const char *value, struct seed *seed)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-";
    size_t length = strlen(value);
    if (length == 0 || length > 63 || strspn(value, allowed) != length || value[0] == '-' || value[length - 1] == '-')
        return "must be one label of letters, digits and hyphens, at most 63";
    seed->hostname = text_copy(value);
    return NULL;
}

/* machine-id(5) */
static const char *read_machine_id(const char *value, struct seed *seed)
{
    if (strlen(value) != 32 || strspn(value, "0123456789abcdef") != 32 || strspn(value, "0") == 32)
        return "must be 32 lower-case hex digits, not all 0";
    seed->machine_id = text_copy(value);
    return NULL;
}

static const char *read_mac(const char *value, struct seed *seed)
{
    static const char digits[] = "0123456789abcdef";
    static const char wrong[] = "must be the address of one card, like 52:54:00:12:34:56, in lower case";
    if (strlen(value) != 17)
        return wrong;
    for (size_t i = 0; i < 6; i++) {
        const char *high = strchr(digits, value[3 * i]);
        const char *low = strchr(digits, value[3 * i + 1]);
        if (!high || !low || (i < 5 && value[3 * i + 2] != ':'))
            return wrong;
        seed->mac[i] = (unsigned char)((high - digits) << 4 | (low - digits));
    }
    if (seed->mac[0] & 1)
        return wrong; /* a group's */
    seed->has_mac = true;
    return NULL;
}

static const char *read_host_key(const char *value, struct seed *seed)
{
    cleanup_free unsigned char *key = NULL;
    size_t size = 0;
    const char *wrong = decode_base64(value, &key, &size);
    if (wrong)
        return wrong;
    if (strlen((const char *)key) != size || !text_starts_with((const char *)key, PRIVATE_KEY) || key[size - 1] != '\n')
        return "must be the file of an OpenSSH private key";
    seed->host_key = (char *)TAKE_PTR(key);
    return NULL;
}

static const char *read_public_key(const char *value, char **ret)
{
    if (!text_starts_with(value, "ssh-ed25519 ") || text_has_control(value))
        return "must be an ed25519 public key, \"ssh-ed25519 …\"";
    *ret = text_copy(value);
    return NULL;
}

static const char *read_host_key_public(const char *value, struct seed *seed)
{
    return read_public_key(value, &seed->host_key_public);
}

/* Of any type and with any options: it is sshd's to understand. */
static const char *read_authorized_key(const char *value, struct seed *seed)
{
    if (value[0] == '\0' || text_has_control(value))
        return "must be one line";
    seed->authorized_key = text_copy(value);
    return NULL;
}

static const char *read_random(const char *value, struct seed *seed)
{
    cleanup_free unsigned char *random = NULL;
    size_t size = 0;
    const char *wrong = decode_base64(value, &random, &size);
    if (wrong)
        return wrong;
    if (size < RANDOM_SIZE_MIN || size > RANDOM_SIZE_MAX)
        return "must be 32 to 4096 bytes";
    seed->random = TAKE_PTR(random);
    seed->random_size = size;
    return NULL;
}

/* ── lines ── */

static const struct field {
    const char *name;
    const char *(*read)(const char *value, struct seed *seed);
    bool is_optional; /**< for a device */
} fields[] = {
    {"kind", read_kind, false},
    {"hostname", read_hostname, false},
    {"machine-id", read_machine_id, false},
    {"mac", read_mac, true},
    {"host-key", read_host_key, false},
    {"host-key-public", read_host_key_public, false},
    {"authorized-key", read_authorized_key, false},
    {"random", read_random, false},
};

static int invalid(struct error *err, int number, const char *name, const char *what)
{
    return error_set(err, &seed_error_domain, SEED_INVALID, "reading the seed", NULL, "line %d: %s %s", number, name,
                     what);
}

/* `seen`: one bit a field. */
static int read_line(char *line, int number, unsigned *seen, struct seed *seed, struct error *err)
{
    char *value = strchr(line, '=');
    if (!value)
        return invalid(err, number, "this", "is no name=value");
    *value++ = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        if (!text_equal(line, fields[i].name))
            continue;
        if (*seen & 1u << i)
            return invalid(err, number, fields[i].name, "stands there twice");
        *seen |= 1u << i;
        const char *wrong = fields[i].read(value, seed);
        return wrong ? invalid(err, number, fields[i].name, wrong) : 0;
    }
    return invalid(err, number, "this", "has no name that is known");
}

static int check_complete(const struct seed *seed, unsigned seen, int number, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        bool is_needed = i == 0 || (seed->kind == SEED_DEVICE && !fields[i].is_optional);
        if (is_needed && !(seen & 1u << i))
            return invalid(err, number, fields[i].name, "is missing before this line");
    }
    return 0;
}

static bool is_padding(const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (data[i] != '\0')
            return false;
    return true;
}

static int incomplete(struct error *err)
{
    return error_set(err, &seed_error_domain, SEED_INCOMPLETE, "reading the seed", NULL,
                     "its last line, %s, is not there", LAST_LINE);
}

int seed_parse(const char *block, size_t size, struct seed *ret, struct error *err)
{
    static const char end[] = "\n" LAST_LINE "\n";
    if (size < strlen(MAGIC) || memcmp(block, MAGIC, strlen(MAGIC)) != 0)
        return error_set(err, &seed_error_domain, SEED_ABSENT, "reading the seed", NULL, "there is none");
    cleanup_free char *text = text_copy_n(block, strnlen(block, size < SEED_SIZE ? size : SEED_SIZE));
    char *last = strstr(text, end);
    /* What follows the end was there before and is being written over. */
    size_t length = last ? (size_t)(last - text) + strlen(end) : 0;
    if (!last || !is_padding(block + length, size - length))
        return incomplete(err);
    *last = '\0';
    cleanup_seed struct seed seed = {0};
    unsigned seen = 0;
    int number = 1;
    char *rest = text;
    if (!text_equal(strsep(&rest, "\n"), FIRST_LINE))
        return invalid(err, number, "this version of the seed", "is not known");
    while (rest)
        if (read_line(strsep(&rest, "\n"), ++number, &seen, &seed, err) < 0)
            return -1;
    if (check_complete(&seed, seen, number + 1, err) < 0)
        return -1;
    *ret = seed;
    seed = (struct seed){0};
    return 0;
}
