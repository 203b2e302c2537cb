/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Linux host over SSH, as the administrator who becomes root by sudo. sshd and sudo are real; systemctl is a script
 * that keeps a list of what it was told, for what counts here is what is asked of systemd and when.
 */
#include "deploy/ssh_host.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "deploy/score_steps.h"
#include "tests/host/ssh_device.h"

#define DEVICE NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES, CAPABILITY_SSHD)

struct fixture {
    struct ssh_device device;
    struct ssh_session *session;
    struct ssh_host *host;
    const struct linux_host_operations *operations;
    void *context;
};

static int fixture_new(struct test_context *test, const char *user, struct fixture *ret, struct error *err)
{
    TRY(ssh_device_new(test, &ret->device, err));
    TRY(ssh_device_open(&ret->device, user, &ret->session, err));
    const struct ssh_host_options options = {.session = ret->session};
    ssh_host_new(&options, &ret->host);
    ret->operations = ssh_host_linux(ret->host)->operations;
    ret->context = ssh_host_linux(ret->host)->context;
    return 0;
}

static void fixture_clear(struct fixture *fixture)
{
    ssh_host_free(fixture->host);
    ssh_session_free(fixture->session);
    ssh_device_clear(&fixture->device);
}
#define CLEANUP_FIXTURE __attribute__((cleanup(fixture_clear)))

/* Directories and files */

static int check_directory(struct fixture *fixture, const char *path, mode_t mode, bool expected, struct error *err)
{
    bool changed = false;

    TRY(fixture->operations->ensure_directory(fixture->context, path, mode, &changed, err));
    CHECK(changed == expected, "%s: changed %d", path, changed);
    return 0;
}

static int make_directories(struct fixture *fixture, struct error *err)
{
    cleanup_free char *modes = NULL;
    bool changed = false;

    TRY(check_directory(fixture, "/var/tmp/../../run/a/b c", 0750, true, err));
    TRY(check_directory(fixture, "/run/a/b c", 0750, false, err));
    TRY(ssh_device_ask(fixture->session, "stat -c '%a %U:%G' /run/a '/run/a/b c'", &modes, err));
    CHECK(text_equal(modes, "750 root:root\n750 root:root"), "they are %s", modes);
    TRY(check_directory(fixture, "/run/a", 01777, true, err));
    TRY(check_directory(fixture, "/run/a", 01777, false, err));
    TRY(ssh_device_ask(fixture->session, "stat -c %a /run/a; : >/run/file; ln -s nowhere /run/link", &modes, err));
    CHECK(text_equal(modes, "1777"), "it is %s", modes);
    CHECK_FAILS(fixture->operations->ensure_directory(fixture->context, "/run/file", 0755, &changed, err),
                general_error_domain, GENERAL_CONFLICT);
    CHECK_FAILS(fixture->operations->ensure_directory(fixture->context, "/run/link", 0755, &changed, err),
                general_error_domain, GENERAL_CONFLICT);
    CHECK_FAILS(fixture->operations->ensure_directory(fixture->context, "/run/file/below", 0755, &changed, err),
                ssh_error_domain, SSH_REMOTE_FAILED);
    CHECK_FAILS(fixture->operations->ensure_directory(fixture->context, "run", 0755, &changed, err),
                general_error_domain, GENERAL_INVALID);
    return 0;
}

FLEET_TEST(ssh_host, makes_directories_as_root, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};

    TRY(fixture_new(test, "root", &fixture, err));
    return make_directories(&fixture, err);
}

FLEET_TEST(ssh_host, makes_directories_by_sudo, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};

    TRY(fixture_new(test, DEVICE_ADMIN, &fixture, err));
    return make_directories(&fixture, err);
}

FLEET_TEST(ssh_host, files_say_whether_they_changed, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    cleanup_free char *data = NULL;
    cleanup_free char *seen = NULL;
    size_t size;
    bool changed = false;

    TRY(fixture_new(test, DEVICE_ADMIN, &fixture, err));
    const struct linux_host_operations *operations = fixture.operations;
    TRY(operations->read_file(fixture.context, "/etc/fleet.conf", 100, &data, &size, err));
    CHECK(!data, "a file out of nowhere: %s", data);
    TRY(operations->ensure_file(fixture.context, "/etc/fleet.conf", "one\n", 4, 0600, &changed, err));
    CHECK(changed, "a new file is no change");
    changed = false;
    TRY(operations->ensure_file(fixture.context, "/etc/fleet.conf", "one\n", 4, 0600, &changed, err));
    CHECK(!changed, "the same file is a change");
    TRY(ssh_device_ask(fixture.session, "stat -c '%a %U:%G' /etc/fleet.conf", &seen, err));
    CHECK(text_equal(seen, "600 root:root"), "it is %s", seen);
    TRY(operations->read_file(fixture.context, "/etc/fleet.conf", 100, &data, &size, err));
    CHECK(text_equal(data, "one\n") && size == 4, "it is %s", data);
    CHECK(!file_exists("/etc/fleet.conf"), "it is on this machine");
    return 0;
}

