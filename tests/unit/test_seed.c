/* SPDX-License-Identifier: Apache-2.0 */
#include "images/vm/seed.h"

#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "harness/test.h"

#define MACHINE_ID "machine-id=0123456789abcdef0123456789abcdef\n"
/* "-----BEGIN OPENSSH PRIVATE KEY-----\nkey\n" */
#define HOST_KEY   "host-key=LS0tLS1CRUdJTiBPUEVOU1NIIFBSSVZBVEUgS0VZLS0tLS0Ka2V5Cg==\n"
#define PUBLIC_KEY "host-key-public=ssh-ed25519 AAAA\n"
#define AUTHORIZED "authorized-key=ssh-ed25519 BBBB somebody\n"
/* 0x00 … 0x1f */
#define RANDOM     "random=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
#define WITHOUT_ID "hostname=fleet-0\n" HOST_KEY PUBLIC_KEY AUTHORIZED RANDOM
#define DEVICE     "kind=device\n" MACHINE_ID WITHOUT_ID

/* A disk's content: `text` with padding. */
static int parse(const char *text, struct seed *ret, struct error *err)
{
    cleanup_free char *block = memory_new(SEED_SIZE, 1);
    for (size_t i = 0; text[i]; i++) /* a disk's content has no terminator */
        block[i] = text[i];
    return seed_parse(block, SEED_SIZE, ret, err);
}

FLEET_TEST(seed, of_a_device)
{
    cleanup_seed struct seed seed = {0};
    static const unsigned char mac[] = {0x52, 0x54, 0x00, 0xab, 0xcd, 0x0f};

    TRY(parse("FLEET-SEED 1\n" DEVICE "mac=52:54:00:ab:cd:0f\nend=1\n", &seed, err));
    CHECK(seed.kind == SEED_DEVICE, "%d", (int)seed.kind);
    CHECK(text_equal(seed.hostname, "fleet-0"), "%s", seed.hostname);
    CHECK(text_equal(seed.machine_id, "0123456789abcdef0123456789abcdef"), "%s", seed.machine_id);
    CHECK(text_equal(seed.host_key, "-----BEGIN OPENSSH PRIVATE KEY-----\nkey\n"), "%s", seed.host_key);
    CHECK(text_equal(seed.host_key_public, "ssh-ed25519 AAAA"), "%s", seed.host_key_public);
    CHECK(text_equal(seed.authorized_key, "ssh-ed25519 BBBB somebody"), "%s", seed.authorized_key);
    CHECK(seed.has_mac && memcmp(seed.mac, mac, sizeof(mac)) == 0, "%02x…%02x", seed.mac[0], seed.mac[5]);
    CHECK(seed.random_size == 32, "%zu", seed.random_size);
    for (size_t i = 0; i < seed.random_size; i++)
        CHECK(seed.random[i] == i, "%zu: %d", i, seed.random[i]);
    return 0;
}

FLEET_TEST(seed, needs_no_mac_address)
{
    cleanup_seed struct seed seed = {0};

    TRY(parse("FLEET-SEED 1\n" DEVICE "end=1\n", &seed, err));
    CHECK(!seed.has_mac, "it has one");
    return 0;
}

FLEET_TEST(seed, of_a_guest_to_be_saved)
{
    cleanup_seed struct seed seed = {0};

    TRY(parse("FLEET-SEED 1\nkind=pristine\nend=1\n", &seed, err));
    CHECK(seed.kind == SEED_PRISTINE, "%d", (int)seed.kind);
    return 0;
}

FLEET_TEST(seed, is_absent)
{
    static const char *const texts[] = {"", "FLEET-SEED", "fleet-seed 1\nend=1\n", "\nFLEET-SEED 1\nend=1\n"};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        cleanup_seed struct seed seed = {0};
        CHECK_FAILS(parse(texts[i], &seed, err), seed_error_domain, SEED_ABSENT);
    }
    return 0;
}

/* At every byte of it, in either order: a disk that is being written is no seed, or the one that was there. */
FLEET_TEST(seed, is_not_taken_while_it_is_written)
{
    static const char before[] = "FLEET-SEED 1\nkind=pristine\nend=1\n";
    static const char after[] = "FLEET-SEED 1\n" DEVICE "end=1\n";
    cleanup_free char *block = memory_new(SEED_SIZE, 1);

    for (size_t written = strlen("FLEET-SEED 1\n"); written < strlen(after); written++) {
        cleanup_seed struct seed seed = {0};
        memset(block, 0, SEED_SIZE);
        memcpy(block, after, written);
        CHECK_FAILS(seed_parse(block, SEED_SIZE, &seed, err), seed_error_domain, SEED_INCOMPLETE);
    }
    for (size_t left = strlen(before); left < strlen(after); left++) {
        cleanup_seed struct seed seed = {0};
        memset(block, 0, SEED_SIZE);
        memcpy(block, before, strlen(before));
        memcpy(block + left, after + left, strlen(after) - left);
        CHECK_FAILS(seed_parse(block, SEED_SIZE, &seed, err), seed_error_domain, SEED_INCOMPLETE);
    }
    return 0;
}

