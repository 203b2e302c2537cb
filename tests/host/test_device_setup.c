/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FleetDeviceSetupScore on a device with a real sshd, sudo and useradd; systemd and Debian's packages are scripts there
 * that keep lists of what they were told. The agent is any program of this machine: nobody starts it.
 */
#include "deploy/device_setup_score.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "deploy/ssh_host.h"
#include "tests/host/ssh_device.h"

#define RUN_MS 60000
#define DEVICE NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES, CAPABILITY_SSHD)

static const struct hosts_entry hosts[] = {{"192.168.122.1", "nats"}, {"192.168.122.1", "registry"}};
static const char *const packages[] = {"podman", "crun", NULL};

struct fixture {
    struct ssh_device device;
    struct ssh_session *session;
    struct ssh_host *host;
    struct linux_host_operations operations; /**< the host's, or what a test makes of them */
    struct linux_host linux_host;
    struct score_observer observer;
    struct topology topology;
    struct fleet_device_setup_score score;
    struct text_list steps; /**< "name" or "name (changed)" */
    struct score_outcome outcome;
};

static void note_step(void *context, const char *step, bool changed)
{
    text_list_format(&((struct fixture *)context)->steps, "%s%s", step, changed ? " (changed)" : "");
}

static int fixture_new(struct test_context *test, struct fixture *ret, struct error *err)
{
    cleanup_free char *nothing = NULL;

    TRY(ssh_device_new(test, &ret->device, err));
    TRY(ssh_device_open(&ret->device, DEVICE_ADMIN, &ret->session, err));
    const struct ssh_host_options options = {.session = ret->session};
    ssh_host_new(&options, &ret->host);
    ret->operations = *ssh_host_linux(ret->host)->operations;
    ret->linux_host =
        (struct linux_host){.operations = &ret->operations, .context = ssh_host_linux(ret->host)->context};
    ret->observer = (struct score_observer){.step_end = note_step, .context = ret};
    ret->topology = (struct topology){.name = "a device", .linux_host = &ret->linux_host, .observer = &ret->observer};
    ret->score = (struct fleet_device_setup_score){
        .agent_program = "/usr/bin/true",
        .device_id = "device-1",
        .nats_url = "nats://192.168.122.1:4222",
        .credentials = {"device", "device secret"},
        .packages = packages,
        .hosts = hosts,
        .host_count = ARRAY_SIZE(hosts),
        .admin = DEVICE_ADMIN,
        .admin_public_key = ret->device.key.public_key,
    };
    return ssh_device_ask(ret->session, "mkdir -p /run/units; echo '[Socket]' >/etc/systemd/system/podman.socket",
                          &nothing, err);
}

static void fixture_clear(struct fixture *fixture)
{
    text_list_clear(&fixture->steps);
    ssh_host_free(fixture->host);
    ssh_session_free(fixture->session);
    ssh_device_clear(&fixture->device);
}
#define CLEANUP_FIXTURE __attribute__((cleanup(fixture_clear)))

static int interpret(struct fixture *fixture, struct error *err)
{
    text_list_clear(&fixture->steps);
    return fleet_device_setup_score_interpret(&fixture->score, &fixture->topology, deadline_in_ms(RUN_MS),
                                              &fixture->outcome, err);
}

/** How many commands sshd has run so far, by its own log. */
static int count_commands(struct fixture *fixture, int *ret, struct error *err)
{
    cleanup_free char *path = text_format("%s/device.log", fixture->device.directory);
    cleanup_free char *log = NULL;
    size_t size;

    TRY(file_read(path, 1 << 20, &log, &size, err));
    *ret = 0;
    for (const char *at = log; (at = strstr(at, "Starting session: command")); at++)
        ++*ret;
    return 0;
}

/** Interpret; *calls is what systemctl was told meanwhile to do, one order a line. */
static int interpret_and_listen(struct fixture *fixture, char **calls, int *commands, struct error *err)
{
    int before;

    TRY(ssh_device_ask(fixture->session, "rm -f /run/units/calls", calls, err));
    TRY(count_commands(fixture, &before, err));
    TRY(interpret(fixture, err));
    TRY(count_commands(fixture, commands, err));
    *commands -= before;
    return ssh_device_ask(fixture->session, "grep -v ^show /run/units/calls || true", calls, err);
}