/* Services */

static const char *const agent_argv[] = {"/usr/local/bin/agent", "--config", "/etc/fleet.conf", NULL};
static const struct service_definition agent = {.name = "fleet-agent", .argv = agent_argv};

/** ensure_service, and what systemctl was told meanwhile, but for questions, one a line. */
static int ensure(struct fixture *fixture, const struct service_definition *definition, bool restart, bool *changed,
                  char **calls, struct error *err)
{
    *changed = false;
    TRY(ssh_device_ask(fixture->session, "rm -f /run/units/calls", calls, err));
    TRY(fixture->operations->ensure_service(fixture->context, definition, restart, changed, err));
    return ssh_device_ask(fixture->session, "grep -v ^show /run/units/calls || true", calls, err);
}

static int running_pid(struct fixture *fixture, pid_t *ret, struct error *err)
{
    struct service_status status = {0};

    TRY(fixture->operations->service_status(fixture->context, "fleet-agent", &status, err));
    *ret = status.pid;
    bool running = status.running;
    bool has_log = status.log_path != NULL;
    service_status_clear(&status);
    CHECK(running == (*ret > 0) && !has_log, "running %d, pid %d", running, (int)*ret);
    return 0;
}

#define FIRST_START "--quiet enable -- fleet-agent.service\nstart -- fleet-agent.service"
#define REREAD      "daemon-reload\nrestart -- fleet-agent.service"

FLEET_TEST(ssh_host, service_is_started_once, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    cleanup_free char *calls = NULL;
    pid_t pids[3];
    bool changed;

    TRY(fixture_new(test, DEVICE_ADMIN, &fixture, err));
    TRY(running_pid(&fixture, &pids[0], err));
    CHECK(pids[0] == 0, "%d runs before it was started", (int)pids[0]);
    TRY(ensure(&fixture, &agent, false, &changed, &calls, err));
    CHECK(changed && text_equal(calls, FIRST_START), "changed %d by: %s", changed, calls);
    TRY(running_pid(&fixture, &pids[1], err));
    TRY(ensure(&fixture, &agent, false, &changed, &calls, err));
    TRY(running_pid(&fixture, &pids[2], err));
    CHECK(!changed && !*calls && pids[1] > 0 && pids[1] == pids[2], "changed %d by: %s", changed, calls);
    TRY(ssh_device_ask(fixture.session,
                       "stat -c '%a %U:%G' /etc/systemd/system/fleet-agent.service; "
                       "grep ^ExecStart /etc/systemd/system/fleet-agent.service",
                       &calls, err));
    CHECK(text_equal(calls, "644 root:root\nExecStart=:\"/usr/local/bin/agent\" \"--config\" \"/etc/fleet.conf\""),
          "the unit is %s", calls);
    return 0;
}

FLEET_TEST(ssh_host, service_restarts_when_asked_changed_or_dead, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    static const char *const settings[] = {"Type=notify", NULL};
    const struct service_definition notifying = {.name = "fleet-agent", .argv = agent_argv, .settings = settings};
    cleanup_free char *calls = NULL;
    pid_t pids[4];
    bool changed;

    TRY(fixture_new(test, DEVICE_ADMIN, &fixture, err));
    TRY(ensure(&fixture, &agent, true, &changed, &calls, err));
    CHECK(changed && text_equal(calls, FIRST_START), "asked for a restart, it was started by: %s", calls);
    TRY(running_pid(&fixture, &pids[0], err));
    TRY(ensure(&fixture, &agent, true, &changed, &calls, err));
    CHECK(changed && text_equal(calls, "restart -- fleet-agent.service"), "it was restarted by: %s", calls);
    TRY(running_pid(&fixture, &pids[1], err));
    TRY(ensure(&fixture, &notifying, false, &changed, &calls, err));
    CHECK(changed && text_equal(calls, REREAD), "it was changed by: %s", calls);
    TRY(running_pid(&fixture, &pids[2], err));
    TRY(ssh_device_ask(fixture.session, "kill -KILL $(cat /run/units/fleet-agent.service.pid)", &calls, err));
    TRY(ensure(&fixture, &notifying, false, &changed, &calls, err));
    CHECK(changed && text_equal(calls, "start -- fleet-agent.service"), "it was revived by: %s", calls);
    TRY(running_pid(&fixture, &pids[3], err));
    for (int i = 0; i < 4; i++)
        CHECK(pids[i] > 0 && (i == 0 || pids[i] != pids[i - 1]), "pid %d is %d", i, (int)pids[i]);
    return 0;
}

