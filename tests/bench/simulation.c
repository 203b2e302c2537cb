/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/simulation.h"

#include <signal.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/text.h"
#include "harness/program.h"

#define SUFFIX_BYTES 9
#define OUTPUT_MAX   (16u << 20)

struct simulation {
    struct process *process;
    char *output_path;
    char suffix[SUFFIX_BYTES];
};

/** Caller frees; "" when it cannot be read. */
static char *read_output(const struct simulation *simulation)
{
    cleanup_error struct error ignored = ERROR_INIT;
    char *data = NULL;
    size_t size = 0;

    if (file_read(simulation->output_path, OUTPUT_MAX, &data, &size, &ignored) < 0)
        return text_copy("");
    return data;
}

cJSON *simulation_event(const struct simulation *simulation, const char *event)
{
    cleanup_free char *output = read_output(simulation);
    cleanup_free char *beginning = text_format("{\"event\":\"%s\",", event);
    char *found = NULL;

    for (char *line = strstr(output, beginning); line; line = strstr(line + 1, beginning))
        found = line;
    if (!found || !strchr(found, '\n')) /* not there yet, or not whole */
        return NULL;
    cleanup_error struct error malformed = ERROR_INIT;
    cJSON *document = NULL;
    return json_parse(found, strcspn(found, "\n"), &document, &malformed) == 0 ? document : NULL;
}

static int is_ready(void *context, struct text_buffer *state, struct error *err)
{
    const struct simulation *simulation = context;
    CLEANUP(cJSON_Delete) cJSON *ready = simulation_event(simulation, "ready");
    cleanup_free char *output = NULL;

    if (ready)
        return 1;
    output = read_output(simulation);
    text_buffer_format(state, "it said: %s", output);
    if (process_ended(simulation->process, NULL, NULL))
        return error_set(err, &general_error_domain, GENERAL_FAILED, "simulating devices", NULL, "it ended: %s",
                         output);
    return 0;
}

static void add_number(struct text_list *argv, const char *option, int value)
{
    if (value == 0)
        return;
    text_list_add(argv, option);
    text_list_format(argv, "%d", value);
}

/** The password goes by a file, as people give it. */
static int add_credentials(struct text_list *argv, const struct simulation_options *options, const char *suffix,
                           struct error *err)
{
    const struct credentials *credentials = options->credentials;

    if (!credentials || credentials->type == CREDENTIAL_NONE)
        return 0;
    cleanup_free char *path = text_format("%s/simulator-%s-password", options->directory, suffix);
    text_list_add(argv, "--nats-user");
    text_list_add(argv, credentials->user);
    text_list_add(argv, "--nats-password-file");
    text_list_add(argv, path);
    return file_write_atomic(path, credentials->password, strlen(credentials->password), 0600, err);
}

static int make_argv(const struct simulation_options *options, const char *suffix, struct text_list *argv,
                     struct error *err)
{
    char *program = NULL;

    if (program_find("fleet-simulator", &program, err) < 0)
        return -1;
    text_list_take(argv, program);
    text_list_add(argv, "--nats-url");
    text_list_add(argv, options->nats_url);
    text_list_add(argv, "--suffix");
    text_list_add(argv, suffix);
    add_number(argv, "--devices", options->devices);
    add_number(argv, "--connections", options->connections);
    add_number(argv, "--heartbeat-ms", options->heartbeat_ms);
    add_number(argv, "--report-ms", options->report_ms);
    for (size_t i = 0; options->arguments && options->arguments[i]; i++)
        text_list_add(argv, options->arguments[i]);
    return add_credentials(argv, options, suffix, err);
}

int simulation_start(const struct simulation_options *options, struct deadline deadline, struct simulation **ret,
                     struct error *err)
{
    CLEANUP(simulation_free) struct simulation *simulation = NEW(struct simulation);
    static const struct wait_options often = {.interval_ms = 5};
    cleanup_text_list struct text_list argv = {0};

    text_random_hex(simulation->suffix, sizeof(simulation->suffix));
    simulation->output_path = text_format("%s/simulator-%s.log", options->directory, simulation->suffix);
    if (make_argv(options, simulation->suffix, &argv, err) < 0)
        return -1;
    const struct process_options process = {
        .argv = (const char *const *)argv.items, .log_path = simulation->output_path, .die_with_parent = true};
    if (process_start(&process, &simulation->process, err) < 0 ||
        wait_until("the simulated devices", is_ready, simulation, &often, deadline, err) < 0)
        return -1;
    *ret = TAKE_PTR(simulation);
    return 0;
}

int simulation_stop(struct simulation *simulation, struct deadline deadline, struct error *err)
{
    int exit_code = -1;

    if (process_stop(simulation->process, SIGTERM, deadline, &exit_code, err) < 0)
        return -1;
    if (exit_code == 0)
        return 0;
    cleanup_free char *output = read_output(simulation);
    return error_set(err, &general_error_domain, GENERAL_FAILED, "ending the simulated devices", NULL,
                     "it ended with exit code %d: %s", exit_code, output);
}

void simulation_free(struct simulation *simulation)
{
    if (!simulation)
        return;
    process_free(simulation->process);
    free(simulation->output_path);
    free(simulation);
}

pid_t simulation_pid(const struct simulation *simulation)
{
    return process_pid(simulation->process);
}

const char *simulation_suffix(const struct simulation *simulation)
{
    return simulation->suffix;
}

char *simulation_device(const struct simulation *simulation, int number)
{
    return text_format("sim-%05d-%s", number, simulation->suffix);
}
