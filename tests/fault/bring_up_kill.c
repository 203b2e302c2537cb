/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fault/bring_up_kill.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "base/process.h"
#include "harness/program.h"
#include "tests/fault/leftovers.h"

#define RECORD_MAX (1u << 20)

/** How long a stack may take to come up, and to go. */
static const struct stack_limits {
    const char *stack;
    int64_t up_ms;
    int64_t gone_ms;
} limits[] = {
    {"host", 30000, 10000},
    {"vm", 400000, 30000},  /* it may have to make the snapshot first */
    {"pod", 120000, 30000}, /* the images */
};

static const struct stack_limits *limits_of(struct victim_moment moment)
{
    size_t i = 0;

    while (i + 1 < ARRAY_SIZE(limits) && !text_equal(limits[i].stack, moment.stack ? moment.stack : "host"))
        i++;
    return &limits[i];
}

static int nothing_is_left(void *context, struct text_buffer *state, struct error *err)
{
    return leftovers_find(context, state, err) < 0 ? -1 : state->size == 0;
}

/** The innermost phase that had begun and not ended, from the record the victim's timeline keeps. Caller frees. */
static char *open_phase(const cJSON *phases)
{
    const cJSON *phase;
    char *name = NULL;

    cJSON_ArrayForEach(phase, phases) {
        if (cJSON_HasObjectItem(phase, "duration_us"))
            continue; /* it has ended */
        free(name);
        name = open_phase(cJSON_GetObjectItemCaseSensitive(phase, "phases"));
        if (!name)
            name = text_copy(json_text_or(phase, "name", NULL));
    }
    return name;
}

static char *phase_of_record(const char *path)
{
    cleanup_error struct error none = ERROR_INIT;
    cleanup_free char *data = NULL;
    CLEANUP(cJSON_Delete) cJSON *record = NULL;
    size_t size;

    if (file_read(path, RECORD_MAX, &data, &size, &none) < 0 || json_parse(data, size, &record, &none) < 0)
        return text_copy("-");
    char *name = open_phase(cJSON_GetObjectItemCaseSensitive(record, "phases"));
    return name ? name : text_copy("-");
}

static int keep_run_id(void *context, const char *name, struct error *err)
{
    char **id = context;

    (void)err;
    if (!*id && text_starts_with(name, "fleet-e2e-"))
        *id = text_copy(name);
    return 0;
}

/** The run that is there now; *id stays as it is when there is none. Caller frees. */
static int find_run(const char *runs, char **id, struct error *err)
{
    return file_exists(runs) ? directory_each(runs, keep_run_id, id, err) : 0;
}

/** A victim on its way to the moment. */
struct bring_up {
    struct process *process;
    const char *record;
    const char *phase; /**< awaited */
    const char *up;    /**< a file: it is past every phase */
};

static int still_runs(const struct bring_up *bring_up, struct error *err)
{
    int exit_code = 0;

    if (!process_ended(bring_up->process, &exit_code, NULL))
        return 0;
    return error_set(err, &general_error_domain, GENERAL_FAILED, "running", "the victim",
                     "it ended by itself with exit code %d", exit_code);
}

static int phase_is_open(void *context, struct text_buffer *state, struct error *err)
{
    const struct bring_up *bring_up = context;
    cleanup_free char *phase = phase_of_record(bring_up->record);

    text_buffer_format(state, "in phase %s", phase);
    if (text_equal(phase, bring_up->phase) || file_exists(bring_up->up)) /* up: the moment was missed */
        return 1;
    return still_runs(bring_up, err);
}

static int is_up(void *context, struct text_buffer *state, struct error *err)
{
    const struct bring_up *bring_up = context;

    text_buffer_add(state, "still coming up");
    return file_exists(bring_up->up) ? 1 : still_runs(bring_up, err);
}

