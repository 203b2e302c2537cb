/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <string.h>

#include "base/memory.h"
#include "contracts/codec.h"
#include "contracts/score_codec.h"

/** 1..65535 in decimal without leading zeros; 0 for anything else. */
static uint16_t parse_port(const char *text)
{
    unsigned int port = 0;
    size_t digits = strspn(text, "0123456789");

    if (digits < 1 || digits > 5 || text[digits] != '\0' || text[0] == '0')
        return 0;
    for (size_t i = 0; i < digits; i++)
        port = port * 10 + (unsigned int)(text[i] - '0');
    return port <= UINT16_MAX ? (uint16_t)port : 0;
}

/** The address in the one form inet_ntop(3) writes, so that equal addresses are equal texts. NULL: not an address. */
static char *canonical_address(const char *text)
{
    char shown[INET6_ADDRSTRLEN];
    unsigned char bytes[sizeof(struct in6_addr)];
    size_t size = strlen(text);

    if (size > 2 && text[0] == '[' && text[size - 1] == ']') {
        cleanup_free char *inner = text_copy_n(text + 1, size - 2);
        if (inet_pton(AF_INET6, inner, bytes) != 1)
            return NULL;
        return text_copy(inet_ntop(AF_INET6, bytes, shown, sizeof(shown)));
    }
    if (inet_pton(AF_INET, text, bytes) != 1)
        return NULL;
    return text_copy(inet_ntop(AF_INET, bytes, shown, sizeof(shown)));
}

/** Cut a "/tcp" or "/udp" off; false for any other protocol. */
static bool cut_protocol(char *text, bool *udp)
{
    char *slash = strchr(text, '/');

    *udp = slash && strcmp(slash, "/udp") == 0;
    if (slash && !*udp && strcmp(slash, "/tcp") != 0)
        return false;
    if (slash)
        *slash = '\0';
    return true;
}

const char *port_mapping_parse(const char *text, struct port_mapping *ret)
{
    cleanup_free char *rest = text_copy(text);
    cleanup_free char *address = NULL;
    struct port_mapping port = {0};

    if (!cut_protocol(rest, &port.udp))
        return "the protocol is neither tcp nor udp";
    char *container = strrchr(rest, ':');
    if (!container)
        return "it is not [address:]host:container[/tcp|udp]";
    *container++ = '\0';
    char *host = rest;
    char *colon = strrchr(rest, ':');
    if (colon) {
        *colon = '\0';
        host = colon + 1;
        address = canonical_address(rest);
        if (!address)
            return "the address is neither an IPv4 nor a bracketed IPv6 one";
    }
    port.host_port = parse_port(host);
    if (port.host_port == 0)
        return "the host port is not 1 to 65535";
    port.container_port = parse_port(container);
    if (port.container_port == 0)
        return "the container port is not 1 to 65535";
    port.host_address = TAKE_PTR(address);
    *ret = port;
    return NULL;
}

char *port_mapping_text(const struct port_mapping *port)
{
    bool version_6 = port->host_address && strchr(port->host_address, ':');

    return text_format("%s%s%s%s%u:%u%s", version_6 ? "[" : "", port->host_address ? port->host_address : "",
                       version_6 ? "]" : "", port->host_address ? ":" : "", port->host_port, port->container_port,
                       port->udp ? "/udp" : "");
}

void port_mapping_clear(struct port_mapping *port)
{
    free(port->host_address);
    *port = (struct port_mapping){0};
}

/**
 * An absolute path without "//", "." components and a '/' at the end: the form podman reports, so that comparing what
 * runs with what is wanted is comparing texts. NULL: not absolute, or it has "..". Caller frees.
 */
static char *clean_path(const char *path)
{
    struct text_buffer clean = {0};

    if (path[0] != '/')
        return NULL;
    while (*path) {
        path += strspn(path, "/");
        size_t size = strcspn(path, "/");
        if (size == 2 && strncmp(path, "..", 2) == 0) {
            text_buffer_clear(&clean);
            return NULL;
        }
        if (size > 0 && !(size == 1 && path[0] == '.')) {
            text_buffer_add(&clean, "/");
            text_buffer_append(&clean, path, size);
        }
        path += size;
    }
    if (clean.size == 0)
        text_buffer_add(&clean, "/");
    return text_buffer_take(&clean);
}

const char *volume_mount_parse(const char *text, struct volume_mount *ret)
{
    cleanup_free char *source_text = text_copy(text);
    struct volume_mount mount = {0};

    if (text_has_control(text))
        return "it has a control character";
    char *destination_text = strchr(source_text, ':');
    if (!destination_text)
        return "it is not source:destination[:ro|rw]";
    *destination_text++ = '\0';
    char *mode = strchr(destination_text, ':');
    if (mode) {
        *mode++ = '\0';
        mount.read_only = strcmp(mode, "ro") == 0;
        if (!mount.read_only && strcmp(mode, "rw") != 0)
            return "the mode is neither ro nor rw";
    }
    cleanup_free char *destination = clean_path(destination_text);
    if (!destination || strcmp(destination, "/") == 0)
        return "the destination is not an absolute path below / without \"..\"";
    cleanup_free char *source = token_is_valid(source_text) ? text_copy(source_text) : clean_path(source_text);
    if (!source)
        return "the source is neither a volume name nor an absolute path without \"..\"";
    mount.source = TAKE_PTR(source);
    mount.destination = TAKE_PTR(destination);
    *ret = mount;
    return NULL;
}

char *volume_mount_text(const struct volume_mount *mount)
{
    return text_format("%s:%s%s", mount->source ? mount->source : "", mount->destination ? mount->destination : "",
                       mount->read_only ? ":ro" : "");
}

void volume_mount_clear(struct volume_mount *mount)
{
    free(mount->source);
    free(mount->destination);
    *mount = (struct volume_mount){0};
}

const char *environment_name_check(const char *name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";

    if (name[0] == '\0' || !strchr(letters, name[0]))
        return "a variable's name does not begin with a letter or '_'";
    for (const char *at = name; *at; at++) {
        if (!strchr(letters, *at) && !strchr("0123456789.-", *at))
            return "a variable's name has a character other than A-Z, a-z, 0-9, '_', '.' and '-'";
    }
    return NULL;
}
