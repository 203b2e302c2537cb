/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The ownership idiom of the whole tree; the contract it serves is written in
 * ARCHITECTURE.md ("Memory contract").
 *
 *   cleanup_free char *path = text_format(...);        // freed at scope exit
 *   *ret = TAKE_PTR(path);                              // ownership moves out
 *
 * A type T with a destructor `void t_free(struct t *)` gets its attribute by
 * DEFINE_CLEANUP(struct t *, t_free) in its header and is then written
 * `CLEANUP(t_free) struct t *value = NULL;`.
 */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

/** Run the handler that DEFINE_CLEANUP made for `function` at scope exit. */
#define CLEANUP(function) __attribute__((cleanup(function##_at_exit)))

/**
 * Define the scope-exit handler of `function`, which takes a `type` by value and accepts the type's null value.
 * The handler keeps errno, so a failing function may clean up and still report why it failed.
 */
#define DEFINE_CLEANUP(type, function)                                                                                 \
    static inline __attribute__((unused)) void function##_at_exit(const __typeof__(type) *value)                       \
    {                                                                                                                  \
        int saved_errno = errno;                                                                                       \
        function(*value);                                                                                              \
        errno = saved_errno;                                                                                           \
    }

/** free(3) at scope exit; glibc's free keeps errno. */
static inline void free_at_exit(void *pointer_to_pointer)
{
    free(*(void **)pointer_to_pointer);
}
#define cleanup_free CLEANUP(free)

/** close(2) that accepts -1 and keeps errno. */
void close_fd(int fd);
DEFINE_CLEANUP(int, close_fd)
#define cleanup_close CLEANUP(close_fd)

/** Move a pointer out of its variable: the variable becomes NULL, the value is returned. */
#define TAKE_PTR(variable)                                                                                             \
    __extension__({                                                                                                    \
        __typeof__(variable) taken_pointer_ = (variable);                                                              \
        (variable) = NULL;                                                                                             \
        taken_pointer_;                                                                                                \
    })

/** Move a file descriptor out of its variable: the variable becomes -1, the value is returned. */
#define TAKE_FD(variable)                                                                                              \
    __extension__({                                                                                                    \
        int taken_fd_ = (variable);                                                                                    \
        (variable) = -1;                                                                                               \
        taken_fd_;                                                                                                     \
    })

#define ARRAY_SIZE(array)                         (sizeof(array) / sizeof((array)[0]))
#define MUST_CHECK                                __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_index, first_argument) __attribute__((format(printf, format_index, first_argument)))
