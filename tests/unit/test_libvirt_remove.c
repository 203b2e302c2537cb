/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/libvirt_remove.h"

#include <libvirt/virterror.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "harness/test.h"

/*
 * libvirt's own test hypervisor (https://libvirt.org/drvtest.html): real domains and networks as far as its API goes,
 * none that runs. It lives in this process.
 */

static const char hypervisor[] = "<node>\n"
                                 "  <domain type='test'><name>running</name><memory>1024</memory>\n"
                                 "    <os><type>hvm</type></os></domain>\n"
                                 "  <domain type='test'><name>other</name><memory>1024</memory>\n"
                                 "    <os><type>hvm</type></os></domain>\n"
                                 "  <network><name>net</name></network>\n"
                                 "</node>\n";
static const char transient[] = "<domain type='test'><name>transient</name><memory>1024</memory>"
                                "<os><type>hvm</type></os></domain>";

DEFINE_CLEANUP(virConnectPtr, virConnectClose)

static void say_nothing(void *context, virErrorPtr error)
{
    (void)context;
    (void)error;
}

static int connect_to_it(const struct test_context *test, virConnectPtr *ret, struct error *err)
{
    cleanup_free char *path = text_format("%s/hypervisor.xml", test->artefacts);
    cleanup_free char *uri = text_format("test://%s", path);

    virSetErrorFunc(NULL, say_nothing);
    TRY(file_write_atomic(path, hypervisor, strlen(hypervisor), 0600, err));
    *ret = virConnectOpen(uri);
    CHECK(*ret, "%s: %s", uri, virGetLastErrorMessage());
    return 0;
}

static bool has_domain(virConnectPtr connection, const char *name)
{
    virDomainPtr domain = virDomainLookupByName(connection, name);

    if (domain)
        virDomainFree(domain);
    return domain != NULL;
}

static bool has_network(virConnectPtr connection, const char *name)
{
    virNetworkPtr network = virNetworkLookupByName(connection, name);

    if (network)
        virNetworkFree(network);
    return network != NULL;
}

FLEET_TEST(libvirt_remove, takes_a_running_domain_and_no_other)
{
    CLEANUP(virConnectClose) virConnectPtr connection = NULL;

    TRY(connect_to_it(test, &connection, err));
    CHECK(has_domain(connection, "running"), "the hypervisor has no such domain");
    TRY(libvirt_remove_domain(connection, "running", err));
    CHECK(!has_domain(connection, "running"), "it is still there");
    CHECK(has_domain(connection, "other"), "another is gone too");
    return libvirt_remove_domain(connection, "running", err); /* twice is fine */
}

/* Saved, it does not run and still is defined: undefining has to take the saved state along. */
FLEET_TEST(libvirt_remove, takes_a_saved_domain)
{
    CLEANUP(virConnectClose) virConnectPtr connection = NULL;

    TRY(connect_to_it(test, &connection, err));
    virDomainPtr domain = virDomainLookupByName(connection, "running");
    CHECK(domain, "the hypervisor has no such domain");
    int saved = virDomainManagedSave(domain, 0);
    virDomainFree(domain);
    CHECK(saved == 0, "it cannot be saved: %s", virGetLastErrorMessage());
    TRY(libvirt_remove_domain(connection, "running", err));
    CHECK(!has_domain(connection, "running"), "it is still there");
    return 0;
}

FLEET_TEST(libvirt_remove, takes_a_transient_domain)
{
    CLEANUP(virConnectClose) virConnectPtr connection = NULL;

    TRY(connect_to_it(test, &connection, err));
    virDomainPtr domain = virDomainCreateXML(connection, transient, 0);
    CHECK(domain, "it cannot be made: %s", virGetLastErrorMessage());
    virDomainFree(domain);
    TRY(libvirt_remove_domain(connection, "transient", err));
    CHECK(!has_domain(connection, "transient"), "it is still there");
    return 0;
}

FLEET_TEST(libvirt_remove, takes_a_network)
{
    CLEANUP(virConnectClose) virConnectPtr connection = NULL;

    TRY(connect_to_it(test, &connection, err));
    CHECK(has_network(connection, "net"), "the hypervisor has no such network");
    TRY(libvirt_remove_network(connection, "net", err));
    CHECK(!has_network(connection, "net"), "it is still there");
    return libvirt_remove_network(connection, "net", err);
}
