/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/resource_kubernetes.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/process.h"
#include "harness/program.h"

#define NAMESPACE_PREFIX "e2e-"
#define NAMESPACE_DIGITS 8
#define OWN_NETWORK      "-"
#define RETRY_PAUSE_MS   50

/** The parts of a journalled name. */
struct kube_namespace_name {
    char *kubeconfig; /**< owned, as the others */
    char *network;
    char *object;
};

static void name_clear(struct kube_namespace_name *name)
{
    free(name->kubeconfig);
    free(name->network);
    free(name->object);
    *name = (struct kube_namespace_name){0};
}

static void name_clear_at_exit(struct kube_namespace_name *name)
{
    name_clear(name);
}
#define cleanup_name __attribute__((cleanup(name_clear_at_exit)))

/** Split at the last two blanks, for the first path may have some; -1: there are not so many. */
static int name_split(const char *name, struct kube_namespace_name *ret)
{
    const char *last = strrchr(name, ' ');
    const char *first = last ? memrchr(name, ' ', (size_t)(last - name)) : NULL;

    if (!first)
        return -1;
    *ret = (struct kube_namespace_name){text_copy_n(name, (size_t)(first - name)),
                                        text_copy_n(first + 1, (size_t)(last - first - 1)), text_copy(last + 1)};
    return 0;
}

static int refuse(struct error *err, const char *name, const char *why)
{
    return error_set(err, &general_error_domain, GENERAL_INVALID, "checking Kubernetes namespace", name, "%s", why);
}

static bool is_ours(const char *object)
{
    return text_starts_with(object, NAMESPACE_PREFIX) &&
           strlen(object) == strlen(NAMESPACE_PREFIX) + NAMESPACE_DIGITS &&
           strspn(object + strlen(NAMESPACE_PREFIX), "0123456789abcdef") == NAMESPACE_DIGITS;
}

int kube_namespace_check(const struct run_place *place, const char *name, struct error *err)
{
    cleanup_name struct kube_namespace_name parts = {0};

    (void)place;
    if (text_has_control(name) || name_split(name, &parts) < 0 || parts.kubeconfig[0] != '/' ||
        (parts.network[0] != '/' && !text_equal(parts.network, OWN_NETWORK)))
        return refuse(err, name,
                      "it must be the absolute path of a kubeconfig, that of a network namespace or \"" OWN_NETWORK
                      "\", and the namespace's name");
    if (!is_ours(parts.object))
        return refuse(err, name, "the namespace's name must be " NAMESPACE_PREFIX " and 8 hexadecimal digits");
    return 0;
}

static bool cluster_is_gone(const struct kube_namespace_name *parts)
{
    return !file_exists(parts->kubeconfig) ||
           (!text_equal(parts->network, OWN_NETWORK) && !file_exists(parts->network));
}

/* A program of its own: what it needs to know of Kubernetes is no matter of this room, and it has a network to enter. */
int kube_namespace_undo(const struct run_place *place, const char *name, struct deadline deadline, struct error *err)
{
    cleanup_name struct kube_namespace_name parts = {0};
    cleanup_free char *program = NULL;

    (void)place;
    if (name_split(name, &parts) < 0)
        return refuse(err, name, "it has not all its parts");
    while (!cluster_is_gone(&parts)) {
        cleanup_error struct error failure = ERROR_INIT;
        if (!program && program_find("fleet-kubernetes-remove", &program, err) < 0)
            return -1;
        const char *const argv[] = {program, parts.kubeconfig, parts.network, parts.object, NULL};
        const struct process_options options = {.argv = argv, .die_with_parent = true};
        if (process_run_checked(&options, deadline, NULL, &failure) == 0)
            return 0;
        if (deadline_passed(deadline))
            return error_set(err, &system_error_domain, EBUSY, "removing Kubernetes namespace", name, "%s",
                             error_root_detail(&failure));
        poll(NULL, 0, RETRY_PAUSE_MS);
    }
    return 0;
}

void kube_namespace_describe(const struct run_place *place, const char *name, struct text_buffer *inspect,
                             struct text_buffer *remove)
{
    cleanup_name struct kube_namespace_name parts = {0};

    (void)place;
    if (name_split(name, &parts) < 0)
        return;
    cleanup_free char *remover = program_shown("fleet-kubernetes-remove");
    cleanup_free char *kubeconfig = shell_quote(parts.kubeconfig);
    cleanup_free char *network = shell_quote(parts.network);
    cleanup_free char *object = shell_quote(parts.object);
    if (!text_equal(parts.network, OWN_NETWORK))
        text_buffer_format(inspect, "nsenter --net=%s ", network);
    text_buffer_format(inspect, "kubectl --kubeconfig=%s -n %s get all,deployments.fleet.harmony.io", kubeconfig,
                       object);
    text_buffer_format(remove, "%s %s %s %s", remover, kubeconfig, network, object);
}
