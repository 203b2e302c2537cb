/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/ssh_host.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "deploy/service_unit.h"

#define OPERATION_MS       (2 * 60 * 1000)
#define CONFLICT_EXIT_CODE 45 /* of directory_script: something else stands there */
#define LOG_LINES          "--lines=20"

/* $1 path  $2 mode  $3 umask for what is made above it */
static const char directory_script[] =
    "set -eu\n"
    "if [ -d \"$1\" ]; then\n"
    "    if [ \"$(stat -L -c %a -- \"$1\")\" = \"$2\" ]; then echo same; exit 0; fi\n"
    "elif [ -e \"$1\" ] || [ -L \"$1\" ]; then\n"
    "    exit 45\n"
    "else\n"
    "    umask \"$3\"\n"
    "    mkdir -p -- \"$1\"\n"
    "fi\n"
    "chmod -- \"$2\" \"$1\"\n"
    "echo changed\n";

/*
 * $1 unit  $2 "enable", "reload" or nothing  $3 "start" or "restart". One command: it goes on where our connection breaks.
 * Enabling makes systemd read all units again, as reloading does, which costs more than a start on a small device: one of
 * them will do.
 */
static const char start_script[] = "set -eu\n"
                                   "case $2 in\n"
                                   "enable) systemctl --quiet enable -- \"$1\" ;;\n"
                                   "reload) systemctl daemon-reload ;;\n"
                                   "esac\n"
                                   "systemctl \"$3\" -- \"$1\"\n";

/* $1 unit  $2 its file */
static const char remove_script[] =
    "set -eu\n"
    "systemctl --quiet disable --now -- \"$1\"\n"
    "rm -f -- \"$2\"\n"
    "systemctl daemon-reload\n"
    "systemctl reset-failed -- \"$1\" 2>/dev/null || true\n"; /* it complains where nothing failed */

struct ssh_host {
    struct linux_host linux_host;
    struct ssh_session *session; /**< borrowed */
    int operation_ms;
};

/** What systemd says of a unit. */
struct unit_state {
    bool active; /**< or on its way there */
    bool enabled;
    bool stale;   /**< its file changed since systemd read it */
    bool running; /**< active with a main process */
    pid_t pid;
};

static struct deadline operation_deadline(const struct ssh_host *host)
{
    return deadline_in_ms(host->operation_ms);
}

/** Run argv as root. `ret` may be NULL. */
static int run(const struct ssh_host *host, const char *const *argv, struct ssh_result *ret, struct error *err)
{
    static const char *const environment[] = {"LC_ALL=C", "SYSTEMD_COLORS=0", NULL};
    const struct ssh_command command = {.argv = argv, .environment = environment, .as_root = true};

    return ssh_session_run_checked(host->session, &command, operation_deadline(host), ret, err);
}

/* Directories and files */

static int ensure_directory(void *context, const char *path, mode_t mode, bool *changed, struct error *err)
{
    const struct ssh_host *host = context;
    cleanup_ssh_result struct ssh_result result = {0};
    cleanup_free char *wanted = text_format("%o", (unsigned int)mode & 07777);
    cleanup_free char *mask = text_format("%04o", ~(unsigned int)mode & 0777);
    const char *const argv[] = {"sh", "-c", directory_script, "ensure-directory", path, wanted, mask, NULL};
    static const char *const environment[] = {"LC_ALL=C", NULL};
    const struct ssh_command command = {.argv = argv, .environment = environment, .as_root = true};

    if (path[0] != '/')
        return error_set(err, &general_error_domain, GENERAL_INVALID, "making directory", path,
                         "it is no absolute path");
    if (ssh_session_run(host->session, &command, operation_deadline(host), &result, err) < 0)
        return error_wrap(err, "making directory", path);
    if (result.exit_code == CONFLICT_EXIT_CODE)
        return error_set(err, &general_error_domain, GENERAL_CONFLICT, "making directory", path,
                         "something else stands there");
    if (result.exit_code != 0)
        return error_set(err, &ssh_error_domain, SSH_REMOTE_FAILED, "making directory", path, "on %s: %s",
                         ssh_session_name(host->session), result.errors);
    if (!text_equal(result.output, "same\n"))
        *changed = true;
    return 0;
}

static int ensure_file(void *context, const char *path, const void *data, size_t size, mode_t mode, bool *changed,
                       struct error *err)
{
    const struct ssh_host *host = context;
    const struct ssh_file file = {
        .path = path, .data = data, .size = size, .mode = mode, .owner = "root:root", .as_root = true};

    return ssh_session_put_file(host->session, &file, operation_deadline(host), changed, err);
}

static int read_file(void *context, const char *path, size_t max, char **data, size_t *size, struct error *err)
{
    const struct ssh_host *host = context;

    return ssh_session_get_file(host->session, path, max, true, operation_deadline(host), data, size, err);
}

/* Services */

static int unit_of(const char *service, char **ret, struct error *err)
{
    if (service_name_check(service, err) < 0)
        return -1;
    *ret = text_format("%s.service", service);
    return 0;
}

static bool is_any_of(const char *value, const char *const *words)
{
    for (; *words; words++) {
        if (text_equal(value, *words))
            return true;
    }
    return false;
}

/** One line "Property=value" of systemctl show. */
static void take_property(struct unit_state *state, const char *name, const char *value)
{
    static const char *const active[] = {"active", "activating", "reloading", NULL};
    static const char *const enabled[] = {"enabled", "enabled-runtime", NULL};

    if (text_equal(name, "ActiveState"))
        state->active = is_any_of(value, active);
    else if (text_equal(name, "UnitFileState"))
        state->enabled = is_any_of(value, enabled);
    else if (text_equal(name, "NeedDaemonReload"))
        state->stale = text_equal(value, "yes");
    else if (text_equal(name, "MainPID"))
        state->pid = (pid_t)strtol(value, NULL, 10);
}

