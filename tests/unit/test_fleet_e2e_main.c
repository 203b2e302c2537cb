/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "harness/device_record.h"
#include "harness/place.h"
#include "harness/program.h"
#include "harness/test.h"

#define COMMAND_MS 20000

/* Run fleet-e2e with a runs directory of its own; `arguments` end with NULL. */
static int fleet_e2e(struct test_context *test, const char *const *arguments, struct process_result *ret,
                     struct error *err)
{
    cleanup_free char *runs = text_format("FLEET_E2E_RUNS=%s/runs", test->artefacts);
    cleanup_free char *program = NULL;
    cleanup_text_list struct text_list argv = {0};

    if (program_find("fleet-e2e", &program, err) < 0)
        return -1;
    text_list_add(&argv, program);
    for (; *arguments; arguments++)
        text_list_add(&argv, *arguments);
    const char *const environment[] = {runs, NULL};
    struct process_options options = {.argv = (const char *const *)argv.items, .environment = environment};
    return process_run(&options, deadline_in_ms(COMMAND_MS), ret, err);
}

static int expect(struct test_context *test, const char *const *arguments, int exit_code, const char *said,
                  struct error *err)
{
    cleanup_process_result struct process_result result = {0};

    TRY(fleet_e2e(test, arguments, &result, err));
    CHECK(result.exit_code == exit_code, "fleet-e2e %s exits with %d: %s", arguments[0], result.exit_code,
          result.errors);
    CHECK(strstr(result.output, said) || strstr(result.errors, said), "fleet-e2e %s says: %s%s", arguments[0],
          result.output, result.errors);
    return 0;
}

FLEET_TEST(fleet_e2e_main, explains_itself)
{
    TRY(expect(test, (const char *const[]){"--help", NULL}, 0, "usage: fleet-e2e", err));
    TRY(expect(test, (const char *const[]){"dance", NULL}, 2, "usage: fleet-e2e", err));
    TRY(expect(test, (const char *const[]){"ps", "surplus", NULL}, 2, "usage: fleet-e2e", err));
    TRY(expect(test, (const char *const[]){"reap", NULL}, 2, "usage: fleet-e2e", err));
    return expect(test, (const char *const[]){"doctor", "--require", NULL}, 2, "usage: fleet-e2e", err);
}

FLEET_TEST(fleet_e2e_main, lists_and_removes_runs)
{
    TRY(expect(test, (const char *const[]){"ps", NULL}, 0, "no runs in ", err));
    TRY(expect(test, (const char *const[]){"down", NULL}, 0, "", err));
    TRY(expect(test, (const char *const[]){"down", "fleet-e2e-00000000", NULL}, 1, "there is no such run", err));
    cleanup_free char *left = text_format("%s/runs/fleet-e2e-0badcafe", test->artefacts);
    TRY(directory_create(left, 0700, err));
    TRY(expect(test, (const char *const[]){"ps", NULL}, 0, "fleet-e2e-0badcafe", err));
    TRY(expect(test, (const char *const[]){"down", "fleet-e2e-0badcafe", NULL}, 0, "", err));
    CHECK(!file_exists(left), "it is still there");
    return 0;
}

FLEET_TEST(fleet_e2e_main, lists_devices_it_can_log_in_to)
{
    cleanup_free char *left = text_format("%s/runs/fleet-e2e-0badcafe", test->artefacts);
    cleanup_device_record struct device_record record = {
        .device = text_copy("vm-00"),
        .domain = text_copy("fleet-e2e-vm-0badcafe-0"),
        .address = text_copy("192.168.122.10"),
        .user = text_copy("fleet-admin"),
        .private_key = text_copy("/key"),
        .host_key = text_copy("ssh-ed25519 AAAA"),
    };

    TRY(expect(test, (const char *const[]){"ssh", NULL}, 2, "usage: fleet-e2e", err));
    TRY(expect(test, (const char *const[]){"ssh", "-v", NULL}, 2, "usage: fleet-e2e", err));
    TRY(expect(test, (const char *const[]){"ssh", "vm-00", NULL}, 255, "no run in ", err));
    TRY(device_record_write(left, &record, err));
    TRY(expect(test, (const char *const[]){"ps", NULL}, 0, "fleet-e2e-vm-0badcafe-0", err));
    TRY(expect(test, (const char *const[]){"ssh", "vm-01", NULL}, 255, "there are: vm-00", err));
    return expect(test, (const char *const[]){"down", NULL}, 0, "", err);
}

FLEET_TEST(fleet_e2e_main, reports_what_was_recorded)
{
    cleanup_free char *directory = text_format("%s/report", test->artefacts);
    cleanup_free char *records = text_format("%s/records", directory);
    cleanup_free char *page = text_format("%s/report.html", directory);
    cleanup_free char *record = text_format("%s/suite.name.json", records);
    CLEANUP(timeline_free) struct timeline *timeline = NULL;

    TRY(directory_create(records, 0755, err));
    TRY(timeline_new("suite", "name", record, &timeline, err));
    TRY(timeline_finish(timeline, RESULT_PASSED, NULL, NULL, err));
    TRY(expect(test, (const char *const[]){"report", directory, NULL}, 0, "suite: 1 test", err));
    CHECK(file_exists(page), "there is no %s", page);
    return 0;
}

FLEET_TEST(fleet_e2e_main, reports_a_test_that_crashed_as_a_failure)
{
    cleanup_free char *directory = text_format("%s/report", test->artefacts);
    cleanup_free char *records = text_format("%s/records", directory);
    cleanup_free char *record = text_format("%s/suite.name.json", records);
    CLEANUP(timeline_free) struct timeline *timeline = NULL;

    TRY(directory_create(records, 0755, err));
    TRY(timeline_new("suite", "name", record, &timeline, err)); /* and never finished */
    TRY(expect(test, (const char *const[]){"report", directory, NULL}, 1, "crashed", err));
    TRY(expect(test, (const char *const[]){"report", "--clear", directory, NULL}, 0, "", err));
    CHECK(!file_exists(record), "the record is still there");
    return 0;
}
