/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/service_unit.h"

#include <string.h>

#include "base/text.h"
#include "harness/test.h"

FLEET_TEST(service_unit, says_what_runs_and_for_how_long)
{
    static const char *const argv[] = {"/usr/local/bin/harmony-fleet-agent", "--config", "/etc/fleet agent/x.toml",
                                       NULL};
    static const char *const environment[] = {"FLEET_LOG=debug", NULL};
    const struct service_definition definition = {.name = "fleet-agent", .argv = argv, .environment = environment};

    TRY(service_unit_check(&definition, err));
    cleanup_free char *text = service_unit_text(&definition);
    CHECK(text_equal(text,
                     "# Written by Harmony Fleet: changes are overwritten by the next deployment.\n"
                     "[Unit]\n"
                     "Description=Harmony Fleet: fleet-agent\n"
                     "After=network.target\n"
                     "StartLimitIntervalSec=0\n"
                     "\n"
                     "[Service]\n"
                     "Type=exec\n"
                     "Restart=always\n"
                     "RestartSec=1\n"
                     "Environment=\"FLEET_LOG=debug\"\n"
                     "ExecStart=:\"/usr/local/bin/harmony-fleet-agent\" \"--config\" \"/etc/fleet agent/x.toml\"\n"
                     "\n"
                     "[Install]\n"
                     "WantedBy=multi-user.target\n"),
          "it is %s", text);
    return 0;
}

FLEET_TEST(service_unit, settings_replace_or_add)
{
    static const char *const argv[] = {"/bin/true", NULL};
    static const char *const settings[] = {"Type=notify", "WatchdogSec=30", "ReadWritePaths=/var/lib/fleet", NULL};
    const struct service_definition definition = {.name = "a", .argv = argv, .settings = settings};

    TRY(service_unit_check(&definition, err));
    cleanup_free char *text = service_unit_text(&definition);
    CHECK(strstr(text, "[Service]\nRestart=always\nRestartSec=1\nType=notify\nWatchdogSec=30\n"
                       "ReadWritePaths=/var/lib/fleet\nExecStart="),
          "it is %s", text);
    CHECK(!strstr(text, "Type=exec"), "both types are there: %s", text);
    return 0;
}

/* systemd.syntax(7): C's escapes in double quotes; systemd.unit(5): "%" begins a specifier. */
FLEET_TEST(service_unit, nothing_in_a_word_has_a_meaning)
{
    static const char *const argv[] = {"/opt/100%/run", "",         "a \"b\" \\c", "$HOME ${HOME}", "%n", ";", "x\ny\t",
                                       "\x01\xff",      "\xc3\xbc", NULL};
    static const char *const environment[] = {"A=%h $x \"y\"", NULL};
    const struct service_definition definition = {.name = "a", .argv = argv, .environment = environment};

    TRY(service_unit_check(&definition, err));
    cleanup_free char *text = service_unit_text(&definition);
    CHECK(strstr(text, "ExecStart=:\"/opt/100%%/run\" \"\" \"a \\\"b\\\" \\\\c\" \"$HOME ${HOME}\" \"%%n\" \";\" "
                       "\"x\\ny\\t\" \"\\x01\\xff\" \"\xc3\xbc\"\n"),
          "it is %s", text);
    CHECK(strstr(text, "Environment=\"A=%%h $x \\\"y\\\"\"\n"), "it is %s", text);
    return 0;
}

static int refused(struct service_definition definition, struct error *err)
{
    CHECK_FAILS(service_unit_check(&definition, err), general_error_domain, GENERAL_INVALID);
    return 0;
}

FLEET_TEST(service_unit, refuses_what_no_unit_can_say)
{
    static const char *const good[] = {"/bin/true", NULL};
    static const char *const programs[][2] = {{NULL}, {"true"}, {"/bin/"}, {"/bin/a\nb"}, {"/bin/\xff"}, {""}};
    static const char *const names[] = {NULL, "", "a b", "../x", "a.service", "-a", "\xc3\xbc"};
    static const char *const variables[][2] = {{"A"}, {"=x"}, {"1=x"}, {"A=\xff"}};
    static const char *const settings[][2] = {{"Type"}, {"=x"}, {"Type=a\nb"}, {"[Unit]"}, {"Type=a\\"}};

    for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
        TRY(refused((struct service_definition){.name = "a", .argv = programs[i]}, err));
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        TRY(refused((struct service_definition){.name = names[i], .argv = good}, err));
    for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
        TRY(refused((struct service_definition){.name = "a", .argv = good, .environment = variables[i]}, err));
    for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
        TRY(refused((struct service_definition){.name = "a", .argv = good, .settings = settings[i]}, err));
    TRY(refused((struct service_definition){.name = "a"}, err));
    return 0;
}
