/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "deploy/local_host.h"
#include "deploy/service_record.h"
#include "harness/test.h"

/** What was announced, in order, and whether it stood already then. */
struct announced {
    struct text_list names;
    const char *environment;
    bool refuse;
};

static int record_announcement(void *context, const char *kind, const char *name, const char **environment,
                               struct error *err)
{
    struct announced *announced = context;

    text_list_format(&announced->names, "%s %s%s", kind, name, *name == '/' && file_exists(name) ? " (late)" : "");
    *environment = announced->environment;
    if (announced->refuse)
        return error_set(err, &general_error_domain, GENERAL_FAILED, "journalling", name, "no room");
    return 0;
}

struct fixture {
    char directory[32];
    struct announced announced;
    struct local_host *host;
    const struct linux_host_operations *operations;
    void *context;
};

static int fixture_new(struct fixture *fixture, struct error *err)
{
    strcpy(fixture->directory, "/tmp/fleet-unit-XXXXXX");
    CHECK(mkdtemp(fixture->directory), "mkdtemp: %s", strerror(errno));
    struct local_host_options options = {
        .state_directory = fixture->directory, .announce = record_announcement, .context = &fixture->announced};
    TRY(local_host_new(&options, &fixture->host, err));
    fixture->operations = local_host_linux(fixture->host)->operations;
    fixture->context = local_host_linux(fixture->host)->context;
    return 0;
}

static void fixture_clear(struct fixture *fixture)
{
    cleanup_error struct error ignored = ERROR_INIT;
    bool changed;

    if (fixture->host && fixture->operations->remove_service(fixture->context, "sleeper", &changed, &ignored) < 0)
        fprintf(stderr, "%s\n", error_root_detail(&ignored));
    error_clear(&ignored);
    local_host_free(fixture->host);
    text_list_clear(&fixture->announced.names);
    if (directory_remove(fixture->directory, &ignored) < 0)
        fprintf(stderr, "%s\n", error_root_detail(&ignored));
}
#define CLEANUP_FIXTURE __attribute__((cleanup(fixture_clear)))

static const char *const sleep_argv[] = {"/bin/sleep", "1000", NULL};
static const struct service_definition sleeper = {.name = "sleeper", .argv = sleep_argv};

static int ensure(struct fixture *fixture, const struct service_definition *definition, bool restart, bool *changed,
                  struct error *err)
{
    *changed = false;
    return fixture->operations->ensure_service(fixture->context, definition, restart, changed, err);
}

static int running_pid(struct fixture *fixture, pid_t *pid, struct error *err)
{
    struct service_status status = {0};

    TRY(fixture->operations->service_status(fixture->context, "sleeper", &status, err));
    *pid = status.pid;
    bool logged = file_exists(status.log_path);
    bool running = status.running;
    service_status_clear(&status);
    CHECK(running == (*pid > 0), "running %d, pid %d", running, (int)*pid);
    CHECK(logged, "no log");
    return 0;
}

FLEET_TEST(local_host, directories_and_files_say_whether_they_changed)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    struct stat status;
    bool changed = false;

    TRY(fixture_new(&fixture, err));
    const struct linux_host_operations *operations = fixture.operations;
    cleanup_free char *directory = text_format("%s/a/b", fixture.directory);
    cleanup_free char *file = text_format("%s/secret", directory);
    TRY(operations->ensure_directory(fixture.context, directory, 0700, &changed, err));
    CHECK(changed, "a new directory is no change");
    CHECK(stat(directory, &status) == 0 && (status.st_mode & 07777) == 0700, "mode %o", status.st_mode);
    cleanup_free char *expected = text_format("directory %s", directory);
    CHECK(text_list_contains(&fixture.announced.names, expected), "announced: %s", fixture.announced.names.items[0]);
    changed = false;
    TRY(operations->ensure_directory(fixture.context, directory, 0700, &changed, err));
    CHECK(!changed, "the same directory is a change");
    TRY(operations->ensure_directory(fixture.context, directory, 0755, &changed, err));
    CHECK(changed && stat(directory, &status) == 0 && (status.st_mode & 07777) == 0755, "mode %o", status.st_mode);

    TRY(operations->ensure_file(fixture.context, file, "one\n", 4, 0600, &changed, err));
    CHECK(stat(file, &status) == 0 && (status.st_mode & 07777) == 0600, "mode %o", status.st_mode);
    changed = false;
    TRY(operations->ensure_file(fixture.context, file, "one\n", 4, 0600, &changed, err));
    CHECK(!changed, "the same bytes are a change");
    CHECK(chmod(file, 0644) == 0, "chmod");
    TRY(operations->ensure_file(fixture.context, file, "one\n", 4, 0600, &changed, err));
    CHECK(changed && stat(file, &status) == 0 && (status.st_mode & 07777) == 0600, "mode %o", status.st_mode);
    changed = false;
    TRY(operations->ensure_file(fixture.context, file, "two\n", 4, 0600, &changed, err));
    CHECK(changed, "other bytes of the same size are no change");
    CHECK_FAILS(operations->ensure_directory(fixture.context, file, 0700, &changed, err), general_error_domain,
                GENERAL_CONFLICT);
    return 0;
}

