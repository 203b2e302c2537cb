/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/provision_vm_score.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "deploy/hypervisor.h"
#include "deploy/saved_state.h"
#include "deploy/score_steps.h"
#include "deploy/ssh_key.h"
#include "deploy/vm_console.h"
#include "deploy/vm_disk.h"
#include "deploy/vm_seed.h"
#include "deploy/xml.h"

#define SCORE        "ProvisionVmScore"
#define LEASE_ASK_MS 20 /* between questions: libvirt has no event for a lease */

/** One interpretation. */
struct provisioning {
    const struct provision_vm_score *score;
    const struct topology *topology;
    struct hypervisor *hypervisor;
    struct deadline deadline;
    struct vm_domain domain; /**< what is wanted; its strings are the members below and the score's */
    char *disk;
    char *seed;
    char *console;
    char *mac;
    char *definition;
    struct ssh_key_pair host_key;
    struct vm_provisioned provisioned;
};

void vm_provisioned_clear(struct vm_provisioned *provisioned)
{
    ssh_session_free(provisioned->session);
    free(provisioned->address);
    free(provisioned->host_key);
    free(provisioned->console);
    *provisioned = (struct vm_provisioned){0};
}

static void provisioning_clear(struct provisioning *provisioning)
{
    free(provisioning->disk);
    free(provisioning->seed);
    free(provisioning->console);
    free(provisioning->mac);
    free(provisioning->definition);
    ssh_key_pair_clear(&provisioning->host_key);
    vm_provisioned_clear(&provisioning->provisioned);
}

int score_hypervisor(const char *score, const struct topology *topology, struct hypervisor **ret, struct error *err)
{
    cleanup_free char *operation = text_format("deploying %s to", score);

    if (!topology->hypervisor)
        return error_set(err, &deploy_error_domain, DEPLOY_NO_CAPABILITY, operation, topology->name,
                         "it has no hypervisor");
    *ret = topology->hypervisor;
    return 0;
}

/* Validation */

static int check_score(const struct provision_vm_score *score, struct error *err)
{
    if (score_check_path(SCORE, "directory", score->directory, err) < 0 ||
        score_check_path(SCORE, "image", score->image, err) < 0 ||
        score_check_path(SCORE, "private_key", score->private_key, err) < 0)
        return -1;
    if (!text_equal(score->image_format, "raw") && !text_equal(score->image_format, "qcow2"))
        return score_refuse(err, SCORE, "image_format", "\"%s\" is neither raw nor qcow2",
                            score->image_format ? score->image_format : "");
    if (score->saved_state && score->seed)
        return score_refuse(err, SCORE, "seed", "a guest that is restored needs the seed made for it");
    if (!score->public_key || text_has_control(score->public_key))
        return score_refuse(err, SCORE, "public_key", "it is no line of authorized_keys");
    if (!file_exists(score->image))
        return score_refuse(err, SCORE, "image", "%s does not exist", score->image);
    if (score->saved_state && !file_exists(score->saved_state))
        return score_refuse(err, SCORE, "saved_state", "%s does not exist", score->saved_state);
    return 0;
}

static int check_domain(const struct vm_domain *domain, struct error *err)
{
    cleanup_error struct error unusable = ERROR_INIT;

    if (vm_domain_check(domain, &unusable) == 0)
        return 0;
    cleanup_free char *text = error_text(&unusable);
    return score_refuse(err, SCORE, "machine", "%s", text);
}

static void name_files(struct provisioning *provisioning)
{
    const struct provision_vm_score *score = provisioning->score;

    provisioning->disk = text_format("%s/" VM_DISK_FILE, score->directory);
    provisioning->seed = score->seed ? text_copy(score->seed) : text_format("%s/" VM_SEED_FILE, score->directory);
    provisioning->console = text_format("%s/" VM_CONSOLE_FILE, score->directory);
    provisioning->mac = vm_domain_mac(score->name ? score->name : "");
    provisioning->domain = (struct vm_domain){
        .name = score->name,
        .machine = score->machine,
        .disk = provisioning->disk,
        .seed = provisioning->seed,
        .console = provisioning->console,
        .network = score->network,
        .mac = provisioning->mac,
        .unplugged = score->saved_state != NULL, /* as the guest was saved */
    };
}

/* Files */

static int make_seed(const struct provisioning *provisioning, struct error *err)
{
    const struct vm_identity identity = {
        .hostname = provisioning->score->name,
        .mac = provisioning->mac,
        .host_key = provisioning->host_key.private_key,
        .host_key_public = provisioning->host_key.public_key,
        .authorized_key = provisioning->score->public_key,
    };

    return provisioning->score->seed ? 0 : vm_seed_write(provisioning->seed, &identity, err);
}

