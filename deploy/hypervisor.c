/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/hypervisor.h"

#include <fcntl.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/text.h"
#include "deploy/xml.h"

struct hypervisor {
    char *uri;
    int network_namespace; /**< 0: ours */
    virConnectPtr connection;
};

static const char *code_name(int code)
{
    switch (code) {
    case VIR_ERR_NO_DOMAIN:
        return "no-domain";
    case VIR_ERR_NO_NETWORK:
        return "no-network";
    case VIR_ERR_OPERATION_INVALID:
        return "operation-invalid";
    case VIR_ERR_CONFIG_UNSUPPORTED:
        return "configuration-unsupported";
    default:
        return "failed";
    }
}
const struct error_domain libvirt_error_domain = {"libvirt", code_name};

/** libvirt prints its errors unless it is told not to; here they become error objects. */
static void be_silent(void *context, virErrorPtr error)
{
    (void)context;
    (void)error;
}

static void start_library(void)
{
    virInitialize();
    virSetErrorFunc(NULL, be_silent);
}

int libvirt_failed(struct error *err, const char *operation, const char *subject)
{
    const virError *last = virGetLastError();
    int code = last && last->code != VIR_ERR_OK ? last->code : VIR_ERR_INTERNAL_ERROR;

    return error_set(err, &libvirt_error_domain, code, operation, subject, "%s",
                     last && last->message ? last->message : "libvirt does not say why");
}

