/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/vm_environment.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/text.h"
#include "harness/test.h"

static void unset_all(void)
{
    unsetenv(VM_ARCHITECTURE);
    unsetenv(VM_BASE);
    unsetenv(VM_ACCELERATOR);
}

FLEET_TEST(vm_environment, has_defaults)
{
    struct vm_environment environment;

    unset_all();
    setenv(VM_BASE, "", 1); /* as good as not set */
    TRY(vm_environment_read(&environment, err));
    CHECK(text_equal(environment.architecture, "aarch64"), "architecture %s", environment.architecture);
    CHECK(text_equal(environment.base, "snapshot"), "base %s", environment.base);
    CHECK(environment.accelerator == NULL, "accelerator %s", environment.accelerator);
    return 0;
}

FLEET_TEST(vm_environment, takes_every_choice)
{
    static const char *const sets[][3] = {
        {"aarch64", "snapshot", "kvm"}, {"x86_64", "image", "tcg"}, {"x86_64", "stock", "tcg"}};

    for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
        struct vm_environment environment;
        setenv(VM_ARCHITECTURE, sets[i][0], 1);
        setenv(VM_BASE, sets[i][1], 1);
        setenv(VM_ACCELERATOR, sets[i][2], 1);
        TRY(vm_environment_read(&environment, err));
        CHECK(text_equal(environment.architecture, sets[i][0]), "architecture %s", environment.architecture);
        CHECK(text_equal(environment.base, sets[i][1]), "base %s", environment.base);
        CHECK(text_equal(environment.accelerator, sets[i][2]), "accelerator %s", environment.accelerator);
    }
    return 0;
}

FLEET_TEST(vm_environment, refuses_what_is_no_choice)
{
    static const struct {
        const char *variable, *value, *choices;
    } cases[] = {{VM_ARCHITECTURE, "arm64", "aarch64, x86_64"},
                 {VM_BASE, "Snapshot", "snapshot, image, stock"},
                 {VM_ACCELERATOR, "kvm ", "kvm, tcg"}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct vm_environment environment = {.base = "untouched"};
        unset_all();
        setenv(cases[i].variable, cases[i].value, 1);
        CHECK(vm_environment_read(&environment, err) < 0, "%s=%s was taken", cases[i].variable, cases[i].value);
        cleanup_free char *text = error_text(err);
        CHECK(error_is(err, &general_error_domain, GENERAL_INVALID), "%s", text);
        CHECK(strstr(text, cases[i].variable) && strstr(text, cases[i].value) && strstr(text, cases[i].choices),
              "it says only: %s", text);
        CHECK(text_equal(environment.base, "untouched"), "the result was touched");
        error_clear(err);
    }
    return 0;
}

FLEET_TEST(vm_environment, knows_this_machine)
{
    struct utsname host;

    CHECK(uname(&host) == 0, "uname: %m");
    bool known = text_equal(host.machine, "aarch64") || text_equal(host.machine, "x86_64");
    CHECK(text_equal(vm_host_architecture(), known ? host.machine : NULL), "on %s: %s", host.machine,
          vm_host_architecture());
    return 0;
}