/** The console's file is made here, so that there is something to watch from the start. */
static int make_files(const struct provisioning *provisioning, struct error *err)
{
    if (vm_disk_make(provisioning->disk, provisioning->score->image, provisioning->score->image_format,
                     provisioning->deadline, err) < 0 ||
        make_seed(provisioning, err) < 0)
        return -1;
    return file_write_atomic(provisioning->console, "", 0, 0600, err);
}

/* The domain */

static int define(const struct provisioning *provisioning, virDomainPtr *ret, struct error *err)
{
    *ret = virDomainDefineXML(hypervisor_connection(provisioning->hypervisor), provisioning->definition);
    return *ret ? 0 : libvirt_failed(err, "defining domain", provisioning->score->name);
}

static int boot(const struct provisioning *provisioning, virDomainPtr domain, struct error *err)
{
    return virDomainCreate(domain) < 0 ? libvirt_failed(err, "starting domain", provisioning->score->name) : 0;
}

/** As complete as libvirt makes it: that fixes the addresses of all devices, which the saved guest knows. */
static int restore(const struct provisioning *provisioning, virDomainPtr domain, struct error *err)
{
    const struct provision_vm_score *score = provisioning->score;
    cleanup_free char *copy = text_format("%s/" VM_SAVED_STATE_FILE, score->directory);
    cleanup_free char *complete = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_MIGRATABLE | VIR_DOMAIN_XML_SECURE);

    if (!complete)
        return libvirt_failed(err, "reading the definition of domain", score->name);
    if (saved_state_copy(score->saved_state, copy, complete, err) < 0)
        return -1;
    int result =
        virDomainRestoreFlags(hypervisor_connection(provisioning->hypervisor), copy, NULL, VIR_DOMAIN_SAVE_RUNNING);
    if (result < 0)
        libvirt_failed(err, "restoring domain", score->name);
    unlink(copy);
    return result < 0 ? error_wrap(err, "restoring", score->saved_state) : 0;
}

static int start_new(struct provisioning *provisioning, struct error *err)
{
    CLEANUP(domain_release) virDomainPtr domain = NULL;
    struct score_outcome *outcome = &provisioning->provisioned.outcome;
    bool is_restored = provisioning->score->saved_state != NULL;
    struct score_step making = score_step_begin(provisioning->topology, "VM disk and seed", outcome);
    int result = make_files(provisioning, err);

    making.changed = true;
    score_step_end(&making);
    if (result < 0)
        return -1;
    struct score_step starting =
        score_step_begin(provisioning->topology, is_restored ? "VM restore" : "VM start", outcome);
    result = define(provisioning, &domain, err);
    if (result == 0)
        result = is_restored ? restore(provisioning, domain, err) : boot(provisioning, domain, err);
    starting.changed = true;
    score_step_end(&starting);
    return result;
}

/** A restored guest takes its identity first; only then may it be seen in the network. */
static int let_into_network(struct provisioning *provisioning, struct error *err)
{
    const char *name = provisioning->score->name;
    struct score_step step =
        score_step_begin(provisioning->topology, "VM identity", &provisioning->provisioned.outcome);
    int result = vm_console_wait(provisioning->hypervisor, name, provisioning->console, VM_CONSOLE_APPLIED,
                                 provisioning->deadline, err);

    if (result == 0)
        result = hypervisor_set_link(provisioning->hypervisor, name, true, err);
    step.changed = true;
    score_step_end(&step);
    return result;
}

/**
 * One that was to be restored is defined without a cable: whoever began with it may not have come to plug it in. One that
 * was booted has its identity since before its network; one that was restored has it when it says so.
 */
static int finish_restore(struct provisioning *provisioning, virDomainPtr domain, struct error *err)
{
    const char *name = provisioning->score->name;
    cleanup_free char *definition = virDomainGetXMLDesc(domain, 0);
    cleanup_free char *link = NULL;
    int state = 0;
    int reason = 0;

    if (!definition || virDomainGetState(domain, &state, &reason, 0) < 0)
        return libvirt_failed(err, "looking at domain", name);
    if (xml_text(definition, "string(/domain/devices/interface/link/@state)", &link, err) < 0)
        return error_wrap(err, "looking at the cable of", name);
    if (!text_equal(link, "down"))
        return 0;
    return reason == VIR_DOMAIN_RUNNING_RESTORED ? let_into_network(provisioning, err)
                                                 : hypervisor_set_link(provisioning->hypervisor, name, true, err);
}