#define LIMIT_SCOPES "daemon-reload\n"
#define START_PODMAN "--quiet enable --now -- podman.socket\n"
#define START_AGENT  "--quiet enable -- fleet-agent.service\nstart -- fleet-agent.service"
#define RESTART      "restart -- fleet-agent.service"

FLEET_TEST(device_setup, the_second_time_nothing_changes, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    cleanup_free char *calls = NULL;
    int commands;

    TRY(fixture_new(test, &fixture, err));
    fixture.score.admin_public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMlZ1pSZ5zbB7mYl6cLZKOmYJLZSgRZXOZ6tTYy8VxQw";
    TRY(interpret_and_listen(&fixture, &calls, &commands, err));
    cleanup_free char *first = text_list_join(&fixture.steps, ", ");
    CHECK(fixture.outcome.changed &&
              text_equal(first, "look at device, install packages (changed), set up administrator (changed), "
                                "edit hosts (changed), upload agent (changed), configure agent (changed), "
                                "start podman (changed), start agent (changed)"),
          "changed %d: %s", fixture.outcome.changed, first);
    CHECK(text_equal(calls, LIMIT_SCOPES START_PODMAN START_AGENT), "systemctl was told: %s", calls);
    CHECK(commands <= 11, "it took %d commands with packages", commands);

    TRY(interpret_and_listen(&fixture, &calls, &commands, err));
    cleanup_free char *second = text_list_join(&fixture.steps, ", ");
    CHECK(!fixture.outcome.changed &&
              text_equal(second, "look at device, install packages, set up administrator, edit hosts, upload agent, "
                                 "configure agent, start podman, start agent"),
          "changed %d: %s", fixture.outcome.changed, second);
    CHECK(!*calls && commands <= 3, "%d commands, and systemctl was told: %s", commands, calls);
    return 0;
}

static int expect(struct fixture *fixture, const char *script, const char *wanted, struct error *err)
{
    cleanup_free char *said = NULL;

    TRY(ssh_device_ask(fixture->session, script, &said, err));
    CHECK(text_equal(said, wanted), "%s: %s", script, said);
    return 0;
}

FLEET_TEST(device_setup, everything_is_where_it_belongs, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    cleanup_free char *before = NULL;

    TRY(fixture_new(test, &fixture, err));
    TRY(ssh_device_ask(fixture.session, "chmod 0664 /etc/hosts; cat /etc/hosts", &before, err));
    TRY(interpret(&fixture, err));
    TRY(expect(&fixture, "stat -c '%a %U:%G' /etc/fleet-agent /etc/fleet-agent/* /usr/local/bin/harmony-fleet-agent",
               "700 root:root\n600 root:root\n600 root:root\n600 root:root\n755 root:root", err));
    TRY(expect(&fixture, "cd /etc/fleet-agent; ls -A; cat nats-password; grep ^password_file agent-config.toml",
               "agent-config.toml\ndeployment\nnats-password\ndevice secret\n"
               "password_file = \"/etc/fleet-agent/nats-password\"",
               err));
    TRY(expect(&fixture, "cmp /usr/bin/true /usr/local/bin/harmony-fleet-agent && echo same", "same", err));
    cleanup_free char *wanted = text_format(
        "%s\n" HOSTS_BLOCK_BEGIN "\n192.168.122.1\tnats\n192.168.122.1\tregistry\n" HOSTS_BLOCK_END, before);
    TRY(expect(&fixture, "cat /etc/hosts", wanted, err));
    TRY(expect(&fixture, "stat -c %a /etc/hosts", "664", err));
    TRY(expect(&fixture, "cut -d ' ' -f 1-2 /var/lib/dpkg/packages; cat /var/lib/dpkg/calls",
               "ii podman\nii crun\napt-get update \napt-get install podman crun", err));

    fixture.score.host_count = 0;
    TRY(interpret(&fixture, err));
    TRY(expect(&fixture, "cat /etc/hosts", before, err));
    CHECK(fixture.outcome.changed, "taking hosts away is no change");
    return 0;
}

