/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/vm_seed.h"

#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "harness/test.h"

#define SEED_SIZE 65536

static int write_and_read(struct run *run, const struct vm_identity *identity, char **text, struct error *err)
{
    cleanup_free char *path = text_format("%s/seed.img", run_directory(run));
    struct stat status;
    size_t size = 0;

    TRY(vm_seed_write(path, identity, err));
    CHECK(stat(path, &status) == 0 && (status.st_mode & 07777) == 0600, "mode %o", status.st_mode);
    TRY(file_read(path, SEED_SIZE, text, &size, err));
    CHECK(size == SEED_SIZE, "it has %zu bytes", size);
    return 0;
}

/** The line "key=…" without its key. Caller frees; NULL: there is none. */
static char *line_of(const char *text, const char *key)
{
    cleanup_free char *before = text_format("\n%s=", key);
    const char *found = strstr(text, before);

    return found ? text_copy_n(found + strlen(before), strcspn(found + strlen(before), "\n")) : NULL;
}

FLEET_TEST(vm_seed, has_an_identity_of_its_own_each_time)
{
    struct run *run = NULL;
    cleanup_free char *first = NULL;
    cleanup_free char *second = NULL;

    TRY(test_run(test, &run, err));
    cleanup_free char *key = text_format("%s/key", run_directory(run));
    TRY(file_write_atomic(key, "secret key", strlen("secret key"), 0600, err));
    const struct vm_identity identity = {"vm-0", "52:54:00:01:02:03", key, "ssh-ed25519 AAAA host",
                                         "ssh-ed25519 BBBB me"};
    TRY(write_and_read(run, &identity, &first, err));
    TRY(write_and_read(run, &identity, &second, err));
    CHECK(text_starts_with(first, "FLEET-SEED 1\nkind=device\n"), "it begins %.40s", first);
    CHECK(text_ends_with(first, "\nend=1\n"), "it is not complete");
    cleanup_free char *host_key = line_of(first, "host-key");
    CHECK(text_equal(host_key, "c2VjcmV0IGtleQ=="), "the host key is %s", host_key);
    cleanup_free char *hostname = line_of(first, "hostname");
    CHECK(text_equal(hostname, "vm-0"), "the host name is %s", hostname);
    cleanup_free char *first_id = line_of(first, "machine-id");
    cleanup_free char *second_id = line_of(second, "machine-id");
    CHECK(first_id && strlen(first_id) == 32 && !text_equal(first_id, second_id), "%s, %s", first_id, second_id);
    cleanup_free char *first_random = line_of(first, "random");
    cleanup_free char *second_random = line_of(second, "random");
    CHECK(first_random && !text_equal(first_random, second_random), "the same random bytes twice");
    return 0;
}

FLEET_TEST(vm_seed, of_a_pristine_guest_says_nothing_else)
{
    struct run *run = NULL;
    cleanup_free char *text = NULL;

    TRY(test_run(test, &run, err));
    TRY(write_and_read(run, NULL, &text, err));
    CHECK(text_equal(text, "FLEET-SEED 1\nkind=pristine\nend=1\n"), "it is %s", text);
    return 0;
}

FLEET_TEST(vm_seed, missing_host_key_is_named)
{
    const struct vm_identity identity = {"vm-0", "52:54:00:01:02:03", "/nonexistent/key", "p", "a"};
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    cleanup_free char *path = text_format("%s/seed.img", run_directory(run));
    CHECK_FAILS(vm_seed_write(path, &identity, err), system_error_domain, ENOENT);
    CHECK(!file_exists(path), "half a seed was written");
    return 0;
}