FLEET_TEST(local_host, service_is_started_once)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    bool changed;
    pid_t pid;
    pid_t again;

    TRY(fixture_new(&fixture, err));
    TRY(ensure(&fixture, &sleeper, false, &changed, err));
    CHECK(changed, "a start is no change");
    CHECK(text_list_contains(&fixture.announced.names, "process sleeper"), "it was not announced");
    TRY(running_pid(&fixture, &pid, err));
    CHECK(getsid(pid) == pid, "it has no session of its own");
    TRY(ensure(&fixture, &sleeper, false, &changed, err));
    TRY(running_pid(&fixture, &again, err));
    CHECK(!changed && again == pid, "it was started again");
    return 0;
}

FLEET_TEST(local_host, service_restarts_when_asked_changed_or_dead)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    static const char *const environment[] = {"A=1", NULL};
    struct service_definition changed_sleeper = {.name = "sleeper", .argv = sleep_argv, .environment = environment};
    bool changed;
    int exit_code;
    pid_t pids[4];

    TRY(fixture_new(&fixture, err));
    TRY(ensure(&fixture, &sleeper, false, &changed, err));
    TRY(running_pid(&fixture, &pids[0], err));
    TRY(ensure(&fixture, &sleeper, true, &changed, err));
    TRY(running_pid(&fixture, &pids[1], err));
    CHECK(changed && pids[1] != pids[0] && kill(pids[0], 0) < 0, "asked for, %d is still there", (int)pids[0]);
    TRY(ensure(&fixture, &changed_sleeper, false, &changed, err));
    TRY(running_pid(&fixture, &pids[2], err));
    CHECK(changed && pids[2] != pids[1] && kill(pids[1], 0) < 0, "changed, %d is still there", (int)pids[1]);

    TRY(local_host_signal(fixture.host, "sleeper", SIGKILL, &exit_code, err));
    CHECK(exit_code == -1, "exit code %d of a killed service", exit_code);
    TRY(running_pid(&fixture, &pids[3], err));
    CHECK(pids[3] == 0, "%d runs after SIGKILL", (int)pids[3]);
    CHECK_FAILS(local_host_signal(fixture.host, "sleeper", SIGTERM, NULL, err), general_error_domain,
                GENERAL_NOT_FOUND);
    TRY(ensure(&fixture, &changed_sleeper, false, &changed, err));
    TRY(running_pid(&fixture, &pids[3], err));
    CHECK(changed && pids[3] > 0, "a dead service was not started");
    return 0;
}

/* The announced environment reaches the process, and does not make it another service. */
FLEET_TEST(local_host, announced_environment_is_added)
{
    CLEANUP_FIXTURE struct fixture fixture = {.announced.environment = "FLEET_E2E_MARK=unit/sleeper"};
    bool changed;
    pid_t pid;
    size_t size;
    cleanup_free char *environ_data = NULL;

    TRY(fixture_new(&fixture, err));
    TRY(ensure(&fixture, &sleeper, false, &changed, err));
    TRY(running_pid(&fixture, &pid, err));
    cleanup_free char *path = text_format("/proc/%d/environ", (int)pid);
    TRY(file_read(path, 1 << 20, &environ_data, &size, err));
    CHECK(memmem(environ_data, size, "FLEET_E2E_MARK=unit/sleeper", 28), "the mark did not arrive");
    fixture.announced.environment = NULL;
    TRY(ensure(&fixture, &sleeper, false, &changed, err));
    CHECK(!changed, "the mark is part of the definition");
    return 0;
}

FLEET_TEST(local_host, refused_announcement_starts_nothing)
{
    CLEANUP_FIXTURE struct fixture fixture = {.announced.refuse = true};
    struct service_status status = {0};
    bool changed;

    TRY(fixture_new(&fixture, err));
    CHECK_FAILS(ensure(&fixture, &sleeper, false, &changed, err), general_error_domain, GENERAL_FAILED);
    TRY(fixture.operations->service_status(fixture.context, "sleeper", &status, err));
    bool running = status.running;
    service_status_clear(&status);
    CHECK(!running, "it runs though nobody could write it down");
    return 0;
}