/** There is a domain of that name: is it the wanted one? Then have it running. */
static int accept_existing(struct provisioning *provisioning, virDomainPtr domain, struct error *err)
{
    const char *name = provisioning->score->name;
    cleanup_free char *existing = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
    cleanup_text_buffer struct text_buffer differences = {0};

    if (!existing)
        return libvirt_failed(err, "reading the definition of domain", name);
    if (vm_domain_differences(existing, provisioning->definition, &differences, err) < 0)
        return error_wrap(err, "comparing domain", name);
    if (differences.size > 0)
        return error_set(err, &general_error_domain, GENERAL_CONFLICT, "provisioning", name,
                         "there is a domain of that name, and it is another one: %s", differences.data);
    int result = 0;
    if (virDomainIsActive(domain) != 1) {
        struct score_step step =
            score_step_begin(provisioning->topology, "VM start", &provisioning->provisioned.outcome);
        result = boot(provisioning, domain, err);
        step.changed = true;
        score_step_end(&step);
    }
    return result == 0 && provisioning->score->saved_state ? finish_restore(provisioning, domain, err) : result;
}

static int ensure_domain(struct provisioning *provisioning, struct error *err)
{
    CLEANUP(domain_release) virDomainPtr domain = NULL;

    if (hypervisor_find_domain(provisioning->hypervisor, provisioning->score->name, &domain, err) < 0)
        return -1;
    if (domain)
        return accept_existing(provisioning, domain, err);
    if (start_new(provisioning, err) < 0)
        return -1;
    return provisioning->score->saved_state ? let_into_network(provisioning, err) : 0;
}

/* Reaching it */

static int has_lease(void *context, struct text_buffer *state, struct error *err)
{
    struct provisioning *provisioning = context;

    text_buffer_format(state, "no address was given to %s", provisioning->mac);
    if (hypervisor_lease(provisioning->hypervisor, provisioning->score->network, provisioning->mac,
                         &provisioning->provisioned.address, err) < 0)
        return -1;
    return provisioning->provisioned.address != NULL;
}

static int wait_for_address(struct provisioning *provisioning, struct error *err)
{
    static const struct wait_options options = {.interval_ms = LEASE_ASK_MS};
    cleanup_free char *what = text_format("an address for %s", provisioning->score->name);
    struct score_step step = score_step_begin(provisioning->topology, "VM DHCP", &provisioning->provisioned.outcome);
    int result = wait_until(what, has_lease, provisioning, &options, provisioning->deadline, err);

    score_step_end(&step);
    return result;
}

static int log_in(struct provisioning *provisioning, struct error *err)
{
    struct vm_provisioned *provisioned = &provisioning->provisioned;
    const struct ssh_session_options options = {
        .address = provisioned->address,
        .user = VM_ADMIN_USER,
        .private_key = provisioning->score->private_key,
        .host_key = provisioning->host_key.public_key,
        .wait_for_host = true,
        .network_namespace = hypervisor_network_namespace(provisioning->hypervisor),
    };
    struct score_step step = score_step_begin(provisioning->topology, "VM sshd", &provisioned->outcome);
    int result = ssh_session_open(&options, provisioning->deadline, &provisioned->session, err);

    score_step_end(&step);
    return result;
}

static int provision(struct provisioning *provisioning, struct error *err)
{
    cleanup_free char *host_key = text_format("%s/" VM_HOST_KEY, provisioning->score->directory);

    if (ssh_key_pair_ensure(host_key, &provisioning->host_key, err) < 0 || ensure_domain(provisioning, err) < 0 ||
        wait_for_address(provisioning, err) < 0 || log_in(provisioning, err) < 0)
        return -1;
    provisioning->provisioned.host_key = text_copy(provisioning->host_key.public_key);
    provisioning->provisioned.console = text_copy(provisioning->console);
    return 0;
}

int provision_vm_score_interpret(const struct provision_vm_score *score, struct topology *topology,
                                 struct deadline deadline, struct vm_provisioned *ret, struct error *err)
{
    struct provisioning provisioning = {.score = score, .topology = topology, .deadline = deadline};
    int result = check_score(score, err);

    if (result == 0) {
        name_files(&provisioning);
        result = check_domain(&provisioning.domain, err);
    }
    if (result == 0)
        result = score_hypervisor(SCORE, topology, &provisioning.hypervisor, err);
    if (result == 0) {
        provisioning.definition = vm_domain_xml(&provisioning.domain);
        result = provision(&provisioning, err);
        if (result < 0)
            error_wrap(err, "provisioning VM", score->name);
    }
    if (result == 0) {
        vm_provisioned_clear(ret);
        *ret = provisioning.provisioned;
        provisioning.provisioned = (struct vm_provisioned){0};
    }
    provisioning_clear(&provisioning);
    return result;
}
