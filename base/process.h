/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Subprocesses: an argv, never a shell. Descriptors are close-on-exec; signals and mask are reset in the child.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/deadline.h"
#include "base/error.h"

extern const struct error_domain process_error_domain;
enum process_error {
    PROCESS_NOT_STARTED = 1, /**< the program could not be executed (its cause is the errno) */
    PROCESS_EXITED,          /**< non-zero exit code; the detail ends with the last lines it wrote to stderr */
    PROCESS_SIGNALLED,
    PROCESS_TIMED_OUT, /**< it was killed at the deadline */
};

struct process_options {
    const char *const *argv;        /**< NULL-terminated; argv[0] is looked up in the PATH the child gets */
    const char *const *environment; /**< NULL-terminated "NAME=value" added to (or replacing in) ours, "NAME" alone
                                     *   removes it; may be NULL */
    const char *directory;          /**< working directory; NULL: ours */
    const void *input;              /**< bytes for stdin (process_run only); NULL: /dev/null */
    size_t input_size;
    const char *log_path; /**< process_start: stdout and stderr append here (0600); NULL: inherited */
    bool new_session;     /**< setsid(2) in the child: signals of our terminal do not reach it */
    bool die_with_parent; /**< PR_SET_PDEATHSIG SIGKILL: when the calling thread ends, not only the process */
    int keep_fd;          /**< a descriptor the child keeps under the same number (no other above 2 is
                                     *   inherited); 0: none */
};

struct process_result {
    int exit_code; /**< 0..255, or -1 when `signal` is set (both unset: somebody else reaped it) */
    int signal;
    char *output; /**< stdout, terminated; never NULL; owned */
    size_t output_size;
    char *errors;   /**< stderr, terminated; never NULL; owned */
    bool truncated; /**< more than PROCESS_OUTPUT_MAX bytes came on one stream; the rest was read and dropped */
};
#define PROCESS_OUTPUT_MAX (8u << 20)
void process_result_clear(struct process_result *result);
static inline void process_result_clear_at_exit(struct process_result *result)
{
    process_result_clear(result);
}
#define cleanup_process_result __attribute__((cleanup(process_result_clear_at_exit)))

/**
 * Run a program to its end, in a process group of its own, and keep what it wrote until then (what it leaves running
 * in the background is not waited for). A non-zero exit is not an error here: read `ret->exit_code`.
 * Errors: PROCESS_NOT_STARTED, PROCESS_TIMED_OUT (the process and its group were killed and reaped).
 */
MUST_CHECK int process_run(const struct process_options *options, struct deadline deadline, struct process_result *ret,
                           struct error *err);

/** process_run where a non-zero exit or a signal is an error (PROCESS_EXITED, PROCESS_SIGNALLED). `ret` may be NULL. */
MUST_CHECK int process_run_checked(const struct process_options *options, struct deadline deadline,
                                   struct process_result *ret, struct error *err);

/** A child that goes on running. */
struct process;
/** Start it, its stdin being /dev/null; it stays in our process group. Errors: PROCESS_NOT_STARTED. */
MUST_CHECK int process_start(const struct process_options *options, struct process **ret, struct error *err);
pid_t process_pid(const struct process *process);
/** A pidfd, readable when the process has ended; borrowed. */
int process_fd(const struct process *process);
/** True once it has ended; then *exit_code / *signal are set (either may be NULL). Does not block. */
bool process_ended(struct process *process, int *exit_code, int *signal);
/** Errors: system/ESRCH when it has ended. */
MUST_CHECK int process_signal(struct process *process, int signal, struct error *err);
/**
 * Send `signal`, wait for the end until the deadline, then SIGKILL and wait. *exit_code is -1 when a signal ended it.
 * Errors: PROCESS_TIMED_OUT when SIGKILL was needed (the process is gone all the same).
 */
MUST_CHECK int process_stop(struct process *process, int signal, struct deadline deadline, int *exit_code,
                            struct error *err);
/** Kill (SIGKILL) if still running, reap, free. NULL is fine. */
void process_free(struct process *process);
/** Free without ending the process (it is left to whoever journalled it; a zombie until we end). NULL is fine. */
void process_release(struct process *process);
DEFINE_CLEANUP(struct process *, process_free)

/** Absolute path of `program` in PATH. Errors: GENERAL_NOT_FOUND. Caller frees *ret. */
MUST_CHECK int process_find_program(const char *program, char **ret, struct error *err);
