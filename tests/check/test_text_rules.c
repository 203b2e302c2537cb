/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Rules about the text of sources: a licence line everywhere, no sleeping in tests, no path of one person's machine, no
 * silenced warning without a reason.
 */

#include <string.h>

#include "base/file.h"
#include "tests/check/tree.h"

/* Calls `look` with the text of every file that `wanted` accepts. */
typedef bool (*file_filter)(const char *path);
typedef void (*file_look)(const char *path, char *text, struct text_list *complaints);
static int look_at(const struct source_tree *tree, file_filter wanted, file_look look, struct text_list *complaints,
                   struct error *err)
{
    for (size_t i = 0; i < tree->files.count; i++) {
        cleanup_free char *text = NULL;
        if (!wanted(tree->files.items[i]))
            continue;
        if (source_tree_read(tree, tree->files.items[i], &text, err) < 0)
            return -1;
        look(tree->files.items[i], text, complaints);
    }
    return 0;
}

/* ── licence ── */

static bool is_any_file(const char *path)
{
    return path != NULL;
}

static bool can_carry_a_licence_line(const char *path, const char *text)
{
    static const char *const suffixes[] = {".cmake", ".sh", ".awk", ".py", ".yaml", ".yml", ".toml"};
    static const char *const names[] = {"CMakeLists.txt", ".clang-format", ".clang-tidy", ".editorconfig",
                                        "Containerfile"};
    if (source_is_c(path) || text_starts_with(text, "#!"))
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
        if (text_ends_with(path, suffixes[i]))
            return !text_starts_with(path, "tests/fuzz/"); /* there, these are inputs */
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (text_equal(source_basename(path), names[i]))
            return true;
    return false;
}

static void look_for_licence(const char *path, char *text, struct text_list *complaints)
{
    static const char c_line[] = "/* SPDX-License-Identifier: Apache-2.0 */\n";
    static const char script_line[] = "# SPDX-License-Identifier: Apache-2.0\n";
    const char *expected = source_is_c(path) ? c_line : script_line;
    const char *start = text;
    if (!can_carry_a_licence_line(path, text))
        return;
    if (text_starts_with(text, "#!"))
        start += strcspn(text, "\n") + 1;
    if (!text_starts_with(start, expected))
        complain(complaints, path, 1, "does not begin with \"%.*s\"", (int)strlen(expected) - 1, expected);
}

static int check_licence(const struct source_tree *tree, struct text_list *complaints, struct error *err)
{
    return look_at(tree, is_any_file, look_for_licence, complaints, err);
}

FLEET_TEST(text_rules, licence_is_everywhere)
{
    return check_holds(check_licence, err);
}

FLEET_TEST(text_rules, finds_a_missing_licence)
{
    static const struct sample_file files[] = {
        {"CMakeLists.txt", "project(x)\n"},
        {"README.md", "# no licence line needed\n"},
        {"base/a.c", "/* SPDX-License-Identifier: MIT */\n"},
        {"base/b.h", "/* SPDX-License-Identifier: Apache-2.0 */\n#pragma once\n"},
        {"scripts/good", "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n"},
        {"scripts/test", "#!/bin/sh\nset -eu\n"},
    };
    static const char *const expected[] = {"CMakeLists.txt:1: ", "base/a.c:1: ", "scripts/test:1: ", NULL};
    return check_finds(test, check_licence, files, ARRAY_SIZE(files), expected, err);
}

/* ── sleeping ── */

static bool is_test_code(const char *path)
{
    return source_is_c(path) && (text_starts_with(path, "tests/") || text_starts_with(path, "harness/") ||
                                 text_starts_with(path, "fixtures/"));
}

static void look_for_sleep(const char *path, char *text, struct text_list *complaints)
{
    static const char *const calls[] = {"sleep", "usleep", "nanosleep", "clock_nanosleep", "thrd_sleep"};
    source_blank(text, BLANK_COMMENTS | BLANK_STRINGS);
    for (struct line_walk walk = line_walk_start(text); line_walk_next(&walk);)
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
            const char *place = find_word(walk.line, calls[i]);
            if (place && place[strlen(calls[i])] == '(')
                complain(complaints, path, walk.number, "%s: wait for what is awaited (wait_until)", calls[i]);
        }
}

static int check_sleep(const struct source_tree *tree, struct text_list *complaints, struct error *err)
{
    return look_at(tree, is_test_code, look_for_sleep, complaints, err);
}

FLEET_TEST(text_rules, nothing_sleeps_in_tests)
{
    return check_holds(check_sleep, err);
}

