/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/device_setup_steps.h"

#include <stdlib.h>
#include <string.h>

#include "deploy/elf_machine.h"
#include "deploy/score_steps.h"

#define LOCK_MAX_S 600 /* how long somebody else may be installing something */

/*
 * $1 seconds to wait for locks  $2 proxy or nothing  $3 "broken-off" or nothing  further: packages that are missing
 * apt waits for dpkg's lock by itself, but not for those of its lists and archives, and dpkg waits for nothing. Its
 * warnings of the update matter only if the installation fails for it.
 */
static const char install_script[] =
    "set -eu\n"
    "lock_s=$1 proxy=$2 broken_off=$3\n"
    "shift 3\n"
    "log=$(mktemp)\n"
    "trap 'rm -f -- \"$log\"' EXIT\n"
    "trap 'exit 1' HUP INT PIPE TERM\n"
    "patiently() {\n"
    "    until \"$@\" >\"$log\" 2>&1; do\n"
    "        if [ \"$lock_s\" -le 0 ] || ! grep -q '^E: Could not get lock\\|^dpkg: error: .* lock was' \"$log\"; "
    "then\n"
    "            tail -n 20 -- \"$log\" >&2\n"
    "            return 1\n"
    "        fi\n"
    "        lock_s=$((lock_s - 1))\n"
    "        sleep 1\n"
    "    done\n"
    "}\n"
    "apt() {\n"
    "    patiently apt-get -q -y -o DPkg::Lock::Timeout=\"$lock_s\" -o Dpkg::Use-Pty=0 \\\n"
    "        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \\\n"
    "        ${proxy:+-o} ${proxy:+\"Acquire::http::Proxy=$proxy\"} \\\n"
    "        ${proxy:+-o} ${proxy:+\"Acquire::https::Proxy=$proxy\"} \"$@\"\n"
    "}\n"
    "if [ -n \"$broken_off\" ] && patiently dpkg --configure -a && [ $# = 0 ]; then exit 0; fi\n"
    "apt update\n"
    "warnings=$(grep '^W:' \"$log\" | tail -n 3 || true)\n"
    "if ! apt --fix-broken --no-install-recommends install -- \"$@\"; then\n"
    "    [ -z \"$warnings\" ] || printf '%s\\n' \"$warnings\" >&2\n"
    "    exit 1\n"
    "fi\n";

/*
 * $1 user  $2 key to add to its authorized keys, or nothing  $3 sudoers file  $4 its text, or nothing
 * The password is no password: "*" is what no hash is, and unlike "!" it does not lock the account for keys.
 */
static const char admin_script[] =
    "set -eu\n"
    "umask 077\n"
    "temporary=\n"
    "trap 'rm -f -- \"$temporary\"' EXIT\n"
    "trap 'exit 1' HUP INT PIPE TERM\n"
    "getent passwd \"$1\" >/dev/null || useradd --create-home --shell /bin/bash --password '*' -- \"$1\"\n"
    "if [ -n \"$2\" ]; then\n"
    "    user=$(getent passwd \"$1\")\n"
    "    home=${user%:*} home=${home##*:} group=$(id -g -- \"$1\")\n"
    "    [ -d \"$home\" ] || install -d -m 0755 -o \"$1\" -g \"$group\" -- \"$home\"\n"
    "    install -d -m 0700 -o \"$1\" -g \"$group\" -- \"$home/.ssh\"\n"
    "    temporary=$(mktemp -- \"$home/.ssh/.fleet-XXXXXXXXXX\")\n"
    "    [ ! -f \"$home/.ssh/authorized_keys\" ] || cat -- \"$home/.ssh/authorized_keys\" >\"$temporary\"\n"
    "    [ -z \"$(tail -c 1 -- \"$temporary\")\" ] || echo >>\"$temporary\"\n"
    "    printf '%s\\n' \"$2\" >>\"$temporary\"\n"
    "    chown -- \"$1:$group\" \"$temporary\"\n"
    "    sync -- \"$temporary\"\n"
    "    mv -fT -- \"$temporary\" \"$home/.ssh/authorized_keys\"\n"
    "fi\n"
    "if [ -n \"$4\" ]; then\n"
    "    [ -d \"${3%/*}\" ] || install -d -m 0750 -- \"${3%/*}\"\n"
    "    temporary=$(mktemp -- \"${3%/*}/.fleet-XXXXXXXXXX\")\n"
    "    printf '%s' \"$4\" >\"$temporary\"\n"
    "    chmod 0440 -- \"$temporary\"\n"
    "    if command -v visudo >/dev/null; then visudo -c -q -f \"$temporary\" >&2; fi\n"
    "    sync -- \"$temporary\"\n"
    "    mv -fT -- \"$temporary\" \"$3\"\n"
    "fi\n";

