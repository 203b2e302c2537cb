/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/mount_namespace.h"
#include "base/text.h"
#include "harness/test.h"

/* A path below the test's own directory. Caller frees. */
static char *below(const struct test_context *test, const char *name)
{
    return text_format("%s/%s", test->artefacts, name);
}

static int write_text(const char *path, const char *text, struct error *err)
{
    return file_write_atomic(path, text, strlen(text), 0644, err);
}

static int count_entry(void *context, const char *name, struct error *err)
{
    size_t *count = context;

    (void)name;
    (void)err;
    (*count)++;
    return 0;
}

static size_t entries_of(const char *path)
{
    cleanup_error struct error ignored = ERROR_INIT;
    size_t count = 0;

    return directory_each(path, count_entry, &count, &ignored) < 0 ? SIZE_MAX : count;
}

FLEET_TEST(file, reads_back_what_was_written)
{
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 8192, 300000};
    cleanup_free char *path = below(test, "data");

    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        cleanup_free char *data = NEW_ARRAY(char, sizes[i] + 1);
        cleanup_free char *back = NULL;
        size_t size = 0;
        for (size_t at = 0; at < sizes[i]; at++)
            data[at] = (char)(at * 31);
        TRY(file_write_atomic(path, data, sizes[i], 0600, err));
        TRY(file_read(path, sizes[i], &back, &size, err));
        CHECK(size == sizes[i] && memcmp(back, data, size) == 0, "%zu of %zu bytes came back", size, sizes[i]);
        CHECK(back[size] == '\0', "it is not terminated");
    }
    return 0;
}

FLEET_TEST(file, refuses_to_read_more_than_allowed)
{
    static const size_t sizes[] = {1, 4096, 5000, 100000};
    cleanup_free char *path = below(test, "data");

    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        cleanup_free char *data = NEW_ARRAY(char, sizes[i]);
        char *back = NULL;
        size_t size = 4711;
        TRY(file_write_atomic(path, data, sizes[i], 0600, err));
        CHECK_FAILS(file_read(path, sizes[i] - 1, &back, &size, err), general_error_domain, GENERAL_TOO_LARGE);
        CHECK(back == NULL && size == 4711, "a failed call must leave its results alone");
    }
    return 0;
}

FLEET_TEST(file, reads_files_whose_size_is_not_known)
{
    cleanup_free char *maps = NULL;
    cleanup_free char *name = NULL;
    size_t size = 0;

    TRY(file_read("/proc/self/maps", SIZE_MAX, &maps, &size, err));
    CHECK(size > 4096 && strlen(maps) == size && strstr(maps, "[stack]"), "only %zu bytes came", size);
    TRY(file_read("/proc/self/comm", 64, &name, &size, err));
    CHECK(size > 1 && name[size - 1] == '\n', "it is %s", name);
    return 0;
}

FLEET_TEST(file, says_why_it_cannot_be_read)
{
    cleanup_free char *missing = below(test, "missing");
    char *data = NULL;
    size_t size = 0;

    CHECK_FAILS(file_read(missing, 10, &data, &size, err), system_error_domain, ENOENT);
    CHECK_FAILS(file_read(test->artefacts, 10, &data, &size, err), system_error_domain, EISDIR);
    return 0;
}

FLEET_TEST(file, is_replaced_whole)
{
    cleanup_free char *path = below(test, "data");
    cleanup_close int old = -1;
    struct stat status;
    char text[4] = "";

    TRY(write_text(path, "old", err));
    old = open(path, O_RDONLY | O_CLOEXEC);
    TRY(write_text(path, "new and longer", err));
    CHECK(read(old, text, 3) == 3 && text_equal(text, "old"), "who reads the old file sees %s", text);
    CHECK(stat(path, &status) == 0 && status.st_size == 14, "the new file has %lld bytes", (long long)status.st_size);
    CHECK(entries_of(test->artefacts) == 1, "%zu entries are left", entries_of(test->artefacts));
    return 0;
}

FLEET_TEST(file, has_its_mode_whatever_the_umask)
{
    static const mode_t modes[] = {0600, 0644, 0666, 0755, 0400};
    cleanup_free char *path = below(test, "data");
    mode_t umask_before = umask(077);
    struct stat status = {0};

    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        TRY(file_write_atomic(path, "x", 1, modes[i], err));
        CHECK(stat(path, &status) == 0 && (status.st_mode & 07777) == modes[i], "mode is %o, not %o",
              status.st_mode & 07777, modes[i]);
    }
    umask(umask_before);
    return 0;
}