/** Wait for the moment; when it comes by time, being up comes first. */
static int let_it_run(struct bring_up *bring_up, struct victim_moment moment, struct error *err)
{
    /* As often as can be: the shortest phase takes a few ms. */
    static const struct wait_options options = {.interval_ms = 1};
    struct deadline latest = deadline_in_ms(limits_of(moment)->up_ms);
    cleanup_error struct error by_time = ERROR_INIT;

    if (moment.phase && wait_until("the phase to begin", phase_is_open, bring_up, &options, latest, err) < 0)
        return -1;
    if (moment.delay_ms < 0)
        return wait_until("the victim to be up", is_up, bring_up, &options, latest, err);
    if (wait_until("the victim to be up", is_up, bring_up, &options, deadline_in_ms(moment.delay_ms), &by_time) == 0 ||
        error_is(&by_time, &general_error_domain, GENERAL_TIMEOUT))
        return 0;
    error_move(err, &by_time);
    return -1;
}

/** The network namespace of a run, held so that its number is nobody else's; -1: it has none. */
static int hold_network(const char *id)
{
    cleanup_free char *path = text_format("/run/netns/%s", id ? id : "");

    return id ? open(path, O_RDONLY | O_CLOEXEC) : -1;
}

static int find_what_is_up(const char *runs, const char *id, int network, char **ret, struct error *err)
{
    struct leftovers of_victim = {.runs_directory = runs, .run_id = id, .network_namespace = network};
    cleanup_text_buffer struct text_buffer found = {0};

    if (leftovers_find(&of_victim, &found, err) < 0)
        return -1;
    *ret = text_buffer_take(&found);
    return 0;
}

void victim_report_clear(struct victim_report *report)
{
    free(report->phase);
    free(report->found);
    free(report->run_id);
    *report = (struct victim_report){0};
}

/** SIGKILL the victim and watch what it had disappear. */
static int kill_and_watch(struct process *victim, const char *runs, const char *record, struct victim_moment moment,
                          struct victim_report *ret, struct error *err)
{
    static const struct wait_options options = {.interval_ms = 5};
    cleanup_free char *id = NULL;

    if (find_run(runs, &id, err) < 0)
        return -1;
    cleanup_close int network = hold_network(id);
    if (moment.delay_ms < 0 && find_what_is_up(runs, id, network, &ret->found, err) < 0)
        return -1;
    if (process_signal(victim, SIGKILL, err) < 0)
        return -1;
    int64_t killed_ms = clock_monotonic_ms();
    ret->phase = phase_of_record(record);
    if (find_run(runs, &id, err) < 0) /* it may have begun in between */
        return -1;
    struct leftovers of_victim = {.runs_directory = runs, .run_id = id, .network_namespace = network};
    if (wait_until("everything of the killed run to be gone", nothing_is_left, &of_victim, &options,
                   deadline_in_ms(limits_of(moment)->gone_ms), err) < 0)
        return error_wrap(err, "killing in phase", ret->phase);
    ret->run_id = TAKE_PTR(id);
    ret->reaped_ms = clock_monotonic_ms() - killed_ms;
    return 0;
}

int victim_kill(const char *directory, struct victim_moment moment, struct victim_report *ret, struct error *err)
{
    cleanup_free char *program = NULL;
    cleanup_free char *runs = text_format("%s/runs", directory);
    cleanup_free char *environment = text_format("FLEET_E2E_RUNS=%s", runs);
    cleanup_free char *record = text_format("%s/record.json", directory);
    cleanup_free char *up = text_format("%s/up", directory);
    cleanup_free char *log = text_format("%s/victim.log", directory);
    CLEANUP(process_free) struct process *victim = NULL;

    if (program_find("fleet-bring-up-victim", &program, err) < 0)
        return -1;
    const char *const argv[] = {program, limits_of(moment)->stack, record, up, NULL};
    const char *const added[] = {environment, NULL};
    struct process_options process = {.argv = argv, .environment = added, .log_path = log};
    int64_t started_ms = clock_monotonic_ms();
    if (process_start(&process, &victim, err) < 0)
        return -1;
    struct bring_up bring_up = {victim, record, moment.phase, up};
    if (let_it_run(&bring_up, moment, err) < 0)
        return -1;
    ret->killed_ms = clock_monotonic_ms() - started_ms;
    return kill_and_watch(victim, runs, record, moment, ret, err);
}
