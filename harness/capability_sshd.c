/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "base/text.h"
#include "harness/capability_probe.h"

#define REMEDY "run scripts/setup"

/* sudo too: a device's administrator becomes root by it. Both at the paths that a device has them at. */
static bool tree_is_good(const char *tree)
{
    static const char *const programs[] = {"usr/sbin/sshd", "usr/bin/sudo"};

    for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
        cleanup_free char *path = text_format("%s/%s", tree, programs[i]);
        if (access(path, X_OK) < 0)
            return false;
    }
    return true;
}

int sshd_tree_find(char **ret, struct error *err)
{
    cleanup_free char *cached = text_format("%s/sshd", cache_directory());

    if (tree_is_good(cached)) {
        *ret = TAKE_PTR(cached);
        return 0;
    }
    if (!tree_is_good(""))
        return error_set(err, &general_error_domain, GENERAL_UNSUPPORTED, "finding", "sshd and sudo",
                         "they are neither in %s nor installed; " REMEDY, cached);
    *ret = text_copy("/");
    return 0;
}

void probe_sshd(struct capability_report *ret)
{
    cleanup_error struct error missing = ERROR_INIT;
    cleanup_free char *tree = NULL;

    if (sshd_tree_find(&tree, &missing) == 0)
        capability_set_found(ret, text_equal(tree, "/") ? text_copy("/usr/sbin/sshd, /usr/bin/sudo")
                                                        : text_format("%s/usr/sbin/sshd", tree));
    else
        capability_set_gap(ret, text_format("sshd and sudo are neither in %s/sshd nor installed", cache_directory()),
                           text_copy(REMEDY));
}
