/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/device_setup_facts.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/*
 * $1 administrator  $2 agent's program  $3 unit of the agent  further: files
 * An answer is lines, "word …" each, and the content of the files after the last of them. Programs are started for many
 * files at once: starting one is what costs here. A file that changes in between is seen by its size, or the next time.
 */
static const char facts_script[] =
    "set -u\n"
    "admin=$1 program=$2 unit=$3\n"
    "shift 3\n"
    "echo \"machine $(uname -m)\"\n"
    "if command -v dpkg-query >/dev/null; then\n"
    "    echo \"dpkg $(dpkg --print-architecture)\"\n"
    "    dpkg-query --show --showformat='package ${db:Status-Abbrev}${Package} ${Architecture}\\n'\n"
    "    for update in /var/lib/dpkg/updates/*; do [ ! -e \"$update\" ] || echo broken-off; done\n"
    "fi\n"
    "if user=$(getent passwd \"$admin\"); then\n"
    "    home=${user%:*} home=${home##*:}\n"
    "    echo \"home $home\"\n"
    "    set -- \"$@\" \"$home/.ssh/authorized_keys\"\n"
    "fi\n"
    "if [ -f \"$program\" ] && [ ! -L \"$program\" ]; then\n"
    "    stat --printf='program %a %u %g ' -- \"$program\"\n"
    "    sha256sum <\"$program\"\n"
    "fi\n"
    "state=$(systemctl show --property=Id,ActiveState,UnitFileState,MainPID -- podman.socket \"$unit\")\n"
    "printf '%s\\n' \"$state\"\n"
    "pid=${state#*MainPID=}\n"
    "pid=${pid%%[!0-9]*}\n"
    "if [ \"${pid:-0}\" -gt 0 ]; then tr '\\0' '\\n' <\"/proc/$pid/environ\" | grep '^FLEET_DEPLOYMENT='; fi\n"
    "for path in \"$@\"; do\n"
    "    shift\n"
    "    if [ -f \"$path\" ] && [ ! -L \"$path\" ]; then set -- \"$@\" \"$path\"\n"
    "    elif [ -e \"$path\" ] || [ -L \"$path\" ]; then echo \"other $path\"; fi\n"
    "done\n"
    "[ $# = 0 ] || stat --printf='file %a %u %g %s %n\\n' -- \"$@\"\n"
    "echo contents\n"
    "[ $# = 0 ] || cat -- \"$@\"\n";

/** What is read of an answer, and where we are in it. */
struct answer {
    const char *at, *end;
    struct device_facts facts;
    bool of_socket; /* the unit spoken of is podman.socket */
    bool socket_active, socket_enabled;
    bool complete;
};

void device_facts_clear(struct device_facts *facts)
{
    for (size_t i = 0; i < facts->file_count; i++) {
        free(facts->files[i].path);
        free(facts->files[i].data);
    }
    free(facts->files);
    free(facts->machine);
    free(facts->package_machine);
    free(facts->admin_home);
    free(facts->deployment);
    text_list_clear(&facts->packages);
    *facts = (struct device_facts){0};
}

static int nonsense(struct error *err, const char *line)
{
    return error_set(err, &general_error_domain, GENERAL_FAILED, "looking at", "the device",
                     "its answer makes no sense: \"%s\"", line);
}

static void set_text(char **text, const char *value)
{
    free(*text);
    *text = text_copy(value);
}

/** The first word of *rest, which is then what follows it; "" at the end. */
static char *next_word(char **rest)
{
    char *word = *rest;
    size_t size = strcspn(word, " ");

    *rest = word + size;
    if (**rest) {
        **rest = '\0';
        ++*rest;
    }
    return word;
}

/** "ii  podman arm64": wanted and actual state (dpkg-query(1), db:Status-Abbrev), an error flag, name, architecture. */
static int take_package(struct answer *answer, char *rest, struct error *err)
{
    struct device_facts *facts = &answer->facts;

    if (strlen(rest) < 4)
        return nonsense(err, rest);
    char state = rest[1];
    bool reinstall = rest[2] == 'R';
    rest += 3;
    const char *name = next_word(&rest);
    if (strchr("HUFWt", state) || reinstall)
        facts->packages_broken_off = true;
    if (strchr("iUFWt", state) && !reinstall && (text_equal(rest, "all") || text_equal(rest, facts->package_machine)))
        text_list_add(&facts->packages, name);
    return 0;
}

static struct device_file *add_file(struct device_facts *facts, const char *path)
{
    facts->files = memory_resize(facts->files, facts->file_count + 1, sizeof(*facts->files));
    struct device_file *file = &facts->files[facts->file_count++];
    *file = (struct device_file){.path = text_copy(path)};
    return file;
}

/** "644 0 0 123 /etc/hosts" */
static int take_file(struct answer *answer, char *rest, struct error *err)
{
    unsigned int mode = (unsigned int)strtoul(next_word(&rest), NULL, 8);
    bool of_root = text_equal(next_word(&rest), "0");

    of_root = text_equal(next_word(&rest), "0") && of_root;
    size_t size = strtoul(next_word(&rest), NULL, 10);
    if (rest[0] != '/')
        return nonsense(err, rest);
    struct device_file *file = add_file(&answer->facts, rest);
    file->regular = true;
    file->mode = mode;
    file->of_root = of_root;
    file->size = size;
    return 0;
}

