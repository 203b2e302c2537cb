/* SPDX-License-Identifier: Apache-2.0 */
#include "fixtures/sandbox_machine.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/deadline.h"
#include "base/file.h"
#include "base/text.h"
#include "harness/test.h"

#define STEP_MS 20000

static _Noreturn int wait_to_be_killed(void *context, struct error *err)
{
    (void)context;
    (void)err;
    for (;;)
        pause();
}

/** A sandbox in a process of its own, whose network is to be called as the run is. */
struct machine {
    char *directory;
    pid_t outer;
};

static void machine_clear(struct machine *machine)
{
    if (machine->outer > 0) {
        kill(machine->outer, SIGKILL);
        waitpid(machine->outer, NULL, 0);
    }
    free(machine->directory);
}
#define cleanup_machine __attribute__((cleanup(machine_clear)))

static int machine_start(struct run *run, const char *name, struct machine *ret, struct error *err)
{
    ret->directory = text_format("%s/%s", run_directory(run), name);
    TRY(directory_create(ret->directory, 0700, err));
    ret->outer = fork();
    if (ret->outer == 0) {
        const struct sandbox_machine machine = {.process = {.directory = ret->directory, .init = wait_to_be_killed},
                                                .network_namespace = run_id(run)};
        _exit(sandbox_machine_run(&machine));
    }
    CHECK(ret->outer > 0, "fork: %m");
    return 0;
}

/** Its exit code; it is gone then. */
static int machine_end(struct machine *machine)
{
    int status = 0;

    waitpid(machine->outer, &status, 0);
    machine->outer = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int is_up(void *context, struct text_buffer *state, struct error *err)
{
    const struct machine *machine = context;
    cleanup_free char *path = text_format("%s/" SANDBOX_PID_FILE, machine->directory);

    (void)err;
    text_buffer_format(state, "there is no %s", path);
    return file_exists(path);
}

/** The name stands for the network that the machine is in. */
static int check_named(const struct machine *machine, const char *name, struct error *err)
{
    cleanup_free char *own = text_format("/proc/%d/ns/net", (int)machine->outer);
    struct stat of_name, of_machine;

    CHECK(stat(own, &of_machine) == 0, "%s: %m", own);
    CHECK(stat(name, &of_name) == 0, "%s: %m", name);
    CHECK(of_name.st_ino == of_machine.st_ino && of_name.st_dev == of_machine.st_dev, "%s is another network", name);
    return 0;
}

FLEET_TEST(sandbox_machine, one_that_cannot_take_a_name_leaves_it_to_its_owner,
           NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES))
{
    cleanup_machine struct machine first = {0};
    cleanup_machine struct machine second = {0};
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    TRY(run_journal(run, RESOURCE_NETWORK_NAMESPACE, run_id(run), err));
    cleanup_free char *name = text_format("/run/netns/%s", run_id(run));
    TRY(machine_start(run, "first", &first, err));
    TRY(wait_until("the first to be up", is_up, &first, NULL, deadline_in_ms(STEP_MS), err));
    TRY(check_named(&first, name, err));
    TRY(machine_start(run, "second", &second, err));
    CHECK(machine_end(&second) == EXIT_FAILURE, "the second took a name that the first has");
    TRY(check_named(&first, name, err));
    kill(first.outer, SIGTERM);
    CHECK(machine_end(&first) == EXIT_SUCCESS, "the first did not end as it was asked to");
    CHECK(!file_exists(name), "%s is left", name);
    return 0;
}