FLEET_TEST(text_rules, finds_sleeping)
{
    static const struct sample_file files[] = {
        {"base/deadline.c", "void wait(void)\n{\n    usleep(10);\n}\n"},
        {"fixtures/stack.c", "void wait(void)\n{\n    nanosleep(&pause, NULL);\n}\n"},
        {"tests/host/test_a.c", "/* sleep(1) */\nstatic const char *text = \"sleep(1)\";\nint sleep_count(int);\n"},
        {"tests/host/test_b.c", "\n    sleep(1);\n"},
    };
    static const char *const expected[] = {"fixtures/stack.c:3: nanosleep", "tests/host/test_b.c:2: sleep", NULL};
    return check_finds(test, check_sleep, files, ARRAY_SIZE(files), expected, err);
}

/* ── paths of one machine ── */

static bool is_product_text(const char *path)
{
    return !text_starts_with(path, "tests/fuzz/corpus/");
}

/* "/<first component>/" of where this tree stands, NULL when that is a directory every machine has. Caller frees. */
static char *checkout_root(const char *directory)
{
    static const char *const common[] = {"tmp", "var", "usr", "opt", "srv", "mnt", "run", "home", "root"};
    size_t length = strcspn(directory + 1, "/");
    cleanup_free char *first = text_copy_n(directory + 1, length);
    for (size_t i = 0; i < ARRAY_SIZE(common); i++)
        if (text_equal(first, common[i]))
            return NULL;
    return text_format("/%s/", first);
}

/* First place where `line` has a path that begins with `root` and goes on; "~/x", "$dir/x" and "a/x" do not begin so. */
static bool has_path_below(const char *line, const char *root)
{
    for (const char *place = strstr(line, root); place; place = strstr(place + 1, root)) {
        bool begins = place == line || (word_length(place - 1) == 0 && !strchr("._-/~}>", place[-1]));
        if (begins && word_length(place + strlen(root)) > 0)
            return true;
    }
    return false;
}

static void look_for_machine_paths(const char *path, char *text, struct text_list *complaints)
{
    cleanup_free char *checkout = checkout_root(FLEET_SOURCE_DIRECTORY);
    const char *const roots[] = {"/home/", "/root/", "/Users/", checkout};
    for (struct line_walk walk = line_walk_start(text); line_walk_next(&walk);)
        for (size_t i = 0; i < ARRAY_SIZE(roots); i++)
            if (roots[i] && has_path_below(walk.line, roots[i]))
                complain(complaints, path, walk.number, "names a path of one machine, below %s", roots[i]);
}

static int check_machine_paths(const struct source_tree *tree, struct text_list *complaints, struct error *err)
{
    return look_at(tree, is_product_text, look_for_machine_paths, complaints, err);
}

FLEET_TEST(text_rules, no_path_of_one_machine)
{
    return check_holds(check_machine_paths, err);
}

FLEET_TEST(text_rules, finds_a_path_of_one_machine)
{
    cleanup_free char *checkout = checkout_root("/checkouts/fleet");
    cleanup_free char *everywhere = checkout_root("/tmp/fleet");
    CHECK(text_equal(checkout, "/checkouts/") && !everywhere, "%s, %s", checkout, everywhere);
    cleanup_free char *script = text_format("#!/bin/sh\ncd \"%ssomebody/fleet\"\ncat %s.profile\n", "/home/", "/root/");
    const struct sample_file files[] = {
        {"README.md",
         "clone it to ~/home/fleet or $HOME/root/x; a podman root is <dir>/root/x; /root/ alone is a name\n"},
        {"scripts/test", script},
    };
    static const char *const expected[] = {"scripts/test:2: names a path", NULL};
    return check_finds(test, check_machine_paths, files, ARRAY_SIZE(files), expected, err);
}

/* ── silenced warnings ── */

static bool can_silence(const char *path)
{
    return source_is_c(path) || text_ends_with(path, ".cmake") || text_ends_with(path, "CMakeLists.txt") ||
           text_ends_with(path, "CMakePresets.json");
}

static bool is_comment(const char *line)
{
    line += strspn(line, " \t");
    return text_starts_with(line, "# ") || text_starts_with(line, "//") || text_ends_with(line, "*/");
}

/* A comment further up in the same paragraph, or on the line itself, explains it. */
static bool is_explained(bool comment_before, const char *line)
{
    line += strspn(line, " \t#");
    return comment_before || strstr(line, "*/") || strstr(line, "//") || strstr(line, "# ");
}

/* "NOLINT(check): reason", "NOLINTNEXTLINE(check): reason". The end of a range needs none. */
static bool nolint_has_reason(const char *place)
{
    if (text_starts_with(place, "NOLINT"
                                "END"))
        return true;
    place += word_length(place);
    const char *close = *place == '(' ? strchr(place, ')') : NULL;
    return close && text_starts_with(close, "): ") && word_length(close + strlen("): ")) > 0;
}

