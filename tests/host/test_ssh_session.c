/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/ssh_session.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "tests/host/ssh_device.h"

#define RUN_MS 30000
#define DEVICE NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES, CAPABILITY_SSHD)

/** A device and a session on it. */
struct fixture {
    struct ssh_device device;
    struct ssh_session *session;
};

static int fixture_new(struct test_context *test, const char *user, struct fixture *ret, struct error *err)
{
    TRY(ssh_device_new(test, &ret->device, err));
    TRY(ssh_device_open(&ret->device, user, &ret->session, err));
    return 0;
}

static void fixture_clear(struct fixture *fixture)
{
    ssh_session_free(fixture->session);
    ssh_device_clear(&fixture->device);
}
#define CLEANUP_FIXTURE __attribute__((cleanup(fixture_clear)))

/** `sh -c script` over the session. */
static int run_script(struct fixture *fixture, const char *script, struct ssh_result *ret, struct error *err)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    const struct ssh_command command = {.argv = argv};

    return ssh_session_run(fixture->session, &command, deadline_in_ms(RUN_MS), ret, err);
}

FLEET_TEST(ssh_session, commands_get_what_they_were_given, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    cleanup_ssh_result struct ssh_result result = {0};
    static const char *const argv[] = {
        "sh", "-c", "cat; printf ' %s|' \"$A\" \"$@\"; id -un >&2; exit 7", "x", "it's", "", "$HOME *", "a\nb", NULL};
    static const char *const environment[] = {"A=\"1\" '2'", NULL};
    const struct ssh_command command = {.argv = argv, .environment = environment, .input = "in\0put", .input_size = 6};

    TRY(fixture_new(test, DEVICE_ADMIN, &fixture, err));
    TRY(ssh_session_run(fixture.session, &command, deadline_in_ms(RUN_MS), &result, err));
    static const char expected[] = "in\0put \"1\" '2'| it's| | $HOME *| a\nb|";
    CHECK(result.output_size == sizeof(expected) - 1 && memcmp(result.output, expected, sizeof(expected)) == 0,
          "it wrote %s", result.output);
    CHECK(text_equal(result.errors, DEVICE_ADMIN "\n"), "it complained %s", result.errors);
    CHECK(result.exit_code == 7 && !result.signal && !result.truncated, "exit code %d", result.exit_code);
    CHECK(text_equal(ssh_session_name(fixture.session), DEVICE_ADMIN "@" DEVICE_ADDRESS), "its name is %s",
          ssh_session_name(fixture.session));
    return 0;
}

FLEET_TEST(ssh_session, failures_are_told, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    cleanup_ssh_result struct ssh_result killed = {0};
    cleanup_ssh_result struct ssh_result missing = {0};
    static const char *const argv[] = {"sh", "-c", "echo first >&2; echo 'no such thing' >&2; exit 3", NULL};
    static const char *const absent[] = {"/nonexistent/program", NULL};
    const struct ssh_command command = {.argv = argv};
    const struct ssh_command no_program = {.argv = absent};
    cleanup_error struct error refused = ERROR_INIT;

    TRY(fixture_new(test, "root", &fixture, err));
    TRY(run_script(&fixture, "kill -USR1 $$", &killed, err));
    CHECK(killed.exit_code == -1 && text_equal(killed.signal, "USR1"), "exit code %d, signal %s", killed.exit_code,
          killed.signal ? killed.signal : "none");
    TRY(ssh_session_run(fixture.session, &no_program, deadline_in_ms(RUN_MS), &missing, err));
    CHECK(missing.exit_code == 127 && strstr(missing.errors, "/nonexistent/program"), "exit code %d: %s",
          missing.exit_code, missing.errors);
    CHECK(ssh_session_run_checked(fixture.session, &command, deadline_in_ms(RUN_MS), NULL, &refused) < 0 &&
              error_is(&refused, &ssh_error_domain, SSH_REMOTE_FAILED),
          "a failure is none");
    CHECK(text_equal(error_root_detail(&refused), "exit code 3: first; no such thing"), "it is %s",
          error_root_detail(&refused));
    return 0;
}

FLEET_TEST(ssh_session, root_is_had_by_sudo, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    cleanup_ssh_result struct ssh_result result = {0};
    static const char *const argv[] = {"sh", "-c", "id -un; echo $A; cat", NULL};
    static const char *const environment[] = {"A=kept", NULL};
    const struct ssh_command command = {
        .argv = argv, .environment = environment, .as_root = true, .input = "input", .input_size = 5};

    TRY(fixture_new(test, DEVICE_ADMIN, &fixture, err));
    TRY(ssh_session_run_checked(fixture.session, &command, deadline_in_ms(RUN_MS), &result, err));
    CHECK(text_equal(result.output, "root\nkept\ninput"), "it wrote %s", result.output);
    return 0;
}