int device_setup_run(const struct device_setup *setup, const char *script, const char *const *arguments,
                     const void *input, size_t input_size, struct error *err)
{
    static const char *const environment[] = {"LC_ALL=C", "SYSTEMD_COLORS=0", "DEBIAN_FRONTEND=noninteractive", NULL};
    cleanup_text_list struct text_list argv = {0};
    cleanup_free char *output = NULL;
    size_t output_size = 0;

    text_list_add(&argv, "sh");
    text_list_add(&argv, "-c");
    text_list_add(&argv, script);
    for (; *arguments; arguments++)
        text_list_add(&argv, *arguments);
    const struct host_command command = {
        .argv = (const char *const *)argv.items,
        .environment = environment,
        .input = input,
        .input_size = input_size,
        .deadline = setup->deadline,
    };
    return setup->host->operations->run(setup->host->context, &command, &output, &output_size, err);
}

/* Look */

static int ask(struct device_setup *setup, struct error *err)
{
    static const char *const paths[] = {DEVICE_HOSTS_FILE,    DEVICE_SUDOERS_FILE,    DEVICE_CONFIG_FILE,
                                        DEVICE_PASSWORD_FILE, DEVICE_DEPLOYMENT_FILE, NULL};
    const struct device_question question = {
        .admin = setup->score->admin,
        .program = DEVICE_AGENT_PROGRAM,
        .service = DEVICE_AGENT_SERVICE,
        .paths = paths,
    };

    return device_facts_ask(setup->host, &question, setup->deadline, &setup->facts, err);
}

int device_setup_look(struct device_setup *setup, struct error *err)
{
    const char *machine = setup->agent.machine;

    if (ask(setup, err) < 0)
        return -1;
    if (!elf_machine_runs_on(machine, setup->facts.machine))
        return score_refuse(err, FLEET_DEVICE_SETUP_SCORE, "agent_program", "%s is built for %s, and %s is %s",
                            setup->score->agent_program, *machine ? machine : "a machine not known here",
                            setup->topology->name, setup->facts.machine);
    return 0;
}

/* Packages */

static const char *const *wanted_packages(const struct device_setup *setup)
{
    return setup->score->packages ? setup->score->packages : device_setup_default_packages;
}

/** Seconds that locks may be waited for. */
static int lock_seconds(const struct device_setup *setup)
{
    int left_ms = deadline_poll_ms(setup->deadline);

    return left_ms < 0 || left_ms / 1000 > LOCK_MAX_S ? LOCK_MAX_S : left_ms / 1000;
}

static void find_missing(const struct device_setup *setup, struct text_list *missing)
{
    text_list_clear(missing);
    for (const char *const *name = wanted_packages(setup); *name; name++) {
        if (!text_list_contains(&setup->facts.packages, *name))
            text_list_add(missing, *name);
    }
}

