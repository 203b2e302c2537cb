/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/vm_snapshot.h"

#include <stdlib.h>

#include "base/file.h"
#include "deploy/provision_vm_score.h"
#include "deploy/vm_console.h"
#include "deploy/vm_disk.h"
#include "deploy/vm_seed.h"

static int save(const struct vm_snapshot_options *options, struct hypervisor *hypervisor, struct error *err)
{
    CLEANUP(domain_release) virDomainPtr domain = NULL;
    cleanup_free char *state = text_format("%s/" VM_SNAPSHOT_STATE, options->directory);
    bool changed = false;

    if (hypervisor_find_domain(hypervisor, options->name, &domain, err) < 0)
        return -1;
    if (!domain || virDomainSaveFlags(domain, state, NULL, VIR_DOMAIN_SAVE_RUNNING) < 0)
        return libvirt_failed(err, "saving domain", options->name);
    return hypervisor_remove_domain(hypervisor, options->name, &changed, err);
}

static int boot(const struct vm_domain *domain, struct hypervisor *hypervisor, struct error *err)
{
    cleanup_free char *definition = vm_domain_xml(domain);
    CLEANUP(domain_release)
    virDomainPtr defined = virDomainDefineXML(hypervisor_connection(hypervisor), definition);

    if (!defined)
        return libvirt_failed(err, "defining domain", domain->name);
    return virDomainCreate(defined) < 0 ? libvirt_failed(err, "starting domain", domain->name) : 0;
}

int vm_snapshot_make(const struct vm_snapshot_options *options, struct hypervisor *hypervisor, struct deadline deadline,
                     struct error *err)
{
    cleanup_free char *disk = text_format("%s/" VM_SNAPSHOT_DISK, options->directory);
    cleanup_free char *seed = text_format("%s/" VM_SEED_FILE, options->directory);
    cleanup_free char *console = text_format("%s/" VM_CONSOLE_FILE, options->directory);
    cleanup_free char *mac = vm_domain_mac(options->name);
    const struct vm_domain domain = {
        .name = options->name,
        .machine = options->machine,
        .disk = disk,
        .seed = seed,
        .console = console,
        .network = options->network,
        .mac = mac,
        .unplugged = true,
    };

    if (vm_domain_check(&domain, err) < 0 || vm_disk_make(disk, options->image, "raw", deadline, err) < 0 ||
        vm_seed_write(seed, NULL, err) < 0 || file_write_atomic(console, "", 0, 0600, err) < 0 ||
        boot(&domain, hypervisor, err) < 0 ||
        vm_console_wait(hypervisor, options->name, console, VM_CONSOLE_READY, deadline, err) < 0 ||
        save(options, hypervisor, err) < 0)
        return error_wrap(err, "making snapshot of", options->image);
    return 0;
}
