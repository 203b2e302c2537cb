/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/deadline.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "harness/bundle.h"
#include "harness/holders.h"
#include "harness/place.h"
#include "harness/program.h"
#include "harness/reaper.h"
#include "harness/report.h"
#include "harness/session.h"
#include "harness/undo.h"

/* How long a finishing owner tries, how long it waits for its reaper to go, how long one undo in between takes. */
#define FINISH_MS   20000
#define FAREWELL_MS 25000
#define UNDO_ONE_MS 10000
#define PARENTS_MAX 16

struct run {
    char *directory;
    const char *id; /* its last part */
    bool keep;
    int handle; /* see harness/holders.h */
};

static struct run_place place_of(const struct run *run)
{
    return (struct run_place){run->id, run->directory, -1};
}

static int run_new(const char *directory, bool keep, struct run **ret, struct error *err)
{
    cleanup_close int handle = -1;

    if (holders_join(directory, &handle, err) < 0)
        return -1;
    struct run *run = NEW(struct run);
    run->directory = text_copy(directory);
    run->id = strrchr(run->directory, '/') + 1;
    run->keep = keep;
    run->handle = TAKE_FD(handle);
    *ret = run;
    return 0;
}

const char *run_id(const struct run *run)
{
    return run->id;
}

const char *run_directory(const struct run *run)
{
    return run->directory;
}

bool run_keeps(const struct run *run)
{
    return run->keep;
}

int run_keep(struct run *run, struct error *err)
{
    if (!run->keep && journal_append_keep(run->directory, err) < 0)
        return error_wrap(err, "keeping run", run->id);
    run->keep = true;
    return 0;
}

void run_release(struct run *run)
{
    if (!run)
        return;
    close_fd(run->handle);
    free(run->directory);
    free(run);
}

/* From our parent up to the ctest that started us (our parent alone when there is none). */
static void add_parents(struct journal *journal)
{
    pid_t last = session_owner();
    struct process_stat status;

    for (pid_t pid = getppid(); pid > 1 && journal->parents.count < PARENTS_MAX; pid = status.parent) {
        if (process_stat_read(pid, &status) < 0)
            return;
        process_identity_list_add(&journal->parents, (struct process_identity){pid, status.start});
        if (pid == last)
            return;
    }
}

/* The reaper works in another directory. Caller frees. */
static char *absolute(const char *path)
{
    cleanup_free char *here = path && path[0] != '/' ? getcwd(NULL, 0) : NULL;

    return here ? text_format("%s/%s", here, path) : text_copy(path);
}

static int describe_start(const struct run_options *options, bool keep, char **line, struct error *err)
{
    cleanup_journal struct journal journal = {0};

    if (process_identity_of(options->owner ? options->owner : getpid(), &journal.owner, err) < 0)
        return -1;
    journal.label = text_copy(options->label ? options->label : "-");
    journal.bundle = absolute(options->bundle);
    journal.keep = keep;
    if (options->follow_parents)
        add_parents(&journal);
    CLEANUP(cJSON_Delete) cJSON *event = journal_start_event(&journal);
    *line = journal_line(event);
    return 0;
}

/* What others left is theirs: it is shown by `fleet-e2e ps` and does not keep this run from starting. */
static void prune_quietly(void)
{
    cleanup_error struct error err = ERROR_INIT;

    if (runs_prune(NULL, &err) < 0)
        log_debug("an earlier run could not be undone", LOG_TEXT("detail", error_root_detail(&err)));
}

int run_start(const struct run_options *options, struct run **ret, struct error *err)
{
    bool keep = options->keep || text_equal(getenv(RUN_KEEP), "1");
    cleanup_free char *line = NULL;
    char random[9];

    if (runs_directory_ensure(err) < 0)
        return error_wrap(err, "starting run", options->label);
    prune_quietly();
    text_random_hex(random, sizeof(random));
    cleanup_free char *directory = text_format("%s/" RUN_ID_PREFIX "%s", runs_directory(), random);
    if (describe_start(options, keep, &line, err) < 0 ||
        reaper_start(directory, options->owner ? options->owner : getpid(), line, err) < 0 ||
        run_new(directory, keep, ret, err) < 0)
        return error_wrap(err, "starting run", options->label);
    return 0;
}

int run_open(const char *directory, struct run **ret, struct error *err)
{
    cleanup_journal struct journal journal = {0};
    const char *slash = strrchr(directory, '/');

    if (!slash || !run_id_is_valid(slash + 1))
        return error_set(err, &general_error_domain, GENERAL_INVALID, "opening run", directory,
                         "not a run's directory");
    if (journal_read(directory, &journal, err) < 0)
        return error_wrap(err, "opening run", directory);
    if (!journal.started)
        return error_set(err, &general_error_domain, GENERAL_NOT_FOUND, "opening run", directory, "it has ended");
    if (run_new(directory, journal.keep, ret, err) < 0)
        return error_wrap(err, "opening run", directory);
    return 0;
}

