/* SPDX-License-Identifier: Apache-2.0 */

/*
 * fleet-quickstart: the whole chain on this host, shown step by step. It is the host scenario with a person looking:
 * the same fixtures as the tests, live phases, and at the end what was proved and how long each step took.
 *
 * The scenario runs in a child. The parent only watches it: on Ctrl-C (or any other end) it waits until the run's
 * reaper has taken everything down before it gives the prompt back.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "tests/host/scenario.h"

#define EXIT_USAGE   2
#define EXIT_SKIPPED 77
#define TAKE_DOWN_MS 15000
#define PATH_SIZE    1024
#define SIGNAL_BASE  128 /* as shells report the end by a signal */

/** What the child tells its parent. */
struct shared {
    char run_directory[PATH_SIZE]; /**< "" until the run was started */
    char bundle[PATH_SIZE];        /**< where the reaper saves logs if the child cannot */
};
static struct shared *shared;

struct tour {
    struct test_context *test;
    struct scenario scenario;
    char *first_id;     /**< container of v1; owned */
    char *note;         /**< what a step has to add to its line; owned */
    const char *proved; /* by the last step, when that is not what the step proves otherwise; NULL: it is */
};

static int bring_up(struct tour *tour, struct error *err)
{
    struct run *run = NULL;
    TRY(test_run(tour->test, &run, err));
    snprintf(shared->run_directory, sizeof(shared->run_directory), "%s", run_directory(run));
    snprintf(shared->bundle, sizeof(shared->bundle), "%s", tour->test->artefacts);
    TRY(scenario_new(tour->test, true, &tour->scenario, err));
    tour->note = text_format("%s, device %s", host_stack_nats_url(tour->scenario.stack),
                             host_agent_device(tour->scenario.agent));
    return 0;
}

static int ping(struct tour *tour, struct error *err)
{
    CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;
    const char *device = host_agent_device(tour->scenario.agent);
    TRY(fleet_ping(host_stack_commands(tour->scenario.stack), device, deadline_in_ms(5000), &reply, err));
    CHECK(text_equal(reply->device_id, device), "%s answered", reply->device_id);
    tour->note = text_format("agent %s", reply->agent_version);
    return 0;
}

/* Deploy hello-web and ask podman and the web server itself whether it is there. */
static int deploy(struct tour *tour, const char *image, const char *version, char **id, struct error *err)
{
    CLEANUP(score_free) struct score *score = scenario_hello_web(image, tour->scenario.port);
    cleanup_container_list struct podman_container_list list = {0};
    TRY(scenario_deploy(&tour->scenario, score, NULL, err));
    TRY(scenario_container(&tour->scenario, &list, err));
    CHECK(text_equal(list.items[0].image, image), "podman runs %s", list.items[0].image);
    TRY(scenario_expect_body(&tour->scenario, "/version", version, err));
    *id = TAKE_PTR(list.items[0].id);
    tour->note = text_format("container %.12s, GET /version on port %d says %s", *id, tour->scenario.port, version);
    return 0;
}

static int deploy_v1(struct tour *tour, struct error *err)
{
    return deploy(tour, IMAGE_HELLO_WEB_V1, "v1", &tour->first_id, err);
}

static int upgrade_to_v2(struct tour *tour, struct error *err)
{
    cleanup_free char *id = NULL;
    TRY(deploy(tour, IMAGE_HELLO_WEB_V2, "v2", &id, err));
    CHECK(!text_equal(id, tour->first_id), "the container of v1 was not replaced");
    return 0;
}

static int delete_it(struct tour *tour, struct error *err)
{
    TRY(scenario_remove(&tour->scenario, err));
    return 0;
}

static int take_down(struct tour *tour, struct error *err)
{
    TRY(scenario_finish(&tour->scenario, err));
    if (text_equal(getenv("FLEET_E2E_KEEP"), "1"))
        tour->proved = "what was brought up runs on, as FLEET_E2E_KEEP asks";
    return 0;
}

static const struct step {
    const char *phase;
    const char *proved;
    int (*run)(struct tour *tour, struct error *err);
} steps[] = {
    {"bring up NATS, podman and an agent", "NATS, podman and an agent are up and know each other", bring_up},
    {"ping", "the device answers a ping", ping},
    {"deploy hello-web v1", "a desired state became a running container", deploy_v1},
    {"upgrade to v2", "a changed desired state replaced it", upgrade_to_v2},
    {"delete", "a deleted desired state removed it, in podman and in KV", delete_it},
    {"take down", "agent, podman and NATS ended cleanly", take_down},
};

/* Lines of the closing table, kept until everything is down. */
static struct text_buffer proved;

static void add_proof(const struct step *step, int64_t took_us, struct tour *tour)
{
    text_buffer_format(&proved, "%8.1f ms  %s%s%s%s\n", (double)took_us / 1000,
                       tour->proved ? tour->proved : step->proved, tour->note ? " (" : "", tour->note ? tour->note : "",
                       tour->note ? ")" : "");
    free(TAKE_PTR(tour->note));
}

static void tour_clear_at_exit(struct tour *tour)
{
    scenario_clear(&tour->scenario);
    free(tour->first_id);
    free(tour->note);
}

