/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/ssh_known_hosts.h"

#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "deploy/ssh_session.h"
#include "harness/test.h"

DEFINE_CLEANUP(ssh_key, ssh_key_free)

#define KEY_A "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAID/4qEpYm+9//OBa07TgyxA0sbMA1LSxjEUB+VUaEvfF"
#define KEY_B "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAID09J68rPUkl+v35/RF9S8ip6aYcy6QfS0MTfoZWDhLL"

static int generate(ssh_key *ret, struct error *err)
{
    CHECK(ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, ret) == SSH_OK, "no key");
    return 0;
}

FLEET_TEST(ssh_known_hosts, a_key_is_what_its_text_says)
{
    CLEANUP(ssh_key_free) ssh_key key = NULL;
    CLEANUP(ssh_key_free) ssh_key other = NULL;
    cleanup_ssh_pins struct ssh_pins pins = {0};

    TRY(generate(&key, err));
    TRY(generate(&other, err));
    cleanup_free char *text = ssh_host_key_text(key);
    cleanup_free char *commented = text_format("%s somebody's machine\n", text);
    cleanup_free char *shown = ssh_host_key_fingerprint(key);
    TRY(ssh_pins_parse(commented, &pins, err));
    CHECK(ssh_pins_have(&pins, key) && !ssh_pins_have(&pins, other), "it is another key");
    CHECK(text_starts_with(shown, "SHA256:") && strlen(shown) == 50, "it is shown as %s", shown);
    ssh_pins_clear(&pins);
    CHECK_FAILS(ssh_pins_parse("ssh-ed25519", &pins, err), general_error_domain, GENERAL_INVALID);
    CHECK_FAILS(ssh_pins_parse("ssh-ed25519 nonsense", &pins, err), general_error_domain, GENERAL_INVALID);
    CHECK_FAILS(ssh_pins_parse("", &pins, err), general_error_domain, GENERAL_INVALID);
    return 0;
}

FLEET_TEST(ssh_known_hosts, what_was_added_is_found)
{
    struct run *run = NULL;
    CLEANUP(ssh_key_free) ssh_key key = NULL;
    CLEANUP(ssh_key_free) ssh_key other = NULL;
    cleanup_ssh_pins struct ssh_pins pins = {0};
    struct stat status = {0};

    TRY(test_run(test, &run, err));
    TRY(generate(&key, err));
    TRY(generate(&other, err));
    cleanup_free char *path = text_format("%s/known_hosts", run_directory(run));
    TRY(ssh_pins_read(path, "10.0.0.1", SSH_PORT, &pins, err));
    CHECK(pins.count == 0, "%zu keys out of nowhere", pins.count);
    TRY(file_write_atomic(path, "# a comment without its newline", 31, 0600, err));
    TRY(ssh_known_hosts_add(path, "10.0.0.1", SSH_PORT, key, err));
    TRY(ssh_known_hosts_add(path, "10.0.0.1", 2222, other, err));
    TRY(ssh_pins_read(path, "10.0.0.1", SSH_PORT, &pins, err));
    CHECK(pins.count == 1 && ssh_pins_have(&pins, key), "%zu keys on port 22", pins.count);
    ssh_pins_clear(&pins);
    TRY(ssh_pins_read(path, "10.0.0.1", 2222, &pins, err));
    CHECK(pins.count == 1 && ssh_pins_have(&pins, other), "%zu keys on port 2222", pins.count);
    ssh_pins_clear(&pins);
    TRY(ssh_pins_read(path, "10.0.0.2", SSH_PORT, &pins, err));
    CHECK(pins.count == 0, "%zu keys of another host", pins.count);
    CHECK(stat(path, &status) == 0 && (status.st_mode & 07777) == 0600, "mode %o", status.st_mode);
    return 0;
}

/* A file of ssh(1): several names a line, hashed ones, lines nobody understands. */
FLEET_TEST(ssh_known_hosts, reads_files_of_ssh)
{
    static const char text[] = "\n# comment\nnonsense\npi-01,10.0.0.7 " KEY_A " comment\r\n"
                               "pi-02 no-such-type AAAA\n[pi-01]:2200 " KEY_B "\n@revoked pi-01 " KEY_B "\n";
    struct run *run = NULL;
    cleanup_ssh_pins struct ssh_pins by_name = {0};
    cleanup_ssh_pins struct ssh_pins by_address = {0};
    cleanup_ssh_pins struct ssh_pins by_port = {0};
    cleanup_ssh_pins struct ssh_pins unreadable = {0};

    TRY(test_run(test, &run, err));
    cleanup_free char *path = text_format("%s/known_hosts", run_directory(run));
    TRY(file_write_atomic(path, text, strlen(text), 0600, err));
    TRY(ssh_pins_read(path, "pi-01", SSH_PORT, &by_name, err));
    TRY(ssh_pins_read(path, "10.0.0.7", SSH_PORT, &by_address, err));
    TRY(ssh_pins_read(path, "pi-01", 2200, &by_port, err));
    TRY(ssh_pins_read(path, "pi-02", SSH_PORT, &unreadable, err));
    CHECK(by_name.count == 1 && by_address.count == 1 && by_port.count == 1 && unreadable.count == 0,
          "%zu, %zu, %zu, %zu keys", by_name.count, by_address.count, by_port.count, unreadable.count);
    CHECK(ssh_pins_have(&by_name, by_address.keys[0]) && !ssh_pins_have(&by_name, by_port.keys[0]), "wrong keys");
    return 0;
}

/* The host is asked for the key that is known: else one with several keys would seem to be another host. */
FLEET_TEST(ssh_known_hosts, known_key_types_come_first)
{
    CLEANUP(ssh_key_free) ssh_key key = NULL;
    cleanup_ssh_pins struct ssh_pins pins = {0};
    cleanup_free char *usual = ssh_pins_algorithms(&pins);

    CHECK(text_starts_with(usual, "ssh-ed25519,") && text_ends_with(usual, ",rsa-sha2-512,rsa-sha2-256"), "it is %s",
          usual);
    CHECK(ssh_pki_generate(SSH_KEYTYPE_RSA, 2048, &key) == SSH_OK, "no key");
    cleanup_free char *text = ssh_host_key_text(key);
    TRY(ssh_pins_parse(text, &pins, err));
    cleanup_free char *rsa = ssh_pins_algorithms(&pins);
    CHECK(text_starts_with(rsa, "rsa-sha2-512,rsa-sha2-256,ssh-ed25519,"), "it is %s", rsa);
    CHECK(strlen(rsa) == strlen(usual), "it is %s", rsa);
    return 0;
}
