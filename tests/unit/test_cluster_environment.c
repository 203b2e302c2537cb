/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/cluster_environment.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "harness/capability.h"
#include "harness/test.h"

static void unset_all(void)
{
    unsetenv(CLUSTER_CHOICE);
    unsetenv(CLUSTER_REGISTRY);
    unsetenv("KUBECONFIG");
    unsetenv(CLUSTER_NAME_VARIABLE);
    unsetenv(CLUSTER_REBUILD);
}

static int check_kind(const char *expected, struct error *err)
{
    struct cluster_environment environment;

    TRY(cluster_environment_read(NULL, &environment, err));
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
    TRY(cluster_environment_read(NULL, &environment, err));
    CHECK(text_equal(environment.kubeconfig, "/somewhere"), "%s", environment.kubeconfig);
    CHECK(text_equal(environment.registry, "host:5000/fleet"), "%s", environment.registry);
    return 0;
}

FLEET_TEST(cluster_environment, refuses_what_is_no_choice)
{
    struct cluster_environment environment;

    unset_all();
    setenv(CLUSTER_CHOICE, "kind", 1);
    int result = cluster_environment_read(NULL, &environment, err);
    CHECK(result < 0 && error_is(err, &general_error_domain, GENERAL_INVALID), "it is taken");
    bool named = text_equal(err->subject, CLUSTER_CHOICE) && strstr(error_root_detail(err), "\"kind\"");
    error_clear(err);
    CHECK(named, "variable or value is not named");
    return 0;
}

/* What a caller states goes before what the environment says, and what he leaves open does not. */
FLEET_TEST(cluster_environment, options_go_before_variables)
{
    static const struct cluster_options all = {.kind = "kubeconfig", .kubeconfig = "/mine", .registry = "mine:1"};
    static const struct cluster_options file = {.kubeconfig = "/mine"};
    static const struct cluster_options named = {.kind = "k3d", .name = "fleet-e2e-mine", .image_rebuild = true};
    struct cluster_environment environment;

    unset_all();
    setenv("KUBECONFIG", "/theirs", 1);
    setenv(CLUSTER_CHOICE, "native", 1);
    setenv(CLUSTER_REGISTRY, "theirs:1", 1);
    setenv(CLUSTER_NAME_VARIABLE, "fleet-e2e-theirs", 1);
    TRY(cluster_environment_read(&all, &environment, err));
    CHECK(text_equal(environment.kubeconfig, "/mine") && text_equal(environment.registry, "mine:1") &&
              !environment.image_rebuild,
          "%s, %s", environment.kubeconfig, environment.registry);
    TRY(cluster_environment_read(&file, &environment, err));
    CHECK(text_equal(environment.kind, "kubeconfig") && text_equal(environment.kubeconfig, "/mine") &&
              text_equal(environment.registry, "theirs:1"),
          "%s, %s, %s", environment.kind, environment.kubeconfig, environment.registry);
    TRY(cluster_environment_read(&named, &environment, err));
    CHECK(text_equal(environment.kind, "k3d") && text_equal(environment.name, "fleet-e2e-mine") &&
              environment.image_rebuild,
          "%s, %s", environment.kind, environment.name);
    setenv(CLUSTER_REBUILD, "1", 1);
    TRY(cluster_environment_read(NULL, &environment, err));
    CHECK(text_equal(environment.kind, "native") && text_equal(environment.name, "fleet-e2e-theirs") &&
              environment.image_rebuild,
          "%s, %s", environment.kind, environment.name);
    unset_all();
    TRY(cluster_environment_read(NULL, &environment, err));
    CHECK(text_equal(environment.name, CLUSTER_NAME) && !environment.image_rebuild, "%s", environment.name);
    return 0;
}

