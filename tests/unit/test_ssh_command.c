/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/ssh_command.h"

#include <string.h>

#include "base/memory.h"
#include "base/process.h"
#include "harness/test.h"

/* What a user's shell makes of the line is what counts: have one run it, as sshd does. */
static int run_line(const char *shell, const char *line, struct process_result *ret, struct error *err)
{
    const char *const argv[] = {shell, "-c", line, NULL};
    const struct process_options options = {.argv = argv};

    return process_run(&options, deadline_in_ms(20000), ret, err);
}

static const char *const odd_words[] = {
    "",           "two words",   "it's",  "'",  "''\\''", "\"", "$HOME `id` $(id)",  "a;b|c&d>e<f", "*?[a]", "~",
    "line\nline", "back\\slash", "tab\t", "-n", "--",     "#!", "\xc3\xbc \xff\x01",
};

/* printf's %s\0 of each word, so that nothing is lost. */
static int check_words(const char *shell, struct error *err)
{
    cleanup_text_list struct text_list argv = {0};
    cleanup_text_buffer struct text_buffer expected = {0};
    cleanup_process_result struct process_result result = {0};
    cleanup_free char *line = NULL;

    text_list_add(&argv, "printf");
    text_list_add(&argv, "%s\\0");
    for (size_t i = 0; i < ARRAY_SIZE(odd_words); i++) {
        text_list_add(&argv, odd_words[i]);
        text_buffer_append(&expected, odd_words[i], strlen(odd_words[i]) + 1);
    }
    const struct ssh_command command = {.argv = (const char *const *)argv.items};
    TRY(ssh_command_line(&command, false, deadline_in_ms(20000), &line, err));
    TRY(run_line(shell, line, &result, err));
    CHECK(result.exit_code == 0, "%s: exit code %d: %s", shell, result.exit_code, result.errors);
    CHECK(result.output_size == expected.size && memcmp(result.output, expected.data, expected.size) == 0,
          "%s made of %s: %s", shell, line, result.output);
    return 0;
}

FLEET_TEST(ssh_command, words_arrive_as_they_are)
{
    TRY(check_words("/bin/sh", err));
    TRY(check_words("/bin/bash", err));
    return 0;
}

FLEET_TEST(ssh_command, environment_is_added)
{
    static const char *const argv[] = {"sh", "-c", "printf '%s|%s' \"$FIRST\" \"$_2ND\"", NULL};
    static const char *const environment[] = {"FIRST=a 'b' $c", "_2ND=", NULL};
    const struct ssh_command command = {.argv = argv, .environment = environment};
    cleanup_process_result struct process_result result = {0};
    cleanup_free char *line = NULL;

    TRY(ssh_command_line(&command, false, DEADLINE_NEVER, &line, err));
    TRY(run_line("/bin/sh", line, &result, err));
    CHECK(text_equal(result.output, "a 'b' $c|"), "it is %s", result.output);
    return 0;
}

FLEET_TEST(ssh_command, exit_codes_and_signals_come_through)
{
    static const char *const exits[] = {"sh", "-c", "exit 7", NULL};
    static const char *const dies[] = {"sh", "-c", "kill -USR1 $$", NULL};
    static const char *const missing[] = {"/nonexistent/program", NULL};
    const struct {
        const char *const *argv;
        int exit_code, signal;
    } cases[] = {{exits, 7, 0}, {dies, -1, 10}, {missing, 127, 0}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct ssh_command command = {.argv = cases[i].argv};
        cleanup_process_result struct process_result result = {0};
        cleanup_free char *line = NULL;

        TRY(ssh_command_line(&command, false, deadline_in_ms(20000), &line, err));
        TRY(run_line("/bin/sh", line, &result, err));
        CHECK(result.exit_code == cases[i].exit_code && result.signal == cases[i].signal, "%s: exit code %d, signal %d",
              line, result.exit_code, result.signal);
    }
    return 0;
}

FLEET_TEST(ssh_command, is_ended_where_it_runs)
{
    static const char *const argv[] = {"sleep", "1000", NULL};
    const struct ssh_command command = {.argv = argv};
    cleanup_process_result struct process_result result = {0};
    cleanup_free char *line = NULL;

    TRY(ssh_command_line(&command, false, deadline_in_ms(0), &line, err));
    TRY(run_line("/bin/sh", line, &result, err));
    CHECK(result.exit_code == 124, "exit code %d", result.exit_code);
    return 0;
}

FLEET_TEST(ssh_command, sudo_comes_before_everything)
{
    static const char *const argv[] = {"id", NULL};
    static const char *const environment[] = {"A=1", NULL};
    const struct ssh_command command = {.argv = argv, .environment = environment};
    cleanup_free char *line = NULL;

    TRY(ssh_command_line(&command, true, DEADLINE_NEVER, &line, err));
    CHECK(text_equal(line, "exec sudo -n -- env 'A=1' timeout -k 2 0.000 'id'"), "it is %s", line);
    return 0;
}

FLEET_TEST(ssh_command, refuses_what_no_shell_takes)
{
    static const char *const nothing[] = {NULL};
    static const char *const empty[] = {"", NULL};
    static const char *const argv[] = {"id", NULL};
    static const char *const bad[][2] = {{"NAME"}, {"=x"}, {"1A=x"}, {"A B=x"}, {"A-B=x"}};
    cleanup_free char *line = NULL;

    CHECK_FAILS(ssh_command_line(&(struct ssh_command){.argv = nothing}, false, DEADLINE_NEVER, &line, err),
                general_error_domain, GENERAL_INVALID);
    CHECK_FAILS(ssh_command_line(&(struct ssh_command){.argv = empty}, false, DEADLINE_NEVER, &line, err),
                general_error_domain, GENERAL_INVALID);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        const struct ssh_command command = {.argv = argv, .environment = bad[i]};
        CHECK_FAILS(ssh_command_line(&command, false, DEADLINE_NEVER, &line, err), general_error_domain,
                    GENERAL_INVALID);
    }
    cleanup_free char *large = NEW_ARRAY(char, (128 << 10) + 1);
    memset(large, 'x', 128 << 10);
    const char *const long_argv[] = {"echo", large, NULL};
    CHECK_FAILS(ssh_command_line(&(struct ssh_command){.argv = long_argv}, false, DEADLINE_NEVER, &line, err),
                general_error_domain, GENERAL_TOO_LARGE);
    return 0;
}
