/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <string.h>

#include "base/json.h"
#include "tests/host/scenario.h"

static int podman(struct scenario *scenario, const char *const *arguments, struct error *err)
{
    return podman_host_cli(host_stack_podman(scenario->stack), arguments, NULL, err);
}

FLEET_TEST(host_drift, removed_container_comes_back, .gate = "host", NEEDS_ALL)
{
    cleanup_scenario struct scenario scenario = {0};
    cleanup_free char *id = NULL;
    cleanup_free char *new_id = NULL;

    TRY(scenario_with_web(test, false, &scenario, &id, err));
    TRY(podman(&scenario, (const char *const[]){"rm", "--force", "--time", "0", id, NULL}, err));
    TRY(scenario_wait_container(&scenario, id, &new_id, err));
    TRY(scenario_expect_body(&scenario, "/version", "v1", err));
    TRY(scenario_remove(&scenario, err));
    return scenario_finish(&scenario, err);
}

FLEET_TEST(host_drift, stopped_container_is_started_again, .gate = "host", NEEDS_ALL)
{
    cleanup_scenario struct scenario scenario = {0};
    cleanup_free char *id = NULL;
    cleanup_free char *same_id = NULL;

    TRY(scenario_with_web(test, false, &scenario, &id, err));
    TRY(podman(&scenario, (const char *const[]){"stop", "--time", "0", id, NULL}, err));
    TRY(scenario_wait_container(&scenario, NULL, &same_id, err));
    CHECK(text_equal(id, same_id), "a stopped container was replaced, not started");
    TRY(scenario_expect_body(&scenario, "/version", "v1", err));
    TRY(scenario_remove(&scenario, err));
    return scenario_finish(&scenario, err);
}

/** Replace the container by one of the same name and labels that differs from the spec as `change` says. */
static int replace_by_hand(struct scenario *scenario, const char *id, const char *option, const char *value,
                           const char *image, char **changed_id, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *inspected = NULL;
    cleanup_text_list struct text_list arguments = {0};

    TRY(podman_host_inspect(host_stack_podman(scenario->stack), id, &inspected, err));
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(inspected, "Config");
    const cJSON *label;
    text_list_add(&arguments, "create");
    text_list_add(&arguments, "--replace");
    text_list_format(&arguments, "--name=%s", json_text_or(inspected, "Name", NULL));
    text_list_format(&arguments, "--publish=%d:80", scenario->port);
    text_list_add(&arguments, "--restart=unless-stopped");
    cJSON_ArrayForEach(label, cJSON_GetObjectItemCaseSensitive(config, "Labels"))
        text_list_format(&arguments, "--label=%s=%s", label->string, cJSON_GetStringValue(label));
    if (option)
        text_list_format(&arguments, "%s=%s", option, value);
    text_list_add(&arguments, image);
    TRY(podman_host_cli(host_stack_podman(scenario->stack), (const char *const *)arguments.items, changed_id, err));
    (*changed_id)[strcspn(*changed_id, "\n")] = '\0';
    return 0;
}

/** The agent stands still meanwhile: else it may be the first to make a container of that name again. */
static int replace_unseen(struct scenario *scenario, const char *id, const char *option, const char *value,
                          const char *image, char **changed_id, struct error *err)
{
    pid_t agent = host_agent_pid(scenario->agent);

    CHECK(agent > 0 && kill(agent, SIGSTOP) == 0, "the agent cannot be stopped: %m");
    int result = replace_by_hand(scenario, id, option, value, image, changed_id, err);
    kill(agent, SIGCONT);
    return result;
}

static int expect_change_undone(struct test_context *test, const char *option, const char *value, const char *image,
                                struct error *err)
{
    cleanup_scenario struct scenario scenario = {0};
    cleanup_free char *id = NULL;
    cleanup_free char *changed_id = NULL;
    cleanup_free char *new_id = NULL;

    TRY(scenario_with_web(test, false, &scenario, &id, err));
    TRY(replace_unseen(&scenario, id, option, value, image, &changed_id, err));
    TRY(scenario_wait_container(&scenario, changed_id, &new_id, err));
    CHECK(!text_equal(new_id, id), "an id came back from the dead");
    TRY(scenario_expect_body(&scenario, "/version", "v1", err));
    TRY(scenario_remove(&scenario, err));
    return scenario_finish(&scenario, err);
}

FLEET_TEST(host_drift, changed_image_is_undone, .gate = "host", NEEDS_ALL)
{
    return expect_change_undone(test, NULL, NULL, IMAGE_HELLO_WEB_V2, err);
}

FLEET_TEST(host_drift, changed_environment_is_undone, .gate = "host", NEEDS_ALL)
{
    return expect_change_undone(test, "--env", "INTRUDER=1", IMAGE_HELLO_WEB_V1, err);
}

FLEET_TEST(host_drift, added_mount_is_undone, .gate = "host", NEEDS_ALL)
{
    return expect_change_undone(test, "--volume", "/usr:/intruder:ro", IMAGE_HELLO_WEB_V1, err);
}

FLEET_TEST(host_drift, changed_restart_policy_is_undone, .gate = "host", NEEDS_ALL)
{
    return expect_change_undone(test, "--restart", "no", IMAGE_HELLO_WEB_V1, err);
}

/* A container that is not ours is never touched, not even one that has the name we want. */
FLEET_TEST(host_drift, foreign_container_is_left_alone, .gate = "host", NEEDS_ALL)
{
    cleanup_scenario struct scenario scenario = {0};
    CLEANUP(device_state_free) struct device_state *state = NULL;
    CLEANUP(cJSON_Delete) cJSON *inspected = NULL;
    cleanup_free char *foreign_id = NULL;

    TRY(scenario_new(test, false, &scenario, err));
    cleanup_free char *name = text_format("fleet.%s.web", scenario.deployment);
    struct podman_host *host = host_stack_podman(scenario.stack);
    const char *const run[] = {"run", "--detach", "--name", name, IMAGE_TOOLBOX, "sleep", "1000", NULL};
    TRY(podman_host_cli(host, run, &foreign_id, err));
    foreign_id[strcspn(foreign_id, "\n")] = '\0';

    CLEANUP(score_free) struct score *score = scenario_hello_web(IMAGE_HELLO_WEB_V1, 0);
    TRY(scenario_deploy_in_vain(&scenario, score, &state, err));
    CHECK(strstr(state->error, name) != NULL, "the reason does not name the container: %s", state->error);
    TRY(scenario_remove(&scenario, err));
    TRY(podman_host_inspect(host, foreign_id, &inspected, err));
    const cJSON *running =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(inspected, "State"), "Running");
    CHECK(cJSON_IsTrue(running), "the foreign container does not run any more");
    TRY(podman(&scenario, (const char *const[]){"rm", "--force", "--time", "0", foreign_id, NULL}, err));
    return scenario_finish(&scenario, err);
}
