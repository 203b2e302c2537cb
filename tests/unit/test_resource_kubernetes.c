/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/resource_kubernetes.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "harness/test.h"
#include "tests/unit/support_run.h"

#define NAMESPACE "e2e-1a2b3c4d"

/* An API server that lets everybody connect and never answers. *ret is its listener (the caller closes it). */
static int hanging_server(const char *kubeconfig, int *ret, struct error *err)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(bind(fd, (const struct sockaddr *)&address, size) == 0 && listen(fd, 5) == 0 &&
              getsockname(fd, (struct sockaddr *)&address, &size) == 0,
          "no listener: %m");
    cleanup_free char *text = text_format("apiVersion: v1\n"
                                          "kind: Config\n"
                                          "current-context: test\n"
                                          "contexts: [{name: test, context: {cluster: test, user: test}}]\n"
                                          "clusters: [{name: test, cluster: {server: 'https://127.0.0.1:%d'}}]\n"
                                          "users: [{name: test, user: {token: none}}]\n",
                                          ntohs(address.sin_port));
    TRY(file_write_atomic(kubeconfig, text, strlen(text), 0600, err));
    *ret = TAKE_FD(fd);
    return 0;
}

FLEET_TEST(resource_kubernetes, refuses_namespaces_of_others)
{
    static const char *const refused[] = {
        "",
        NAMESPACE,
        "/k " NAMESPACE,
        "k - " NAMESPACE,
        "/k run/netns/x " NAMESPACE,
        "/k  " NAMESPACE,
        "/k - default",
        "/k - kube-system",
        "/k - e2e-",
        "/k - e2e-1a2b3c4",
        "/k - e2e-1a2b3c4d5",
        "/k - e2e-1A2B3C4D",
        "/k - e2e-1a2b3c4d ",
        "/k\n - " NAMESPACE,
    };
    CLEANUP(run_release) struct run *run = NULL;

    TRY(support_private_run(test, &run, err));
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        CHECK_FAILS(run_journal(run, RESOURCE_KUBE_NAMESPACE, refused[i], err), general_error_domain, GENERAL_INVALID);
    TRY(run_journal(run, RESOURCE_KUBE_NAMESPACE, "/none/a kube config - " NAMESPACE, err));
    return run_finish(TAKE_PTR(run), err);
}

FLEET_TEST(resource_kubernetes, namespace_is_gone_with_its_cluster)
{
    CLEANUP(run_release) struct run *run = NULL;
    cleanup_close int listener = -1;

    TRY(support_private_run(test, &run, err));
    cleanup_free char *kubeconfig = text_format("%s/kubeconfig", run_directory(run));
    cleanup_free char *no_network = text_format("%s /run/netns/fleet-e2e-none " NAMESPACE, kubeconfig);
    cleanup_free char *no_mount = text_format("%s %s " NAMESPACE, kubeconfig, kubeconfig);
    TRY(run_journal(run, RESOURCE_KUBE_NAMESPACE, no_network, err));
    TRY(run_undo(run, RESOURCE_KUBE_NAMESPACE, no_network, err)); /* no kubeconfig either */
    TRY(hanging_server(kubeconfig, &listener, err));
    TRY(run_undo(run, RESOURCE_KUBE_NAMESPACE, no_network, err));
    TRY(run_undo(run, RESOURCE_KUBE_NAMESPACE, no_mount, err)); /* a file is left, but nothing is mounted on it */
    return run_finish(TAKE_PTR(run), err);
}

FLEET_TEST(resource_kubernetes, server_that_hangs_holds_up_nobody)
{
    struct run *run = NULL;
    cleanup_close int listener = -1;

    TRY(test_run(test, &run, err));
    cleanup_free char *kubeconfig = text_format("%s/kubeconfig", run_directory(run));
    cleanup_free char *name = text_format("%s - " NAMESPACE, kubeconfig);
    TRY(hanging_server(kubeconfig, &listener, err));
    int64_t began_ms = clock_monotonic_ms();
    CHECK_FAILS(kube_namespace_undo(NULL, name, deadline_in_ms(300), err), system_error_domain, EBUSY);
    CHECK(clock_monotonic_ms() - began_ms < 5000, "it took %lld ms", (long long)(clock_monotonic_ms() - began_ms));
    return 0;
}

FLEET_TEST(resource_kubernetes, commands_for_a_person_can_be_pasted)
{
    cleanup_text_buffer struct text_buffer inspect = {0};
    cleanup_text_buffer struct text_buffer removal = {0};

    kube_namespace_describe(NULL, "/a b/config /run/netns/fleet-e2e " NAMESPACE, &inspect, &removal);
    CHECK(text_starts_with(text_buffer_text(&inspect),
                           "nsenter --net=/run/netns/fleet-e2e kubectl --kubeconfig='/a b/config' -n " NAMESPACE),
          "inspect: %s", text_buffer_text(&inspect));
    CHECK(text_ends_with(text_buffer_text(&removal),
                         "fleet-kubernetes-remove '/a b/config' /run/netns/fleet-e2e " NAMESPACE),
          "remove: %s", text_buffer_text(&removal));
    text_buffer_clear(&inspect);
    kube_namespace_describe(NULL, "/config - " NAMESPACE, &inspect, &removal);
    CHECK(text_starts_with(text_buffer_text(&inspect), "kubectl --kubeconfig=/config "), "inspect: %s",
          text_buffer_text(&inspect));
    return 0;
}
