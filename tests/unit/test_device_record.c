/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/device_record.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "harness/test.h"

static struct device_record sample(const char *device, const char *domain)
{
    return (struct device_record){
        .device = text_copy(device),
        .domain = text_copy(domain),
        .address = text_copy("192.168.122.10"),
        .user = text_copy("fleet-admin"),
        .private_key = text_copy("/keys/with blank/id_ed25519"),
        .host_key = text_copy("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFleet"),
        .network_namespace = text_copy("/run/netns/fleet-e2e-1a2b3c4d"),
        .libvirt_uri = text_copy("qemu+unix:///system?socket=/s"),
        .console = text_copy("/console.log"),
        .architecture = text_copy("aarch64"),
    };
}

static int write_sample(const char *directory, const char *device, const char *domain, struct error *err)
{
    cleanup_device_record struct device_record record = sample(device, domain);

    return device_record_write(directory, &record, err);
}

FLEET_TEST(device_record, is_read_as_it_was_written)
{
    cleanup_device_record struct device_record record = {0};
    cleanup_free char *path = text_format("%s/devices/vm-00.json", test->artefacts);
    struct stat status;

    TRY(write_sample(test->artefacts, "vm-00", "fleet-e2e-vm-1a2b3c4d-0", err));
    CHECK(stat(path, &status) == 0 && (status.st_mode & 0777) == 0600, "mode is %o", status.st_mode);
    TRY(device_record_read(test->artefacts, "vm-00", &record, err));
    CHECK(text_equal(record.run_directory, test->artefacts), "run %s", record.run_directory);
    CHECK(text_equal(record.device, "vm-00"), "device %s", record.device);
    CHECK(text_equal(record.domain, "fleet-e2e-vm-1a2b3c4d-0"), "domain %s", record.domain);
    CHECK(text_equal(record.address, "192.168.122.10"), "address %s", record.address);
    CHECK(text_equal(record.user, "fleet-admin"), "user %s", record.user);
    CHECK(text_equal(record.private_key, "/keys/with blank/id_ed25519"), "key %s", record.private_key);
    CHECK(text_starts_with(record.host_key, "ssh-ed25519 AAAA"), "host key %s", record.host_key);
    CHECK(text_starts_with(record.network_namespace, "/run/netns/"), "namespace %s", record.network_namespace);
    CHECK(text_starts_with(record.libvirt_uri, "qemu+unix:"), "URI %s", record.libvirt_uri);
    CHECK(text_equal(record.console, "/console.log"), "console %s", record.console);
    CHECK(text_equal(record.architecture, "aarch64"), "architecture %s", record.architecture);
    return 0;
}

FLEET_TEST(device_record, needs_no_virtual_machine)
{
    cleanup_device_record struct device_record written = sample("pi", NULL);
    cleanup_device_record struct device_record record = {0};

    free(TAKE_PTR(written.network_namespace));
    free(TAKE_PTR(written.libvirt_uri));
    free(TAKE_PTR(written.console));
    free(TAKE_PTR(written.architecture));
    TRY(device_record_write(test->artefacts, &written, err));
    TRY(device_record_read(test->artefacts, "pi", &record, err));
    CHECK(!record.domain && !record.network_namespace && !record.libvirt_uri && !record.console, "out of nowhere");
    TRY(device_record_remove(test->artefacts, "pi", err));
    TRY(device_record_remove(test->artefacts, "pi", err));
    CHECK_FAILS(device_record_read(test->artefacts, "pi", &record, err), system_error_domain, ENOENT);
    return 0;
}

static void replace(char **member, const char *text)
{
    free(*member);
    *member = text_copy(text);
}

FLEET_TEST(device_record, refuses_what_no_command_line_should_see)
{
    static const char *const names[] = {"", "../x", "-oProxyCommand", "a b", "a/b", "a.b"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        CHECK_FAILS(write_sample(test->artefacts, names[i], NULL, err), general_error_domain, GENERAL_INVALID);
    static const char *const words[] = {NULL, "", "-oProxyCommand=x", "a\nb", "a b", "a@b"};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        cleanup_device_record struct device_record address = sample("vm-00", NULL);
        cleanup_device_record struct device_record user = sample("vm-00", NULL);
        replace(&address.address, words[i]);
        replace(&user.user, words[i]);
        CHECK_FAILS(device_record_write(test->artefacts, &address, err), general_error_domain, GENERAL_INVALID);
        CHECK_FAILS(device_record_write(test->artefacts, &user, err), general_error_domain, GENERAL_INVALID);
    }
    cleanup_device_record struct device_record key = sample("vm-00", NULL);
    replace(&key.host_key, "ssh-ed25519 AAAA\n* ssh-ed25519 BBBB"); /* a second line of known_hosts */
    CHECK_FAILS(device_record_write(test->artefacts, &key, err), general_error_domain, GENERAL_INVALID);
    return 0;
}

