/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/vm_accelerator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/deadline.h"
#include "base/file.h"
#include "base/text.h"
#include "harness/test.h"

#define TRIAL_MS 30000 /* generous for scripts */

/* A script in place of QEMU; its path is freed by the caller. */
static int write_qemu(const struct test_context *test, const char *name, const char *script, char **ret,
                      struct error *err)
{
    char *path = text_format("%s/%s", test->artefacts, name);
    cleanup_free char *text = text_format("#!/bin/sh\necho asked >>'%s/asked'\n%s\n", test->artefacts, script);

    *ret = path;
    return file_write_atomic(path, text, strlen(text), 0755, err);
}

static bool was_asked(const struct test_context *test)
{
    cleanup_free char *path = text_format("%s/asked", test->artefacts);
    bool asked = file_exists(path);

    (void)unlink(path);
    return asked;
}

static int check_trial(const struct test_context *test, const char *script, const char *expected, struct error *err)
{
    cleanup_free char *qemu = NULL;
    cleanup_free char *why = NULL;

    TRY(write_qemu(test, "qemu", script, &qemu, err));
    struct guest_trial trial = {.architecture = "x86_64",
                                .accelerator = "kvm",
                                .qemu = qemu,
                                .kernel = "kernel",
                                .initrd = "initrd",
                                .limit_ms = expected && strstr(expected, "killed") ? 200 : TRIAL_MS};
    bool boots = guest_boots(&trial, &why);
    CHECK(boots == (expected == NULL), "%s: %s", script, boots ? "it boots" : why);
    CHECK(!expected || strstr(why, expected), "%s: %s", script, why);
    CHECK(!expected || !strchr(why, '\n'), "more than a line: %s", why);
    return 0;
}

FLEET_TEST(vm_accelerator, only_a_guest_that_speaks_has_booted)
{
    TRY(check_trial(test, "echo booting; echo '" VM_PROBE_MARKER "'", NULL, err));
    TRY(check_trial(test, "printf 'failed to set MSR 0x10a\\nAssertion failed\\n' >&2; exit 134", "failed to set MSR",
                    err));
    TRY(check_trial(test, "exit 0", "without a word", err));
    TRY(check_trial(test, "echo 'KVM internal error. Suberror: 1' >&2; exec sleep 600", "killed after", err));
    return 0;
}

FLEET_TEST(vm_accelerator, asks_the_guest_to_speak)
{
    /* The kernel's command line is the argument after -append. */
    return check_trial(test,
                       "while [ $# -gt 1 ]; do [ \"$1\" != -append ] || line=$2; shift; done\n"
                       "case \" $line \" in *' " VM_PROBE_ARGUMENT " '*) echo '" VM_PROBE_MARKER "';; esac",
                       NULL, err);
}

FLEET_TEST(vm_accelerator, choice_is_taken_untried)
{
    static const char *const choices[] = {"kvm", "tcg"};

    for (size_t i = 0; i < ARRAY_SIZE(choices); i++) {
        const struct vm_environment environment = {"x86_64", "snapshot", choices[i]};
        cleanup_vm_accelerator struct vm_accelerator accelerator = {0};
        vm_accelerator_find(&environment, &accelerator);
        CHECK(text_equal(accelerator.name, choices[i]), "%s became %s", choices[i], accelerator.name);
        CHECK(strstr(accelerator.reason, VM_ACCELERATOR), "reason: %s", accelerator.reason);
    }
    return 0;
}

FLEET_TEST(vm_accelerator, guests_of_another_kind_are_emulated)
{
    bool arm = text_equal(vm_host_architecture(), "aarch64");
    const struct vm_environment environment = {arm ? "x86_64" : "aarch64", "snapshot", NULL};
    cleanup_vm_accelerator struct vm_accelerator accelerator = {0};

    vm_accelerator_find(&environment, &accelerator);
    CHECK(text_equal(accelerator.name, "tcg"), "%s", accelerator.name);
    CHECK(strstr(accelerator.reason, environment.architecture), "reason: %s", accelerator.reason);
    return 0;
}

