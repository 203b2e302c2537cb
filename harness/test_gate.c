/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "harness/test_frame.h"
#include "harness/test_gate.h"

static const struct test_gate {
    const char *name;
    const char *variable; /* must be "1"; NULL: the gate is always open */
} gates[] = {
    {"host", NULL},
    {"pod", "HARMONY_FLEET_E2E"},
    {"vm", "HARMONY_FLEET_VM_E2E"},
};

/* True if FLEET_E2E_REQUIRE, a comma list, has the gate. */
static bool is_required(const char *gate)
{
    const char *required = getenv("FLEET_E2E_REQUIRE");
    size_t size = strlen(gate);

    while (required && *required) {
        size_t length = strcspn(required, ",");
        if (length == size && strncmp(required, gate, size) == 0)
            return true;
        required += length;
        required += strspn(required, ",");
    }
    return false;
}

/* Who requires what is behind a gate opens it: nobody has to say the same twice. */
static char *closed_gate(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(gates); i++) {
        if (!text_equal(gates[i].name, name))
            continue;
        if (!gates[i].variable || text_equal(getenv(gates[i].variable), "1") || is_required(name))
            return NULL;
        return text_format("gate %s: it is closed — set %s=1", name, gates[i].variable);
    }
    return text_format("gate %s: there is no such gate — use host, pod or vm", name);
}

bool test_gate_is_open(const char *gate)
{
    cleanup_free char *closed = closed_gate(gate);

    return closed == NULL;
}

/* A skip is exactly one line. */
static char *on_one_line(char *text)
{
    for (char *at = text; (at = strchr(at, '\n'));)
        *at = ' ';
    return text;
}

static char *missing_capability(enum capability capability)
{
    struct capability_report report = {0};
    char *gap = NULL;

    capability_probe(capability, &report);
    if (!report.available)
        gap = on_one_line(text_format("%s: %s — %s", capability_name(capability), report.gap ? report.gap : "missing",
                                      report.remedy ? report.remedy : "see fleet-e2e doctor"));
    capability_report_clear(&report);
    return gap;
}

/* What takes minutes runs only where somebody asked for it by name. */
static bool is_opted_out(const struct test_definition *definition)
{
    return definition->opt_in && !text_equal(getenv(definition->opt_in), "1");
}

char *test_find_gap(const struct test_definition *definition)
{
    char *gap = definition->gate ? closed_gate(definition->gate) : NULL;

    if (!gap && is_opted_out(definition))
        gap = text_format("it takes minutes — set %s=1", definition->opt_in);
    for (int i = 0; !gap && i < definition->needs_count; i++)
        gap = missing_capability(definition->needs[i]);
    return gap;
}

bool test_is_required(const struct test_definition *definition)
{
    return !is_opted_out(definition) && is_required(definition->gate ? definition->gate : "host");
}