/** "755 0 0 <digest>  -" */
static void take_program(struct answer *answer, char *rest)
{
    bool mode = text_equal(next_word(&rest), "755");
    bool user = text_equal(next_word(&rest), "0");
    bool group = text_equal(next_word(&rest), "0");
    const char *digest = next_word(&rest);

    if (mode && user && group && strlen(digest) < sizeof(answer->facts.program_digest))
        memcpy(answer->facts.program_digest, digest, strlen(digest) + 1);
}

/** "ActiveState=active": of the unit whose Id came before; and what the agent's environment has. */
static void take_assignment(struct answer *answer, char *line, char *value)
{
    if (text_equal(line, "Id"))
        answer->of_socket = text_equal(value, "podman.socket");
    else if (text_equal(line, "FLEET_DEPLOYMENT"))
        set_text(&answer->facts.deployment, value);
    else if (!answer->of_socket)
        return;
    else if (text_equal(line, "ActiveState"))
        answer->socket_active = text_equal(value, "active");
    else if (text_equal(line, "UnitFileState"))
        answer->socket_enabled = text_equal(value, "enabled");
}

static int take_line(struct answer *answer, char *line, struct error *err)
{
    char *rest = line;
    char *equals = strchr(line, '=');

    if (equals && equals - line < (ptrdiff_t)strcspn(line, " ")) {
        *equals = '\0';
        take_assignment(answer, line, equals + 1);
        return 0;
    }
    const char *word = next_word(&rest);
    if (text_equal(word, "package"))
        return take_package(answer, rest, err);
    if (text_equal(word, "file"))
        return take_file(answer, rest, err);
    if (text_equal(word, "machine"))
        set_text(&answer->facts.machine, rest);
    else if (text_equal(word, "dpkg"))
        set_text(&answer->facts.package_machine, rest);
    else if (text_equal(word, "broken-off"))
        answer->facts.packages_broken_off = true;
    else if (text_equal(word, "home"))
        set_text(&answer->facts.admin_home, rest);
    else if (text_equal(word, "program"))
        take_program(answer, rest);
    else if (text_equal(word, "other"))
        add_file(&answer->facts, rest);
    else if (text_equal(word, "contents"))
        answer->complete = true;
    else if (*word)
        return nonsense(err, word);
    return 0;
}

/** The files' content, one after the other, and nothing else. */
static int take_contents(struct answer *answer, struct error *err)
{
    for (size_t i = 0; i < answer->facts.file_count; i++) {
        struct device_file *file = &answer->facts.files[i];

        if (!file->regular)
            continue;
        if (file->size > (size_t)(answer->end - answer->at))
            return nonsense(err, "a file became smaller");
        file->data = text_copy_n(answer->at, file->size);
        answer->at += file->size;
    }
    return answer->at == answer->end ? 0 : nonsense(err, "a file became larger");
}

static int parse(struct answer *answer, struct error *err)
{
    while (!answer->complete) {
        const char *newline = memchr(answer->at, '\n', (size_t)(answer->end - answer->at));

        if (!newline)
            return nonsense(err, "it ends too early");
        cleanup_free char *line = text_copy_n(answer->at, (size_t)(newline - answer->at));
        answer->at = newline + 1;
        if (take_line(answer, line, err) < 0)
            return -1;
    }
    if (!answer->facts.machine)
        return nonsense(err, "it does not say what machine it is");
    answer->facts.socket_ready = answer->socket_active && answer->socket_enabled;
    return take_contents(answer, err);
}

int device_facts_parse(const char *answer, size_t size, struct device_facts *ret, struct error *err)
{
    struct answer reading = {.at = answer, .end = answer + size};

    if (parse(&reading, err) < 0) {
        device_facts_clear(&reading.facts);
        return -1;
    }
    device_facts_clear(ret);
    *ret = reading.facts;
    return 0;
}

int device_facts_ask(const struct linux_host *host, const struct device_question *question, struct deadline deadline,
                     struct device_facts *ret, struct error *err)
{
    static const char *const environment[] = {"LC_ALL=C", "SYSTEMD_COLORS=0", NULL};
    cleanup_text_list struct text_list argv = {0};
    cleanup_free char *answer = NULL;
    size_t size = 0;

    text_list_add(&argv, "sh");
    text_list_add(&argv, "-c");
    text_list_add(&argv, facts_script);
    text_list_add(&argv, "device-facts");
    text_list_add(&argv, question->admin);
    text_list_add(&argv, question->program);
    text_list_format(&argv, "%s.service", question->service);
    for (const char *const *path = question->paths; *path; path++)
        text_list_add(&argv, *path);
    const struct host_command command = {
        .argv = (const char *const *)argv.items, .environment = environment, .deadline = deadline};
    if (host->operations->run(host->context, &command, &answer, &size, err) < 0)
        return -1;
    return device_facts_parse(answer, size, ret, err);
}

const struct device_file *device_facts_file(const struct device_facts *facts, const char *path)
{
    for (size_t i = 0; i < facts->file_count; i++) {
        if (text_equal(facts->files[i].path, path))
            return &facts->files[i];
    }
    return NULL;
}

bool device_file_is(const struct device_file *file, const void *data, size_t size, unsigned int mode)
{
    return file && file->regular && file->of_root && file->mode == mode && file->size == size &&
           memcmp(file->data, data, size) == 0;
}