/** A word that was in a command line. */
struct absence {
    struct fixture *fixture;
    const char *word;
};

/** wait_condition: no process of the device has the word in its command line. */
static int is_absent(void *context, struct text_buffer *state, struct error *err)
{
    const struct absence *absence = context;
    cleanup_ssh_result struct ssh_result result = {0};
    /* "[4]711.5": a pattern that does not match itself */
    cleanup_free char *script = text_format("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -o '[%c]%s'",
                                            absence->word[0], absence->word + 1);

    text_buffer_clear(state);
    if (run_script(absence->fixture, script, &result, err) < 0)
        return -1;
    text_buffer_format(state, "there is %s", result.output);
    return result.exit_code == 1;
}

static int check_gone(struct fixture *fixture, const char *word, struct error *err)
{
    struct absence absence = {fixture, word};

    return wait_until("the command to be gone on the device", is_absent, &absence,
                      &(struct wait_options){.interval_ms = 50}, deadline_in_ms(RUN_MS), err);
}

/* The whole process group, and also what ignores SIGTERM. */
FLEET_TEST(ssh_session, deadline_holds_on_the_device, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    cleanup_ssh_result struct ssh_result result = {0};
    static const char *const argv[] = {"sh", "-c", "trap '' TERM; sleep 4711.5 & echo waiting >&2; sleep 4711.5; wait",
                                       NULL};
    struct ssh_command command = {.argv = argv};
    cleanup_error struct error late = ERROR_INIT;

    TRY(fixture_new(test, DEVICE_ADMIN, &fixture, err));
    int64_t begin_ms = clock_monotonic_ms();
    CHECK(ssh_session_run(fixture.session, &command, deadline_in_ms(700), &result, &late) < 0 &&
              error_is(&late, &ssh_error_domain, SSH_TIMED_OUT),
          "it came back in time");
    CHECK(strstr(error_root_detail(&late), ": waiting"), "it is %s", error_root_detail(&late));
    CHECK(clock_monotonic_ms() - begin_ms < 5000, "it took %lld ms", (long long)(clock_monotonic_ms() - begin_ms));
    TRY(check_gone(&fixture, "4711.5", err));
    command.as_root = true; /* sshd may not signal what runs as root: timeout(1) does */
    CHECK_FAILS(ssh_session_run(fixture.session, &command, deadline_in_ms(300), &result, err), ssh_error_domain,
                SSH_TIMED_OUT);
    TRY(check_gone(&fixture, "4711.5", err));
    CHECK_FAILS(ssh_session_run(fixture.session, &command, deadline_in_ms(-1), &result, err), ssh_error_domain,
                SSH_TIMED_OUT);
    return 0;
}

/** Makes a file on the device by the very session the output comes over. */
static int release(void *context, enum ssh_stream stream, const char *data, size_t size, struct error *err)
{
    struct fixture *fixture = context;
    cleanup_ssh_result struct ssh_result result = {0};

    CHECK(stream == SSH_STANDARD_OUTPUT, "stream %d", (int)stream);
    return size == 4 && memcmp(data, "one\n", 4) == 0 ? run_script(fixture, ": >/run/released", &result, err) : 0;
}

FLEET_TEST(ssh_session, output_is_streamed, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    cleanup_ssh_result struct ssh_result result = {0};
    static const char *const argv[] = {"sh", "-c",
                                       "echo one; until [ -e /run/released ]; do sleep 0.02; done; echo two", NULL};
    const struct ssh_command command = {.argv = argv, .on_output = release, .context = &fixture};

    TRY(fixture_new(test, "root", &fixture, err));
    TRY(ssh_session_run_checked(fixture.session, &command, deadline_in_ms(RUN_MS), &result, err));
    CHECK(!result.output && !result.errors, "streamed and collected");
    return 0;
}

static int give_up(void *context, enum ssh_stream stream, const char *data, size_t size, struct error *err)
{
    (void)stream;
    (void)data;
    *(size_t *)context += size;
    return error_set(err, &general_error_domain, GENERAL_CANCELLED, "reading", NULL, "enough");
}

