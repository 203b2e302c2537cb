/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/program.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/process.h"
#include "base/text.h"
#include "harness/resource.h"

/** Directory of the running executable; caller frees. NULL where /proc does not tell. */
static char *own_directory(void)
{
    char path[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - 1);

    if (size <= 0)
        return NULL;
    path[size] = '\0';
    char *slash = strrchr(path, '/');
    return slash ? text_copy_n(path, (size_t)(slash - path)) : NULL;
}

int program_find(const char *name, char **ret, struct error *err)
{
    cleanup_free char *beside = own_directory();
    const char *const directories[] = {getenv("FLEET_E2E_PROGRAMS"), beside};
    cleanup_error struct error not_in_path = ERROR_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
        if (!directories[i] || !*directories[i])
            continue;
        cleanup_free char *path = text_format("%s/%s", directories[i], name);
        if (access(path, X_OK) == 0) {
            *ret = TAKE_PTR(path);
            return 0;
        }
    }
    if (process_find_program(name, ret, &not_in_path) == 0)
        return 0;
    return error_set(err, &general_error_domain, GENERAL_NOT_FOUND, "finding the program", name,
                     "it is not in FLEET_E2E_PROGRAMS (%s), not in %s and not in PATH",
                     directories[0] ? directories[0] : "not set", beside ? beside : "?");
}

char *program_shown(const char *name)
{
    cleanup_error struct error not_found = ERROR_INIT;
    cleanup_free char *path = NULL;

    return shell_quote(program_find(name, &path, &not_found) == 0 ? path : name);
}