/* Two runs: "a" with vm-00 and vm-01, "b" with vm-00 and pi; another file and a broken record beside them. */
static int make_runs(const struct test_context *test, struct error *err)
{
    cleanup_free char *runs = text_format("%s/runs", test->artefacts);
    cleanup_free char *a = text_format("%s/fleet-e2e-0000000a", runs);
    cleanup_free char *b = text_format("%s/fleet-e2e-0000000b", runs);
    cleanup_free char *hosts = text_format("%s/devices/vm-00.known_hosts", a);
    cleanup_free char *broken = text_format("%s/devices/broken.json", a);
    cleanup_free char *renamed = text_format("%s/devices/renamed.json", a);

    setenv("FLEET_E2E_RUNS", runs, 1);
    TRY(write_sample(a, "vm-01", "fleet-e2e-vm-0000000a-1", err));
    TRY(write_sample(a, "vm-00", "fleet-e2e-vm-0000000a-0", err));
    TRY(write_sample(b, "vm-00", "fleet-e2e-vm-0000000b-0", err));
    TRY(write_sample(b, "pi", NULL, err));
    TRY(file_write_atomic(hosts, "x", 1, 0600, err));
    TRY(file_write_atomic(broken, "{}", 2, 0600, err));
    return file_write_atomic(renamed, "{", 1, 0600, err);
}

FLEET_TEST(device_record, lists_those_of_all_runs)
{
    static const char *const expected[] = {"vm-00", "vm-01", "pi", "vm-00"};
    cleanup_device_record_list struct device_record_list of_run = {0};
    cleanup_device_record_list struct device_record_list all = {0};
    cleanup_free char *a = text_format("%s/runs/fleet-e2e-0000000a", test->artefacts);

    TRY(make_runs(test, err));
    TRY(device_records_of_run(a, &of_run, err));
    CHECK(of_run.count == 2, "%zu of one run", of_run.count);
    for (size_t i = 0; i < of_run.count; i++)
        CHECK(text_equal(of_run.items[i].device, expected[i]), "%zu is %s", i, of_run.items[i].device);
    TRY(device_records_of_all(&all, err));
    CHECK(all.count == 4, "%zu of all", all.count);
    TRY(device_records_of_run(test->artefacts, &of_run, err)); /* a run without devices */
    CHECK(of_run.count == 2, "%zu now", of_run.count);
    return 0;
}

FLEET_TEST(device_record, is_found_by_device_or_domain)
{
    static const struct {
        const char *name, *device, *domain;
    } cases[] = {
        {"vm-01", "vm-01", "fleet-e2e-vm-0000000a-1"},
        {"fleet-e2e-vm-0000000b-0", "vm-00", "fleet-e2e-vm-0000000b-0"},
        {"fleet-e2e-vm-0000000b", "vm-00", "fleet-e2e-vm-0000000b-0"},
        {"p", "pi", NULL},
    };
    cleanup_device_record_list struct device_record_list all = {0};

    TRY(make_runs(test, err));
    TRY(device_records_of_all(&all, err));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct device_record *found = NULL;
        TRY(device_record_find(&all, cases[i].name, &found, err));
        CHECK(text_equal(found->device, cases[i].device) && text_equal(found->domain, cases[i].domain), "%s is %s, %s",
              cases[i].name, found->device, found->domain);
    }
    return 0;
}

FLEET_TEST(device_record, of_which_there_are_more_is_not_guessed)
{
    static const char *const names[] = {"vm-00", "vm", "fleet-e2e-vm-0000000a"};
    cleanup_device_record_list struct device_record_list all = {0};
    const struct device_record *found = NULL;

    TRY(make_runs(test, err));
    TRY(device_records_of_all(&all, err));
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        CHECK(device_record_find(&all, names[i], &found, err) < 0, "%s is %s", names[i], found->domain);
        CHECK(error_is(err, &general_error_domain, GENERAL_CONFLICT) &&
                  strstr(err->detail, "vm-00 (fleet-e2e-vm-0000000a-0)"),
              "%s: %s", names[i], err->detail);
        error_clear(err);
    }
    return 0;
}

FLEET_TEST(device_record, unknown_device_lists_those_there_are)
{
    cleanup_device_record_list struct device_record_list all = {0};
    const struct device_record *found = NULL;

    TRY(make_runs(test, err));
    CHECK_FAILS(device_record_find(&all, "vm-00", &found, err), general_error_domain, GENERAL_NOT_FOUND);
    TRY(device_records_of_all(&all, err));
    CHECK(device_record_find(&all, "vm-02", &found, err) < 0, "found %s", found->device);
    CHECK(error_is(err, &general_error_domain, GENERAL_NOT_FOUND), "another error");
    CHECK(strstr(err->detail, "vm-01 (fleet-e2e-vm-0000000a-1)") && strstr(err->detail, "pi ("), "%s", err->detail);
    error_clear(err);
    return 0;
}