/* As two test processes of one session: one starts the service, the other stops it. */
FLEET_TEST(local_host, another_process_finds_the_service)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    struct process_identity service = {0};
    bool changed;
    pid_t pid;
    int status = 0;

    TRY(fixture_new(&fixture, err));
    pid_t starter = fork();
    CHECK(starter >= 0, "fork");
    if (starter == 0) {
        cleanup_error struct error ignored = ERROR_INIT;
        _exit(ensure(&fixture, &sleeper, false, &changed, &ignored) < 0);
    }
    CHECK(waitpid(starter, &status, 0) == starter && status == 0, "starting failed");
    TRY(running_pid(&fixture, &pid, err));
    CHECK(pid > 0, "it was not found");
    TRY(ensure(&fixture, &sleeper, false, &changed, err));
    CHECK(!changed, "it was started a second time");
    TRY(process_identity_of(pid, &service, err));
    changed = false;
    TRY(fixture.operations->remove_service(fixture.context, "sleeper", &changed, err));
    CHECK(changed && !process_identity_alive(&service), "%d runs on", (int)pid);
    changed = false;
    TRY(fixture.operations->remove_service(fixture.context, "sleeper", &changed, err));
    CHECK(!changed, "removing nothing is a change");
    return 0;
}

FLEET_TEST(local_host, exit_code_of_a_child_is_told)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    /* busybox's and coreutils' sleep die of SIGTERM; a shell's trap makes an exit code of it. */
    static const char *const argv[] = {"/bin/sh", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done",
                                       NULL};
    static const struct service_definition trapper = {.name = "sleeper", .argv = argv};
    struct service_status status = {0};
    bool changed;
    int exit_code = 0;

    TRY(fixture_new(&fixture, err));
    TRY(ensure(&fixture, &trapper, false, &changed, err));
    TRY(fixture.operations->service_status(fixture.context, "sleeper", &status, err));
    cleanup_free char *log = TAKE_PTR(status.log_path);
    struct deadline deadline = deadline_in_ms(10000);
    for (cleanup_free char *text = NULL; !text || !*text;) {
        size_t size;

        free(TAKE_PTR(text));
        TRY(file_read(log, 4096, &text, &size, err));
        CHECK(!deadline_passed(deadline), "the trap was never set");
    }
    TRY(local_host_signal(fixture.host, "sleeper", SIGTERM, &exit_code, err));
    CHECK(exit_code == 7, "exit code %d", exit_code);
    return 0;
}

FLEET_TEST(local_host, bad_input_is_refused)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    static const char *const missing[] = {"/nonexistent/program", NULL};
    struct service_definition path = {.name = "../x", .argv = sleep_argv};
    struct service_definition absent = {.name = "sleeper", .argv = missing};
    struct local_host_options nowhere = {.state_directory = "/nonexistent"};
    struct local_host *none = NULL;
    bool changed;

    TRY(fixture_new(&fixture, err));
    CHECK_FAILS(ensure(&fixture, &path, false, &changed, err), general_error_domain, GENERAL_INVALID);
    CHECK_FAILS(ensure(&fixture, &absent, false, &changed, err), process_error_domain, PROCESS_NOT_STARTED);
    CHECK_FAILS(local_host_new(&nowhere, &none, err), system_error_domain, ENOENT);
    cleanup_free char *record = text_format("%s/sleeper.service", fixture.directory);
    TRY(file_write_atomic(record, "nonsense", 8, 0600, err));
    CHECK_FAILS(ensure(&fixture, &sleeper, false, &changed, err), general_error_domain, GENERAL_INVALID);
    TRY(file_remove(record, err));
    return 0;
}

FLEET_TEST(local_host, definitions_differ_by_every_part)
{
    static const char *const one[] = {"/bin/a", "b", NULL};
    static const char *const joined[] = {"/bin/a\0b", NULL};
    static const char *const split[] = {"/bin/a", "b", "c", NULL};
    static const char *const variable[] = {"c", NULL};
    struct service_definition definitions[] = {
        {.name = "x", .argv = one},
        {.name = "y", .argv = one},
        {.name = "x", .argv = joined},
        {.name = "x", .argv = split},
        {.name = "x", .argv = one, .environment = variable},
    };

    for (size_t i = 0; i < ARRAY_SIZE(definitions); i++) {
        for (size_t j = i + 1; j < ARRAY_SIZE(definitions); j++)
            CHECK(service_definition_hash(&definitions[i]) != service_definition_hash(&definitions[j]),
                  "%zu and %zu have the same hash", i, j);
    }
    return 0;
}
