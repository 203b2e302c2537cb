/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/vm_domain.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/xml.h"

#define KIB_PER_MIB    1024
#define MEMORY_MIN_MIB 256
#define PROCESSORS_MAX 64
#define NAME_SIZE_MAX  63 /* it is the guest's hostname too: RFC 1123 */
#define NAME_BYTES     "abcdefghijklmnopqrstuvwxyz0123456789-"
#define MAC_BYTES      "0123456789abcdef:"
#define MAC_SIZE       17

/** What an architecture's machine is made of. */
struct platform {
    const char *architecture;
    const char *machine;
    const char *console; /**< the kernel's name for the serial console */
    const char *features;
    const char *emulated_cpu;       /**< the oldest one that devices in the field have */
    const char *emulated_arguments; /**< for the kernel: what protects one process of a real processor from another */
};

static const struct platform platforms[] = {
    {VM_AARCH64, "virt", "ttyAMA0", "<gic version='3'/>", "cortex-a72", "mitigations=off kpti=off nokaslr"},
    {VM_X86_64, "q35", "ttyS0", "<acpi/><apic/>", "qemu64", "mitigations=off nokaslr"},
};

static const struct platform *find_platform(const char *architecture)
{
    for (size_t i = 0; i < ARRAY_SIZE(platforms); i++) {
        if (text_equal(platforms[i].architecture, architecture))
            return &platforms[i];
    }
    return NULL;
}

static int refuse(struct error *err, const char *field, const char *value, const char *why)
{
    return error_set(err, &general_error_domain, GENERAL_INVALID, "checking virtual machine's", field, "\"%s\" %s",
                     value ? value : "", why);
}

static int check_path(const char *field, const char *path, struct error *err)
{
    if (!path || path[0] != '/' || text_has_control(path))
        return refuse(err, field, path, "is no absolute path");
    return 0;
}

static int check_machine(const struct vm_machine *machine, struct error *err)
{
    if (!find_platform(machine->architecture))
        return refuse(err, "architecture", machine->architecture, "is neither " VM_AARCH64 " nor " VM_X86_64);
    if (!text_equal(machine->accelerator, VM_TCG) && !text_equal(machine->accelerator, VM_KVM))
        return refuse(err, "accelerator", machine->accelerator, "is neither " VM_TCG " nor " VM_KVM);
    if (machine->memory_mib < MEMORY_MIN_MIB)
        return error_set(err, &general_error_domain, GENERAL_INVALID, "checking virtual machine's", "memory",
                         "%d MiB are less than %d MiB", machine->memory_mib, MEMORY_MIN_MIB);
    if (machine->processors < 1 || machine->processors > PROCESSORS_MAX)
        return error_set(err, &general_error_domain, GENERAL_INVALID, "checking virtual machine's", "processors",
                         "%d is not 1 to %d", machine->processors, PROCESSORS_MAX);
    if (check_path("kernel", machine->kernel, err) < 0)
        return -1;
    return check_path("initrd", machine->initrd, err);
}

int vm_domain_check(const struct vm_domain *domain, struct error *err)
{
    size_t size = domain->name ? strlen(domain->name) : 0;

    if (size < 1 || size > NAME_SIZE_MAX || strspn(domain->name, NAME_BYTES) != size || domain->name[0] == '-' ||
        domain->name[size - 1] == '-')
        return refuse(err, "name", domain->name, "is no host name of 1 to 63 of a-z, 0-9 and '-'");
    if (check_machine(&domain->machine, err) < 0 || check_path("disk", domain->disk, err) < 0 ||
        check_path("seed", domain->seed, err) < 0 || check_path("console", domain->console, err) < 0)
        return -1;
    if (!domain->network || !*domain->network || text_has_control(domain->network))
        return refuse(err, "network", domain->network, "is no name");
    if (!domain->mac || strlen(domain->mac) != MAC_SIZE || strspn(domain->mac, MAC_BYTES) != MAC_SIZE)
        return refuse(err, "mac", domain->mac, "is no MAC address in lower case");
    return 0;
}

/* The definition */

static void add_value(struct text_buffer *xml, const char *before, const char *value, const char *after)
{
    text_buffer_add(xml, before);
    xml_add_escaped(xml, value);
    text_buffer_add(xml, after);
}

static void add_boot(struct text_buffer *xml, const struct vm_machine *machine, const struct platform *platform)
{
    text_buffer_format(xml, "<os><type arch='%s' machine='%s'>hvm</type>", platform->architecture, platform->machine);
    add_value(xml, "<kernel>", machine->kernel, "</kernel>");
    add_value(xml, "<initrd>", machine->initrd, "</initrd>");
    text_buffer_format(xml, "<cmdline>console=%s quiet loglevel=3", platform->console);
    if (text_equal(machine->accelerator, VM_TCG))
        text_buffer_format(xml, " %s", platform->emulated_arguments);
    if (machine->kernel_arguments)
        add_value(xml, " ", machine->kernel_arguments, "");
    text_buffer_add(xml, "</cmdline></os>");
}

