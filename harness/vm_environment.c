/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/vm_environment.h"

#include <stdlib.h>
#include <sys/utsname.h>

#include "base/text.h"

static const char *const architectures[] = {"aarch64", "x86_64", NULL};
static const char *const bases[] = {"snapshot", "image", "stock", NULL};
static const char *const accelerators[] = {"kvm", "tcg", NULL};

static const char *find_choice(const char *const *choices, const char *value)
{
    for (; *choices; choices++) {
        if (text_equal(*choices, value))
            return *choices;
    }
    return NULL;
}

/* `*ret` keeps its default when the variable is not set. */
static int read_choice(const char *variable, const char *const *choices, const char **ret, struct error *err)
{
    const char *value = getenv(variable);

    if (!value || !*value)
        return 0;
    const char *choice = find_choice(choices, value);
    if (choice) {
        *ret = choice;
        return 0;
    }
    cleanup_text_buffer struct text_buffer allowed = {0};
    for (; *choices; choices++)
        text_buffer_format(&allowed, "%s%s", allowed.size ? ", " : "", *choices);
    return error_set(err, &general_error_domain, GENERAL_INVALID, "reading", variable,
                     "it is \"%s\" and may be one of: %s", value, text_buffer_text(&allowed));
}

int vm_environment_read(struct vm_environment *ret, struct error *err)
{
    struct vm_environment environment = {.architecture = architectures[0], .base = bases[0]};

    if (read_choice(VM_ARCHITECTURE, architectures, &environment.architecture, err) < 0 ||
        read_choice(VM_BASE, bases, &environment.base, err) < 0 ||
        read_choice(VM_ACCELERATOR, accelerators, &environment.accelerator, err) < 0)
        return -1;
    *ret = environment;
    return 0;
}

const char *vm_host_architecture(void)
{
    struct utsname host;

    return uname(&host) == 0 ? find_choice(architectures, host.machine) : NULL;
}
