/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/host/ssh_device.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "harness/program.h"

#define PROCESS_NAME "ssh-device"
#define START_MS     20000
#define ASK_MS       60000

static const char sshd_config[] = "Port 22\n"
                                  "Port 2222\n"
                                  "ListenAddress 127.0.0.1\n"
                                  "HostKey " DEVICE_SEEN_AT "/host/" SSH_KEY_NAME "\n"
                                  "AuthorizedKeysFile " DEVICE_SEEN_AT "/authorized_keys\n"
                                  "PermitRootLogin prohibit-password\n"
                                  "StrictModes no\n" /* its directory belongs to whoever runs the tests */
                                  "UsePAM no\n"
                                  "UseDNS no\n"
                                  "PidFile none\n"
                                  "LogLevel VERBOSE\n"
                                  "Match LocalPort 2222\n"
                                  "MaxSessions 2\n";

static int write_file(const struct ssh_device *device, const char *name, const char *text, struct error *err)
{
    cleanup_free char *path = text_format("%s/%s", device->directory, name);

    return file_write_atomic(path, text, strlen(text), 0644, err);
}

/** The host key sshd is to have; the public half is what sessions pin. */
static int make_host_key(struct ssh_device *device, struct error *err)
{
    cleanup_free char *directory = text_format("%s/host", device->directory);
    cleanup_ssh_key_pair struct ssh_key_pair pair = {0};

    if (ssh_key_pair_ensure(directory, &pair, err) < 0)
        return -1;
    device->host_key = text_copy_n(pair.public_key, (size_t)(strrchr(pair.public_key, ' ') - pair.public_key));
    return 0;
}

