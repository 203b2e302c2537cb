/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The dependency law. ARCHITECTURE.md's table is the law: it is read, not repeated, so that document and check cannot
 * drift apart. Rooms may use only rooms of earlier rows, which keeps the law free of cycles.
 */

#include <string.h>

#include "base/memory.h"
#include "tests/check/tree.h"

#define LAW_DOCUMENT "ARCHITECTURE.md"
#define ROOMS_MAX    32

struct law_room {
    char *name;
    struct text_list may_use; /**< names of rooms; its own is understood */
};

struct law {
    struct law_room rooms[ROOMS_MAX];
    size_t count;
};

static void law_clear_at_exit(struct law *law)
{
    for (size_t i = 0; i < law->count; i++) {
        free(law->rooms[i].name);
        text_list_clear(&law->rooms[i].may_use);
    }
}
#define cleanup_law __attribute__((cleanup(law_clear_at_exit)))

static const struct law_room *law_find(const struct law *law, const char *name)
{
    for (size_t i = 0; i < law->count; i++)
        if (text_equal(law->rooms[i].name, name))
            return &law->rooms[i];
    return NULL;
}

/* "base, contracts" | "–" | "everything": the rooms of the rows above. */
static void parse_may_use(const struct law *law, struct law_room *room, char *cell, int line,
                          struct text_list *complaints)
{
    for (char *rest = cell, *name; (name = strsep(&rest, ", "));) {
        if (text_equal(name, "everything"))
            for (size_t i = 0; i < law->count; i++)
                text_list_add(&room->may_use, law->rooms[i].name);
        else if (law_find(law, name))
            text_list_add(&room->may_use, name);
        else if (word_length(name) > 0)
            complain(complaints, LAW_DOCUMENT, line, "%s/ may not include %s: that is no room of an earlier row",
                     room->name, name);
    }
}

/* "| `base/` | what lives there | may include |" */
static void parse_row(struct law *law, char *row, int line, struct text_list *complaints)
{
    static const char prefix[] = "| `";
    if (!text_starts_with(row, prefix) || law->count == ROOMS_MAX)
        return;
    size_t length = word_length(row + strlen(prefix));
    if (length == 0 || !text_starts_with(row + strlen(prefix) + length, "/` |"))
        return;
    struct law_room room = {.name = text_copy_n(row + strlen(prefix), length)};
    row[strlen(row) - 1] = '\0';
    parse_may_use(law, &room, strrchr(row, '|') + 1, line, complaints);
    law->rooms[law->count++] = room;
}

static int read_law(const struct source_tree *tree, struct law *law, struct text_list *complaints, struct error *err)
{
    cleanup_free char *text = NULL;
    if (source_tree_read(tree, LAW_DOCUMENT, &text, err) < 0)
        return -1;
    for (struct line_walk walk = line_walk_start(text); line_walk_next(&walk);)
        parse_row(law, walk.line, walk.number, complaints);
    if (law->count == 0)
        complain(complaints, LAW_DOCUMENT, 0, "has no table of rooms");
    return 0;
}

static bool may_use(const struct law_room *room, const char *used)
{
    return text_equal(room->name, used) || text_list_contains(&room->may_use, used);
}

static void check_include(const struct source_tree *tree, const struct law *law, const struct law_room *room,
                          const char *path, int line, const char *included, struct text_list *complaints)
{
    cleanup_free char *used = source_room(included);
    if (!used)
        complain(complaints, path, line, "\"%s\": include it as \"room/file.h\"", included);
    else if (!law_find(law, used))
        complain(complaints, path, line, "\"%s\": %s/ is no room of %s", included, used, LAW_DOCUMENT);
    else if (!may_use(room, used))
        complain(complaints, path, line, "\"%s\": %s/ may not use %s/", included, room->name, used);
    else if (!source_tree_has(tree, included))
        complain(complaints, path, line, "\"%s\": there is no such file", included);
}

/* The file name of `#include "…"`, cut out of the line; NULL for any other line. */
static char *included_file(char *line)
{
    line += strspn(line, " \t");
    if (*line++ != '#')
        return NULL;
    line += strspn(line, " \t");
    if (!text_starts_with(line, "include"))
        return NULL;
    char *start = strchr(line, '"');
    char *end = start ? strchr(start + 1, '"') : NULL;
    if (!end)
        return NULL;
    *end = '\0';
    return start + 1;
}

static int check_source(const struct source_tree *tree, const struct law *law, const char *path,
                        struct text_list *complaints, struct error *err)
{
    cleanup_free char *name = source_room(path);
    const struct law_room *room = name ? law_find(law, name) : NULL;
    if (!room) {
        complain(complaints, path, 0, "stands in no room of %s", LAW_DOCUMENT);
        return 0;
    }
    cleanup_free char *text = NULL;
    if (source_tree_read(tree, path, &text, err) < 0)
        return -1;
    source_blank(text, BLANK_COMMENTS);
    for (struct line_walk walk = line_walk_start(text); line_walk_next(&walk);) {
        char *included = included_file(walk.line);
        if (included)
            check_include(tree, law, room, path, walk.number, included, complaints);
    }
    return 0;
}

static int check_include_law(const struct source_tree *tree, struct text_list *complaints, struct error *err)
{
    cleanup_law struct law law = {0};
    if (read_law(tree, &law, complaints, err) < 0)
        return -1;
    for (size_t i = 0; i < tree->files.count; i++)
        if (source_is_c(tree->files.items[i]) && check_source(tree, &law, tree->files.items[i], complaints, err) < 0)
            return -1;
    return 0;
}

