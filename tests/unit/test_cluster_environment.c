/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/cluster_environment.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "harness/test.h"

static void unset_all(void)
{
    unsetenv(CLUSTER_CHOICE);
    unsetenv(CLUSTER_REGISTRY);
    unsetenv("KUBECONFIG");
}

static int check_kind(const char *expected, struct error *err)
{
    struct cluster_environment environment;

    TRY(cluster_environment_read(&environment, err));
    CHECK(text_equal(environment.kind, expected), "%s instead of %s", environment.kind, expected);
    return 0;
}

/** A directory for PATH that has a program "k3d". Caller frees *ret. */
static int make_k3d(struct test_context *test, char **ret, struct error *err)
{
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    cleanup_free char *path = text_format("%s/k3d", run_directory(run));
    TRY(file_write_atomic(path, "#!/bin/sh\n", strlen("#!/bin/sh\n"), 0755, err));
    *ret = text_copy(run_directory(run));
    return 0;
}

FLEET_TEST(cluster_environment, takes_the_first_that_can_be_had)
{
    cleanup_free char *with_k3d = NULL;

    unset_all();
    TRY(make_k3d(test, &with_k3d, err));
    setenv("PATH", "/nowhere", 1);
    TRY(check_kind("native", err));
    setenv("PATH", with_k3d, 1);
    TRY(check_kind("k3d", err));
    setenv("KUBECONFIG", "", 1); /* as good as not set */
    TRY(check_kind("k3d", err));
    setenv("KUBECONFIG", "/somewhere", 1);
    return check_kind("kubeconfig", err);
}

FLEET_TEST(cluster_environment, takes_what_is_chosen)
{
    static const char *const kinds[] = {"native", "k3d", "kubeconfig"};
    struct cluster_environment environment;

    unset_all();
    setenv("KUBECONFIG", "/somewhere", 1);
    setenv(CLUSTER_REGISTRY, "host:5000/fleet", 1);
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        setenv(CLUSTER_CHOICE, kinds[i], 1);
        TRY(check_kind(kinds[i], err));
    }
    TRY(cluster_environment_read(&environment, err));
    CHECK(text_equal(environment.kubeconfig, "/somewhere"), "%s", environment.kubeconfig);
    CHECK(text_equal(environment.registry, "host:5000/fleet"), "%s", environment.registry);
    return 0;
}

FLEET_TEST(cluster_environment, refuses_what_is_no_choice)
{
    struct cluster_environment environment;

    unset_all();
    setenv(CLUSTER_CHOICE, "kind", 1);
    int result = cluster_environment_read(&environment, err);
    CHECK(result < 0 && error_is(err, &general_error_domain, GENERAL_INVALID), "it is taken");
    bool named = text_equal(err->subject, CLUSTER_CHOICE) && strstr(error_root_detail(err), "\"kind\"");
    error_clear(err);
    CHECK(named, "variable or value is not named");
    return 0;
}
