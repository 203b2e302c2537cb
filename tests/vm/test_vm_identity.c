/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "deploy/provision_vm_score.h"
#include "deploy/xml.h"
#include "tests/vm/vm_scenario.h"

#define CLOCK_MAX_MS 2000

/*
 * Devices that are restored from one saved state are one machine until each has been given an identity. One thing stays
 * the same: /proc/sys/kernel/random/boot_id. The kernel draws it once, when it is first read (systemd does, as it
 * starts), and lets nobody write it; restored devices are indeed the same boot. A reboot changes it, as it should.
 */

/** What tells a machine from others; asked in one command. */
static const char ask_facts[] = "nic=$(ip -o -4 address show to %s | awk '{print $2}');"
                                "echo machine-id=$(cat /etc/machine-id);"
                                "echo hostname=$(hostname);"
                                "echo mac=$(cat /sys/class/net/$nic/address);"
                                "echo host-key=$(cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub);"
                                "echo uuid=$(cat /proc/sys/kernel/random/uuid);"
                                "echo random=$(od -An -N16 -tx1 /dev/urandom | tr -d ' ')";
static const char *const different[] = {"machine-id", "hostname", "mac", "host-key", "uuid", "random"};

/** The value of "name=value" in lines of that. Caller frees; NULL: there is none. */
static char *fact(const char *facts, const char *name)
{
    cleanup_free char *begin = text_format("%s=", name);

    for (const char *line = facts; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        if (text_starts_with(line, begin))
            return text_copy_n(line + strlen(begin), strcspn(line, "\n") - strlen(begin));
    }
    return NULL;
}

static int facts_of(struct vm_device *device, char **ret, struct error *err)
{
    cleanup_free char *command = text_format(ask_facts, vm_device_address(device));

    return vm_device_shell(device, command, ret, err);
}

static int expect_different(const char *first, const char *second, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(different); i++) {
        cleanup_free char *a = fact(first, different[i]);
        cleanup_free char *b = fact(second, different[i]);

        CHECK(a && *a && b && *b, "a device has no %s", different[i]);
        CHECK(!text_equal(a, b), "both devices have the %s %s", different[i], a);
    }
    return 0;
}

static int expect_own(struct vm_device *device, const char *facts, struct error *err)
{
    cleanup_free char *hostname = fact(facts, "hostname");
    cleanup_free char *host_key = fact(facts, "host-key");
    cleanup_free char *machine_id = fact(facts, "machine-id");

    CHECK(text_equal(hostname, vm_device_domain(device)), "%s calls itself %s", vm_device_domain(device), hostname);
    CHECK(strstr(ssh_session_host_key(vm_device_session(device)), host_key),
          "sshd shows another key than its file has");
    CHECK(strlen(machine_id) == 32, "machine id %s", machine_id);
    return 0;
}

static int64_t clock_realtime_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int expect_right_clock(struct vm_device *device, struct error *err)
{
    cleanup_free char *answer = NULL;
    int64_t before_ms = clock_realtime_ms();

    TRY(vm_device_line(device, "date +%s%3N", &answer, err));
    int64_t clock_ms = strtoll(answer, NULL, 10);
    CHECK(clock_ms >= before_ms - CLOCK_MAX_MS && clock_ms <= clock_realtime_ms() + CLOCK_MAX_MS,
          "the clock of %s is off by %" PRId64 " ms", vm_device_domain(device), clock_ms - before_ms);
    return 0;
}

/** What is logged now is found, in a journal of the machine's own id. */
static int expect_journal(struct vm_device *device, struct error *err)
{
    char mark[17];
    cleanup_free char *found = NULL;
    cleanup_free char *own = NULL;

    text_random_hex(mark, sizeof(mark));
    cleanup_free char *command = text_format("systemd-cat --identifier=fleet-e2e echo %s; journalctl --sync; "
                                             "journalctl --quiet --identifier=fleet-e2e --output=cat | grep -c %s",
                                             mark, mark);
    TRY(vm_device_line(device, command, &found, err));
    CHECK(text_equal(found, "1"), "it is %s times in the journal", found);
    TRY(vm_device_line(device, "journalctl --header | grep -c \"Machine ID: $(cat /etc/machine-id)\"", &own, err));
    CHECK(strtol(own, NULL, 10) > 0, "no journal has the machine's id");
    return 0;
}

FLEET_TEST(vm_identity, devices_of_one_image_are_different_machines, .gate = "vm", VM_NEEDS)
{
    static const struct vm_device_options bare = {.without_agent = true};
    cleanup_vm_scenario struct vm_scenario scenario = {0};
    struct vm_device *second = NULL;
    cleanup_free char *facts = NULL;
    cleanup_free char *second_facts = NULL;

    TRY(vm_scenario_new(test, &scenario, err));
    TRY(vm_stack_add_device(scenario.stack, &bare, &second, err));
    TRY(expect_right_clock(second, err)); /* first: nobody has had the time to mend it */
    TRY(expect_right_clock(scenario.device, err));
    TRY(facts_of(scenario.device, &facts, err));
    TRY(facts_of(second, &second_facts, err));
    TRY(expect_different(facts, second_facts, err));
    CHECK(!text_equal(vm_device_address(scenario.device), vm_device_address(second)), "both devices are at %s",
          vm_device_address(second));
    TRY(expect_own(scenario.device, facts, err));
    TRY(expect_own(second, second_facts, err));
    TRY(expect_journal(scenario.device, err));
    TRY(expect_journal(second, err));
    return vm_scenario_finish(&scenario, err);
}

