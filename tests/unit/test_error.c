/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "harness/test.h"

FLEET_TEST(error, carries_what_was_done_to_what_and_why)
{
    cleanup_error struct error failure = ERROR_INIT;

    CHECK(!error_is_set(&failure), "a fresh error is set");
    CHECK(error_set(&failure, &general_error_domain, GENERAL_INVALID, "reading option", "port", "%d is no port",
                    99999) == -1,
          "error_set must return -1");
    CHECK(error_is_set(&failure), "it is not set");
    CHECK(error_is(&failure, &general_error_domain, GENERAL_INVALID), "domain and code differ");
    CHECK(!error_is(&failure, &general_error_domain, GENERAL_TIMEOUT), "it has another code as well");
    CHECK(!error_is(&failure, &system_error_domain, GENERAL_INVALID), "it is in another domain as well");
    CHECK(text_equal(failure.operation, "reading option"), "operation is %s", failure.operation);
    CHECK(text_equal(failure.subject, "port"), "subject is %s", failure.subject);
    CHECK(text_equal(failure.detail, "99999 is no port"), "detail is %s", failure.detail);
    CHECK(failure.cause == NULL, "it has a cause");
    return 0;
}

FLEET_TEST(error, owns_copies)
{
    cleanup_error struct error failure = ERROR_INIT;
    char subject[] = "pi-01";

    error_set_errno(&failure, EACCES, "opening", subject);
    memset(subject, 'x', sizeof(subject) - 1);
    CHECK(text_equal(failure.subject, "pi-01"), "subject is %s", failure.subject);
    return 0;
}

FLEET_TEST(error, from_errno_has_its_words)
{
    cleanup_error struct error failure = ERROR_INIT;

    CHECK(error_set_errno(&failure, EACCES, "opening", NULL) == -1, "error_set_errno must return -1");
    CHECK(error_is(&failure, &system_error_domain, EACCES), "domain and code differ");
    CHECK(text_equal(failure.detail, strerror(EACCES)), "detail is %s", failure.detail);
    CHECK(failure.subject == NULL, "subject is %s", failure.subject);
    CHECK(text_equal(failure.domain->code_name(failure.code), "EACCES"), "the code's name differs");
    return 0;
}

FLEET_TEST(error, wrapping_keeps_domain_and_code_of_the_root)
{
    cleanup_error struct error failure = ERROR_INIT;

    error_set_errno(&failure, EACCES, "writing", "/etc/fleet-agent/config.toml");
    CHECK(error_wrap(&failure, "deploying agent", "vm-00") == -1, "error_wrap must return -1");
    error_wrap(&failure, "bringing up", NULL);
    CHECK(error_is(&failure, &system_error_domain, EACCES), "domain and code differ");
    CHECK(failure.cause && failure.cause->cause && !failure.cause->cause->cause, "there are not two frames around it");
    CHECK(failure.detail == NULL, "a frame has the detail %s", failure.detail);
    CHECK(text_equal(error_root_detail(&failure), strerror(EACCES)), "root detail is %s", error_root_detail(&failure));
    cleanup_free char *text = error_text(&failure);
    CHECK(
        text_equal(text, "bringing up: deploying agent vm-00: writing /etc/fleet-agent/config.toml: Permission denied"),
        "text is %s", text);
    return 0;
}

FLEET_TEST(error, wrapping_may_borrow_from_the_error_itself)
{
    cleanup_error struct error failure = ERROR_INIT;

    error_set_errno(&failure, ENOENT, "opening", "a file");
    error_wrap(&failure, failure.operation, failure.subject);
    cleanup_free char *text = error_text(&failure);
    CHECK(text_equal(text, "opening a file: opening a file: No such file or directory"), "text is %s", text);
    return 0;
}

FLEET_TEST(error, clears_and_can_be_set_again)
{
    struct error failure = ERROR_INIT;

    error_set_errno(&failure, ENOENT, "opening", "a");
    error_wrap(&failure, "starting", "b");
    errno = EPIPE;
    error_clear(&failure);
    CHECK(errno == EPIPE, "errno became %d", errno);
    CHECK(!error_is_set(&failure) && !failure.operation && !failure.cause, "something is left");
    error_clear(&failure);
    error_set_errno(&failure, EPERM, "opening", "a");
    CHECK(error_is(&failure, &system_error_domain, EPERM), "it could not be set again");
    error_clear(&failure);
    return 0;
}

FLEET_TEST(error, moves_without_copying)
{
    cleanup_error struct error from = ERROR_INIT;
    cleanup_error struct error to = ERROR_INIT;

    error_set_errno(&from, ENOENT, "opening", "a");
    error_wrap(&from, "starting", "b");
    const struct error *cause = from.cause;
    error_move(&to, &from);
    CHECK(!error_is_set(&from) && !from.cause, "the source still owns something");
    CHECK(error_is(&to, &system_error_domain, ENOENT) && to.cause == cause, "the target has another error");
    return 0;
}

FLEET_TEST(error, unset_has_no_text)
{
    cleanup_error struct error failure = ERROR_INIT;
    cleanup_free char *text = error_text(&failure);

    CHECK(*text == '\0', "text is %s", text);
    CHECK(text_equal(error_root_detail(&failure), ""), "detail is %s", error_root_detail(&failure));
    CHECK(!error_is(&failure, &general_error_domain, 0), "an unset error is in a domain");
    return 0;
}

FLEET_TEST(error, every_general_code_has_its_name)
{
    cleanup_text_list struct text_list names = {0};

    for (int code = GENERAL_INVALID; code <= GENERAL_FAILED; code++) {
        const char *name = general_error_domain.code_name(code);
        CHECK(!text_equal(name, "unknown") && !text_list_contains(&names, name), "code %d is called %s", code, name);
        text_list_add(&names, name);
    }
    CHECK(text_equal(general_error_domain.code_name(4711), "unknown"), "an unknown code has a name");
    CHECK(text_equal(system_error_domain.code_name(4711), "unknown"), "an unknown errno has a name");
    return 0;
}

FLEET_TEST(error, cleanup_keeps_errno_and_closes)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    CHECK(fd >= 0, "opening /dev/null: errno %d", errno);
    {
        cleanup_close int owned = fd;
        cleanup_close int none = -1;
        CHECK(owned != none, "both are %d", owned);
        errno = ENOTTY;
    }
    CHECK(errno == ENOTTY, "errno became %d", errno);
    CHECK(fcntl(fd, F_GETFD) < 0 && errno == EBADF, "%d is still open", fd);
    return 0;
}

FLEET_TEST(error, taking_leaves_nothing_behind)
{
    cleanup_free char *text = text_copy("owned");
    cleanup_close int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    cleanup_free char *taken = TAKE_PTR(text);
    cleanup_close int taken_fd = TAKE_FD(fd);

    CHECK(text == NULL && text_equal(taken, "owned"), "the pointer was not moved");
    CHECK(fd == -1 && taken_fd >= 0, "the descriptor was not moved: %d, %d", fd, taken_fd);
    return 0;
}
