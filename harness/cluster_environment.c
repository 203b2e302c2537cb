/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/cluster_environment.h"

#include <stdlib.h>

#include "base/text.h"
#include "harness/capability_probe.h"

static const char *const kinds[] = {"kubeconfig", "k3d", "native"};

/** An empty variable counts as not set. */
static const char *read_variable(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

static const char *find_kind(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (text_equal(kinds[i], name))
            return kinds[i];
    }
    return NULL;
}

static const char *default_kind(const struct cluster_environment *environment)
{
    if (environment->kubeconfig)
        return "kubeconfig";
    cleanup_free char *k3d = capability_find_program("k3d");
    return k3d ? "k3d" : "native";
}

int cluster_environment_read(struct cluster_environment *ret, struct error *err)
{
    const char *chosen = read_variable(CLUSTER_CHOICE);
    struct cluster_environment environment = {
        .kubeconfig = read_variable("KUBECONFIG"),
        .registry = read_variable(CLUSTER_REGISTRY),
    };

    environment.kind = chosen ? find_kind(chosen) : default_kind(&environment);
    if (!environment.kind)
        return error_set(err, &general_error_domain, GENERAL_INVALID, "reading", CLUSTER_CHOICE,
                         "it is \"%s\" and may be one of: kubeconfig, k3d, native", chosen);
    *ret = environment;
    return 0;
}