/* True if `text` names the library "fleet_<room>" or a part of it, "fleet_<room>_<part>". */
static bool names_library(const char *text, const char *room)
{
    cleanup_free char *library = text_format("fleet_%s", room);
    for (const char *place = strstr(text, library); place; place = strstr(place + 1, library)) {
        const char *after = place + strlen(library);
        bool begins = place == text || word_length(place - 1) == 0;
        if (begins && (*after == '_' || word_length(after) == 0))
            return true;
    }
    return false;
}

/* True if `text` (of a CMakeLists.txt) links with a room: its library, or "USES … <room> …" before the next keyword. */
static bool links_with(const char *text, const char *room)
{
    if (names_library(text, room))
        return true;
    for (const char *uses = find_word(text, "USES"); uses; uses = find_word(uses, "USES")) {
        uses += strlen("USES");
        cleanup_free char *list = text_copy_n(uses, strcspn(uses, ")ABCDEFGHIJKLMNOPQRSTUVWXYZ"));
        if (find_word(list, room))
            return true;
    }
    return false;
}

/* What a room links with is held to the same law. */
static int check_link_law(const struct source_tree *tree, struct text_list *complaints, struct error *err)
{
    cleanup_law struct law law = {0};
    if (read_law(tree, &law, complaints, err) < 0)
        return -1;
    for (size_t i = 0; i < law.count; i++) {
        const struct law_room *room = &law.rooms[i];
        cleanup_free char *path = text_format("%s/CMakeLists.txt", room->name);
        cleanup_free char *text = NULL;
        if (!source_tree_has(tree, path))
            continue;
        if (source_tree_read(tree, path, &text, err) < 0)
            return -1;
        for (size_t j = 0; j < law.count; j++)
            if (!may_use(room, law.rooms[j].name) && links_with(text, law.rooms[j].name))
                complain(complaints, path, 0, "%s/ may not link with %s/", room->name, law.rooms[j].name);
    }
    return 0;
}

FLEET_TEST(include_law, holds)
{
    return check_holds(check_include_law, err);
}

FLEET_TEST(include_law, holds_for_what_is_linked)
{
    return check_holds(check_link_law, err);
}

#define SAMPLE_LAW                                                                                                     \
    "| room | what lives there | may include |\n|---|---|---|\n"                                                       \
    "| `base/` | errors | – |\n"                                                                                     \
    "| `agent/` | the agent | base |\n"                                                                                \
    "| `fixtures/` | fixtures | base |\n"                                                                              \
    "| `tests/` | tests | everything |\n"

FLEET_TEST(include_law, finds_what_breaks_it)
{
    static const struct sample_file files[] = {
        {LAW_DOCUMENT, SAMPLE_LAW},
        {"agent/config.c", "#include <errno.h>\n#include \"agent/config.h\"\n#include \"base/error.h\"\n"},
        {"agent/config.h", "/* #include \"attic/commented_out.h\" */\n#include \"config.h\"\n"},
        {"attic/old.c", "\n"},
        {"base/error.h", "  #  include \"agent/config.h\"\n"},
        {"base/memory.h", "#include \"attic/old.h\"\n#include \"base/gone.h\"\n"},
        {"fixtures/stack.c", "\n#include \"agent/config.h\" // the process is the seam\n"},
        {"tests/unit/test_config.c", "#include \"agent/config.h\"\n#include \"fixtures/stack.h\"\n"},
    };
    static const char *const expected[] = {
        "agent/config.h:2: \"config.h\": include it as",
        "attic/old.c: stands in no room",
        "base/error.h:1: \"agent/config.h\": base/ may not use agent/",
        "base/memory.h:1: \"attic/old.h\": attic/ is no room",
        "base/memory.h:2: \"base/gone.h\": there is no such file",
        "fixtures/stack.c:2: \"agent/config.h\": fixtures/ may not use agent/",
        "tests/unit/test_config.c:2: \"fixtures/stack.h\": there is no such file",
        NULL,
    };
    return check_finds(test, check_include_law, files, ARRAY_SIZE(files), expected, err);
}

FLEET_TEST(include_law, finds_a_table_that_is_no_law)
{
    static const struct sample_file files[] = {
        {LAW_DOCUMENT, "| `base/` | errors | agent |\n| `agent/` | the agent | base |\n"},
    };
    static const char *const expected[] = {LAW_DOCUMENT ":1: base/ may not include agent", NULL};
    return check_finds(test, check_include_law, files, ARRAY_SIZE(files), expected, err);
}

FLEET_TEST(include_law, finds_a_document_without_a_table)
{
    static const struct sample_file files[] = {{LAW_DOCUMENT, "# Architecture\n"}};
    static const char *const expected[] = {LAW_DOCUMENT ": has no table of rooms", NULL};
    return check_finds(test, check_include_law, files, ARRAY_SIZE(files), expected, err);
}

FLEET_TEST(include_law, finds_what_is_linked_against_it)
{
    static const struct sample_file files[] = {
        {LAW_DOCUMENT, SAMPLE_LAW},
        {"agent/CMakeLists.txt", "fleet_library(agent\n  SOURCES config.c\n  USES base fixtures\n  LIBRARIES X)\n"},
        {"base/CMakeLists.txt", "fleet_library(base SOURCES agent.c)\n"},
        {"fixtures/CMakeLists.txt", "target_link_libraries(fleet-e2e PRIVATE fleet_base fleet_agent_config)\n"},
    };
    static const char *const expected[] = {
        "agent/CMakeLists.txt: agent/ may not link with fixtures/",
        "fixtures/CMakeLists.txt: fixtures/ may not link with agent/",
        NULL,
    };
    return check_finds(test, check_link_law, files, ARRAY_SIZE(files), expected, err);
}
