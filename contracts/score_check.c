/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "contracts/codec.h"
#include "contracts/score_codec.h"

static const struct container_spec *container_at(const struct podman_v0 *podman, size_t index)
{
    return index < podman->service_count ? &podman->services[index]
                                         : &podman->init_containers[index - podman->service_count];
}

static int check_names(const struct podman_v0 *podman, struct error *err)
{
    size_t count = podman->service_count + podman->init_container_count;

    for (size_t i = 1; i < count; i++) {
        for (size_t earlier = 0; earlier < i; earlier++) {
            const char *name = container_at(podman, i)->name;
            if (strcmp(container_at(podman, earlier)->name, name) != 0)
                continue;
            bool service = i < podman->service_count;
            cleanup_free char *path = text_format("$.data.%s[%zu].name", service ? "services" : "init_containers",
                                                  service ? i : i - podman->service_count);
            return codec_refuse(err, WIRE_MALFORMED, path, "\"%s\" names two containers", name);
        }
    }
    return 0;
}

/** One published port and where it was asked for. */
struct binding {
    const struct port_mapping *port;
    size_t service;
    size_t index;
};

/** 0: every address; 1: every address of one family; 2: one address. */
static int address_rank(const struct port_mapping *port)
{
    if (!port->host_address)
        return 0;
    return strcmp(port->host_address, "0.0.0.0") == 0 || strcmp(port->host_address, "::") == 0 ? 1 : 2;
}

static int document_order(const struct binding *a, const struct binding *b)
{
    if (a->service != b->service)
        return a->service < b->service ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

/** Same protocol and port together, wide addresses first, equal addresses side by side. */
static int compare_bindings(const void *left, const void *right)
{
    const struct binding *a = left;
    const struct binding *b = right;

    if (a->port->udp != b->port->udp)
        return a->port->udp ? 1 : -1;
    if (a->port->host_port != b->port->host_port)
        return a->port->host_port < b->port->host_port ? -1 : 1;
    int rank = address_rank(a->port) - address_rank(b->port);
    if (rank)
        return rank;
    int order = a->port->host_address ? strcmp(a->port->host_address, b->port->host_address) : 0;
    return order ? order : document_order(a, b);
}

static bool same_port(const struct binding *a, const struct binding *b)
{
    return a->port->udp == b->port->udp && a->port->host_port == b->port->host_port;
}

/** Both cannot be bound on one host; they have the same protocol and port. */
static bool addresses_overlap(const struct port_mapping *a, const struct port_mapping *b)
{
    if (!a->host_address || !b->host_address || strcmp(a->host_address, b->host_address) == 0)
        return true;
    bool a_is_6 = strchr(a->host_address, ':') != NULL;
    bool b_is_6 = strchr(b->host_address, ':') != NULL;
    return a_is_6 == b_is_6 && (address_rank(a) == 1 || address_rank(b) == 1);
}

static int refuse_binding(const struct binding *a, const struct binding *b, struct error *err)
{
    const struct binding *first = document_order(a, b) < 0 ? a : b;
    const struct binding *second = first == a ? b : a;
    cleanup_free char *path = text_format("$.data.services[%zu].ports[%zu]", second->service, second->index);
    cleanup_free char *text = port_mapping_text(second->port);

    return codec_refuse(err, WIRE_MALFORMED, path, "\"%s\" takes a host port that services[%zu].ports[%zu] has", text,
                        first->service, first->index);
}

/** `bindings` are sorted: each is compared with the wide ones of its port, and with its neighbour. */
static int check_sorted_bindings(const struct binding *bindings, size_t count, struct error *err)
{
    size_t group = 0;

    for (size_t i = 1; i < count; i++) {
        if (!same_port(&bindings[group], &bindings[i])) {
            group = i;
            continue;
        }
        for (size_t wide = group; wide < i && address_rank(bindings[wide].port) < 2; wide++) {
            if (addresses_overlap(bindings[wide].port, bindings[i].port))
                return refuse_binding(&bindings[wide], &bindings[i], err);
        }
        if (addresses_overlap(bindings[i - 1].port, bindings[i].port))
            return refuse_binding(&bindings[i - 1], &bindings[i], err);
    }
    return 0;
}

static int check_host_bindings(const struct podman_v0 *podman, struct error *err)
{
    size_t total = 0;
    size_t count = 0;

    for (size_t service = 0; service < podman->service_count; service++)
        total += podman->services[service].port_count;
    cleanup_free struct binding *bindings = NEW_ARRAY(struct binding, total);
    for (size_t service = 0; service < podman->service_count; service++) {
        for (size_t index = 0; index < podman->services[service].port_count; index++)
            bindings[count++] = (struct binding){&podman->services[service].ports[index], service, index};
    }
    qsort(bindings, count, sizeof(*bindings), compare_bindings);
    return check_sorted_bindings(bindings, count, err);
}

int score_check(const struct podman_v0 *podman, struct error *err)
{
    if (check_names(podman, err) < 0)
        return -1;
    return check_host_bindings(podman, err);
}
