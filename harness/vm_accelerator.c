/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/vm_accelerator.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/process.h"
#include "harness/capability_probe.h"

#define ANSWER           "vm-accelerator"
#define TRIAL_MS         15000
#define CPU_FACTS_MAX    (4u << 20)
#define REASON_BYTES_MAX 160
#define GUEST_MIB        "256"

void vm_accelerator_clear(struct vm_accelerator *accelerator)
{
    free(accelerator->reason);
    *accelerator = (struct vm_accelerator){0};
}

/* Takes the reason. */
static void decide(struct vm_accelerator *ret, const char *name, char *reason)
{
    ret->name = name;
    ret->reason = reason;
}

/* Trying */

/* The first line of it, and not too much of that. Caller frees. */
static char *shorten(const char *words)
{
    size_t size = strcspn(words, "\n");

    return text_copy_n(words, size < REASON_BYTES_MAX ? size : REASON_BYTES_MAX);
}

static const char *machine_of(const struct guest_trial *trial, bool kvm)
{
    if (text_equal(trial->architecture, "x86_64"))
        return "q35";
    return kvm ? "virt,gic-version=host" : "virt";
}

/* The processor is the host's, as for the real guests: a machine that cannot give it to its guests is no use. */
static void add_arguments(const struct guest_trial *trial, struct text_list *argv)
{
    bool kvm = text_equal(trial->accelerator, "kvm");
    const char *console = text_equal(trial->architecture, "aarch64") ? "ttyAMA0" : "ttyS0";
    cleanup_free char *command_line = text_format("console=%s panic=-1 quiet " VM_PROBE_ARGUMENT, console);
    const char *const arguments[] = {
        trial->qemu,   "-no-user-config",
        "-nodefaults", "-no-reboot",
        "-display",    "none",
        "-serial",     "stdio",
        "-m",          GUEST_MIB,
        "-cpu",        kvm ? "host" : "max",
        "-accel",      trial->accelerator,
        "-machine",    machine_of(trial, kvm),
        "-kernel",     trial->kernel,
        "-initrd",     trial->initrd,
        "-append",     command_line,
    };

    for (size_t i = 0; i < ARRAY_SIZE(arguments); i++)
        text_list_add(argv, arguments[i]);
}

bool guest_boots(const struct guest_trial *trial, char **why)
{
    cleanup_text_list struct text_list argv = {0};
    add_arguments(trial, &argv);
    const struct process_options options = {.argv = (const char *const *)argv.items, .die_with_parent = true};
    cleanup_process_result struct process_result result = {0};
    cleanup_error struct error broken = ERROR_INIT;

    if (process_run(&options, deadline_in_ms(trial->limit_ms), &result, &broken) < 0)
        *why = shorten(error_root_detail(&broken));
    else if (strstr(result.output, VM_PROBE_MARKER))
        return true;
    else if (*result.errors)
        *why = shorten(result.errors);
    else
        *why = text_format("the guest ended (exit code %d) without a word", result.exit_code);
    return false;
}

/* Remembering */

/* The lines that name the processor: "model name" of x86_64; implementer, part and the like of aarch64. */
static char *processor_model(void)
{
    static const char *const names[] = {"model name", "CPU implementer", "CPU part", "CPU variant", "CPU revision"};
    cleanup_error struct error unknown = ERROR_INIT;
    cleanup_free char *facts = NULL;
    struct text_buffer model = {0};
    size_t size = 0;

    if (file_read("/proc/cpuinfo", CPU_FACTS_MAX, &facts, &size, &unknown) < 0)
        return text_copy("unknown");
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const char *found = strstr(facts, names[i]);
        if (found)
            text_buffer_append(&model, found, strcspn(found, "\n"));
    }
    return text_buffer_take(&model);
}

/* A boot, because KVM's module may have been loaded with other parameters, and nested virtualisation switched on. */
static char *answer_key(const char *qemu)
{
    cleanup_free char *boot = capability_boot_identity();
    cleanup_free char *identity = capability_identity(qemu);
    cleanup_free char *model = processor_model();

    return text_format("1; %s; uid %u; %s; %s", boot, geteuid(), identity, model);
}

static bool recall(const char *key, struct vm_accelerator *ret)
{
    CLEANUP(cJSON_Delete) cJSON *known = capability_recall(ANSWER, key);
    const char *gap = json_text_or(known, "gap", NULL);

    if (!known)
        return false;
    if (gap)
        decide(ret, "tcg", text_format("KVM boots no guest here: %s", gap));
    else
        decide(ret, "kvm", text_copy("a guest boots with it"));
    return true;
}

static void try_and_remember(const struct guest_trial *trial, const char *key, struct vm_accelerator *ret)
{
    cJSON *answer = cJSON_CreateObject();
    cleanup_free char *gap = NULL;

    if (!guest_boots(trial, &gap))
        json_add_text(answer, "gap", gap);
    capability_remember(ANSWER, key, answer);
    if (!recall(key, ret)) /* the cache cannot be written */
        decide(ret, gap ? "tcg" : "kvm", text_copy(gap ? gap : "a guest boots with it"));
}

/* One process tries; others that ask meanwhile wait for its answer. */
static void recall_or_try(const struct guest_trial *trial, struct vm_accelerator *ret)
{
    cleanup_free char *key = answer_key(trial->qemu);
    cleanup_free char *lock_path = text_format("%s/" ANSWER ".lock", cache_directory());

    if (recall(key, ret))
        return;
    cleanup_close int lock = open(lock_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (lock >= 0)
        (void)!flock(lock, LOCK_EX);
    if (!recall(key, ret))
        try_and_remember(trial, key, ret);
}

void vm_accelerator_forget(void)
{
    cleanup_free char *path = text_format("%s/answers/" ANSWER ".json", cache_directory());
    cleanup_error struct error ignored = ERROR_INIT;

    if (file_remove(path, &ignored) < 0)
        error_clear(&ignored);
}

/* NULL, or why nothing needs to be tried. Caller frees. */
static char *find_obstacle(const char *architecture)
{
    const char *host = vm_host_architecture();

    if (!text_equal(architecture, host))
        return text_format("guests are %s, this machine is %s", architecture, host ? host : "of another kind");
    if (access("/dev/kvm", R_OK | W_OK) < 0)
        return text_format("/dev/kvm: %s", strerror(errno));
    return NULL;
}

void vm_accelerator_find(const struct vm_environment *environment, struct vm_accelerator *ret)
{
    cleanup_error struct error missing = ERROR_INIT;
    cleanup_qemu_programs struct qemu_programs qemu = {0};
    cleanup_vm_image struct vm_image image = {0};

    if (environment->accelerator) {
        decide(ret, environment->accelerator, text_copy("chosen by " VM_ACCELERATOR));
        return;
    }
    char *obstacle = find_obstacle(environment->architecture);
    if (obstacle) {
        decide(ret, "tcg", obstacle);
        return;
    }
    if (qemu_find(environment->architecture, &qemu, &missing) < 0 ||
        vm_image_find(environment->architecture, "golden", &image, &missing) < 0) {
        decide(ret, "tcg", text_format("KVM was not tried: %s", error_root_detail(&missing)));
        return;
    }
    const struct guest_trial trial = {.architecture = environment->architecture,
                                      .accelerator = "kvm",
                                      .qemu = qemu.system,
                                      .kernel = image.kernel,
                                      .initrd = image.initrd,
                                      .limit_ms = TRIAL_MS};
    recall_or_try(&trial, ret);
}
