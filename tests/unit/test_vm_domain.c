/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/vm_domain.h"

#include <libvirt/libvirt.h>
#include <string.h>

#include "deploy/hypervisor.h"
#include "deploy/xml.h"
#include "harness/test.h"

/** A usable one, for tests to spoil. */
static struct vm_domain usable(const char *architecture)
{
    return (struct vm_domain){
        .name = "fleet-e2e-vm-1a2b3c4d-0",
        .machine = {.architecture = architecture,
                    .accelerator = VM_TCG,
                    .memory_mib = 512,
                    .processors = 2,
                    .kernel = "/cache/a&b/kernel",
                    .initrd = "/cache/initrd"},
        .disk = "/run's/disk.qcow2",
        .seed = "/run/seed.img",
        .console = "/run/<console>.log",
        .network = "default",
        .mac = "52:54:00:01:02:03",
    };
}

static int check_text(const char *xml, const char *expression, const char *expected, struct error *err)
{
    cleanup_free char *found = NULL;

    TRY(xml_text(xml, expression, &found, err));
    CHECK(text_equal(found, expected), "%s is \"%s\", not \"%s\"", expression, found, expected);
    return 0;
}

FLEET_TEST(vm_domain, says_what_was_asked_for)
{
    struct vm_domain domain = usable(VM_AARCH64);
    cleanup_free char *xml = vm_domain_xml(&domain);

    TRY(check_text(xml, "string(/domain/@type)", "qemu", err));
    TRY(check_text(xml, "string(/domain/name)", domain.name, err));
    TRY(check_text(xml, "string(/domain/memory)", "524288", err));
    TRY(check_text(xml, "string(/domain/os/type/@arch)", "aarch64", err));
    TRY(check_text(xml, "string(/domain/os/kernel)", domain.machine.kernel, err));
    TRY(check_text(xml, "string(//disk[1]/source/@file)", domain.disk, err));
    TRY(check_text(xml, "string(//disk[2]/serial)", VM_SEED_SERIAL, err));
    TRY(check_text(xml, "string(//serial/source/@path)", domain.console, err));
    TRY(check_text(xml, "string(//interface/link/@state)", "up", err));
    domain.unplugged = true;
    domain.machine.accelerator = VM_KVM;
    cleanup_free char *other = vm_domain_xml(&domain);
    TRY(check_text(other, "string(/domain/@type)", "kvm", err));
    TRY(check_text(other, "string(//interface/link/@state)", "down", err));
    return 0;
}

FLEET_TEST(vm_domain, refuses_what_cannot_be_and_names_it)
{
    static const char *const names[] = {NULL, "", "-a", "a-", "A", "a.b", "a b"};
    struct vm_domain domain;

    domain = usable(VM_X86_64);
    TRY(vm_domain_check(&domain, err));
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        domain = usable(VM_X86_64);
        domain.name = names[i];
        CHECK_FAILS(vm_domain_check(&domain, err), general_error_domain, GENERAL_INVALID);
    }
    domain = usable("riscv64");
    CHECK_FAILS(vm_domain_check(&domain, err), general_error_domain, GENERAL_INVALID);
    domain = usable(VM_X86_64);
    domain.machine.memory_mib = 16;
    CHECK_FAILS(vm_domain_check(&domain, err), general_error_domain, GENERAL_INVALID);
    domain = usable(VM_X86_64);
    domain.machine.processors = 0;
    CHECK_FAILS(vm_domain_check(&domain, err), general_error_domain, GENERAL_INVALID);
    domain = usable(VM_X86_64);
    domain.disk = "relative";
    CHECK_FAILS(vm_domain_check(&domain, err), general_error_domain, GENERAL_INVALID);
    domain = usable(VM_X86_64);
    domain.mac = "52:54:00:01:02:0G";
    CHECK_FAILS(vm_domain_check(&domain, err), general_error_domain, GENERAL_INVALID);
    return 0;
}

FLEET_TEST(vm_domain, differences_are_named)
{
    struct vm_domain domain = usable(VM_AARCH64);
    cleanup_free char *wanted = vm_domain_xml(&domain);
    cleanup_text_buffer struct text_buffer differences = {0};

    TRY(vm_domain_differences(wanted, wanted, &differences, err));
    CHECK(differences.size == 0, "%s", text_buffer_text(&differences));
    domain.machine.memory_mib = 768;
    domain.machine.processors = 4;
    cleanup_free char *existing = vm_domain_xml(&domain);
    TRY(vm_domain_differences(existing, wanted, &differences, err));
    CHECK(text_equal(text_buffer_text(&differences),
                     "memory is \"786432 KiB\", not \"524288 KiB\"; number of processors is \"4\", not \"2\""),
          "%s", text_buffer_text(&differences));
    return 0;
}

FLEET_TEST(vm_domain, mac_derives_from_the_name)
{
    cleanup_free char *first = vm_domain_mac("fleet-e2e-vm-1a2b3c4d-0");
    cleanup_free char *second = vm_domain_mac("fleet-e2e-vm-1a2b3c4d-1");
    cleanup_free char *again = vm_domain_mac("fleet-e2e-vm-1a2b3c4d-0");

    CHECK(text_starts_with(first, "52:54:00:") && strlen(first) == 17, "it is %s", first);
    CHECK(!text_equal(first, second), "two names, one address: %s", first);
    CHECK(text_equal(first, again), "%s, then %s", first, again);
    return 0;
}