FLEET_TEST(seed, is_looked_at_within_its_bounds)
{
    static const char text[] = "FLEET-SEED 1\nkind=pristine\nend=1\n";

    for (size_t size = 0; size <= strlen(text); size++) {
        cleanup_seed struct seed seed = {0};
        cleanup_error struct error refused = ERROR_INIT;
        cleanup_free char *block = size > 0 ? memory_new(size, 1) : NULL; /* the sanitizer watches its end */
        if (size > 0)
            memcpy(block, text, size);
        int result = seed_parse(block, size, &seed, &refused);
        CHECK((result == 0) == (size == strlen(text)), "%zu: %d", size, result);
    }
    return 0;
}

FLEET_TEST(seed, a_bad_line_is_named)
{
    static const struct {
        const char *text;
        const char *detail;
    } bad[] = {
        {"FLEET-SEED 2\nend=1\n", "line 1: this version"},
        {"FLEET-SEED 1\nend=1\n", "line 2: kind is missing"},
        {"FLEET-SEED 1\nkind=other\nend=1\n", "line 2: kind must be"},
        {"FLEET-SEED 1\nkind=pristine\n\nend=1\n", "line 3: this is no name=value"},
        {"FLEET-SEED 1\nkind=pristine\ncolour=red\nend=1\n", "line 3: this has no name that is known"},
        {"FLEET-SEED 1\nkind=pristine\nkind=device\nend=1\n", "line 3: kind stands there twice"},
        {"FLEET-SEED 1\nkind=device\n" WITHOUT_ID "end=1\n", "line 8: machine-id is missing"},
        {"FLEET-SEED 1\nhostname=\nend=1\n", "line 2: hostname must be"},
        {"FLEET-SEED 1\nhostname=-a\nend=1\n", "line 2: hostname must be"},
        {"FLEET-SEED 1\nhostname=a.b\nend=1\n", "line 2: hostname must be"},
        {"FLEET-SEED 1\nhostname=a\n\nhostname=b\nend=1\n", "line 3: this is no"},
        {"FLEET-SEED 1\nmachine-id=00000000000000000000000000000000\nend=1\n", "line 2: machine-id must be"},
        {"FLEET-SEED 1\nmachine-id=0123456789ABCDEF0123456789abcdef\nend=1\n", "line 2: machine-id must be"},
        {"FLEET-SEED 1\nmachine-id=0123456789abcdef0123456789abcdef0\nend=1\n", "line 2: machine-id must be"},
        {"FLEET-SEED 1\nmac=52:54:00:ab:cd\nend=1\n", "line 2: mac must be"},
        {"FLEET-SEED 1\nmac=52:54:00:ab:cd-0f\nend=1\n", "line 2: mac must be"},
        {"FLEET-SEED 1\nmac=52:54:00:ab:cd:0g\nend=1\n", "line 2: mac must be"},
        {"FLEET-SEED 1\nmac=53:54:00:ab:cd:0f\nend=1\n", "line 2: mac must be"},
        {"FLEET-SEED 1\nhost-key=a2V5\nend=1\n", "line 2: host-key must be the file"},
        {"FLEET-SEED 1\nhost-key=a2V\nend=1\n", "line 2: host-key is not base64"},
        {"FLEET-SEED 1\nhost-key=\nend=1\n", "line 2: host-key is not base64"},
        {"FLEET-SEED 1\nhost-key====\nend=1\n", "line 2: host-key is not base64"},
        {"FLEET-SEED 1\nhost-key=a=V5\nend=1\n", "line 2: host-key is not base64"},
        {"FLEET-SEED 1\nhost-key-public=ssh-rsa A\nend=1\n", "line 2: host-key-public must be"},
        {"FLEET-SEED 1\nauthorized-key=\nend=1\n", "line 2: authorized-key must be"},
        {"FLEET-SEED 1\nauthorized-key=a\tb\nend=1\n", "line 2: authorized-key must be"},
        {"FLEET-SEED 1\nrandom=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==\nend=1\n", "line 2: random must be"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        cleanup_seed struct seed seed = {0};
        cleanup_error struct error refused = ERROR_INIT;
        CHECK(parse(bad[i].text, &seed, &refused) < 0, "accepted: %s", bad[i].text);
        CHECK(error_is(&refused, &seed_error_domain, SEED_INVALID), "%s: %s", bad[i].text, error_root_detail(&refused));
        CHECK(text_starts_with(error_root_detail(&refused), bad[i].detail), "%s: %s", bad[i].text,
              error_root_detail(&refused));
        CHECK(!seed.hostname && !seed.machine_id && !seed.host_key, "%s: something was taken", bad[i].text);
    }
    return 0;
}
