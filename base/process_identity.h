/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which process is meant, beyond its number: numbers are given out again.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct process_identity {
    pid_t pid;
    uint64_t start; /**< when it started, in clock ticks since boot (field 22 of /proc/PID/stat) */
};

/** The process number `text` begins with (a name in /proc, a line of cgroup.procs); 0 when it is none. */
pid_t process_number(const char *text);

/** What /proc/PID/stat says; see proc(5). */
struct process_stat {
    char comm[64];
    char state;
    pid_t parent;
    unsigned flags; /**< PF_… */
    uint64_t start;
};
#define PROCESS_FLAG_KERNEL_THREAD 0x00200000u /* PF_KTHREAD of include/linux/sched.h */

/** Returns 0, or -1 when there is no such process (errno set). */
MUST_CHECK int process_stat_read(pid_t pid, struct process_stat *ret);

/** Errors: system/ESRCH when it is gone. */
MUST_CHECK int process_identity_of(pid_t pid, struct process_identity *ret, struct error *err);
/** True while it runs; a zombie does not. */
bool process_identity_alive(const struct process_identity *identity);
/** A pidfd of exactly that process (the caller closes it), -1 when it is gone. */
int process_identity_open(const struct process_identity *identity);

/** pidfd_send_signal(2); a process that is gone is fine. */
void pidfd_kill(int pidfd, int signal);
