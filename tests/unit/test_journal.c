/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/journal.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "harness/test.h"

static int begin(const char *directory, struct error *err)
{
    cleanup_journal struct journal journal = {
        .label = text_copy("unit \"quoted\""), .owner = {123, 456}, .keep = true, .bundle = text_copy("/bundle")};
    CLEANUP(cJSON_Delete) cJSON *event = journal_start_event(&journal);
    cleanup_free char *line = journal_line(event);

    return journal_create(directory, line, err);
}

static int append_raw(const char *directory, const char *text)
{
    cleanup_free char *path = text_format("%s/journal", directory);
    cleanup_close int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);

    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

FLEET_TEST(journal, reads_back_what_was_written)
{
    const char *directory = test->artefacts;
    cleanup_journal struct journal journal = {0};

    TRY(begin(directory, err));
    TRY(journal_append_reaper(directory, &(struct process_identity){7, 8}, err));
    TRY(journal_append_resource(directory, "create", "process", "a \n b", err));
    TRY(journal_append_resource(directory, "create", "directory", "/x", err));
    TRY(journal_append_resource(directory, "undone", "process", "a \n b", err));
    TRY(journal_read(directory, &journal, err));
    CHECK(journal.started && journal.keep && journal.started_at > 0, "the first event was not read");
    CHECK(text_equal(journal.label, "unit \"quoted\"") && text_equal(journal.bundle, "/bundle"), "%s", journal.label);
    CHECK(journal.owner.pid == 123 && journal.owner.start == 456, "owner is %d", journal.owner.pid);
    CHECK(journal.reaper.pid == 7 && journal.reaper.start == 8, "the reaper is %d", journal.reaper.pid);
    CHECK(journal.resource_count == 2 && journal.resources[0].undone && !journal.resources[1].undone,
          "resources differ");
    return 0;
}

FLEET_TEST(journal, makes_a_resource_made_again_the_newest)
{
    const char *directory = test->artefacts;
    cleanup_journal struct journal journal = {0};

    TRY(begin(directory, err));
    TRY(journal_append_resource(directory, "create", "process", "first", err));
    TRY(journal_append_resource(directory, "create", "process", "second", err));
    TRY(journal_append_resource(directory, "undone", "process", "first", err));
    TRY(journal_append_resource(directory, "create", "process", "first", err));
    TRY(journal_read(directory, &journal, err));
    CHECK(journal.resource_count == 2, "%zu resources", journal.resource_count);
    CHECK(text_equal(journal.resources[1].name, "first") && !journal.resources[1].undone, "order was not kept");
    return 0;
}

FLEET_TEST(journal, tolerates_a_torn_line)
{
    const char *directory = test->artefacts;
    cleanup_journal struct journal journal = {0};

    TRY(begin(directory, err));
    CHECK(append_raw(directory, "{\"event\":\"create\",\"kind\":\"directory\",\"na") == 0, "write: %m");
    TRY(journal_read(directory, &journal, err));
    CHECK(journal.started && journal.resource_count == 0, "%zu resources", journal.resource_count);
    journal_clear(&journal);
    TRY(journal_append_resource(directory, "create", "process", "after", err));
    TRY(journal_read(directory, &journal, err));
    CHECK(journal.resource_count == 1 && text_equal(journal.resources[0].name, "after"), "the next event was lost");
    return 0;
}

FLEET_TEST(journal, is_empty_where_there_is_none)
{
    cleanup_journal struct journal journal = {0};

    TRY(journal_read(test->artefacts, &journal, err));
    CHECK(!journal.started && journal.resource_count == 0, "something was read");
    CHECK_FAILS(journal_append_resource(test->artefacts, "create", "process", "x", err), general_error_domain,
                GENERAL_NOT_FOUND);
    return 0;
}

FLEET_TEST(journal, takes_nothing_after_its_end)
{
    const char *directory = test->artefacts;
    bool late = false;

    TRY(begin(directory, err));
    off_t size = journal_size(directory);
    TRY(journal_append_resource(directory, "create", "process", "late", err));
    TRY(journal_close(directory, size, &late, err));
    CHECK(late, "an event written since was not noticed");
    TRY(journal_close(directory, journal_size(directory), &late, err));
    CHECK(!late, "it was not ended");
    CHECK_FAILS(journal_append_resource(directory, "create", "process", "too late", err), general_error_domain,
                GENERAL_NOT_FOUND);
    TRY(journal_close(directory, 0, &late, err)); /* twice is fine */
    return 0;
}