FLEET_TEST(file, replaces_a_link_and_not_its_target)
{
    cleanup_free char *path = below(test, "link");
    cleanup_free char *target = below(test, "target");
    cleanup_free char *text = NULL;
    struct stat status;
    size_t size = 0;

    TRY(write_text(target, "untouched", err));
    CHECK(symlink("target", path) == 0, "symlink: errno %d", errno);
    TRY(write_text(path, "new", err));
    CHECK(lstat(path, &status) == 0 && S_ISREG(status.st_mode), "the link is still there");
    TRY(file_read(target, 100, &text, &size, err));
    CHECK(text_equal(text, "untouched"), "the target became %s", text);
    return 0;
}

FLEET_TEST(file, leaves_nothing_when_writing_fails)
{
    cleanup_free char *path = below(test, "taken");
    cleanup_free char *nowhere = below(test, "missing/data");

    TRY(directory_create(path, 0755, err));
    CHECK_FAILS(write_text(path, "x", err), system_error_domain, EISDIR);
    CHECK(entries_of(test->artefacts) == 1, "%zu entries are left", entries_of(test->artefacts));
    CHECK_FAILS(write_text(nowhere, "x", err), system_error_domain, ENOENT);
    return 0;
}

FLEET_TEST(file, may_have_a_relative_path)
{
    cleanup_close int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_free char *path = below(test, "relative");

    CHECK(chdir(test->artefacts) == 0, "chdir: errno %d", errno);
    int written = write_text("relative", "x", err);
    int made = written < 0 ? -1 : directory_create("a/b", 0755, err);
    int removed = made < 0 ? -1 : directory_remove("a", err);
    CHECK(fchdir(here) == 0, "fchdir: errno %d", errno);
    TRY(removed);
    CHECK(file_exists(path), "it was not written there");
    CHECK(entries_of(test->artefacts) == 1, "%zu entries are left", entries_of(test->artefacts));
    return 0;
}

FLEET_TEST(file, exists_even_as_a_dangling_link)
{
    cleanup_free char *path = below(test, "link");

    CHECK(!file_exists(path), "it is there before");
    CHECK(symlink("nowhere", path) == 0, "symlink: errno %d", errno);
    CHECK(file_exists(path), "it is not there");
    TRY(file_remove(path, err));
    CHECK(!file_exists(path), "it is still there");
    TRY(file_remove(path, err));
    CHECK_FAILS(file_remove(test->artefacts, err), system_error_domain, EISDIR);
    return 0;
}

FLEET_TEST(file, directories_are_made_on_the_way)
{
    cleanup_free char *path = below(test, "a//b/c/");
    cleanup_free char *middle = below(test, "a/b");
    mode_t umask_before = umask(077);
    struct stat status = {0};

    TRY(directory_create(path, 0711, err));
    umask(umask_before);
    CHECK(stat(path, &status) == 0 && (status.st_mode & 07777) == 0711, "mode is %o", status.st_mode & 07777);
    CHECK(stat(middle, &status) == 0 && (status.st_mode & 07777) == 0711, "mode is %o", status.st_mode & 07777);
    TRY(directory_create(path, 0700, err));
    CHECK(stat(path, &status) == 0 && (status.st_mode & 07777) == 0711, "an existing directory changed its mode");
    return 0;
}

FLEET_TEST(file, directories_are_not_made_of_files)
{
    cleanup_free char *path = below(test, "file");
    cleanup_free char *inside = below(test, "file/a");

    TRY(write_text(path, "x", err));
    CHECK_FAILS(directory_create(path, 0755, err), system_error_domain, ENOTDIR);
    CHECK_FAILS(directory_create(inside, 0755, err), system_error_domain, ENOTDIR);
    return 0;
}

FLEET_TEST(file, directory_is_removed_with_all_below)
{
    cleanup_free char *path = below(test, "tree");
    cleanup_free char *deep = below(test, "tree/a/b/c");
    cleanup_free char *with_slash = below(test, "tree//");

    TRY(directory_create(deep, 0755, err));
    for (int i = 0; i < 200; i++) {
        cleanup_free char *file = text_format("%s/file %d", deep, i);
        TRY(write_text(file, "x", err));
    }
    TRY(directory_remove(with_slash, err));
    CHECK(!file_exists(path), "it is still there");
    TRY(directory_remove(path, err));
    return 0;
}

