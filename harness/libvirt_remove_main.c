/* SPDX-License-Identifier: Apache-2.0 */

/*
 * fleet-libvirt-remove domain|network URI NAME: remove one thing from a hypervisor. A program of its own, because a call
 * of libvirt's can hang as long as its daemon does and only ends for certain with its process; and because libvirt
 * brings fifty libraries along, which every reaper and every test would have to load (9 ms).
 */

#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "harness/libvirt_remove.h"

#define EXIT_USAGE 2

static void say_nothing(void *context, virErrorPtr error)
{
    (void)context;
    (void)error; /* it is said once, by main */
}

int main(int argc, char **argv)
{
    cleanup_error struct error err = ERROR_INIT;

    if (argc != 4 || (!text_equal(argv[1], "domain") && !text_equal(argv[1], "network"))) {
        fputs("usage: fleet-libvirt-remove domain|network URI NAME\n", stderr);
        return EXIT_USAGE;
    }
    virSetErrorFunc(NULL, say_nothing);
    virConnectPtr connection = virConnectOpen(argv[2]);
    if (!connection) {
        fprintf(stderr, "connecting to %s: %s\n", argv[2], virGetLastErrorMessage());
        return EXIT_FAILURE;
    }
    int result = text_equal(argv[1], "domain") ? libvirt_remove_domain(connection, argv[3], &err)
                                               : libvirt_remove_network(connection, argv[3], &err);
    virConnectClose(connection);
    if (result == 0)
        return EXIT_SUCCESS;
    cleanup_free char *text = error_text(&err);
    fprintf(stderr, "%s\n", text);
    return EXIT_FAILURE;
}
