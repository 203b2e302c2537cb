/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/device_ssh.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "harness/capability.h"

static char *known_hosts_path(const struct device_record *record)
{
    return text_format("%s/devices/%s.known_hosts", record->run_directory, record->device);
}

void device_ssh_arguments(const struct device_record *record, const char *program, char *const *command,
                          struct text_list *ret)
{
    static const char *const options[] = {
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        "StrictHostKeyChecking=yes",
        "GlobalKnownHostsFile=/dev/null",
        "UpdateHostKeys=no",
        "PasswordAuthentication=no",
        "KbdInteractiveAuthentication=no",
        "ControlPath=none",
        "LogLevel=ERROR",
    };
    cleanup_free char *known_hosts = known_hosts_path(record);

    text_list_add(ret, program);
    text_list_add(ret, "-F");
    text_list_add(ret, "none");
    text_list_add(ret, "-i");
    text_list_add(ret, record->private_key);
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        text_list_format(ret, "-o%s", options[i]);
    /* ssh takes a file name with blanks for several unless it is quoted. */
    text_list_format(ret, "-oUserKnownHostsFile=\"%s\"", known_hosts);
    /* By its name: addresses are given out again. */
    text_list_format(ret, "-oHostKeyAlias=%s", record->device);
    text_list_add(ret, "--");
    text_list_format(ret, "%s@%s", record->user, record->address);
    for (; *command; command++)
        text_list_add(ret, *command);
}

static int write_known_hosts(const struct device_record *record, struct error *err)
{
    cleanup_free char *path = known_hosts_path(record);
    cleanup_free char *line = text_format("%s %s\n", record->device, record->host_key);

    return file_write_atomic(path, line, strlen(line), 0600, err);
}

static int enter(const char *network_namespace, struct error *err)
{
    cleanup_close int fd = open(network_namespace, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
        return error_set_errno(err, errno, "entering network namespace", network_namespace);
    return 0;
}

int device_ssh(const char *name, char *const *command, struct error *err)
{
    cleanup_device_record_list struct device_record_list devices = {0};
    cleanup_text_list struct text_list arguments = {0};
    cleanup_free char *program = NULL;
    const struct device_record *record = NULL;

    if (device_records_of_all(&devices, err) < 0 || device_record_find(&devices, name, &record, err) < 0 ||
        ssh_program_find(&program, err) < 0 || write_known_hosts(record, err) < 0 ||
        (record->network_namespace && enter(record->network_namespace, err) < 0))
        return -1;
    device_ssh_arguments(record, program, command, &arguments);
    execv(program, arguments.items);
    return error_set_errno(err, errno, "executing", program);
}
