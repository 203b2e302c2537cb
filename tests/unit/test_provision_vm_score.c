/* SPDX-License-Identifier: Apache-2.0 */
/* What is refused before anything is touched; the rest is tests/vm's. */
#include "deploy/provision_vm_score.h"

#include "base/file.h"
#include "base/text.h"
#include "deploy/hypervisor.h"
#include "harness/test.h"

static struct provision_vm_score usable(const char *directory, const char *image)
{
    return (struct provision_vm_score){
        .name = "vm-0",
        .machine = {.architecture = VM_AARCH64,
                    .accelerator = VM_TCG,
                    .memory_mib = 512,
                    .processors = 1,
                    .kernel = "/kernel",
                    .initrd = "/initrd"},
        .directory = directory,
        .image = image,
        .image_format = "raw",
        .network = "default",
        .private_key = "/key",
        .public_key = "ssh-ed25519 AAAA",
    };
}

FLEET_TEST(provision_vm_score, refuses_before_anything_is_touched)
{
    CLEANUP(hypervisor_free) struct hypervisor *hypervisor = NULL;
    const struct hypervisor_options options = {.uri = "test:///default"};
    struct topology topology = {.name = "nothing"};
    struct vm_provisioned provisioned = {0};
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    cleanup_free char *image = text_format("%s/image", run_directory(run));
    cleanup_free char *console = text_format("%s/" VM_CONSOLE_FILE, run_directory(run));
    TRY(file_write_atomic(image, "", 0, 0600, err));
    struct provision_vm_score score = usable(run_directory(run), image);
    CHECK_FAILS(provision_vm_score_interpret(&score, &topology, deadline_in_ms(1000), &provisioned, err),
                deploy_error_domain, DEPLOY_NO_CAPABILITY);
    TRY(hypervisor_open(&options, &hypervisor, err));
    topology.hypervisor = hypervisor;
    score.machine.memory_mib = 1;
    CHECK_FAILS(provision_vm_score_interpret(&score, &topology, deadline_in_ms(1000), &provisioned, err),
                deploy_error_domain, DEPLOY_INVALID_SCORE);
    score = usable(run_directory(run), "/nonexistent");
    CHECK_FAILS(provision_vm_score_interpret(&score, &topology, deadline_in_ms(1000), &provisioned, err),
                deploy_error_domain, DEPLOY_INVALID_SCORE);
    score = usable("relative", image);
    CHECK_FAILS(provision_vm_score_interpret(&score, &topology, deadline_in_ms(1000), &provisioned, err),
                deploy_error_domain, DEPLOY_INVALID_SCORE);
    score = usable(run_directory(run), image);
    score.image_format = "vmdk";
    CHECK_FAILS(provision_vm_score_interpret(&score, &topology, deadline_in_ms(1000), &provisioned, err),
                deploy_error_domain, DEPLOY_INVALID_SCORE);
    CHECK(!file_exists(console), "files were made");
    return 0;
}

/* The test driver's own domain "test" has nothing of ours. */
FLEET_TEST(provision_vm_score, another_domain_of_that_name_is_a_conflict)
{
    CLEANUP(hypervisor_free) struct hypervisor *hypervisor = NULL;
    const struct hypervisor_options options = {.uri = "test:///default"};
    struct topology topology = {.name = "libvirt's test driver"};
    struct vm_provisioned provisioned = {0};
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    TRY(hypervisor_open(&options, &hypervisor, err));
    topology.hypervisor = hypervisor;
    cleanup_free char *image = text_format("%s/image", run_directory(run));
    TRY(file_write_atomic(image, "", 0, 0600, err));
    struct provision_vm_score score = usable(run_directory(run), image);
    score.name = "test";
    CHECK_FAILS(provision_vm_score_interpret(&score, &topology, deadline_in_ms(1000), &provisioned, err),
                general_error_domain, GENERAL_CONFLICT);
    return 0;
}