/* Somebody wrote the unit and did not get as far as telling systemd; or disabled it by hand. */
FLEET_TEST(ssh_host, unfinished_deployments_are_finished, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    static const char *const other_argv[] = {"/usr/local/bin/other", NULL};
    const struct service_definition other = {.name = "fleet-agent", .argv = other_argv};
    cleanup_free char *calls = NULL;
    bool changed;

    TRY(fixture_new(test, DEVICE_ADMIN, &fixture, err));
    TRY(ensure(&fixture, &agent, false, &changed, &calls, err));
    TRY(ssh_device_ask(fixture.session, "cp /etc/systemd/system/fleet-agent.service /run/wanted", &calls, err));
    TRY(ensure(&fixture, &other, false, &changed, &calls, err));
    TRY(ssh_device_ask(fixture.session, "cat /run/wanted >/etc/systemd/system/fleet-agent.service", &calls, err));
    TRY(ensure(&fixture, &agent, false, &changed, &calls, err));
    CHECK(changed && text_equal(calls, REREAD), "it was finished by: %s", calls);
    TRY(ssh_device_ask(fixture.session, "rm /run/units/fleet-agent.service.enabled", &calls, err));
    TRY(ensure(&fixture, &agent, false, &changed, &calls, err));
    CHECK(changed && text_equal(calls, FIRST_START), "it was enabled by: %s", calls);
    return 0;
}

FLEET_TEST(ssh_host, service_is_removed_once, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    cleanup_free char *calls = NULL;
    bool changed = false;
    pid_t pid;

    TRY(fixture_new(test, DEVICE_ADMIN, &fixture, err));
    TRY(fixture.operations->remove_service(fixture.context, "fleet-agent", &changed, err));
    CHECK(!changed, "removing nothing is a change");
    TRY(ensure(&fixture, &agent, false, &changed, &calls, err));
    changed = false;
    TRY(ssh_device_ask(fixture.session, "rm -f /run/units/calls", &calls, err));
    TRY(fixture.operations->remove_service(fixture.context, "fleet-agent", &changed, err));
    CHECK(changed, "removing something is no change");
    TRY(ssh_device_ask(fixture.session,
                       "cat /run/units/calls; ls /etc/systemd/system/fleet-agent.service 2>/dev/null || echo gone",
                       &calls, err));
    CHECK(text_equal(calls, "--quiet disable --now -- fleet-agent.service\ndaemon-reload\n"
                            "reset-failed -- fleet-agent.service\ngone"),
          "it was removed by: %s", calls);
    TRY(running_pid(&fixture, &pid, err));
    CHECK(pid == 0, "%d runs on", (int)pid);
    changed = false;
    TRY(fixture.operations->remove_service(fixture.context, "fleet-agent", &changed, err));
    CHECK(!changed, "removing nothing is a change");
    return 0;
}

FLEET_TEST(ssh_host, failures_are_in_the_words_of_systemd, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    static const char *const missing_argv[] = {"/nonexistent/agent", NULL};
    const struct service_definition missing = {.name = "fleet-agent", .argv = missing_argv};
    const struct service_definition option = {.name = "--help", .argv = agent_argv};
    cleanup_error struct error failed = ERROR_INIT;
    struct service_status status = {0};
    bool changed = false;

    TRY(fixture_new(test, DEVICE_ADMIN, &fixture, err));
    CHECK(fixture.operations->ensure_service(fixture.context, &missing, false, &changed, &failed) < 0 &&
              error_is(&failed, &ssh_error_domain, SSH_REMOTE_FAILED) &&
              strstr(error_root_detail(&failed), "Job for fleet-agent.service failed"),
          "it is %s", error_root_detail(&failed));
    error_clear(&failed);
    error_set(&failed, &general_error_domain, GENERAL_TIMEOUT, "asking", NULL, "no answer");
    score_smoke_check_failed(&failed, ssh_host_linux(fixture.host), "fleet-agent");
    cleanup_free char *text = error_text(&failed);
    CHECK(strstr(text, "journal of --unit fleet-agent.service"), "without its log: %s", text);
    error_clear(&failed);
    error_set(&failed, &ssh_error_domain, SSH_REMOTE_FAILED, "starting", NULL, "Job failed");
    score_start_failed(&failed, ssh_host_linux(fixture.host), "fleet-agent");
    cleanup_free char *start = error_text(&failed);
    CHECK(strstr(start, "not running") && strstr(start, "journal of --unit fleet-agent.service"), "it is %s", start);
    CHECK(error_is(&failed, &ssh_error_domain, SSH_REMOTE_FAILED), "its cause is lost: %s", start);
    CHECK_FAILS(fixture.operations->ensure_service(fixture.context, &option, false, &changed, err),
                general_error_domain, GENERAL_INVALID);
    CHECK_FAILS(fixture.operations->service_status(fixture.context, "../x", &status, err), general_error_domain,
                GENERAL_INVALID);
    CHECK_FAILS(fixture.operations->remove_service(fixture.context, NULL, &changed, err), general_error_domain,
                GENERAL_INVALID);
    return 0;
}