FLEET_TEST(device_setup, what_changed_restarts_the_agent_once, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    cleanup_free char *calls = NULL;
    int commands;

    TRY(fixture_new(test, &fixture, err));
    TRY(interpret(&fixture, err));
    fixture.score.nats_url = "nats://192.168.122.1:4223";
    TRY(interpret_and_listen(&fixture, &calls, &commands, err));
    CHECK(fixture.outcome.changed && text_equal(calls, RESTART), "a configuration: %s", calls);
    fixture.score.credentials.password = "another";
    TRY(interpret_and_listen(&fixture, &calls, &commands, err));
    CHECK(fixture.outcome.changed && text_equal(calls, RESTART), "a password: %s", calls);
    fixture.score.agent_program = "/usr/bin/false";
    TRY(interpret_and_listen(&fixture, &calls, &commands, err));
    CHECK(fixture.outcome.changed && text_equal(calls, RESTART), "an agent: %s", calls);
    fixture.score.host_count = 1;
    TRY(interpret_and_listen(&fixture, &calls, &commands, err));
    CHECK(fixture.outcome.changed && !*calls, "hosts: %s", calls);
    TRY(ssh_device_ask(fixture.session, "echo '# by hand' >>/etc/fleet-agent/agent-config.toml", &calls, err));
    TRY(interpret_and_listen(&fixture, &calls, &commands, err));
    CHECK(fixture.outcome.changed && text_equal(calls, RESTART), "somebody's hand: %s", calls);
    TRY(interpret_and_listen(&fixture, &calls, &commands, err));
    CHECK(!fixture.outcome.changed && !*calls, "nothing: %s", calls);
    return 0;
}

static int no_service(void *context, const struct service_definition *definition, bool restart, bool *changed,
                      struct error *err)
{
    (void)context;
    (void)restart;
    *changed = true;
    return error_set(err, &ssh_error_domain, SSH_DISCONNECTED, "starting", definition->name, "the cable was pulled");
}

/* Its files are the new ones already, but the agent that runs is not. */
FLEET_TEST(device_setup, a_restart_that_was_missed_is_made_up_for, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    cleanup_free char *calls = NULL;
    int commands;

    TRY(fixture_new(test, &fixture, err));
    TRY(interpret(&fixture, err));
    fixture.score.credentials.password = "another";
    const struct linux_host_operations whole = fixture.operations;
    fixture.operations.ensure_service = no_service;
    CHECK_FAILS(interpret(&fixture, err), ssh_error_domain, SSH_DISCONNECTED);
    fixture.operations = whole;
    TRY(interpret_and_listen(&fixture, &calls, &commands, err));
    cleanup_free char *steps = text_list_join(&fixture.steps, ", ");
    CHECK(text_equal(calls, RESTART) && strstr(steps, "configure agent, start podman, start agent (changed)"),
          "%s by: %s", steps, calls);
    TRY(interpret_and_listen(&fixture, &calls, &commands, err));
    CHECK(!fixture.outcome.changed && !*calls, "once more by: %s", calls);
    return 0;
}

FLEET_TEST(device_setup, an_agent_for_another_machine_is_refused, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    Elf64_Ehdr header = {.e_ident = ELFMAG, .e_machine = EM_RISCV};
    cleanup_error struct error refused = ERROR_INIT;

    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    TRY(fixture_new(test, &fixture, err));
    cleanup_free char *program = text_format("%s/agent", fixture.device.directory);
    TRY(file_write_atomic(program, &header, sizeof(header), 0755, err));
    fixture.score.agent_program = program;
    CHECK(interpret(&fixture, &refused) < 0 && error_is(&refused, &deploy_error_domain, DEPLOY_INVALID_SCORE) &&
              strstr(error_root_detail(&refused), "riscv64"),
          "it is %s", error_root_detail(&refused));
    CHECK(fixture.steps.count == 1, "%zu steps were taken", fixture.steps.count);
    return expect(&fixture,
                  "ls -d /etc/fleet-agent /usr/local/bin/harmony-fleet-agent /var/lib/dpkg/calls 2>/dev/null; "
                  "grep -c harmony /etc/hosts || true",
                  "0", err);
}