static int show(const struct ssh_host *host, const char *unit, struct unit_state *ret, struct error *err)
{
    cleanup_ssh_result struct ssh_result result = {0};
    const char *const argv[] = {"systemctl", "show", "--property=ActiveState,UnitFileState,NeedDaemonReload,MainPID",
                                "--",        unit,   NULL};

    if (run(host, argv, &result, err) < 0)
        return error_wrap(err, "asking for the state of", unit);
    *ret = (struct unit_state){0};
    for (char *rest = result.output, *line; (line = strsep(&rest, "\n"));) {
        char *value = strchr(line, '=');

        if (!value)
            continue;
        *value = '\0';
        take_property(ret, line, value + 1);
    }
    ret->running = ret->active && ret->pid > 0;
    return 0;
}

static char *unit_path(const char *unit)
{
    return text_format(SSH_HOST_UNIT_DIRECTORY "/%s", unit);
}

static int ensure_service(void *context, const struct service_definition *definition, bool restart, bool *changed,
                          struct error *err)
{
    struct ssh_host *host = context;
    struct unit_state state;
    bool replaced = false;

    if (service_unit_check(definition, err) < 0)
        return -1;
    cleanup_free char *unit = text_format("%s.service", definition->name);
    cleanup_free char *path = unit_path(unit);
    cleanup_free char *text = service_unit_text(definition);
    if (ensure_file(host, path, text, strlen(text), 0644, &replaced, err) < 0 || show(host, unit, &state, err) < 0)
        return error_wrap(err, "deploying service", definition->name);
    /* Stale without being replaced: whoever replaced it did not get as far as telling systemd. */
    bool reload = replaced || state.stale;
    bool again = (reload || restart) && state.active;
    if (!reload && !restart && state.active && state.enabled)
        return 0;
    *changed = true;
    const char *read = !state.enabled ? "enable" : reload ? "reload" : "";
    const char *const argv[] = {"sh", "-c", start_script, "start-service", unit, read, again ? "restart" : "start",
                                NULL};
    if (run(host, argv, NULL, err) < 0)
        return error_wrap(err, "starting service", definition->name);
    return 0;
}

static int service_status(void *context, const char *name, struct service_status *ret, struct error *err)
{
    const struct ssh_host *host = context;
    cleanup_free char *unit = NULL;
    struct unit_state state;

    if (unit_of(name, &unit, err) < 0 || show(host, unit, &state, err) < 0)
        return -1;
    service_status_clear(ret);
    ret->running = state.running;
    ret->pid = state.running ? state.pid : 0;
    return 0;
}

static int remove_service(void *context, const char *name, bool *changed, struct error *err)
{
    const struct ssh_host *host = context;
    cleanup_free char *unit = NULL;
    cleanup_free char *text = NULL;
    size_t size;

    if (unit_of(name, &unit, err) < 0)
        return -1;
    cleanup_free char *path = unit_path(unit);
    if (ssh_session_get_file(host->session, path, 1 << 20, true, operation_deadline(host), &text, &size, err) < 0)
        return error_wrap(err, "removing service", name);
    if (!text)
        return 0;
    *changed = true;
    const char *const argv[] = {"sh", "-c", remove_script, "remove-service", unit, path, NULL};
    if (run(host, argv, NULL, err) < 0)
        return error_wrap(err, "removing service", name);
    return 0;
}

static int service_log(void *context, const char *name, char **ret, struct error *err)
{
    const struct ssh_host *host = context;
    cleanup_ssh_result struct ssh_result result = {0};
    cleanup_free char *unit = NULL;

    if (unit_of(name, &unit, err) < 0)
        return -1;
    const char *const argv[] = {"journalctl", "--unit", unit, LOG_LINES, "--no-pager", "--quiet", "--output=cat", NULL};
    if (run(host, argv, &result, err) < 0)
        return error_wrap(err, "reading the log of", unit);
    *ret = TAKE_PTR(result.output);
    return 0;
}

static int run_program(void *context, const struct host_command *command, char **output, size_t *size,
                       struct error *err)
{
    const struct ssh_host *host = context;
    cleanup_ssh_result struct ssh_result result = {0};
    const struct ssh_command remote = {
        .argv = command->argv,
        .environment = command->environment,
        .input = command->input,
        .input_size = command->input_size,
        .as_root = true,
    };

    if (ssh_session_run_checked(host->session, &remote, command->deadline, &result, err) < 0)
        return -1;
    if (result.truncated)
        return error_set(err, &general_error_domain, GENERAL_TOO_LARGE, "running", command->argv[0],
                         "it wrote more than %u bytes", SSH_OUTPUT_MAX);
    *size = result.output_size;
    *output = TAKE_PTR(result.output);
    return 0;
}

static const struct linux_host_operations operations = {
    .ensure_directory = ensure_directory,
    .ensure_file = ensure_file,
    .read_file = read_file,
    .ensure_service = ensure_service,
    .service_status = service_status,
    .remove_service = remove_service,
    .service_log = service_log,
    .run = run_program,
};

void ssh_host_new(const struct ssh_host_options *options, struct ssh_host **ret)
{
    struct ssh_host *host = NEW(struct ssh_host);

    *host = (struct ssh_host){
        .linux_host = {.operations = &operations, .context = host},
        .session = options->session,
        .operation_ms = options->operation_ms > 0 ? options->operation_ms : OPERATION_MS,
    };
    *ret = host;
}

void ssh_host_free(struct ssh_host *host)
{
    free(host);
}

struct linux_host *ssh_host_linux(struct ssh_host *host)
{
    return &host->linux_host;
}
