/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The hypervisor capability: libvirt, asked through its own API. Everything is thread-safe but open and free.
 *
 * Source: https://libvirt.org/html/libvirt-libvirt-domain.html, …-network.html
 */

#include <libvirt/libvirt.h>
#include <stdbool.h>

#include "base/deadline.h"
#include "base/error.h"

/** Codes are libvirt's (virErrorNumber). */
extern const struct error_domain libvirt_error_domain;

struct hypervisor_options {
    const char *uri; /**< "qemu:///system", "qemu+unix:///system?socket=/…/libvirt-sock" */
    /** Path of the network namespace its networks are in, e.g. "/run/netns/NAME"; NULL: ours. */
    const char *network_namespace;
};

struct hypervisor;
/** Connect. `options` need not outlive the call. Errors: libvirt; system for a namespace that cannot be opened. */
MUST_CHECK int hypervisor_open(const struct hypervisor_options *options, struct hypervisor **ret, struct error *err);
/** Disconnects; domains stay as they are. NULL is fine. */
void hypervisor_free(struct hypervisor *hypervisor);
DEFINE_CLEANUP(struct hypervisor *, hypervisor_free)

/** The connection, for what is not here; borrowed. */
virConnectPtr hypervisor_connection(const struct hypervisor *hypervisor);
/** The network namespace, for sockets that are to reach guests (an fd for setns(2)); 0: ours. */
int hypervisor_network_namespace(const struct hypervisor *hypervisor);

/** Let go of libvirt's handle; the domain stays as it is. NULL is fine. */
static inline void domain_release(virDomainPtr domain)
{
    if (domain)
        virDomainFree(domain);
}
DEFINE_CLEANUP(virDomainPtr, domain_release)

/** Set *err from libvirt's last error of this thread. Returns -1. */
int libvirt_failed(struct error *err, const char *operation, const char *subject);

/** *ret is NULL when there is no domain of that name. Freed by domain_release. */
MUST_CHECK int hypervisor_find_domain(const struct hypervisor *hypervisor, const char *name, virDomainPtr *ret,
                                      struct error *err);
/** Stop and forget the domain; missing is fine. *changed is set true if there was one. Its files stay. */
MUST_CHECK int hypervisor_remove_domain(const struct hypervisor *hypervisor, const char *name, bool *changed,
                                        struct error *err);
/**
 * Have the network running: one that exists is started, one that does not is made after `definition` (libvirt's XML).
 * *changed is set true if anything was done.
 */
MUST_CHECK int hypervisor_ensure_network(const struct hypervisor *hypervisor, const char *name, const char *definition,
                                         bool *changed, struct error *err);
/** The host's address in a network: what guests reach the host by. Caller frees. Errors: GENERAL_NOT_FOUND. */
MUST_CHECK int hypervisor_gateway(const struct hypervisor *hypervisor, const char *network, char **ret,
                                  struct error *err);
/** The address that a network's DHCP server gave to a MAC address; *ret is NULL while there is none. Caller frees. */
MUST_CHECK int hypervisor_lease(const struct hypervisor *hypervisor, const char *network, const char *mac, char **ret,
                                struct error *err);
/** Plug the cable of a running guest's first network interface in or out. Errors: GENERAL_NOT_FOUND, libvirt. */
MUST_CHECK int hypervisor_set_link(const struct hypervisor *hypervisor, const char *domain, bool up, struct error *err);
