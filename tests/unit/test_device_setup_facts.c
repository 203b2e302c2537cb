/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/device_setup_facts.h"

#include <string.h>

#include "harness/test.h"

static int parse(const char *answer, struct device_facts *ret, struct error *err)
{
    return device_facts_parse(answer, strlen(answer), ret, err);
}

#define DIGEST "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

FLEET_TEST(device_setup_facts, reads_a_whole_answer)
{
    cleanup_device_facts struct device_facts facts = {0};

    TRY(parse("machine aarch64\n"
              "dpkg arm64\n"
              "package ii podman arm64\n"
              "package ii iptables all\n"
              "package ii libcurl4 armhf\n"
              "package rc old arm64\n"
              "package un never \n"
              "package hi libstdc++6 arm64\n"
              "home /srv/fleet admin\n"
              "program 755 0 0 " DIGEST "  -\n"
              "MainPID=0\nId=podman.socket\nActiveState=active\nUnitFileState=enabled\n"
              "\n"
              "MainPID=42\nId=fleet-agent.service\nActiveState=inactive\nUnitFileState=disabled\n"
              "FLEET_DEPLOYMENT=0123=\n"
              "other /etc/fleet-agent/nats-password\n"
              "file 644 0 0 8 /etc/hosts\n"
              "file 600 1000 0 0 /srv/fleet admin/.ssh/authorized_keys\n"
              "contents\n"
              "machine\n",
              &facts, err));
    cleanup_free char *packages = text_list_join(&facts.packages, " ");
    CHECK(text_equal(packages, "podman iptables libstdc++6") && !facts.packages_broken_off, "packages: %s", packages);
    CHECK(text_equal(facts.machine, "aarch64") && text_equal(facts.package_machine, "arm64"), "it is %s",
          facts.machine);
    CHECK(text_equal(facts.admin_home, "/srv/fleet admin"), "home is %s", facts.admin_home);
    CHECK(text_equal(facts.program_digest, DIGEST), "digest %s", facts.program_digest);
    CHECK(facts.socket_ready && text_equal(facts.deployment, "0123="), "deployment %s", facts.deployment);
    const struct device_file *hosts = device_facts_file(&facts, "/etc/hosts");
    CHECK(device_file_is(hosts, "machine\n", 8, 0644), "hosts are not read");
    CHECK(!device_file_is(hosts, "machine\n", 8, 0600) && !device_file_is(hosts, "Machine\n", 8, 0644) &&
              !device_file_is(hosts, "machine", 7, 0644) && !device_file_is(NULL, "", 0, 0644),
          "other files are the same");
    const struct device_file *keys = device_facts_file(&facts, "/srv/fleet admin/.ssh/authorized_keys");
    CHECK(keys && keys->regular && keys->size == 0 && text_equal(keys->data, "") && !keys->of_root, "no keys");
    const struct device_file *password = device_facts_file(&facts, "/etc/fleet-agent/nats-password");
    CHECK(password && !password->regular && !device_file_is(password, "", 0, 0), "a link is a file");
    CHECK(!device_facts_file(&facts, "/etc/passwd"), "a file nobody spoke of");
    return 0;
}

FLEET_TEST(device_setup_facts, a_bare_machine_has_none)
{
    cleanup_device_facts struct device_facts facts = {0};

    TRY(parse("machine x86_64\n\ncontents\n", &facts, err));
    CHECK(!facts.package_machine && !facts.admin_home && !facts.socket_ready && !facts.deployment &&
              !*facts.program_digest && facts.packages.count == 0 && facts.file_count == 0,
          "facts out of nowhere");
    return 0;
}

FLEET_TEST(device_setup_facts, a_program_as_it_should_not_be_is_none)
{
    static const char *const programs[] = {"program 775 0 0 " DIGEST "  -\n", "program 755 1 0 " DIGEST "  -\n",
                                           "program 755 0 1 " DIGEST "  -\n"};

    for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
        cleanup_device_facts struct device_facts facts = {0};
        cleanup_free char *answer = text_format("machine x86_64\n%scontents\n", programs[i]);

        TRY(parse(answer, &facts, err));
        CHECK(!*facts.program_digest, "%s", programs[i]);
    }
    return 0;
}

FLEET_TEST(device_setup_facts, sees_that_packages_were_broken_off)
{
    static const char *const signs[] = {"package iF podman arm64\n", "package iU crun arm64\n",
                                        "package iHRcrun arm64\n",   "package it libc-bin arm64\n",
                                        "package iW man-db arm64\n", "broken-off\n"};

    for (size_t i = 0; i < ARRAY_SIZE(signs); i++) {
        cleanup_device_facts struct device_facts facts = {0};
        cleanup_free char *answer = text_format("machine aarch64\ndpkg arm64\n%scontents\n", signs[i]);

        TRY(parse(answer, &facts, err));
        CHECK(facts.packages_broken_off, "not by: %s", signs[i]);
        CHECK(!text_list_contains(&facts.packages, "crun") || i == 1, "to be unpacked again: %s", signs[i]);
    }
    return 0;
}

FLEET_TEST(device_setup_facts, refuses_answers_that_make_no_sense)
{
    static const char *const answers[] = {
        "",
        "machine aarch64\n",
        "contents\n",
        "machine aarch64\ncontents",
        "machine aarch64\nwhat is this\ncontents\n",
        "machine aarch64\npackage\ncontents\n",
        "machine aarch64\nfile 644 0 0 2 /etc/hosts\ncontents\na",
        "machine aarch64\nfile 644 0 0 2 /etc/hosts\ncontents\nabc",
        "machine aarch64\nfile 644 0 0\ncontents\n",
        "machine aarch64\nfile 644 0 0 99999999999999999999999 /etc/hosts\ncontents\nabc",
    };

    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        cleanup_device_facts struct device_facts facts = {0};

        CHECK_FAILS(parse(answers[i], &facts, err), general_error_domain, GENERAL_FAILED);
        CHECK(!facts.machine && facts.file_count == 0, "it was changed by: %s", answers[i]);
    }
    return 0;
}
