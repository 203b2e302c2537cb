/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/device_ssh.h"

#include <string.h>

#include "harness/test.h"

FLEET_TEST(device_ssh, trusts_the_record_and_nothing_else)
{
    char *command[] = {(char[]){"-v"}, (char[]){"uname"}, NULL};
    const struct device_record record = {
        .run_directory = (char[]){"/runs/a b"},
        .device = (char[]){"vm-00"},
        .address = (char[]){"192.168.122.10"},
        .user = (char[]){"fleet-admin"},
        .private_key = (char[]){"/keys/id"},
        .host_key = (char[]){"ssh-ed25519 AAAA"},
    };
    cleanup_text_list struct text_list words = {0};

    device_ssh_arguments(&record, "/usr/bin/ssh", command, &words);
    cleanup_free char *line = text_list_join(&words, "|");
    CHECK(text_starts_with(line, "/usr/bin/ssh|-F|none|-i|/keys/id|"), "%s", line);
    CHECK(text_ends_with(line, "|--|fleet-admin@192.168.122.10|-v|uname"), "%s", line);
    static const char *const options[] = {"StrictHostKeyChecking=yes",
                                          "IdentitiesOnly=yes",
                                          "PasswordAuthentication=no",
                                          "GlobalKnownHostsFile=/dev/null",
                                          "UserKnownHostsFile=\"/runs/a b/devices/vm-00.known_hosts\"",
                                          "HostKeyAlias=vm-00"};
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        cleanup_free char *word = text_format("-o%s", options[i]);
        CHECK(text_list_contains(&words, word), "no %s in %s", word, line);
    }
    return 0;
}

FLEET_TEST(device_ssh, without_a_command_there_is_a_login)
{
    char *command[] = {NULL};
    const struct device_record record = {
        .run_directory = (char[]){"/run"},
        .device = (char[]){"vm-00"},
        .address = (char[]){"10.0.0.1"},
        .user = (char[]){"fleet-admin"},
        .private_key = (char[]){"/keys/id"},
        .host_key = (char[]){"ssh-ed25519 AAAA"},
    };
    cleanup_text_list struct text_list words = {0};

    device_ssh_arguments(&record, "ssh", command, &words);
    CHECK(text_equal(words.items[words.count - 1], "fleet-admin@10.0.0.1"), "ends with %s",
          words.items[words.count - 1]);
    return 0;
}
