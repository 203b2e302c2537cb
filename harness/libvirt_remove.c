/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/libvirt_remove.h"

#include <libvirt/virterror.h>

/* What goes with a definition. Not every hypervisor knows the last two, and refuses flags it does not know. */
#define ALWAYS_KNOWN (VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA)
#define EVERYTHING   (ALWAYS_KNOWN | VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA | VIR_DOMAIN_UNDEFINE_NVRAM)

static bool last_error_is(int code)
{
    return virGetLastErrorCode() == code;
}

static int refuse(struct error *err, const char *operation, const char *name)
{
    return error_set(err, &general_error_domain, GENERAL_FAILED, operation, name, "%s", virGetLastErrorMessage());
}

/* OPERATION_INVALID: it has ended meanwhile. */
static int destroy_domain(virDomainPtr domain, const char *name, struct error *err)
{
    if (virDomainDestroy(domain) == 0 || last_error_is(VIR_ERR_OPERATION_INVALID) || last_error_is(VIR_ERR_NO_DOMAIN))
        return 0;
    return refuse(err, "destroying domain", name);
}

/* A transient domain was gone when it was destroyed. */
static int undefine_domain(virDomainPtr domain, const char *name, struct error *err)
{
    int result = virDomainUndefineFlags(domain, EVERYTHING);

    if (result < 0 && last_error_is(VIR_ERR_INVALID_ARG))
        result = virDomainUndefineFlags(domain, ALWAYS_KNOWN);
    if (result == 0 || last_error_is(VIR_ERR_NO_DOMAIN))
        return 0;
    return refuse(err, "undefining domain", name);
}

int libvirt_remove_domain(virConnectPtr connection, const char *name, struct error *err)
{
    virDomainPtr domain = virDomainLookupByName(connection, name);

    if (!domain)
        return last_error_is(VIR_ERR_NO_DOMAIN) ? 0 : refuse(err, "looking for domain", name);
    int result = destroy_domain(domain, name, err);
    if (result == 0)
        result = undefine_domain(domain, name, err);
    virDomainFree(domain);
    return result;
}

int libvirt_remove_network(virConnectPtr connection, const char *name, struct error *err)
{
    virNetworkPtr network = virNetworkLookupByName(connection, name);
    int result = 0;

    if (!network)
        return last_error_is(VIR_ERR_NO_NETWORK) ? 0 : refuse(err, "looking for network", name);
    if (virNetworkDestroy(network) < 0 && !last_error_is(VIR_ERR_OPERATION_INVALID) &&
        !last_error_is(VIR_ERR_NO_NETWORK))
        result = refuse(err, "destroying network", name);
    else if (virNetworkUndefine(network) < 0 && !last_error_is(VIR_ERR_NO_NETWORK))
        result = refuse(err, "undefining network", name);
    virNetworkFree(network);
    return result;
}