int hypervisor_open(const struct hypervisor_options *options, struct hypervisor **ret, struct error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CLEANUP(hypervisor_free) struct hypervisor *hypervisor = NEW(struct hypervisor);

    pthread_once(&once, start_library);
    hypervisor->uri = text_copy(options->uri);
    if (options->network_namespace) {
        int fd = open(options->network_namespace, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return error_set_errno(err, errno, "opening network namespace", options->network_namespace);
        hypervisor->network_namespace = fd;
    }
    hypervisor->connection = virConnectOpen(options->uri);
    if (!hypervisor->connection)
        return libvirt_failed(err, "connecting to libvirt at", options->uri);
    *ret = TAKE_PTR(hypervisor);
    return 0;
}

void hypervisor_free(struct hypervisor *hypervisor)
{
    if (!hypervisor)
        return;
    if (hypervisor->connection)
        virConnectClose(hypervisor->connection);
    if (hypervisor->network_namespace > 0)
        close_fd(hypervisor->network_namespace);
    free(hypervisor->uri);
    free(hypervisor);
}

virConnectPtr hypervisor_connection(const struct hypervisor *hypervisor)
{
    return hypervisor->connection;
}

int hypervisor_network_namespace(const struct hypervisor *hypervisor)
{
    return hypervisor->network_namespace;
}

/* Domains */

int hypervisor_find_domain(const struct hypervisor *hypervisor, const char *name, virDomainPtr *ret, struct error *err)
{
    virDomainPtr domain = virDomainLookupByName(hypervisor->connection, name);

    if (!domain && virGetLastErrorCode() != VIR_ERR_NO_DOMAIN)
        return libvirt_failed(err, "looking up domain", name);
    *ret = domain;
    return 0;
}

int hypervisor_remove_domain(const struct hypervisor *hypervisor, const char *name, bool *changed, struct error *err)
{
    static const unsigned int with_all_of_it =
        VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA;
    CLEANUP(domain_release) virDomainPtr domain = NULL;

    if (hypervisor_find_domain(hypervisor, name, &domain, err) < 0)
        return -1;
    if (!domain)
        return 0;
    *changed = true;
    int persistent = virDomainIsPersistent(domain);
    if (virDomainIsActive(domain) == 1 && virDomainDestroy(domain) < 0 &&
        virGetLastErrorCode() != VIR_ERR_OPERATION_INVALID) /* it went down by itself meanwhile */
        return libvirt_failed(err, "stopping domain", name);
    if (persistent == 1 && virDomainUndefineFlags(domain, with_all_of_it) < 0)
        return libvirt_failed(err, "removing domain", name);
    return 0;
}

/* Networks */

static void network_release(virNetworkPtr network)
{
    if (network)
        virNetworkFree(network);
}
DEFINE_CLEANUP(virNetworkPtr, network_release)

static int find_network(const struct hypervisor *hypervisor, const char *name, virNetworkPtr *ret, struct error *err)
{
    virNetworkPtr network = virNetworkLookupByName(hypervisor->connection, name);

    if (!network && virGetLastErrorCode() != VIR_ERR_NO_NETWORK)
        return libvirt_failed(err, "looking up network", name);
    *ret = network;
    return 0;
}

static int find_existing_network(const struct hypervisor *hypervisor, const char *name, virNetworkPtr *ret,
                                 struct error *err)
{
    if (find_network(hypervisor, name, ret, err) < 0)
        return -1;
    return *ret ? 0
                : error_set(err, &general_error_domain, GENERAL_NOT_FOUND, "looking up network", name,
                            "%s has none of that name", hypervisor->uri);
}

int hypervisor_ensure_network(const struct hypervisor *hypervisor, const char *name, const char *definition,
                              bool *changed, struct error *err)
{
    CLEANUP(network_release) virNetworkPtr network = NULL;

    if (find_network(hypervisor, name, &network, err) < 0)
        return -1;
    if (!network) {
        network = virNetworkDefineXML(hypervisor->connection, definition);
        if (!network)
            return libvirt_failed(err, "making network", name);
        *changed = true;
    }
    if (virNetworkIsActive(network) == 1)
        return 0;
    if (virNetworkCreate(network) < 0)
        return libvirt_failed(err, "starting network", name);
    *changed = true;
    return 0;
}

int hypervisor_gateway(const struct hypervisor *hypervisor, const char *network_name, char **ret, struct error *err)
{
    CLEANUP(network_release) virNetworkPtr network = NULL;
    cleanup_free char *definition = NULL;
    cleanup_free char *address = NULL;

    if (find_existing_network(hypervisor, network_name, &network, err) < 0)
        return -1;
    definition = virNetworkGetXMLDesc(network, 0);
    if (!definition)
        return libvirt_failed(err, "reading the definition of network", network_name);
    if (xml_text(definition, "string(/network/ip[not(@family) or @family='ipv4']/@address)", &address, err) < 0)
        return error_wrap(err, "reading the definition of network", network_name);
    if (!*address)
        return error_set(err, &general_error_domain, GENERAL_NOT_FOUND, "looking for the gateway of network",
                         network_name, "the host has no IPv4 address in it");
    *ret = TAKE_PTR(address);
    return 0;
}

int hypervisor_lease(const struct hypervisor *hypervisor, const char *network_name, const char *mac, char **ret,
                     struct error *err)
{
    CLEANUP(network_release) virNetworkPtr network = NULL;
    virNetworkDHCPLeasePtr *leases = NULL;
    char *address = NULL;

    if (find_existing_network(hypervisor, network_name, &network, err) < 0)
        return -1;
    int count = virNetworkGetDHCPLeases(network, mac, &leases, 0);
    if (count < 0)
        return libvirt_failed(err, "reading the leases of network", network_name);
    for (int i = 0; i < count; i++) {
        if (!address && leases[i]->type == VIR_IP_ADDR_TYPE_IPV4)
            address = text_copy(leases[i]->ipaddr);
        virNetworkDHCPLeaseFree(leases[i]);
    }
    free(leases);
    *ret = address;
    return 0;
}

int hypervisor_set_link(const struct hypervisor *hypervisor, const char *name, bool up, struct error *err)
{
    CLEANUP(domain_release) virDomainPtr domain = NULL;
    cleanup_free char *definition = NULL;
    cleanup_free char *interface = NULL;

    if (hypervisor_find_domain(hypervisor, name, &domain, err) < 0)
        return -1;
    if (!domain)
        return error_set(err, &general_error_domain, GENERAL_NOT_FOUND, "setting the link of", name,
                         "there is no such domain");
    definition = virDomainGetXMLDesc(domain, 0);
    if (!definition)
        return libvirt_failed(err, "reading the definition of domain", name);
    if (xml_with_attribute(definition, "/domain/devices/interface[1]", "link", "state", up ? "up" : "down", &interface,
                           err) < 0)
        return error_wrap(err, "setting the link of", name);
    if (virDomainUpdateDeviceFlags(domain, interface, VIR_DOMAIN_AFFECT_LIVE) < 0)
        return libvirt_failed(err, up ? "plugging the cable into" : "unplugging the cable of", name);
    return 0;
}