/* A cache with an image, and a QEMU that does what `script` says at the head of PATH. */
static int furnish(const struct test_context *test, const char *script, struct error *err)
{
    static const char *const parts[] = {"disk.img", "kernel", "initrd"};
    cleanup_free char *cache = text_format("%s/cache", test->artefacts);
    cleanup_free char *image = text_format("%s/vm/%s/golden", cache, vm_host_architecture());
    cleanup_free char *name = text_format("qemu-system-%s", vm_host_architecture());
    cleanup_free char *search = text_format("%s:/usr/bin:/bin", test->artefacts);
    cleanup_free char *system = NULL;
    cleanup_free char *tool = NULL;

    setenv("FLEET_CACHE", cache, 1);
    setenv("PATH", search, 1);
    if (directory_create(image, 0755, err) < 0 || write_qemu(test, name, script, &system, err) < 0 ||
        write_qemu(test, "qemu-img", "", &tool, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        cleanup_free char *path = text_format("%s/%s", image, parts[i]);
        if (file_write_atomic(path, "", 0, 0644, err) < 0)
            return -1;
    }
    return 0;
}

static int check_find(const struct test_context *test, const char *name, const char *reason, bool asked,
                      struct error *err)
{
    const struct vm_environment environment = {vm_host_architecture(), "snapshot", NULL};
    cleanup_vm_accelerator struct vm_accelerator accelerator = {0};

    vm_accelerator_find(&environment, &accelerator);
    if (access("/dev/kvm", R_OK | W_OK) < 0) { /* then nothing is tried, whatever QEMU would say */
        name = "tcg";
        reason = "/dev/kvm";
        asked = false;
    }
    CHECK(text_equal(accelerator.name, name), "%s: %s", accelerator.name, accelerator.reason);
    CHECK(strstr(accelerator.reason, reason), "reason: %s", accelerator.reason);
    CHECK(was_asked(test) == asked, "a guest was%s tried", asked ? " not" : "");
    return 0;
}

FLEET_TEST(vm_accelerator, is_decided_once)
{
    TRY(furnish(test, "echo 'no luck' >&2; exit 1", err));
    TRY(check_find(test, "tcg", "KVM boots no guest here: no luck", true, err));
    TRY(check_find(test, "tcg", "KVM boots no guest here: no luck", false, err));
    vm_accelerator_forget();
    TRY(check_find(test, "tcg", "no luck", true, err));
    TRY(furnish(test, "echo '" VM_PROBE_MARKER "'", err)); /* another QEMU is another question */
    TRY(check_find(test, "kvm", "a guest boots", true, err));
    return check_find(test, "kvm", "a guest boots", false, err);
}

FLEET_TEST(vm_accelerator, is_not_decided_without_an_image)
{
    TRY(furnish(test, "echo '" VM_PROBE_MARKER "'", err));
    cleanup_free char *kernel = text_format("%s/vm/%s/golden/kernel", cache_directory(), vm_host_architecture());
    cleanup_free char *aside = text_format("%s.aside", kernel);
    CHECK(rename(kernel, aside) == 0, "rename: %m");
    TRY(check_find(test, "tcg", "KVM was not tried", false, err));
    CHECK(rename(aside, kernel) == 0, "rename: %m");
    return check_find(test, "kvm", "a guest boots", true, err);
}

/* The real image says that it is alive; by emulation, which works everywhere. */
FLEET_TEST(vm_accelerator, real_image_passes_its_trial, .gate = "vm", NEEDS(CAPABILITY_QEMU, CAPABILITY_VM_IMAGE))
{
    cleanup_qemu_programs struct qemu_programs qemu = {0};
    cleanup_vm_image struct vm_image image = {0};
    struct vm_environment environment;
    cleanup_free char *why = NULL;

    TRY(vm_environment_read(&environment, err));
    TRY(qemu_find(environment.architecture, &qemu, err));
    TRY(vm_image_find(environment.architecture, "golden", &image, err));
    const struct guest_trial trial = {.architecture = environment.architecture,
                                      .accelerator = "tcg",
                                      .qemu = qemu.system,
                                      .kernel = image.kernel,
                                      .initrd = image.initrd,
                                      .limit_ms = TRIAL_MS};
    CHECK(guest_boots(&trial, &why), "it did not boot: %s", why);
    return 0;
}