static int walk_through(struct test_context *test, struct error *err)
{
    __attribute__((cleanup(tour_clear_at_exit))) struct tour tour = {.test = test};
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        int64_t begin_us = clock_monotonic_us();
        struct phase *phase = phase_begin(test->timeline, steps[i].phase);
        int result = steps[i].run(&tour, err);
        phase_end(phase, err);
        if (result < 0)
            return error_wrap(err, steps[i].phase, NULL);
        add_proof(&steps[i], clock_monotonic_us() - begin_us, &tour);
    }
    return 0;
}

/* The child: the scenario in the frame that tests run in (capabilities, timeline, bundle, end of the run). */
static int run_scenario(void)
{
    static const struct test_definition definition = {
        .suite = "quickstart",
        .name = "host",
        .body = walk_through,
        .gate = "host",
        NEEDS(CAPABILITY_NATS_SERVER, CAPABILITY_PODMAN, CAPABILITY_TEST_IMAGES),
    };
    bool skipped = false;
    int64_t begin = clock_monotonic_ms();
    cleanup_free char *failure = test_execute(&definition, &skipped);
    if (failure)
        fprintf(stderr, "\nquickstart failed: %s\n", failure);
    else if (!skipped)
        printf("\nProved on this host in %.1f s:\n%s", (double)(clock_monotonic_ms() - begin) / 1000,
               text_buffer_text(&proved));
    text_buffer_clear(&proved);
    if (failure)
        return EXIT_FAILURE;
    return skipped ? EXIT_SKIPPED : EXIT_SUCCESS;
}

static int run_is_gone(void *context, struct text_buffer *state, struct error *err)
{
    (void)err;
    text_buffer_format(state, "%s is there", (const char *)context);
    return !file_exists(context);
}

/* After the child's end, however it came: 0 when nothing of its run is left (or it was asked to keep it). */
static int wait_until_down(void)
{
    cleanup_error struct error err = ERROR_INIT;
    const char *keep = getenv("FLEET_E2E_KEEP");
    if (!shared->run_directory[0] || text_equal(keep, "1"))
        return 0;
    if (wait_until("the run to be taken down", run_is_gone, shared->run_directory, NULL, deadline_in_ms(TAKE_DOWN_MS),
                   &err) == 0)
        return 0;
    log_failure("something is left of the run: fleet-e2e down removes it", &err);
    return -1;
}

/* Wait for the child, passing on what we are told; a terminal's Ctrl-C it hears itself. Returns its exit code. */
static int watch(pid_t child, const sigset_t *signals)
{
    for (;;) {
        siginfo_t info = {0};
        if (sigwaitinfo(signals, &info) < 0)
            continue;
        if (info.si_signo != SIGCHLD) {
            kill(child, info.si_signo);
            continue;
        }
        int status = 0;
        if (waitpid(child, &status, WNOHANG) != child)
            continue;
        return WIFEXITED(status) ? WEXITSTATUS(status) : SIGNAL_BASE + WTERMSIG(status);
    }
}

static int supervise(void)
{
    sigset_t signals;
    sigset_t before;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, &before);
    pid_t parent = getpid();
    pid_t child = fork();
    if (child < 0) {
        perror("fleet-quickstart: fork");
        return EXIT_FAILURE;
    }
    if (child == 0) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        return getppid() == parent ? run_scenario() : EXIT_FAILURE;
    }
    int code = watch(child, &signals);
    bool signalled = code > SIGNAL_BASE;
    if (signalled)
        fprintf(stderr, "\n%s: taking everything down\n", strsignal(code - SIGNAL_BASE));
    bool is_down = wait_until_down() == 0;
    if (signalled && is_down)
        fprintf(stderr, "nothing is left running\n");
    if (signalled && file_exists(shared->bundle))
        fprintf(stderr, "bundle: %s\n", shared->bundle);
    return code == EXIT_SUCCESS && !is_down ? EXIT_FAILURE : code;
}

static int usage(FILE *out)
{
    fputs("usage: fleet-quickstart [--may-skip]\n"
          "Brings NATS, podman and an agent up on this host, deploys hello-web, upgrades it, deletes it and takes\n"
          "everything down, and says what that proved. Exit code 0: proved; 1: something failed (the bundle's path is\n"
          "printed last); 77: --may-skip was given and a capability is missing (see fleet-e2e doctor).\n"
          "FLEET_E2E_KEEP=1 leaves everything up and prints how to look at it and remove it.\n",
          out);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    bool may_skip = argc == 2 && text_equal(argv[1], "--may-skip");
    if (argc == 2 && (text_equal(argv[1], "--help") || text_equal(argv[1], "-h"))) {
        usage(stdout);
        return EXIT_SUCCESS;
    }
    if (argc > 1 && !may_skip)
        return usage(stderr);
    log_start("fleet-quickstart");
    if (!may_skip)
        setenv("FLEET_E2E_REQUIRE", "host", 1); /* who asks for a demonstration wants to hear why there is none */
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        perror("fleet-quickstart: mmap");
        return EXIT_FAILURE;
    }
    return supervise();
}