static void look_for_silenced(const char *path, char *text, struct text_list *complaints)
{
    bool comment_before = false;
    if (source_is_c(path))
        source_blank(text, BLANK_STRINGS);
    for (struct line_walk walk = line_walk_start(text); line_walk_next(&walk);) {
        const char *lint = strstr(walk.line, "NOLINT");
        if (lint && !nolint_has_reason(lint))
            complain(complaints, path, walk.number, "write NOLINT(check): reason");
        bool silences = strstr(walk.line, "-Wno-") || strstr(walk.line, "diagnostic ignored");
        if (silences && !is_explained(comment_before, walk.line))
            complain(complaints, path, walk.number, "silences a warning without a comment that says why");
        comment_before = walk.line[0] != '\0' && (comment_before || is_comment(walk.line));
    }
}

static int check_silenced(const struct source_tree *tree, struct text_list *complaints, struct error *err)
{
    return look_at(tree, can_silence, look_for_silenced, complaints, err);
}

FLEET_TEST(text_rules, silenced_warnings_carry_their_reason)
{
    return check_holds(check_silenced, err);
}

FLEET_TEST(text_rules, finds_silenced_warnings)
{
    static const struct sample_file files[] = {
        {"CMakeLists.txt", "add_compile_options(-Wno-shadow)\n# nats.h shadows\nset_property(x\n  -Wno-shadow)\n\n"
                           "add_compile_options(-Wno-shadow)\n"},
        {"base/a.c", "int a; // NOLINT\nint b; // NOLINT(cert-err33-c)\nint c; // NOLINT(cert-err33-c): printed\n"},
        {"base/b.c", "#pragma GCC diagnostic push\n#pragma GCC diagnostic ignored \"-Wvla\"\n"
                     "#pragma GCC diagnostic ignored \"-Wvla\" /* a macro of Criterion's */\n"},
    };
    static const char *const expected[] = {
        "CMakeLists.txt:1: ", "CMakeLists.txt:6: ", "base/a.c:1: ", "base/a.c:2: ", "base/b.c:2: silences", NULL,
    };
    return check_finds(test, check_silenced, files, ARRAY_SIZE(files), expected, err);
}

/* ── the machine's own package mirror ── */

/* Hosts of the apt sources in `text` that are not Debian's public ones. */
static void add_mirror_hosts(char *text, struct text_list *hosts)
{
    for (struct line_walk walk = line_walk_start(text); line_walk_next(&walk);) {
        const char *host = strstr(walk.line, "://");
        if (!host || walk.line[strspn(walk.line, " \t")] == '#')
            continue;
        host += strlen("://");
        cleanup_free char *name = text_copy_n(host, strcspn(host, "/ \t]"));
        if (*name && !text_ends_with(name, "debian.org") && !text_list_contains(hosts, name))
            text_list_add(hosts, name);
    }
}

static int visit_apt_file(void *context, const char *name, struct error *err)
{
    cleanup_free char *path = text_format("/etc/apt/sources.list.d/%s", name);
    cleanup_free char *text = NULL;
    size_t size = 0;
    if (file_read(path, 1u << 20, &text, &size, err) < 0)
        return -1;
    add_mirror_hosts(text, context);
    return 0;
}

FLEET_TEST(text_rules, no_mirror_is_written_down)
{
    cleanup_text_list struct text_list hosts = {0};
    cleanup_free char *text = NULL;
    size_t size = 0;
    if (file_exists("/etc/apt/sources.list"))
        TRY(file_read("/etc/apt/sources.list", 1u << 20, &text, &size, err));
    if (text)
        add_mirror_hosts(text, &hosts);
    if (file_exists("/etc/apt/sources.list.d"))
        TRY(directory_each("/etc/apt/sources.list.d", visit_apt_file, &hosts, err));
    CLEANUP(source_tree_free) struct source_tree *tree = NULL;
    TRY(source_tree_open(FLEET_SOURCE_DIRECTORY, &tree, err));
    for (size_t i = 0; i < tree->files.count; i++) {
        cleanup_free char *content = NULL;
        TRY(source_tree_read(tree, tree->files.items[i], &content, err));
        for (size_t j = 0; j < hosts.count; j++)
            CHECK(!strstr(content, hosts.items[j]), "%s names %s, this machine's package mirror", tree->files.items[i],
                  hosts.items[j]);
    }
    return 0;
}

FLEET_TEST(text_rules, finds_mirrors_in_apt_sources)
{
    cleanup_text_list struct text_list hosts = {0};
    cleanup_free char *text = text_copy("# deb http://old.example/debian x main\n"
                                        "deb http://deb.debian.org/debian bookworm main\n"
                                        "deb [trusted=yes] http://mirror.example:8080/debian bookworm main\n"
                                        "URIs: https://mirror.example:8080/debian\n");
    add_mirror_hosts(text, &hosts);
    CHECK(hosts.count == 1 && text_equal(hosts.items[0], "mirror.example:8080"), "%zu hosts", hosts.count);
    return 0;
}
