/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/process_identity.h"
#include "base/text.h"
#include "harness/capability.h"
#include "harness/device_ssh.h"
#include "harness/program.h"
#include "harness/report.h"
#include "harness/run.h"

#define EXIT_USAGE 2
#define EXIT_SSH   255

static int usage(FILE *out)
{
    fputs("usage: fleet-e2e doctor [--require host,pod,vm]   what this machine can do, and the remedy for each gap\n"
          "       fleet-e2e ps                              the runs there are, and their devices\n"
          "       fleet-e2e ssh DEVICE [COMMAND…]           log in to a device of a run; the exit code is ssh's\n"
          "       fleet-e2e down [RUN]                      remove a run, kept or not; without RUN every ended one\n"
          "       fleet-e2e report [DIRECTORY]              table, JUnit and HTML from the records of the last tests\n"
          "       fleet-e2e report --clear [DIRECTORY]      remove those records\n"
          "       fleet-e2e cluster up|down|status          the Kubernetes cluster that runs share\n"
          "       fleet-e2e reap DIRECTORY PID FD           (internal) watch a run and undo it when its owner ends\n",
          out);
    return EXIT_USAGE;
}

static int concluded(int result, const struct error *err)
{
    if (result == 0)
        return EXIT_SUCCESS;
    cleanup_free char *text = error_text(err);
    fprintf(stderr, "fleet-e2e: %s\n", text);
    return EXIT_FAILURE;
}

static int doctor_command(int count, char **arguments)
{
    if (count == 0)
        return doctor_main(NULL);
    if (count == 2 && text_equal(arguments[0], "--require"))
        return doctor_main(arguments[1]);
    return usage(stderr);
}

static int ps_command(int count, char **arguments)
{
    cleanup_error struct error err = ERROR_INIT;

    (void)arguments;
    return count == 0 ? concluded(runs_print(&err), &err) : usage(stderr);
}

/* DEVICE: its id or its domain's name, or how one of them begins. 255 is what ssh itself fails with. */
static int ssh_command(int count, char **arguments)
{
    cleanup_error struct error err = ERROR_INIT;

    if (count == 0 || arguments[0][0] == '-')
        return usage(stderr);
    (void)!concluded(device_ssh(arguments[0], arguments + 1, &err), &err);
    return EXIT_SSH;
}

static int down_command(int count, char **arguments)
{
    cleanup_error struct error err = ERROR_INIT;

    if (count > 1)
        return usage(stderr);
    return concluded(runs_down(count ? arguments[0] : NULL, &err), &err);
}

/* Exits with failure when a test failed or crashed. */
static int report_command(int count, char **arguments)
{
    cleanup_error struct error err = ERROR_INIT;
    bool clear = count > 0 && text_equal(arguments[0], "--clear");
    const char *directory = count > clear ? arguments[clear] : report_directory();
    int failed = 0;

    if (count > 1 + clear)
        return usage(stderr);
    if (clear)
        return concluded(report_clear(directory, &err), &err);
    int code = concluded(report_write(directory, stdout, &failed, &err), &err);
    return code == EXIT_SUCCESS && failed > 0 ? EXIT_FAILURE : code;
}

/* A program of its own knows Kubernetes. It says what is wrong with its arguments. */
static int cluster_command(int count, char **arguments)
{
    cleanup_error struct error err = ERROR_INIT;
    cleanup_free char *program = NULL;

    (void)count;
    if (program_find("fleet-cluster", &program, &err) < 0)
        return concluded(-1, &err);
    arguments[-1] = program;
    execv(program, arguments - 1);
    error_set_errno(&err, errno, "starting", program);
    return concluded(-1, &err);
}

static int reap_command(int count, char **arguments)
{
    if (count != 3)
        return usage(stderr);
    /* It is never in anybody's way: _exit, because nothing is left to do that an exit handler could. */
    _exit(reaper_main(arguments[0], process_number(arguments[1]), process_number(arguments[2])));
}

static const struct {
    const char *name;
    int (*run)(int count, char **arguments);
} commands[] = {
    {"doctor", doctor_command}, {"ps", ps_command},           {"ssh", ssh_command},   {"down", down_command},
    {"report", report_command}, {"cluster", cluster_command}, {"reap", reap_command},
};

int main(int argc, char **argv)
{
    log_start("fleet-e2e");
    if (argc >= 2 && (text_equal(argv[1], "--help") || text_equal(argv[1], "help"))) {
        usage(stdout);
        return EXIT_SUCCESS;
    }
    for (size_t i = 0; argc >= 2 && i < ARRAY_SIZE(commands); i++) {
        if (text_equal(argv[1], commands[i].name))
            return commands[i].run(argc - 2, argv + 2);
    }
    return usage(stderr);
}
