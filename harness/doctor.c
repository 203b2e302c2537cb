/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "harness/capability_probe.h"
#include "harness/report_text.h"
#include "harness/vm_accelerator.h"

#define COLUMNS        100
#define NAME_COLUMNS   14
#define STATUS_COLUMNS 10
#define TEXT_COLUMN    (NAME_COLUMNS + STATUS_COLUMNS)

/* What the tests behind a gate need: for pod, podman to build images. */
static const struct doctor_gate {
    const char *name;
    enum capability needs[CAPABILITY_COUNT];
    int count;
} gates[] = {
    {"host",
     {CAPABILITY_ROOT, CAPABILITY_NAMESPACES, CAPABILITY_NATS_SERVER, CAPABILITY_PODMAN, CAPABILITY_TEST_IMAGES,
      CAPABILITY_SSHD},
     6},
    {"pod", {CAPABILITY_NATS_SERVER, CAPABILITY_PODMAN, CAPABILITY_CLUSTER}, 3},
    {"vm",
     {CAPABILITY_ROOT, CAPABILITY_NAMESPACES, CAPABILITY_NATS_SERVER, CAPABILITY_REGISTRY, CAPABILITY_LIBVIRT,
      CAPABILITY_QEMU, CAPABILITY_VM_IMAGE, CAPABILITY_VM_AGENT, CAPABILITY_VM_WORKLOADS},
     9},
};

static bool colour;

static const char *paint(const char *escape)
{
    return colour ? escape : "";
}

static const struct doctor_gate *find_gate(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(gates); i++) {
        if (text_equal(gates[i].name, name))
            return &gates[i];
    }
    return NULL;
}

/* Calls `visit` for each gate that the comma list names; NULL for a name that is none. Returns the results or'ed. */
static int each_gate(const char *require, int (*visit)(void *context, const char *name, const struct doctor_gate *gate),
                     void *context)
{
    int result = 0;

    while (*require) {
        cleanup_free char *name = text_copy_n(require, strcspn(require, ","));
        if (*name)
            result |= visit(context, name, find_gate(name));
        require += strcspn(require, ",");
        require += strspn(require, ",");
    }
    return result;
}

/* The table */

static int gate_needs(void *context, const char *name, const struct doctor_gate *gate)
{
    const enum capability *capability = context;

    (void)name;
    for (int i = 0; gate && i < gate->count; i++) {
        if (gate->needs[i] == *capability)
            return 1;
    }
    return 0;
}

/* By what is asked for; who runs only host tests misses nothing without virtual machines. */
static bool is_needed(enum capability capability, const char *require)
{
    return each_gate(require, gate_needs, &capability);
}

static void add_indent(struct text_buffer *page, size_t columns)
{
    text_pad_right(page, "", columns);
}

static void add_capability(struct text_buffer *page, enum capability capability, const char *require)
{
    struct capability_report report = {0};
    bool needed = is_needed(capability, require);

    capability_probe(capability, &report);
    const char *status = report.available ? "ok" : needed ? "missing" : "optional";
    const char *tint = report.available ? "\033[32m" : needed ? "\033[31m" : "\033[33m";
    text_pad_right(page, capability_name(capability), NAME_COLUMNS);
    text_buffer_add(page, paint(tint));
    text_pad_right(page, status, STATUS_COLUMNS);
    text_buffer_add(page, paint("\033[0m"));
    text_wrap(page, report.available ? report.found : report.gap, COLUMNS - TEXT_COLUMN, TEXT_COLUMN);
    text_buffer_add(page, "\n");
    if (report.remedy) {
        add_indent(page, TEXT_COLUMN);
        cleanup_free char *remedy = text_format("remedy: %s", report.remedy);
        text_wrap(page, remedy, COLUMNS - TEXT_COLUMN, TEXT_COLUMN);
        text_buffer_add(page, "\n");
    }
    capability_report_clear(&report);
}

static void add_table(struct text_buffer *page, const char *require)
{
    text_buffer_add(page, paint("\033[1m"));
    text_pad_right(page, "capability", NAME_COLUMNS);
    text_pad_right(page, "status", STATUS_COLUMNS);
    text_buffer_format(page, "found%s\n", paint("\033[0m"));
    for (enum capability capability = 0; capability < CAPABILITY_COUNT; capability++)
        add_capability(page, capability, require);
}

static void add_quirks(struct text_buffer *page)
{
    cleanup_quirk_list struct quirk_list quirks = {0};

    quirks_find(&quirks);
    text_buffer_format(page, "\n%squirks of this machine%s\n", paint("\033[1m"), paint("\033[0m"));
    if (!quirks.count)
        text_buffer_add(page, "  none\n");
    for (size_t i = 0; i < quirks.count; i++) {
        text_buffer_add(page, "- ");
        text_wrap(page, quirks.items[i].title, COLUMNS - 2, 2);
        text_buffer_add(page, "\n    ");
        text_wrap(page, quirks.items[i].explanation, COLUMNS - 4, 4);
        text_buffer_add(page, "\n");
    }
}

/* The verdict */

static void add_missing(const struct doctor_gate *gate, struct text_buffer *missing)
{
    for (int i = 0; i < gate->count; i++) {
        struct capability_report report = {0};
        capability_probe(gate->needs[i], &report);
        if (!report.available)
            text_buffer_format(missing, "%s%s", missing->size ? ", " : "", capability_name(gate->needs[i]));
        capability_report_clear(&report);
    }
}

/* Returns 0 when what `name` stands for can run here. */
static int judge(void *context, const char *name, const struct doctor_gate *gate)
{
    struct text_buffer *page = context;
    cleanup_text_buffer struct text_buffer missing = {0};

    if (!gate) {
        text_buffer_format(page, "%s: there is no such gate (host, pod, vm)\n", name);
        return 1;
    }
    add_missing(gate, &missing);
    if (missing.size)
        text_buffer_format(page, "%s%s: not ready%s, missing: %s\n", paint("\033[31m"), name, paint("\033[0m"),
                           text_buffer_text(&missing));
    else
        text_buffer_format(page, "%s%s: ready%s\n", paint("\033[32m"), name, paint("\033[0m"));
    return missing.size != 0;
}

int doctor_main(const char *require)
{
    cleanup_text_buffer struct text_buffer page = {0};

    if (!require || !*require)
        require = "host";
    colour = text_wants_colour(STDOUT_FILENO);
    capability_forget_gaps();
    vm_accelerator_forget();
    add_table(&page, require);
    add_quirks(&page);
    text_buffer_add(&page, "\n");
    int result = each_gate(require, judge, &page);
    fputs(text_buffer_text(&page), stdout);
    return result;
}