FLEET_TEST(file, directory_may_be_deep)
{
    cleanup_text_buffer struct text_buffer path = {0};
    cleanup_free char *top = below(test, "d");

    text_buffer_add(&path, top);
    for (int i = 0; i < 300; i++)
        text_buffer_add(&path, "/d");
    TRY(directory_create(text_buffer_text(&path), 0755, err));
    TRY(directory_remove(top, err));
    CHECK(!file_exists(top), "it is still there");
    return 0;
}

FLEET_TEST(file, directory_removal_follows_no_link)
{
    cleanup_free char *outside = below(test, "outside");
    cleanup_free char *kept = below(test, "outside/kept");
    cleanup_free char *tree = below(test, "tree");
    cleanup_free char *link = below(test, "tree/link");

    TRY(directory_create(outside, 0755, err));
    TRY(directory_create(tree, 0755, err));
    TRY(write_text(kept, "x", err));
    CHECK(symlink("../outside", link) == 0, "symlink: errno %d", errno);
    TRY(directory_remove(tree, err));
    CHECK(!file_exists(tree) && file_exists(kept), "what the link pointed to is gone");
    CHECK(symlink("outside", tree) == 0, "symlink: errno %d", errno);
    TRY(directory_remove(tree, err));
    CHECK(!file_exists(tree) && file_exists(kept), "what the path itself pointed to is gone");
    TRY(directory_remove(kept, err));
    CHECK(!file_exists(kept), "a file is not removed");
    return 0;
}

FLEET_TEST(file, directory_removal_refuses_what_would_hurt)
{
    static const char *const paths[] = {"/", "//", "", ".", "..", "/tmp/..", "/tmp/.", "a/../"};

    for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
        CHECK_FAILS(directory_remove(paths[i], err), system_error_domain, EINVAL);
    TRY(directory_remove("/nowhere/at/all", err));
    return 0;
}

FLEET_TEST(file, directory_removal_stays_on_its_file_system, NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES))
{
    cleanup_free char *source = below(test, "source");
    cleanup_free char *kept = below(test, "source/kept");
    cleanup_free char *mounted = below(test, "tree/mounted");
    cleanup_free char *beside = below(test, "tree/beside");
    cleanup_free char *tree = below(test, "tree");

    TRY(directory_create(source, 0755, err));
    TRY(directory_create(mounted, 0755, err));
    TRY(write_text(kept, "x", err));
    TRY(write_text(beside, "x", err));
    CHECK(unshare(CLONE_NEWNS) == 0 && mount_namespace_isolate() == 0, "errno %d", errno);
    /* The same file system, so that st_dev would not tell. */
    CHECK(mount(source, mounted, NULL, MS_BIND, NULL) == 0, "mount: errno %d", errno);
    int result = directory_remove(tree, err);
    bool still_there = file_exists(kept);
    bool beside_gone = !file_exists(beside);
    CHECK(umount2(mounted, MNT_DETACH) == 0, "umount: errno %d", errno);
    CHECK(result < 0 && error_is(err, &system_error_domain, EXDEV), "it did not fail with EXDEV");
    CHECK(still_there, "what is mounted was emptied");
    CHECK(beside_gone, "what could be removed was not");
    error_clear(err);
    TRY(directory_remove(tree, err));
    return 0;
}

static int collect_name(void *context, const char *name, struct error *err)
{
    (void)err;
    text_list_add(context, name);
    return 0;
}

static int stop_at_second(void *context, const char *name, struct error *err)
{
    size_t *count = context;

    if (++*count == 2)
        return error_set(err, &general_error_domain, GENERAL_CONFLICT, "visiting", name, "enough");
    return 0;
}

FLEET_TEST(file, directory_entries_are_visited)
{
    static const char *const names[] = {"a", ".hidden", "c d"};
    cleanup_text_list struct text_list seen = {0};
    size_t count = 0;

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        cleanup_free char *path = below(test, names[i]);
        TRY(write_text(path, "x", err));
    }
    TRY(directory_each(test->artefacts, collect_name, &seen, err));
    CHECK(seen.count == ARRAY_SIZE(names), "%zu entries were seen", seen.count);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        CHECK(text_list_contains(&seen, names[i]), "%s was not seen", names[i]);
    CHECK_FAILS(directory_each(test->artefacts, stop_at_second, &count, err), general_error_domain, GENERAL_CONFLICT);
    CHECK(count == 2, "%zu entries were visited", count);
    CHECK_FAILS(directory_each("/nowhere/at/all", collect_name, &seen, err), system_error_domain, ENOENT);
    return 0;
}