FLEET_TEST(ssh_session, callback_gives_up, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    cleanup_ssh_result struct ssh_result result = {0};
    size_t seen = 0;
    static const char *const argv[] = {"sh", "-c", "while echo 4712.5; do :; done", NULL};
    const struct ssh_command command = {.argv = argv, .on_output = give_up, .context = &seen};

    TRY(fixture_new(test, DEVICE_ADMIN, &fixture, err));
    CHECK_FAILS(ssh_session_run(fixture.session, &command, DEADLINE_NEVER, &result, err), general_error_domain,
                GENERAL_CANCELLED);
    CHECK(seen > 0, "nothing was seen");
    TRY(check_gone(&fixture, "4712.5", err));
    return 0;
}

/** Bytes of a stream that is checked but not kept. */
struct flood {
    uint64_t seen;
    bool wrong;
};

static int take_flood(void *context, enum ssh_stream stream, const char *data, size_t size, struct error *err)
{
    struct flood *flood = context;

    (void)stream;
    (void)err;
    for (size_t i = 0; i < size; i++)
        flood->wrong = flood->wrong || (unsigned char)data[i] != (unsigned char)((flood->seen + i) % 251);
    flood->seen += size;
    return 0;
}

/* Both windows are smaller than this by far: neither side may wait for the other. */
FLEET_TEST(ssh_session, much_goes_both_ways, DEVICE)
{
    enum { SIZE = 12 << 20 };
    CLEANUP_FIXTURE struct fixture fixture = {0};
    cleanup_ssh_result struct ssh_result result = {0};
    cleanup_ssh_result struct ssh_result kept = {0};
    cleanup_free char *data = NEW_ARRAY(char, SIZE);
    struct flood flood = {0};
    static const char *const argv[] = {"cat", NULL};
    const struct ssh_command command = {
        .argv = argv, .input = data, .input_size = SIZE, .on_output = take_flood, .context = &flood};
    const struct ssh_command collected = {.argv = argv, .input = data, .input_size = SIZE};

    for (size_t i = 0; i < SIZE; i++)
        data[i] = (char)(i % 251);
    TRY(fixture_new(test, "root", &fixture, err));
    TRY(ssh_session_run_checked(fixture.session, &command, deadline_in_ms(RUN_MS), &result, err));
    CHECK(flood.seen == SIZE && !flood.wrong, "%llu bytes came back", (unsigned long long)flood.seen);
    TRY(ssh_session_run_checked(fixture.session, &collected, deadline_in_ms(RUN_MS), &kept, err));
    CHECK(kept.truncated && kept.output_size == SSH_OUTPUT_MAX && memcmp(kept.output, data, SSH_OUTPUT_MAX) == 0,
          "%zu bytes were kept", kept.output_size);
    return 0;
}

/* A command that does not read its input must not hold up its end, nor one that closes it. */
FLEET_TEST(ssh_session, input_may_be_left_unread, DEVICE)
{
    enum { SIZE = 6 << 20 };
    CLEANUP_FIXTURE struct fixture fixture = {0};
    cleanup_ssh_result struct ssh_result result = {0};
    cleanup_free char *data = NEW_ARRAY(char, SIZE);
    static const char *const argv[] = {"sh", "-c", "head -c 3 >/dev/null; echo done", NULL};
    const struct ssh_command command = {.argv = argv, .input = data, .input_size = SIZE};

    TRY(fixture_new(test, "root", &fixture, err));
    TRY(ssh_session_run_checked(fixture.session, &command, deadline_in_ms(RUN_MS), &result, err));
    CHECK(text_equal(result.output, "done\n"), "it wrote %s", result.output);
    return 0;
}

/* Many threads */

enum { THREADS = 24, COMMANDS = 4 };

struct worker {
    struct ssh_session *session;
    int number;
    atomic_int *started; /**< counts what the commands wrote */
    int (*work)(struct worker *worker, struct error *err);
    struct error error;
};

static void *be_worker(void *context)
{
    struct worker *worker = context;

    return worker->work(worker, &worker->error) < 0 ? worker : NULL;
}

/** Wait for all; the first failure is told. */
static int join(pthread_t *threads, struct worker *workers, int count, struct error *err)
{
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        if (error_is_set(&workers[i].error) && !error_is_set(err))
            error_move(err, &workers[i].error);
        error_clear(&workers[i].error);
    }
    return error_is_set(err) ? -1 : 0;
}

