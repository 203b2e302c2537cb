/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A run: one owner process, a directory, a journal of what it created outside itself, and a reaper that undoes what is
 * left when the owner is gone, however it went.
 *
 * The rule: journal first, create second. The reaper is a process of its own session; it watches the owner's pidfd and
 * survives the owner's SIGKILL. What a dead reaper left is pruned at the start of the next run.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

struct run;

struct run_options {
    const char *label;   /**< what runs, for `fleet-e2e ps`: "host_ping.answers", "session" */
    pid_t owner;         /**< whose end ends the run; 0: this process */
    bool keep;           /**< leave everything at the end, until `fleet-e2e down`; FLEET_E2E_KEEP=1 does the same */
    const char *bundle;  /**< where the reaper saves the logs when the owner ends without run_finish; NULL: nowhere */
    bool follow_parents; /**< the owner is killed when its parent, or any process up to its ctest, ends */
};

/** New run "fleet-e2e-<8 hex>" under runs_directory(); starts its reaper; prunes what earlier runs left. */
MUST_CHECK int run_start(const struct run_options *options, struct run **ret, struct error *err);
/** Open another process's run to journal into it (session fixtures). */
MUST_CHECK int run_open(const char *directory, struct run **ret, struct error *err);
const char *run_id(const struct run *run);
/** Where everything of the run lives; removed at its end. */
const char *run_directory(const struct run *run);
bool run_keeps(const struct run *run);
/** From now on it is kept, as if it had been started so. Keeping cannot be taken back. */
MUST_CHECK int run_keep(struct run *run, struct error *err);

/** Parent of all run directories: $FLEET_E2E_RUNS, else /tmp/fleet-e2e-<uid>. Borrowed. */
const char *runs_directory(void);

/**
 * Kinds of resources. Each kind is a row of one table (harness/resource.c): how to undo it (idempotent), how a person
 * inspects and removes it. Undone newest first: journal a libvirtd before its domains.
 */
enum resource_kind {
    RESOURCE_PROCESS,   /**< every process whose environment has FLEET_E2E_MARK=<run>/<name>, and their children's */
    RESOURCE_DIRECTORY, /**< an absolute path, removed with all below it */
    RESOURCE_PODMAN_STORAGE,  /**< a podman graph root: unmounted and removed; name is the absolute path */
    RESOURCE_CGROUP,          /**< a control group of that name at the top of every hierarchy, with those below it */
    RESOURCE_DOMAIN,          /**< "<connection URI> <domain>": destroyed and undefined; fleet-e2e-vm-… only */
    RESOURCE_LIBVIRT_NETWORK, /**< "<connection URI> <network>": fleet-e2e-… only, unless libvirtd is the run's own */
    RESOURCE_VOLUME,          /**< a file, where a directory could be; name is the absolute path */
    RESOURCE_SAVED_STATE,     /**< the same: a guest's saved RAM */
    RESOURCE_NETWORK_NAMESPACE, /**< /run/netns/<name>; fleet-e2e-… only. Processes in it are others' matter */
    RESOURCE_REGISTRY,          /**< a docker-registry: like RESOURCE_PROCESS */
    RESOURCE_KUBE_NAMESPACE,    /**< "<kubeconfig> <network namespace or -> <namespace>": its deletion is asked for, not
                                 *   waited for; e2e-<8 hex> only (harness/resource_kubernetes.h) */
};

/** Journal a resource; durable (written and flushed to the kernel, so that it survives our SIGKILL) on return. */
MUST_CHECK int run_journal(struct run *run, enum resource_kind kind, const char *name, struct error *err);
/** Undo one resource now and mark it so in the journal. */
MUST_CHECK int run_undo(struct run *run, enum resource_kind kind, const char *name, struct error *err);
/** "FLEET_E2E_MARK=<run>/<name>": put it into the environment of every process journalled under `name`. Caller frees. */
char *run_mark(const struct run *run, const char *name);

/** Copy the run's logs and journal into `directory`. */
MUST_CHECK int run_collect(const struct run *run, const char *directory, struct error *err);

/** A person's commands to look at the resource / to remove what the run left, for FLEET_E2E_KEEP. */
void run_print_kept(const struct run *run);

/** Undo everything, newest first, end the reaper, remove the directory, free. Reports the first failure, goes on. */
MUST_CHECK int run_finish(struct run *run, struct error *err);
/** Free without undoing: the reaper does it (run_open'ed runs, kept runs). NULL is fine. */
void run_release(struct run *run);
DEFINE_CLEANUP(struct run *, run_release)

/**
 * Is the run that lives or lived in `directory` over, for those who find something of it elsewhere? It is when there is
 * no such run any more, or its owner has ended and it is not kept. What cannot be read counts as going on.
 */
bool run_is_over(const char *directory);
/** Undo what dead owners without a living reaper left; *undone counts runs (may be NULL). Kept runs are left. */
MUST_CHECK int runs_prune(int *undone, struct error *err);
/** Remove a run, kept or not, by id (NULL: every one whose owner is dead, kept ones included). */
MUST_CHECK int runs_down(const char *id, struct error *err);
/** Print a table of runs: id, label, age, owner alive, reaper alive, kept, resources; below each, its devices. */
MUST_CHECK int runs_print(struct error *err);

/** The reaper's own main: `fleet-e2e reap DIRECTORY OWNER_PID READY_FD`. Returns an exit code. */
int reaper_main(const char *directory, pid_t owner, int ready_fd);
