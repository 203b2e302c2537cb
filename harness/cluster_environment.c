/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/cluster_environment.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "harness/capability_probe.h"
#include "harness/place.h"

static const char *const kinds[] = {"kubeconfig", "k3d", "native"};

/** An empty variable counts as not set. */
static const char *read_variable(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

/** What is asked for, else the variable; *subject is whose value it is. */
static const char *ask(const char *option, const char *option_name, const char *variable, const char **subject)
{
    *subject = option ? option_name : variable;
    return option ? option : read_variable(variable);
}

static const char *find_kind(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (text_equal(kinds[i], name))
            return kinds[i];
    }
    return NULL;
}

static const char *default_kind(const char *kubeconfig)
{
    if (kubeconfig)
        return "kubeconfig";
    cleanup_free char *k3d = capability_find_program("k3d");
    return k3d ? "k3d" : "native";
}

static int choose_kind(const struct cluster_options *options, struct cluster_environment *environment,
                       struct error *err)
{
    const char *subject;
    const char *chosen = ask(options->kind, "the cluster's kind", CLUSTER_CHOICE, &subject);

    if (!options->kind && options->kubeconfig)
        chosen = "kubeconfig";
    environment->kind = chosen ? find_kind(chosen) : default_kind(environment->kubeconfig);
    if (!environment->kind)
        return error_set(err, &general_error_domain, GENERAL_INVALID, "reading", subject,
                         "it is \"%s\" and may be one of: kubeconfig, k3d, native", chosen);
    if (options->kubeconfig && !text_equal(environment->kind, "kubeconfig"))
        return error_set(err, &general_error_domain, GENERAL_INVALID, "reading", subject,
                         "it is \"%s\", which has no use for the kubeconfig %s", environment->kind,
                         options->kubeconfig);
    return 0;
}

/**
 * Taking a cluster down ends control groups, network namespaces and containers of its name: so it must be one that nobody
 * else gives to anything, nor a run.
 */
static bool name_is_valid(const char *name)
{
    static const char characters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    size_t size = strlen(name);

    return (text_equal(name, CLUSTER_NAME) || text_starts_with(name, CLUSTER_NAME "-")) && size <= CLUSTER_NAME_MAX &&
           strspn(name, characters) == size && name[size - 1] != '-' && !run_id_is_valid(name);
}

static int choose_name(const struct cluster_options *options, struct cluster_environment *environment,
                       struct error *err)
{
    const char *subject;
    const char *name = ask(options->name, "the cluster's name", CLUSTER_NAME_VARIABLE, &subject);

    if (options->name && text_equal(environment->kind, "kubeconfig"))
        return error_set(err, &general_error_domain, GENERAL_INVALID, "reading", subject,
                         "it is \"%s\", but a cluster by KUBECONFIG has no name here", name);
    environment->name = name ? name : CLUSTER_NAME;
    if (!name_is_valid(environment->name))
        return error_set(err, &general_error_domain, GENERAL_INVALID, "reading", subject,
                         "it is \"%s\" and must be " CLUSTER_NAME " or " CLUSTER_NAME
                         "-<lower case letters, digits and dashes>, at most %d characters, and not a run's",
                         name, CLUSTER_NAME_MAX);
    return 0;
}

int cluster_environment_read(const struct cluster_options *options, struct cluster_environment *ret, struct error *err)
{
    static const struct cluster_options nothing;
    const char *subject;

    if (!options)
        options = &nothing;
    struct cluster_environment environment = {
        .kubeconfig = ask(options->kubeconfig, "", "KUBECONFIG", &subject),
        .registry = ask(options->registry, "", CLUSTER_REGISTRY, &subject),
        .image_rebuild = options->image_rebuild || text_equal(getenv(CLUSTER_REBUILD), "1"),
    };

    if (choose_kind(options, &environment, err) < 0 || choose_name(options, &environment, err) < 0)
        return -1;
    *ret = environment;
    return 0;
}