static int echo_much(struct worker *worker, struct error *err)
{
    for (int i = 0; i < COMMANDS; i++) {
        cleanup_free char *word = text_format("%d.%d", worker->number, i);
        cleanup_ssh_result struct ssh_result result = {0};
        const char *const argv[] = {"sh", "-c", "cat; for i in 1 2 3; do echo $1; echo $1 >&2; done", "x", word, NULL};
        const struct ssh_command command = {.argv = argv, .input = word, .input_size = strlen(word)};
        cleanup_free char *errors = text_format("%s\n%s\n%s\n", word, word, word);
        cleanup_free char *output = text_format("%s%s", word, errors);

        if (ssh_session_run_checked(worker->session, &command, deadline_in_ms(RUN_MS), &result, err) < 0)
            return -1;
        if (!text_equal(result.output, output) || !text_equal(result.errors, errors))
            return error_set(err, &general_error_domain, GENERAL_FAILED, "comparing", word, "%s and %s", result.output,
                             result.errors);
    }
    return 0;
}

static int share(struct ssh_session *session, int count, struct error *err)
{
    struct worker workers[THREADS];
    pthread_t threads[THREADS];

    for (int i = 0; i < count; i++) {
        workers[i] = (struct worker){.session = session, .number = i, .work = echo_much};
        CHECK(pthread_create(&threads[i], NULL, be_worker, &workers[i]) == 0, "pthread_create");
    }
    return join(threads, workers, count, err);
}

FLEET_TEST(ssh_session, is_shared_by_many_threads, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};

    TRY(fixture_new(test, "root", &fixture, err));
    return share(fixture.session, THREADS, err);
}

/* A host that opens fewer channels than we ask for is asked again. */
FLEET_TEST(ssh_session, makes_do_with_few_channels, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};

    TRY(ssh_device_new(test, &fixture.device, err));
    struct ssh_session_options options = ssh_device_options(&fixture.device, "root");
    options.port = DEVICE_PORT_2;
    TRY(ssh_session_open(&options, deadline_in_ms(RUN_MS), &fixture.session, err));
    return share(fixture.session, SSH_OPERATIONS_MAX, err);
}

static int count_start(void *context, enum ssh_stream stream, const char *data, size_t size, struct error *err)
{
    (void)stream;
    (void)data;
    (void)size;
    (void)err;
    atomic_fetch_add((atomic_int *)context, 1);
    return 0;
}

static int wait_for_go(struct worker *worker, struct error *err)
{
    static const char *const argv[] = {"sh", "-c", "echo; until [ -e " DEVICE_SEEN_AT "/go ]; do sleep 0.02; done",
                                       NULL};
    const struct ssh_command command = {.argv = argv, .on_output = count_start, .context = worker->started};

    return ssh_session_run_checked(worker->session, &command, deadline_in_ms(RUN_MS), NULL, err);
}

/** wait_condition: have as many commands started as there may be at a time? */
static int all_started(void *context, struct text_buffer *state, struct error *err)
{
    int count = atomic_load((atomic_int *)context);

    (void)err;
    text_buffer_clear(state);
    text_buffer_format(state, "%d have", count);
    return count == SSH_OPERATIONS_MAX;
}

/* Every place is taken: one more has to wait, and its deadline counts meanwhile. */
FLEET_TEST(ssh_session, commands_wait_for_their_turn, DEVICE)
{
    CLEANUP_FIXTURE struct fixture fixture = {0};
    static const char *const argv[] = {"touch", DEVICE_SEEN_AT "/too-many", NULL};
    const struct ssh_command command = {.argv = argv};
    struct worker workers[SSH_OPERATIONS_MAX];
    pthread_t threads[SSH_OPERATIONS_MAX];
    atomic_int started = 0;

    TRY(fixture_new(test, "root", &fixture, err));
    for (int i = 0; i < SSH_OPERATIONS_MAX; i++) {
        workers[i] = (struct worker){.session = fixture.session, .work = wait_for_go, .started = &started};
        CHECK(pthread_create(&threads[i], NULL, be_worker, &workers[i]) == 0, "pthread_create");
    }
    TRY(wait_until("commands to start", all_started, &started, NULL, deadline_in_ms(RUN_MS), err));
    CHECK_FAILS(ssh_session_run_checked(fixture.session, &command, deadline_in_ms(200), NULL, err), ssh_error_domain,
                SSH_TIMED_OUT);
    cleanup_free char *go = text_format("%s/go", fixture.device.directory);
    cleanup_free char *too_many = text_format("%s/too-many", fixture.device.directory);
    TRY(file_write_atomic(go, "", 0, 0644, err));
    TRY(join(threads, workers, SSH_OPERATIONS_MAX, err));
    CHECK(!file_exists(too_many), "it was run all the same");
    TRY(ssh_session_run_checked(fixture.session, &command, deadline_in_ms(RUN_MS), NULL, err));
    CHECK(file_exists(too_many), "it was not run");
    return 0;
}
