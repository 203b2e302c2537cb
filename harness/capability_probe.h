/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Internal to the capability probes: answers that are costly to find and are remembered between processes, and the
 * facts doctor shows beside the capabilities.
 */

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/deadline.h"
#include "base/error.h"
#include "base/text.h"
#include "harness/capability.h"

/*
 * Remembered answers live in <cache>/answers/<name>.json and hold as long as their key does. A key names everything
 * the answer depends on: programs by capability_identity(), the kernel and the boot where they matter.
 */

/** The answer remembered under this key; NULL if there is none. Freed by cJSON_Delete. */
cJSON *capability_recall(const char *name, const char *key);
/** Remember an answer (taken). A cache that cannot be written is no failure: the next process asks again. */
void capability_remember(const char *name, const char *key, cJSON *answer);
/** "path size mtime inode" of a file, "path absent" if it is not there. Caller frees. */
char *capability_identity(const char *path);
/** This boot's id and the kernel's release. Caller frees. */
char *capability_boot_identity(void);

/** Absolute path of `program` in PATH or in the directories only an administrator has there; NULL: not found. */
char *capability_find_program(const char *program);
/** True for "2.10.27" and at least 2.10; false also for what is no version. */
bool capability_version_at_least(const char *version, long major, long minor);
/** What stands between `before` and the next blank or line's end in the output of `program --version`; NULL: it does not
 *  tell. Caller frees. */
char *capability_ask_version(const char *program, const char *before);
/** Fill a gap; takes both strings. */
void capability_set_gap(struct capability_report *report, char *gap, char *remedy);
void capability_set_found(struct capability_report *report, char *found);

/** Probes of their own files, called by capability_probe. */
void probe_nats_server(struct capability_report *ret);
void probe_podman(struct capability_report *ret);
void probe_sshd(struct capability_report *ret);
void probe_ssh(struct capability_report *ret);
void probe_libvirt(struct capability_report *ret);
void probe_qemu(struct capability_report *ret);
void probe_vm_image(struct capability_report *ret);
void probe_vm_agent(struct capability_report *ret);
void probe_vm_workloads(struct capability_report *ret);
void probe_cluster(struct capability_report *ret);

/** What the podman probe learned, for doctor: one line a runtime that was refused, in its own words. Caller clears. */
void podman_refusals(struct text_list *ret);
/** Ask again although a gap is remembered (doctor: the user may just have mended it). */
void capability_forget_gaps(void);

/**
 * What `attempt` returns (0: it worked, else an errno) in a child, which takes along whatever it changed; the errno when
 * there can be no child. Only async-signal-safe calls: this process may have threads.
 */
int try_in_child(int (*attempt)(const void *context), const void *context);
/** True if this process may raise its hard limit of open files; tried in a child. */
bool hard_limits_can_be_raised(void);

/**
 * Run a program as init of new mount, network, PID and IPC namespaces with a fresh /proc, empty /run and /dev/shm, and
 * lo up; it and everything it started is gone on return. *output has what it wrote on stdout and stderr (caller frees).
 * Errors: system, general/GENERAL_TIMEOUT.
 */
struct sandbox_command {
    const char *const *argv;        /**< argv[0] is an absolute path */
    const char *const *environment; /**< the whole environment */
};
MUST_CHECK int sandbox_run(const struct sandbox_command *command, struct deadline deadline, int *exit_code,
                           char **output, struct error *err);
/** Try an overlay mount on the file system `directory` is on. Errors: system. */
MUST_CHECK int overlay_try(const char *directory, struct error *err);
