/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/credentials.h"

#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "harness/test.h"

FLEET_TEST(credentials, keeps_user_and_password)
{
    CLEANUP(credentials_free) struct credentials *credentials = NULL;

    TRY(credentials_user_password("device", "s3cret pass", &credentials, err));
    CHECK(credentials->type == CREDENTIAL_USER_PASSWORD, "type is %d", credentials->type);
    CHECK(text_equal(credentials->user, "device"), "user is %s", credentials->user);
    CHECK(text_equal(credentials->password, "s3cret pass"), "the password differs");
    return 0;
}

FLEET_TEST(credentials, refuses_what_nats_cannot_take)
{
    CLEANUP(credentials_free) struct credentials *credentials = NULL;
    char longer[258];

    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    CHECK_FAILS(credentials_user_password("", "p", &credentials, err), auth_error_domain, AUTH_INVALID);
    CHECK_FAILS(credentials_user_password("u", "", &credentials, err), auth_error_domain, AUTH_INVALID);
    CHECK_FAILS(credentials_user_password("u", NULL, &credentials, err), auth_error_domain, AUTH_INVALID);
    CHECK_FAILS(credentials_user_password("u\r\nPUB x", "p", &credentials, err), auth_error_domain, AUTH_INVALID);
    CHECK_FAILS(credentials_user_password("u", longer, &credentials, err), auth_error_domain, AUTH_INVALID);
    CHECK(credentials == NULL, "a failed call must leave its result alone");
    return 0;
}

/** A file of these bytes and mode in the test's artefacts directory. */
static int make_file(struct test_context *test, const char *name, const char *data, size_t size, mode_t mode,
                     char **ret, struct error *err)
{
    cleanup_free char *path = text_format("%s/%s", test->artefacts, name);

    if (file_write_atomic(path, data, size, mode, err) < 0)
        return -1;
    if (chmod(path, mode) < 0)
        return error_set_errno(err, errno, "setting the mode of", path);
    *ret = TAKE_PTR(path);
    return 0;
}

FLEET_TEST(credentials, secret_is_the_first_line)
{
    static const char *const contents[] = {"s3cret", "s3cret\n", "s3cret\r\n", "s3cret\nsecond line\n"};

    for (size_t i = 0; i < ARRAY_SIZE(contents); i++) {
        cleanup_free char *path = NULL;
        cleanup_free char *secret = NULL;

        TRY(make_file(test, "secret", contents[i], strlen(contents[i]), 0600, &path, err));
        TRY(secret_read(path, &secret, err));
        CHECK(text_equal(secret, "s3cret"), "content %zu gave \"%s\"", i, secret);
    }
    return 0;
}

FLEET_TEST(credentials, secret_of_others_is_refused)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0660, 0644, 0777};

    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        cleanup_free char *path = NULL;
        cleanup_free char *secret = NULL;
        cleanup_error struct error refused = ERROR_INIT;

        TRY(make_file(test, "secret", "s3cret\n", 7, modes[i], &path, err));
        CHECK(secret_read(path, &secret, &refused) < 0, "mode %o was accepted", modes[i]);
        CHECK(error_is(&refused, &auth_error_domain, AUTH_INSECURE_FILE), "mode %o: another error", modes[i]);
        CHECK(strstr(error_root_detail(&refused), "chmod 600") != NULL, "no remedy in: %s",
              error_root_detail(&refused));
    }
    return 0;
}

FLEET_TEST(credentials, secret_of_another_user_is_refused, NEEDS(CAPABILITY_ROOT))
{
    cleanup_free char *path = NULL;
    cleanup_free char *secret = NULL;

    TRY(make_file(test, "secret", "s3cret\n", 7, 0600, &path, err));
    CHECK(chown(path, 65534, 65534) == 0, "chown failed");
    CHECK_FAILS(secret_read(path, &secret, err), auth_error_domain, AUTH_INSECURE_FILE);
    return 0;
}

/** Read the secret in a child process that is not root's, with one group. Returns 0 as the child's secret_read does. */
static int read_as_user(const char *path, uid_t user, gid_t group)
{
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        cleanup_free char *secret = NULL;
        cleanup_error struct error refused = ERROR_INIT;

        if (setgroups(0, NULL) < 0 || setresgid(group, group, group) < 0 || setresuid(user, user, user) < 0)
            _exit(2);
        int result = secret_read(path, &secret, &refused);
        _exit(result == 0 ? 0 : error_is(&refused, &auth_error_domain, AUTH_INSECURE_FILE) ? 1 : 2);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}

FLEET_TEST(credentials, secret_of_root_is_given_to_a_pods_group, NEEDS(CAPABILITY_ROOT))
{
    char path[] = "/tmp/fleet-secret-XXXXXX"; /* a place that another user can reach */
    cleanup_close int fd = mkstemp(path);

    CHECK(fd >= 0 && write(fd, "s3cret\n", 7) == 7, "no file");
    bool prepared = fchown(fd, 0, 65532) == 0 && fchmod(fd, 0440) == 0;
    int of_the_group = read_as_user(path, 65532, 65532);
    int writable = fchmod(fd, 0460) == 0 ? read_as_user(path, 65532, 65532) : 2;
    int of_another_user = fchmod(fd, 0440) == 0 && fchown(fd, 65531, 65532) == 0 ? read_as_user(path, 65532, 65532) : 2;
    unlink(path);
    CHECK(prepared && of_the_group == 0, "root's file of our group, mode 0440: %d", of_the_group);
    CHECK(writable == 1, "mode 0460: %d", writable);
    CHECK(of_another_user == 1, "another user's file of our group: %d", of_another_user);
    return 0;
}

FLEET_TEST(credentials, secret_that_is_none_is_refused)
{
    cleanup_free char *path = NULL;
    cleanup_free char *fifo = text_format("%s/fifo", test->artefacts);
    cleanup_free char *secret = NULL;
    char large[5000] = {0};

    CHECK_FAILS(secret_read("/nonexistent/secret", &secret, err), system_error_domain, ENOENT);
    CHECK_FAILS(secret_read(test->artefacts, &secret, err), auth_error_domain, AUTH_INVALID);
    CHECK(mkfifo(fifo, 0600) == 0, "mkfifo failed");
    CHECK_FAILS(secret_read(fifo, &secret, err), auth_error_domain, AUTH_INVALID);
    TRY(make_file(test, "empty", "\n", 1, 0600, &path, err));
    CHECK_FAILS(secret_read(path, &secret, err), auth_error_domain, AUTH_INVALID);
    free(TAKE_PTR(path));
    memset(large, 'x', sizeof(large));
    TRY(make_file(test, "large", large, sizeof(large), 0600, &path, err));
    CHECK_FAILS(secret_read(path, &secret, err), auth_error_domain, AUTH_INVALID);
    CHECK(secret == NULL, "a failed call must leave its result alone");
    return 0;
}
