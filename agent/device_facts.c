/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/device_facts.h"

#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

#define OS_RELEASE_MAX (64u << 10)

/** A value as a shell would read it: in quotes a backslash keeps what follows. */
static char *unquote(const char *value, size_t size)
{
    char *text = NEW_ARRAY(char, size + 1);
    char quote = '\0';
    size_t used = 0;

    if (size > 0 && (value[0] == '"' || value[0] == '\''))
        quote = value[0];
    for (size_t i = quote ? 1 : 0; i < size && (!quote || value[i] != quote); i++) {
        if (quote == '"' && value[i] == '\\' && i + 1 < size)
            i++;
        text[used++] = value[i];
    }
    return text;
}

char *os_release_pretty_name(const char *text)
{
    static const char name[] = "PRETTY_NAME=";

    for (const char *line = text; line && *line;) {
        size_t size = strcspn(line, "\n");

        if (size > sizeof(name) - 1 && strncmp(line, name, sizeof(name) - 1) == 0)
            return unquote(line + sizeof(name) - 1, size - (sizeof(name) - 1));
        line += size + (line[size] == '\n');
    }
    return NULL;
}

static char *operating_system(const char *fallback)
{
    static const char *const files[] = {"/etc/os-release", "/usr/lib/os-release"};

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        cleanup_error struct error unreadable = ERROR_INIT;
        cleanup_free char *text = NULL;
        size_t size;

        if (file_read(files[i], OS_RELEASE_MAX, &text, &size, &unreadable) < 0)
            continue;
        char *name = os_release_pretty_name(text);
        if (name)
            return name;
    }
    return text_copy(fallback);
}

struct device_info *device_facts(const struct agent_config *config, const char *version, const char *runtime)
{
    struct device_info *info = NEW(struct device_info);
    struct utsname system = {0};
    struct sysinfo memory = {0};

    uname(&system);
    sysinfo(&memory);
    info->device_id = text_copy(config->device_id);
    info->agent_version = text_copy(version);
    info->arch = text_copy(system.machine);
    info->os = operating_system(system.sysname);
    info->label_count = config->label_count;
    info->labels = NEW_ARRAY(struct device_label, config->label_count);
    for (size_t i = 0; i < config->label_count; i++)
        info->labels[i] = (struct device_label){text_copy(config->labels[i].key), text_copy(config->labels[i].value)};
    info->inventory.hostname = text_copy(system.nodename);
    info->inventory.kernel = text_copy(system.release);
    info->inventory.cpus = sysconf(_SC_NPROCESSORS_ONLN);
    info->inventory.memory_kb = (int64_t)((uint64_t)memory.totalram * memory.mem_unit / 1024);
    info->inventory.container_runtime = text_copy(runtime);
    return info;
}