static int expect_refused(const struct cluster_options *options, const char *subject, struct error *err)
{
    struct cluster_environment environment;

    int result = cluster_environment_read(options, &environment, err);
    CHECK(result < 0 && error_is(err, &general_error_domain, GENERAL_INVALID), "it is taken");
    cleanup_free char *text = error_text(err);
    bool named = text_equal(err->subject, subject);
    error_clear(err);
    CHECK(named, "%s is not named: %s", subject, text);
    return 0;
}

/* Taking a cluster down ends what has its name: it must be nobody else's. */
FLEET_TEST(cluster_environment, refuses_names_that_may_be_somebody_elses)
{
    static const char *const names[] = {"docker",
                                        "fleet-e2e-",
                                        "fleet-e2e-Big",
                                        "fleet-e2e-../x",
                                        "fleet-e2e-1a2b3c4d", /* a run's */
                                        "fleet-e2ex",
                                        "fleet-e2e-of-more-characters-than-k3d-takes"};

    unset_all();
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const struct cluster_options options = {.kind = "native", .name = names[i]};
        TRY(expect_refused(&options, "the cluster's name", err));
        setenv(CLUSTER_NAME_VARIABLE, names[i], 1);
        TRY(expect_refused(NULL, CLUSTER_NAME_VARIABLE, err));
        unsetenv(CLUSTER_NAME_VARIABLE);
    }
    return 0;
}

FLEET_TEST(cluster_environment, refuses_options_that_contradict_each_other)
{
    static const struct cluster_options unused_file = {.kind = "native", .kubeconfig = "/mine"};
    static const struct cluster_options unused_name = {.kubeconfig = "/mine", .name = "fleet-e2e-mine"};
    static const struct cluster_options unknown = {.kind = "kind"};

    unset_all();
    TRY(expect_refused(&unused_file, "the cluster's kind", err));
    TRY(expect_refused(&unused_name, "the cluster's name", err));
    return expect_refused(&unknown, "the cluster's kind", err);
}

static int find_with(const char *kubeconfig, const char *registry, char **ret, struct error *err)
{
    const struct cluster_environment environment = {
        .kind = "kubeconfig", .kubeconfig = kubeconfig, .registry = registry, .name = CLUSTER_NAME};

    return cluster_kubeconfig_find(&environment, ret, err);
}

/* The name is journalled and read by others, elsewhere: it must be whole. kubectl skips files that are not there, too. */
FLEET_TEST(cluster_environment, finds_the_first_kubeconfig_that_is_there)
{
    cleanup_free char *found = NULL;
    cleanup_free char *again = NULL;
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    cleanup_free char *path = text_format("%s/config", run_directory(run));
    cleanup_free char *list = text_format(":/none::%s", path);
    TRY(file_write_atomic(path, "", 0, 0600, err));
    TRY(find_with(list, "host:5000/fleet", &found, err));
    CHECK(text_equal(found, path), "%s", found);
    CHECK(chdir(run_directory(run)) == 0, "chdir: %m");
    TRY(find_with("config", "host:5000/fleet", &again, err));
    CHECK(text_equal(again, path), "%s", again);
    CHECK_FAILS(find_with("/none:/neither", "host:5000/fleet", &found, err), general_error_domain, GENERAL_UNSUPPORTED);
    CHECK_FAILS(find_with(NULL, "host:5000/fleet", &found, err), general_error_domain, GENERAL_UNSUPPORTED);
    return 0;
}

FLEET_TEST(cluster_environment, refuses_what_is_no_registry)
{
    static const char *const good[] = {"host", "host:5000/fleet", "http://10.0.0.1:5000", "Host.example/a/b_c"};
    static const char *const bad[] = {NULL,     "https://host/fleet", "host:5000/", "host/Fleet", "host//fleet",
                                      "/fleet", "host fleet",         "http://"};

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        cleanup_free char *found = NULL;
        TRY(find_with("/dev/null", good[i], &found, err));
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        cleanup_free char *found = NULL;
        CHECK_FAILS(find_with("/dev/null", bad[i], &found, err), general_error_domain, GENERAL_UNSUPPORTED);
    }
    return 0;
}
