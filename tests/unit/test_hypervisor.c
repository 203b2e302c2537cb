/* SPDX-License-Identifier: Apache-2.0 */
/* Against libvirt's own test driver, which keeps one domain and one network in memory. */
#include "deploy/hypervisor.h"

#include <libvirt/virterror.h>

#include "base/text.h"
#include "harness/test.h"

static const struct hypervisor_options options = {.uri = "test:///default"};

FLEET_TEST(hypervisor, says_who_does_not_answer)
{
    static const struct hypervisor_options nobody = {.uri = "qemu+unix:///system?socket=/nonexistent/libvirt-sock"};
    struct hypervisor *hypervisor = NULL;

    CHECK_FAILS(hypervisor_open(&nobody, &hypervisor, err), libvirt_error_domain, VIR_ERR_SYSTEM_ERROR);
    CHECK(!hypervisor, "it was opened");
    return 0;
}

FLEET_TEST(hypervisor, removes_a_domain_once)
{
    CLEANUP(hypervisor_free) struct hypervisor *hypervisor = NULL;
    CLEANUP(domain_release) virDomainPtr domain = NULL;
    bool changed = false;

    TRY(hypervisor_open(&options, &hypervisor, err));
    TRY(hypervisor_find_domain(hypervisor, "test", &domain, err));
    CHECK(domain && virDomainIsActive(domain) == 1, "libvirt's test driver has no domain \"test\"");
    TRY(hypervisor_remove_domain(hypervisor, "test", &changed, err));
    CHECK(changed, "nothing was removed");
    changed = false;
    TRY(hypervisor_remove_domain(hypervisor, "test", &changed, err));
    CHECK(!changed, "what is not there was removed");
    return 0;
}

FLEET_TEST(hypervisor, has_a_network_running)
{
    static const char network_definition[] = "<network><name>mine</name><bridge name='br-mine'/>"
                                             "<ip address='10.9.8.1' netmask='255.255.255.0'/></network>";
    CLEANUP(hypervisor_free) struct hypervisor *hypervisor = NULL;
    cleanup_free char *gateway = NULL;
    bool changed = false;

    TRY(hypervisor_open(&options, &hypervisor, err));
    TRY(hypervisor_ensure_network(hypervisor, "mine", network_definition, &changed, err));
    CHECK(changed, "nothing was made");
    changed = false;
    TRY(hypervisor_ensure_network(hypervisor, "mine", network_definition, &changed, err));
    CHECK(!changed, "made twice");
    TRY(hypervisor_gateway(hypervisor, "mine", &gateway, err));
    CHECK(text_equal(gateway, "10.9.8.1"), "the gateway is %s", gateway);
    CHECK_FAILS(hypervisor_gateway(hypervisor, "nobody's", &gateway, err), general_error_domain, GENERAL_NOT_FOUND);
    return 0;
}
