/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restores that are broken off: whoever began is gone, the domain stays. The next provisioning makes a device of it,
 * wherever the former one stood.
 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "deploy/xml.h"
#include "fixtures/vm_device_model.h"
#include "tests/vm/vm_scenario.h"

#define PROVISION_MS 500000 /* an emulated boot on a busy machine */
#define LINK_STATE   "string(/domain/devices/interface/link/@state)"

/** A machine that is nobody yet, and what provisioning it did last. */
struct broken_off {
    struct vm_stack *stack;
    struct vm_device *device;       /**< of the stack, not brought up by it */
    const char *hide_console_at;    /**< the step at whose beginning the console's file is taken away; NULL: none */
    struct text_list steps;         /**< in the order in which they began */
    struct score_observer observer; /**< its context is this struct, which must not move */
    struct vm_provisioned provisioned;
};

static void broken_off_clear_at_exit(struct broken_off *scene)
{
    vm_provisioned_clear(&scene->provisioned);
    text_list_clear(&scene->steps);
    vm_stack_free(scene->stack);
}
#define cleanup_broken_off __attribute__((cleanup(broken_off_clear_at_exit)))

/** Renaming is all: QEMU has the file open and writes on. */
static void rename_console(const struct broken_off *scene, bool hide)
{
    cleanup_free char *console = text_format("%s/" VM_CONSOLE_FILE, scene->device->directory);
    cleanup_free char *hidden = text_format("%s.hidden", console);

    if (rename(hide ? console : hidden, hide ? hidden : console) < 0)
        perror("renaming the console's file");
}

static void on_step_begin(void *context, const char *step)
{
    struct broken_off *scene = context;

    text_list_add(&scene->steps, step);
    if (text_equal(step, scene->hide_console_at))
        rename_console(scene, true);
}

static void on_step_end(void *context __attribute__((unused)), const char *step __attribute__((unused)),
                        bool changed __attribute__((unused)))
{
}

static int journal(const struct vm_device *device, struct error *err)
{
    static const char *const files[] = {VM_DISK_FILE, VM_SEED_FILE, VM_SAVED_STATE_FILE};

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        cleanup_free char *path = text_format("%s/%s", device->directory, files[i]);
        TRY(run_journal(device->run, RESOURCE_VOLUME, path, err));
    }
    TRY(run_journal(device->run, RESOURCE_DOMAIN, device->journalled, err));
    return directory_create(device->directory, 0700, err);
}

static int broken_off_new(struct test_context *test, struct broken_off *scene, struct error *err)
{
    static const struct vm_device_options restored = {.base = "snapshot", .without_agent = true};
    struct run *run = NULL;

    scene->observer = (struct score_observer){on_step_begin, on_step_end, NULL, scene};
    TRY(test_run(test, &run, err));
    TRY(vm_stack_shared(test, &scene->stack, err));
    TRY(vm_device_new(scene->stack, run, &restored, &scene->device, err));
    TRY(vm_device_prepare(scene->device, deadline_in_ms(PROVISION_MS), err));
    return journal(scene->device, err);
}

static int provision(struct broken_off *scene, const char *saved_state, struct error *err)
{
    const struct vm_device *device = scene->device;
    const struct provision_vm_score score = {
        .name = device->domain,
        .machine = device->machine,
        .directory = device->directory,
        .image = device->snapshot.disk,
        .image_format = "qcow2",
        .saved_state = saved_state,
        .network = VM_NETWORK,
        .private_key = device->stack->admin_key.private_key,
        .public_key = device->stack->admin_key.public_key,
    };
    struct topology topology = {
        .name = device->domain,
        .hypervisor = vm_host_hypervisor(vm_stack_host(scene->stack)),
        .observer = &scene->observer,
    };

    text_list_clear(&scene->steps);
    return provision_vm_score_interpret(&score, &topology, deadline_in_ms(PROVISION_MS), &scene->provisioned, err);
}

static int expect_domain(const struct broken_off *scene, bool active, const char *link, struct error *err)
{
    CLEANUP(domain_release) virDomainPtr domain = NULL;
    cleanup_free char *state = NULL;

    TRY(hypervisor_find_domain(vm_host_hypervisor(vm_stack_host(scene->stack)), scene->device->domain, &domain, err));
    CHECK(domain != NULL, "there is no domain");
    CHECK((virDomainIsActive(domain) == 1) == active, "it is %s", active ? "not active" : "active");
    cleanup_free char *definition = virDomainGetXMLDesc(domain, 0);
    CHECK(definition != NULL, "it has no definition");
    TRY(xml_text(definition, LINK_STATE, &state, err));
    CHECK(text_equal(state, link), "its cable is \"%s\"", state);
    return 0;
}

/** It was logged in to with its own host key pinned; it also knows its name. And there is nothing left to do. */
static int expect_device(struct broken_off *scene, const char *const *steps, struct error *err)
{
    static const char *const ask_name[] = {"hostname", NULL};
    const struct ssh_command command = {.argv = ask_name};
    cleanup_ssh_result struct ssh_result name = {0};
    cleanup_free char *did = text_list_join(&scene->steps, ", ");

    CHECK(scene->provisioned.outcome.changed, "nothing was changed: %s", did);
    for (size_t i = 0; steps[i]; i++)
        CHECK(i < scene->steps.count && text_equal(scene->steps.items[i], steps[i]), "its steps were %s", did);
    TRY(ssh_session_run_checked(scene->provisioned.session, &command, deadline_in_ms(VM_STEP_MS), &name, err));
    CHECK(text_starts_with(name.output, scene->device->domain), "it calls itself %s", name.output);
    TRY(expect_domain(scene, true, "up", err));
    TRY(provision(scene, scene->device->snapshot.state, err));
    CHECK(!scene->provisioned.outcome.changed, "provisioning it once more changed something");
    return 0;
}

FLEET_TEST(vm_restore, broken_off_before_its_identity_is_finished, .gate = "vm", VM_NEEDS)
{
    static const char *const steps[] = {"VM identity", "VM DHCP", "VM sshd", NULL};
    cleanup_broken_off struct broken_off scene = {.hide_console_at = "VM identity"};

    TRY(broken_off_new(test, &scene, err));
    CHECK_FAILS(provision(&scene, scene.device->snapshot.state, err), system_error_domain, ENOENT);
    rename_console(&scene, false);
    TRY(expect_domain(&scene, true, "down", err));
    scene.hide_console_at = NULL;
    TRY(provision(&scene, scene.device->snapshot.state, err));
    return expect_device(&scene, steps, err);
}

FLEET_TEST(vm_restore, broken_off_before_it_ran_is_booted, .gate = "vm", VM_NEEDS)
{
    static const char *const steps[] = {"VM start", "VM DHCP", "VM sshd", NULL};
    cleanup_broken_off struct broken_off scene = {0};

    TRY(broken_off_new(test, &scene, err));
    cleanup_free char *cut_short = text_format("%s/cut-short", scene.device->directory);
    TRY(file_write_atomic(cut_short, "", 0, 0600, err));
    CHECK_FAILS(provision(&scene, cut_short, err), general_error_domain, GENERAL_INVALID);
    TRY(expect_domain(&scene, false, "down", err));
    TRY(provision(&scene, scene.device->snapshot.state, err));
    return expect_device(&scene, steps, err);
}