/** The definition as libvirt has it. Caller frees. */
static int definition_of(const struct hypervisor *hypervisor, const char *name, char **ret, struct error *err)
{
    CLEANUP(domain_release) virDomainPtr domain = NULL;

    if (hypervisor_find_domain(hypervisor, name, &domain, err) < 0)
        return -1;
    CHECK(domain != NULL, "there is no domain %s", name);
    *ret = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);
    return *ret ? 0 : libvirt_failed(err, "reading the definition of", name);
}

/** What a domain is made of, by its definition; the strings are owned. */
struct defined_machine {
    char *type, *architecture, *memory, *processors, *kernel, *initrd, *disk;
};

static void defined_machine_clear_at_exit(struct defined_machine *machine)
{
    free(machine->type);
    free(machine->architecture);
    free(machine->memory);
    free(machine->processors);
    free(machine->kernel);
    free(machine->initrd);
    free(machine->disk);
}
#define cleanup_defined_machine __attribute__((cleanup(defined_machine_clear_at_exit)))

static int read_machine(const char *definition, struct defined_machine *ret, struct error *err)
{
    const struct {
        const char *expression;
        char **ret;
    } members[] = {
        {"string(/domain/@type)", &ret->type},
        {"string(/domain/os/type/@arch)", &ret->architecture},
        {"string(/domain/memory)", &ret->memory},
        {"string(/domain/vcpu)", &ret->processors},
        {"string(/domain/os/kernel)", &ret->kernel},
        {"string(/domain/os/initrd)", &ret->initrd},
        {"string(/domain/devices/disk[target/@dev='vda']/source/@file)", &ret->disk},
    };

    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        if (xml_text(definition, members[i].expression, members[i].ret, err) < 0)
            return -1;
        CHECK(**members[i].ret, "the definition has no %s", members[i].expression);
    }
    return 0;
}

/** Ask for the very same machine with `more` MiB of memory. */
static int provision_with_more_memory(struct vm_scenario *scenario, const struct defined_machine *machine, int more,
                                      struct error *err)
{
    cleanup_free char *disk = text_copy(machine->disk);
    const char *directory = dirname(disk);
    struct vm_provisioned provisioned = {0};
    const struct provision_vm_score score = {
        .name = vm_device_domain(scenario->device),
        .machine =
            {
                .architecture = machine->architecture,
                .accelerator = text_equal(machine->type, VM_KVM) ? VM_KVM : VM_TCG,
                .memory_mib = (int)(strtol(machine->memory, NULL, 10) / 1024) + more,
                .processors = (int)strtol(machine->processors, NULL, 10),
                .kernel = machine->kernel,
                .initrd = machine->initrd,
            },
        .directory = directory,
        .image = machine->disk,
        .image_format = "qcow2",
        .network = VM_NETWORK,
        .private_key = machine->disk, /* nobody gets as far as that */
        .public_key = "ssh-ed25519 AAAA",
    };
    struct topology topology = {.name = "test", .hypervisor = vm_host_hypervisor(vm_stack_host(scenario->stack))};

    int result = provision_vm_score_interpret(&score, &topology, deadline_in_ms(VM_STEP_MS), &provisioned, err);
    vm_provisioned_clear(&provisioned);
    return result;
}

FLEET_TEST(vm_identity, provisioning_again_is_a_no_op_or_a_conflict, .gate = "vm", VM_NEEDS)
{
    cleanup_vm_scenario struct vm_scenario scenario = {0};
    cleanup_defined_machine struct defined_machine machine = {0};
    cleanup_free char *before = NULL;
    cleanup_free char *after = NULL;
    cleanup_free char *alive = NULL;
    cleanup_error struct error conflict = ERROR_INIT;
    bool changed = true;

    TRY(vm_scenario_new(test, &scenario, err));
    TRY(vm_device_provision(scenario.device, &changed, err));
    CHECK(!changed, "provisioning a machine that is there changed something");

    const struct hypervisor *hypervisor = vm_host_hypervisor(vm_stack_host(scenario.stack));
    TRY(definition_of(hypervisor, vm_device_domain(scenario.device), &before, err));
    TRY(read_machine(before, &machine, err));
    int result = provision_with_more_memory(&scenario, &machine, 256, &conflict);
    CHECK(result < 0, "another machine of that name was taken for it");
    const char *detail = error_root_detail(&conflict);
    CHECK(error_is(&conflict, &general_error_domain, GENERAL_CONFLICT), "it failed otherwise: %s", detail);
    CHECK(strstr(detail, "memory is \"") && !strstr(detail, "; "), "the conflict is not about memory alone: %s",
          detail);
    TRY(definition_of(hypervisor, vm_device_domain(scenario.device), &after, err));
    CHECK(text_equal(before, after), "the domain's definition was changed to %s", after);
    TRY(vm_device_line(scenario.device, "echo alive", &alive, err));
    CHECK(text_equal(alive, "alive"), "the device says %s", alive);
    return vm_scenario_finish(&scenario, err);
}