static void add_processor(struct text_buffer *xml, const struct vm_machine *machine, const struct platform *platform)
{
    text_buffer_format(xml, "<features>%s</features>", platform->features);
    if (text_equal(machine->accelerator, VM_KVM))
        text_buffer_add(xml, "<cpu mode='host-passthrough'/>");
    else
        text_buffer_format(xml, "<cpu mode='custom' match='exact'><model fallback='forbid'>%s</model></cpu>",
                           platform->emulated_cpu);
}

static void add_disks(struct text_buffer *xml, const struct vm_domain *domain)
{
    /* unsafe: nothing of a test's disk has to survive the machine it runs on. */
    text_buffer_add(xml, "<disk type='file' device='disk'>"
                         "<driver name='qemu' type='qcow2' cache='unsafe' discard='unmap'/>");
    add_value(xml, "<source file='", domain->disk, "'/><target dev='vda' bus='virtio'/></disk>");
    text_buffer_add(xml, "<disk type='file' device='disk'><driver name='qemu' type='raw'/>");
    add_value(xml, "<source file='", domain->seed, "'/><target dev='vdb' bus='virtio'/>");
    text_buffer_add(xml, "<serial>" VM_SEED_SERIAL "</serial></disk>");
}

static void add_interface(struct text_buffer *xml, const struct vm_domain *domain)
{
    text_buffer_format(xml, "<interface type='network'><mac address='%s'/>", domain->mac);
    add_value(xml, "<source network='", domain->network, "'/><model type='virtio'/>");
    text_buffer_format(xml, "<link state='%s'/><rom enabled='no'/></interface>", domain->unplugged ? "down" : "up");
}

static void add_console(struct text_buffer *xml, const struct vm_domain *domain)
{
    add_value(xml, "<serial type='file'><source path='", domain->console, "' append='on'/><target port='0'/></serial>");
    add_value(xml, "<console type='file'><source path='", domain->console,
              "' append='on'/><target type='serial' port='0'/></console>");
}

char *vm_domain_xml(const struct vm_domain *domain)
{
    const struct vm_machine *machine = &domain->machine;
    const struct platform *platform = find_platform(machine->architecture);
    struct text_buffer xml = {0};

    text_buffer_format(&xml, "<domain type='%s'>", text_equal(machine->accelerator, VM_KVM) ? "kvm" : "qemu");
    add_value(&xml, "<name>", domain->name, "</name>");
    text_buffer_format(&xml, "<memory unit='KiB'>%ld</memory><vcpu>%d</vcpu>", (long)machine->memory_mib * KIB_PER_MIB,
                       machine->processors);
    add_boot(&xml, machine, platform);
    add_processor(&xml, machine, platform);
    text_buffer_add(&xml, "<clock offset='utc'/><on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot>"
                          "<on_crash>destroy</on_crash><devices>");
    add_disks(&xml, domain);
    add_interface(&xml, domain);
    add_console(&xml, domain);
    text_buffer_add(&xml, "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"
                          "<controller type='usb' model='none'/><memballoon model='none'/>"
                          "<video><model type='none'/></video></devices></domain>");
    return text_buffer_take(&xml);
}

/* Comparing */

static const struct {
    const char *name;
    const char *expression;
    const char *unit;
} properties[] = {
    {"hypervisor", "string(/domain/@type)", ""},
    {"architecture", "string(/domain/os/type/@arch)", ""},
    {"memory", "string(/domain/memory)", " KiB"},
    {"number of processors", "string(/domain/vcpu)", ""},
    {"kernel", "string(/domain/os/kernel)", ""},
    {"initrd", "string(/domain/os/initrd)", ""},
    {"kernel command line", "string(/domain/os/cmdline)", ""},
    {"disk", "string(/domain/devices/disk[target/@dev='vda']/source/@file)", ""},
    {"seed", "string(/domain/devices/disk[target/@dev='vdb']/source/@file)", ""},
    {"console", "string(/domain/devices/serial/source/@path)", ""},
    {"network", "string(/domain/devices/interface/source/@network)", ""},
    {"MAC address", "string(/domain/devices/interface/mac/@address)", ""},
};

int vm_domain_differences(const char *existing, const char *wanted, struct text_buffer *ret, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(properties); i++) {
        cleanup_free char *is = NULL;
        cleanup_free char *should_be = NULL;

        if (xml_text(existing, properties[i].expression, &is, err) < 0 ||
            xml_text(wanted, properties[i].expression, &should_be, err) < 0)
            return -1;
        if (!text_equal(is, should_be))
            text_buffer_format(ret, "%s%s is \"%s%s\", not \"%s%s\"", ret->size > 0 ? "; " : "", properties[i].name, is,
                               properties[i].unit, should_be, properties[i].unit);
    }
    return 0;
}

char *vm_domain_mac(const char *name)
{
    uint32_t hash = 2166136261u; /* FNV-1a, 32 bits: http://www.isthe.com/chongo/tech/comp/fnv/ */

    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    return text_format("52:54:00:%02x:%02x:%02x", hash >> 16 & 0xff, hash >> 8 & 0xff, hash & 0xff);
}
