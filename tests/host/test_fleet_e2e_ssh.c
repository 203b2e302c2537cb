/* SPDX-License-Identifier: Apache-2.0 */

/*
 * `fleet-e2e ssh` by the real ssh program on a real sshd in a network namespace of its own.
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "harness/device_record.h"
#include "harness/program.h"
#include "tests/host/ssh_device.h"

#define COMMAND_MS 20000
#define SSH_FAILED 255
#define DEVICE     NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES, CAPABILITY_SSHD, CAPABILITY_SSH)

/* Others may have devices too. Caller frees. */
static char *name_device(void)
{
    return text_format("ssh-%d-device", getpid());
}

/* The record of the device, with this host key. */
static int record_device(const struct ssh_device *device, const char *host_key, struct error *err)
{
    cleanup_free char *pid_file = text_format("%s/" DEVICE_PID_FILE, device->directory);
    cleanup_free char *pid = NULL;
    size_t size;

    TRY(file_read(pid_file, 64, &pid, &size, err));
    cleanup_device_record struct device_record record = {
        .device = name_device(),
        .address = text_copy(DEVICE_ADDRESS),
        .user = text_copy(DEVICE_ADMIN),
        .private_key = text_copy(device->key.private_key),
        .host_key = text_copy(host_key),
        .network_namespace = text_format("/proc/%ld/ns/net", strtol(pid, NULL, 10)),
    };
    return device_record_write(run_directory(device->run), &record, err);
}

/* fleet-e2e with these arguments, of which the last is NULL. */
static int fleet_e2e(const char *const *arguments, struct process_result *ret, struct error *err)
{
    cleanup_text_list struct text_list argv = {0};
    cleanup_free char *program = NULL;

    if (program_find("fleet-e2e", &program, err) < 0)
        return -1;
    text_list_add(&argv, program);
    for (; *arguments; arguments++)
        text_list_add(&argv, *arguments);
    const struct process_options options = {.argv = (const char *const *)argv.items};
    return process_run(&options, deadline_in_ms(COMMAND_MS), ret, err);
}

static int start_device(struct test_context *test, struct ssh_device *device, struct error *err)
{
    CLEANUP(ssh_session_free) struct ssh_session *session = NULL;

    TRY(ssh_device_new(test, device, err));
    return ssh_device_open(device, DEVICE_ADMIN, &session, err); /* waits until it is up */
}

FLEET_TEST(fleet_e2e_ssh, runs_a_command_on_the_device, DEVICE)
{
    cleanup_ssh_device struct ssh_device device = {0};
    cleanup_process_result struct process_result result = {0};
    cleanup_process_result struct process_result listed = {0};

    TRY(start_device(test, &device, err));
    TRY(record_device(&device, device.host_key, err));
    cleanup_free char *beginning = text_format("ssh-%d-", getpid());
    TRY(fleet_e2e((const char *const[]){"ssh", beginning, "id -un; echo err >&2; exit 7", NULL}, &result, err));
    CHECK(result.exit_code == 7, "exit code %d: %s", result.exit_code, result.errors);
    CHECK(text_equal(result.output, DEVICE_ADMIN "\n") && text_equal(result.errors, "err\n"), "%s%s", result.output,
          result.errors);
    TRY(fleet_e2e((const char *const[]){"ps", NULL}, &listed, err));
    cleanup_free char *line = text_format("\n  device %s", beginning);
    CHECK(strstr(listed.output, line) && strstr(listed.output, DEVICE_ADDRESS), "%s", listed.output);
    return 0;
}

FLEET_TEST(fleet_e2e_ssh, refuses_another_host_key, DEVICE)
{
    cleanup_ssh_device struct ssh_device device = {0};
    cleanup_process_result struct process_result result = {0};

    TRY(start_device(test, &device, err));
    cleanup_free char *other = text_copy(device.host_key);
    char *last = other + strlen(other) - 1;
    *last = *last == 'A' ? 'B' : 'A';
    TRY(record_device(&device, other, err));
    cleanup_free char *name = name_device();
    TRY(fleet_e2e((const char *const[]){"ssh", name, "true", NULL}, &result, err));
    CHECK(result.exit_code == SSH_FAILED, "exit code %d", result.exit_code);
    CHECK(strstr(result.errors, "Host key verification failed"), "%s", result.errors);
    return 0;
}