static int copy_programs(const struct ssh_device *device, struct error *err)
{
    static const char *const names[] = {"systemctl", "journalctl", "apt-get", "dpkg", "dpkg-query"};
    cleanup_free char *directory = text_format("%s/bin", device->directory);

    if (directory_create(directory, 0755, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        cleanup_free char *source = text_format(DEVICE_PROGRAMS "/%s", names[i]);
        cleanup_free char *target = text_format("%s/%s", directory, names[i]);
        cleanup_free char *text = NULL;
        size_t size;

        if (file_read(source, 1 << 20, &text, &size, err) < 0 || file_write_atomic(target, text, size, 0755, err) < 0)
            return -1;
    }
    return 0;
}

static int furnish(struct ssh_device *device, struct error *err)
{
    cleanup_free char *keys = text_format("%s/client", device->directory);

    /* Others than root are to read what is in it, though nobody but root gets to it from outside. */
    if (directory_create(device->directory, 0755, err) < 0 || make_host_key(device, err) < 0 ||
        ssh_key_pair_ensure(keys, &device->key, err) < 0 || copy_programs(device, err) < 0 ||
        write_file(device, "sshd_config", sshd_config, err) < 0)
        return -1;
    if (chmod(device->directory, 0755) < 0)
        return error_set_errno(err, errno, "opening", device->directory);
    cleanup_free char *line = text_format("%s\n", device->key.public_key);
    return write_file(device, "authorized_keys", line, err);
}

/** wait_condition: is its network there? */
static int has_network(void *context, struct text_buffer *state, struct error *err)
{
    struct ssh_device *device = context;
    cleanup_free char *path = text_format("%s/" DEVICE_PID_FILE, device->directory);
    cleanup_error struct error not_yet = ERROR_INIT;
    cleanup_free char *text = NULL;
    size_t size;

    text_buffer_clear(state);
    if (process_ended(device->process, NULL, NULL))
        return error_set(err, &general_error_domain, GENERAL_FAILED, "starting", "the device", "it ended; see its log");
    if (file_read(path, 64, &text, &size, &not_yet) < 0) {
        text_buffer_add(state, error_root_detail(&not_yet));
        return 0;
    }
    cleanup_free char *network = text_format("/proc/%ld/ns/net", strtol(text, NULL, 10));
    device->network_namespace = open(network, O_RDONLY | O_CLOEXEC);
    return device->network_namespace >= 0 ? 1 : error_set_errno(err, errno, "opening", network);
}

static int start(struct ssh_device *device, struct error *err)
{
    cleanup_free char *program = NULL;
    cleanup_free char *tree = NULL;
    cleanup_free char *mark = run_mark(device->run, PROCESS_NAME);
    cleanup_free char *log = text_format("%s/device.log", device->directory);

    if (program_find("fleet-ssh-device", &program, err) < 0 || sshd_tree_find(&tree, err) < 0)
        return -1;
    const char *const argv[] = {program, device->directory, tree, NULL};
    const char *const environment[] = {mark, NULL};
    struct process_options options = {.argv = argv, .environment = environment, .log_path = log, .new_session = true};
    if (process_start(&options, &device->process, err) < 0)
        return -1;
    return wait_until("the device to have a network", has_network, device, NULL, deadline_in_ms(START_MS), err);
}

int ssh_device_new(struct test_context *test, struct ssh_device *ret, struct error *err)
{
    ret->network_namespace = -1;
    if (test_run(test, &ret->run, err) < 0)
        return -1;
    ret->directory = text_format("%s/device", run_directory(ret->run));
    ret->known_hosts = text_format("%s/known_hosts", ret->directory);
    if (furnish(ret, err) < 0 || run_journal(ret->run, RESOURCE_PROCESS, PROCESS_NAME, err) < 0)
        return -1;
    return start(ret, err);
}

void ssh_device_clear(struct ssh_device *device)
{
    close_fd(device->network_namespace);
    process_free(device->process);
    ssh_key_pair_clear(&device->key);
    free(device->host_key);
    free(device->known_hosts);
    free(device->directory);
    *device = (struct ssh_device){.network_namespace = -1};
}

struct ssh_session_options ssh_device_options(const struct ssh_device *device, const char *user)
{
    return (struct ssh_session_options){
        .address = DEVICE_ADDRESS,
        .user = user,
        .private_key = device->key.private_key,
        .host_key = device->host_key,
        .wait_for_host = true,
        .network_namespace = device->network_namespace,
    };
}

int ssh_device_open(const struct ssh_device *device, const char *user, struct ssh_session **ret, struct error *err)
{
    struct ssh_session_options options = ssh_device_options(device, user);

    return ssh_session_open(&options, deadline_in_ms(START_MS), ret, err);
}

int ssh_device_ask(struct ssh_session *session, const char *script, char **ret, struct error *err)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    const struct ssh_command command = {.argv = argv, .as_root = true};
    cleanup_ssh_result struct ssh_result result = {0};

    if (ssh_session_run_checked(session, &command, deadline_in_ms(ASK_MS), &result, err) < 0)
        return -1;
    if (text_ends_with(result.output, "\n"))
        result.output[strlen(result.output) - 1] = '\0';
    free(*ret);
    *ret = TAKE_PTR(result.output);
    return 0;
}

/** setns(2) moves only the calling thread: a thread of its own needs no way back. */
struct link_change {
    int network_namespace;
    bool up;
    struct error error;
};

static void *change_link(void *context)
{
    struct link_change *change = context;

    if (setns(change->network_namespace, CLONE_NEWNET) < 0)
        error_set_errno(&change->error, errno, "entering", "the device's network");
    else if (device_link_set(change->up, &change->error) < 0)
        return NULL;
    return NULL;
}

int ssh_device_set_link(const struct ssh_device *device, bool up, struct error *err)
{
    struct link_change change = {.network_namespace = device->network_namespace, .up = up};
    pthread_t thread;
    int why = pthread_create(&thread, NULL, change_link, &change);

    if (why)
        return error_set_errno(err, why, "changing", "the device's link");
    pthread_join(thread, NULL);
    if (!error_is_set(&change.error))
        return 0;
    error_move(err, &change.error);
    return -1;
}