FLEET_TEST(device_setup, an_installation_that_was_killed_is_finished, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    cleanup_free char *said = NULL;

    TRY(fixture_new(test, &fixture, err));
    TRY(ssh_device_ask(fixture.session, ": >/var/lib/dpkg/killed", &said, err));
    CHECK_FAILS(interpret(&fixture, err), ssh_error_domain, SSH_REMOTE_FAILED);
    TRY(ssh_device_ask(fixture.session, "rm /var/lib/dpkg/killed /var/lib/dpkg/calls", &said, err));
    TRY(interpret(&fixture, err));
    TRY(expect(&fixture, "cat /var/lib/dpkg/calls", "dpkg --configure -a\napt-get update \napt-get install crun", err));
    TRY(ssh_device_ask(fixture.session,
                       "sed -i 's/^ii podman/iU podman/' /var/lib/dpkg/packages; "
                       "echo 'iF libc-bin amd64' >>/var/lib/dpkg/packages; rm /var/lib/dpkg/calls",
                       &said, err));
    TRY(interpret(&fixture, err));
    TRY(expect(&fixture, "cat /var/lib/dpkg/calls", "dpkg --configure -a", err));
    TRY(interpret(&fixture, err));
    CHECK(!fixture.outcome.changed, "it is not finished");
    return 0;
}

FLEET_TEST(device_setup, somebody_elses_installation_is_waited_for, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    cleanup_free char *said = NULL;

    TRY(fixture_new(test, &fixture, err));
    fixture.score.apt_proxy = "http://192.168.122.1:3142";
    TRY(ssh_device_ask(fixture.session, "echo 1 >/var/lib/dpkg/locked", &said, err));
    TRY(interpret(&fixture, err));
    TRY(expect(&fixture, "cat /var/lib/dpkg/calls", "apt-get update \napt-get update \napt-get install podman crun",
               err));
    TRY(ssh_device_ask(fixture.session, "tail -n 1 /var/lib/dpkg/options", &said, err));
    static const char *const options[] = {"noninteractive", " -y", " DPkg::Lock::Timeout=", " --no-install-recommends",
                                          " Acquire::http::Proxy=http://192.168.122.1:3142"};
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        CHECK(strstr(said, options[i]), "without %s: %s", options[i], said);
    return expect(&fixture, "grep -rl 192.168.122.1:3142 /etc || echo nowhere", "nowhere", err);
}

FLEET_TEST(device_setup, failures_are_in_the_words_of_apt, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    static const char *const missing[] = {"podman", "a-missing-one", NULL};
    cleanup_error struct error failed = ERROR_INIT;

    TRY(fixture_new(test, &fixture, err));
    fixture.score.packages = missing;
    CHECK(interpret(&fixture, &failed) < 0 && error_is(&failed, &ssh_error_domain, SSH_REMOTE_FAILED) &&
              strstr(error_root_detail(&failed), "Unable to locate package a-missing-one") &&
              strstr(error_root_detail(&failed), "Temporary failure resolving"),
          "it is %s", error_root_detail(&failed));
    return 0;
}

FLEET_TEST(device_setup, administrators_keep_what_is_theirs, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    cleanup_free char *said = NULL;

    TRY(fixture_new(test, &fixture, err));
    fixture.score.admin = "fleet-second";
    TRY(interpret(&fixture, err));
    cleanup_free char *line = text_copy(fixture.device.key.public_key);
    TRY(expect(&fixture, "cat ~fleet-second/.ssh/authorized_keys", line, err));
    TRY(expect(&fixture, "stat -c '%a %U:%G' ~fleet-second/.ssh ~fleet-second/.ssh/authorized_keys",
               "700 fleet-second:fleet-second\n600 fleet-second:fleet-second", err));
    TRY(expect(&fixture,
               "stat -c '%a %U:%G' /etc/sudoers.d/90-harmony-fleet; ls -A /etc/sudoers.d | grep -c fleet-X || true",
               "440 root:root\n0", err));
    TRY(expect(&fixture, "setpriv --reuid fleet-second --regid fleet-second --init-groups sudo -n id -u", "0", err));

    /* Another key without a newline at its end, and ours in a comment only. */
    TRY(ssh_device_ask(fixture.session,
                       "cd ~fleet-second/.ssh; printf '# %s\\nssh-rsa AAAA other' \"$(cat authorized_keys)\" >keys; "
                       "cat keys >authorized_keys",
                       &said, err));
    TRY(interpret(&fixture, err));
    CHECK(fixture.outcome.changed, "a comment is a key");
    cleanup_free char *all = text_format("# %s\nssh-rsa AAAA other\n%s", line, line);
    TRY(expect(&fixture, "cat ~fleet-second/.ssh/authorized_keys", all, err));
    TRY(interpret(&fixture, err));
    CHECK(!fixture.outcome.changed, "it is added again");
    return 0;
}
