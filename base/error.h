/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Errors are objects: a domain, a code within it, what was being done (operation), to what (subject), the words of
 * whoever refused (detail), and the error that caused this one. Every layer wraps what it passes on, so the text reads
 * "deploying agent vm-00: writing /etc/fleet-agent/config.toml: Permission denied".
 *
 * A function that can fail takes `struct error *err` last and returns 0, or -1 with *err set. `err` is never NULL and
 * must be unset (ERROR_INIT or error_clear()ed) on entry. Callers decide on domain and code, never on text.
 */

#include <errno.h>
#include <stdbool.h>

#include "base/cleanup.h"

/** A family of codes. Each module that has codes of its own defines one `const struct error_domain`. */
struct error_domain {
    const char *name;                   /**< lower case, as shown in logs: "system", "wire" */
    const char *(*code_name)(int code); /**< stable name of a code, for reports; never NULL */
};

/** Codes are errno values. */
extern const struct error_domain system_error_domain;

/** What a caller or a user got wrong, or a limit that was met, where no narrower domain fits. */
extern const struct error_domain general_error_domain;
enum general_error {
    GENERAL_INVALID = 1, /**< an argument, option or value that cannot be used */
    GENERAL_NOT_FOUND,
    GENERAL_TIMEOUT, /**< a deadline passed; the detail names the last state seen */
    GENERAL_CANCELLED,
    GENERAL_TOO_LARGE,
    GENERAL_CONFLICT,    /**< the thing exists already and differs */
    GENERAL_UNSUPPORTED, /**< this machine or peer cannot do it; the detail names the missing capability */
    GENERAL_FAILED,      /**< a program or peer failed in its own words (in the detail) */
};

struct error {
    const struct error_domain *domain; /**< NULL while unset */
    int code;
    char *operation;     /**< "creating container"; owned */
    char *subject;       /**< "pi-01/hello.web", NULL where the operation says it all; owned */
    char *detail;        /**< why, in the words of whoever refused; NULL on a wrapping frame; owned */
    struct error *cause; /**< owned; NULL at the root */
};

#define ERROR_INIT ((struct error){0})

static inline bool error_is_set(const struct error *err)
{
    return err->domain != NULL;
}

/** True if *err is set and has this domain and code (a wrapping frame carries those of its root cause). */
bool error_is(const struct error *err, const struct error_domain *domain, int code);

/**
 * Set *err. `subject` may be NULL. Returns -1, so that a function can `return error_set(err, …)`.
 */
int error_set(struct error *err, const struct error_domain *domain, int code, const char *operation,
              const char *subject, const char *detail_format, ...) PRINTF_LIKE(6, 7);

/** Set *err from an errno value (positive), the detail being its strerror text. Returns -1. */
int error_set_errno(struct error *err, int errno_value, const char *operation, const char *subject);

/** Put a frame around the set *err: the new frame keeps domain and code. `subject` may be NULL. Returns -1. */
int error_wrap(struct error *err, const char *operation, const char *subject);

/** The whole chain on one line: "operation subject: operation subject: detail". Caller frees; never NULL. */
char *error_text(const struct error *err);

/** Detail of the root cause, "" if none. Borrowed. */
const char *error_root_detail(const struct error *err);

/** Move *from into the unset *to; *from becomes unset. */
void error_move(struct error *to, struct error *from);

/** Free what *err owns and make it unset; an unset error is fine. Keeps errno. */
void error_clear(struct error *err);

static inline void error_clear_at_exit(struct error *err)
{
    error_clear(err);
}
/** `cleanup_error struct error err = ERROR_INIT;` */
#define cleanup_error __attribute__((cleanup(error_clear_at_exit)))

#if defined(__clang_analyzer__) && !defined(ERROR_IMPLEMENTATION)
/* The analyser sees one source at a time: tell it what these three return, or every caller seems to go on after them. */
#define error_set(...)       (error_set(__VA_ARGS__), -1)
#define error_set_errno(...) (error_set_errno(__VA_ARGS__), -1)
#define error_wrap(...)      (error_wrap(__VA_ARGS__), -1)
#endif