static int install(const struct device_setup *setup, const struct text_list *missing, struct error *err)
{
    const char *proxy = setup->score->apt_proxy;
    cleanup_text_list struct text_list arguments = {0};

    if (!setup->facts.package_machine)
        return error_set(err, &deploy_error_domain, DEPLOY_NO_CAPABILITY, "asking", "dpkg",
                         "the device has none: it is no Debian");
    text_list_add(&arguments, "install-packages");
    text_list_format(&arguments, "%d", lock_seconds(setup));
    text_list_add(&arguments, proxy ? proxy : "");
    text_list_add(&arguments, setup->facts.packages_broken_off ? "broken-off" : "");
    for (size_t i = 0; i < missing->count; i++)
        text_list_add(&arguments, missing->items[i]);
    return device_setup_run(setup, install_script, (const char *const *)arguments.items, NULL, 0, err);
}

int device_setup_packages(struct device_setup *setup, struct error *err)
{
    cleanup_text_list struct text_list missing = {0};

    find_missing(setup, &missing);
    if (missing.count == 0 && !setup->facts.packages_broken_off)
        return 0;
    cleanup_free char *names = text_list_join(&missing, " ");
    setup->changed = true;
    if (install(setup, &missing, err) < 0 || ask(setup, err) < 0) /* packages bring files and units with them */
        return error_wrap(err, "installing packages", names);
    find_missing(setup, &missing);
    if (missing.count > 0)
        return error_set(err, &general_error_domain, GENERAL_FAILED, "installing packages", names,
                         "apt-get said nothing, but %s is not there", missing.items[0]);
    return 0;
}

/* Administrator */

/** Is there a line with this key and without options, which others than the user cannot change? */
static bool is_authorized(const struct device_facts *facts, const char *key)
{
    cleanup_free char *path = text_format("%s/.ssh/authorized_keys", facts->admin_home);
    const struct device_file *file = device_facts_file(facts, path);

    if (!file || !file->regular || file->mode & 022)
        return false;
    for (const char *line = file->data; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (text_starts_with(line, key) && strchr(" \r\n", line[strlen(key)])) /* strchr finds the end, too */
            return true;
    }
    return false;
}

int device_setup_admin(struct device_setup *setup, struct error *err)
{
    const struct fleet_device_setup_score *score = setup->score;
    const struct device_facts *facts = &setup->facts;
    cleanup_free char *sudoers =
        text_format("# Written by " FLEET_DEVICE_SETUP_SCORE ".\n%s ALL=(ALL:ALL) NOPASSWD: ALL\n", score->admin);
    bool authorized = facts->admin_home && is_authorized(facts, setup->admin_key);
    bool may_sudo = device_file_is(device_facts_file(facts, DEVICE_SUDOERS_FILE), sudoers, strlen(sudoers), 0440);
    const char *const arguments[] = {
        "set-up-admin",          score->admin, authorized ? "" : score->admin_public_key, DEVICE_SUDOERS_FILE,
        may_sudo ? "" : sudoers, NULL,
    };

    if (authorized && may_sudo)
        return 0;
    setup->changed = true;
    if (device_setup_run(setup, admin_script, arguments, NULL, 0, err) < 0)
        return error_wrap(err, "setting up administrator", score->admin);
    return 0;
}

/* Hosts */

int device_setup_hosts(struct device_setup *setup, struct error *err)
{
    const struct fleet_device_setup_score *score = setup->score;
    const struct device_file *file = device_facts_file(&setup->facts, DEVICE_HOSTS_FILE);
    cleanup_free char *text = NULL;
    size_t size = 0;

    if (file && !file->regular)
        return error_set(err, &general_error_domain, GENERAL_CONFLICT, "editing", DEVICE_HOSTS_FILE,
                         "it is no regular file");
    if (hosts_block_replace(file ? file->data : "", file ? file->size : 0, score->hosts, score->host_count, &text,
                            &size, err) < 0)
        return -1;
    if (file ? size == file->size && memcmp(text, file->data, size) == 0 : size == 0)
        return 0;
    return setup->host->operations->ensure_file(setup->host->context, DEVICE_HOSTS_FILE, text, size,
                                                file ? file->mode : 0644, &setup->changed, err);
}