int run_journal(struct run *run, enum resource_kind kind, const char *name, struct error *err)
{
    const struct resource_type *type = resource_type(kind);
    struct run_place place = place_of(run);

    if (type->check(&place, name, err) < 0 ||
        journal_append_resource(run->directory, "create", type->name, name, err) < 0)
        return error_wrap(err, "journalling", type->name);
    return 0;
}

int run_undo(struct run *run, enum resource_kind kind, const char *name, struct error *err)
{
    const struct resource_type *type = resource_type(kind);
    struct run_place place = place_of(run);

    if (type->check(&place, name, err) < 0 || type->undo(&place, name, deadline_in_ms(UNDO_ONE_MS), err) < 0 ||
        journal_append_resource(run->directory, "undone", type->name, name, err) < 0)
        return error_wrap(err, "undoing", type->name);
    return 0;
}

char *run_mark(const struct run *run, const char *name)
{
    return text_format(RUN_MARK "=%s/%s", run->id, name);
}

int run_collect(const struct run *run, const char *directory, struct error *err)
{
    return bundle_collect_run(run->directory, directory, err);
}

static void add_removal(const struct run *run, struct text_buffer *text)
{
    cleanup_free char *program = program_shown("fleet-e2e");
    const char *runs = getenv("FLEET_E2E_RUNS");
    cleanup_free char *quoted_runs = shell_quote(runs ? runs : "");
    text_buffer_add(text, "  remove all of it: ");
    if (runs)
        text_buffer_format(text, "FLEET_E2E_RUNS=%s ", quoted_runs);
    text_buffer_format(text, "%s down %s\n", program, run->id);
}

void run_print_kept(const struct run *run)
{
    cleanup_error struct error err = ERROR_INIT;
    cleanup_journal struct journal journal = {0};
    cleanup_text_buffer struct text_buffer text = {0};
    struct run_place place = place_of(run);

    if (journal_read(run->directory, &journal, &err) < 0) {
        fprintf(stderr, "%s\n", error_root_detail(&err));
        return;
    }
    text_buffer_format(&text, "\nrun %s (%s) is kept in %s\n", run->id, journal.label, run->directory);
    for (size_t i = journal.resource_count; i-- > 0;) {
        const struct resource_type *type = resource_type_named(journal.resources[i].kind_name);
        cleanup_text_buffer struct text_buffer inspect = {0};
        cleanup_text_buffer struct text_buffer remove = {0};
        if (!type || journal.resources[i].undone)
            continue;
        type->describe(&place, journal.resources[i].name, &inspect, &remove);
        text_buffer_format(&text, "  %s %s\n    inspect: %s\n    remove:  %s\n", type->name, journal.resources[i].name,
                           text_buffer_text(&inspect), text_buffer_text(&remove));
    }
    add_removal(run, &text);
    report_kept(text_buffer_text(&text));
}

/* Tell the reaper that the owner is done, and wait until it is gone. */
static int dismiss_reaper(const struct run *run, const struct process_identity *identity, struct error *err)
{
    cleanup_close int reaper = process_identity_open(identity);
    cleanup_free char *path = text_format("%s/" RUN_FINISHED, run->directory);
    cleanup_close int note = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct deadline deadline = deadline_in_ms(FAREWELL_MS);

    if (note < 0 && errno != ENOENT) /* ENOENT: the reaper took the directory away already */
        return error_set_errno(err, errno, "dismissing the reaper of", run->id);
    if (reaper < 0)
        return 0;
    struct pollfd ended = {.fd = reaper, .events = POLLIN};
    while (poll(&ended, 1, deadline_poll_ms(deadline)) <= 0) {
        if (!deadline_passed(deadline))
            continue;
        pidfd_kill(reaper, SIGKILL);
        return error_set(err, &general_error_domain, GENERAL_TIMEOUT, "dismissing the reaper of", run->id,
                         "it did not end and was killed");
    }
    return 0;
}

static int finish(struct run *run, struct error *err)
{
    struct run_place place = place_of(run);
    cleanup_journal struct journal journal = {0};
    cleanup_error struct error later = ERROR_INIT;

    if (journal_read(run->directory, &journal, err) < 0)
        return -1;
    if (!journal.started)
        return error_set(err, &general_error_domain, GENERAL_NOT_FOUND, "reading the journal of", run->directory,
                         "somebody else ended the run or removed its directory");
    int result = undo_resources(&place, deadline_in_ms(FINISH_MS), err);
    /* The reaper goes over everything once more and takes the directory away: there is no moment without it. */
    if (dismiss_reaper(run, &journal.reaper, &later) == 0 && !file_exists(run->directory))
        return result;
    if (!error_is_set(&later) && undo_run(&place, deadline_in_ms(FINISH_MS), &later) == 0) /* it was dead */
        return result;
    if (result == 0)
        error_move(err, &later);
    return -1;
}

int run_finish(struct run *run, struct error *err)
{
    CLEANUP(run_release) struct run *owned = run;

    if (run->keep) {
        run_print_kept(run);
        return 0;
    }
    if (finish(run, err) < 0)
        return error_wrap(err, "finishing run", run->id);
    return 0;
}
