/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/kube_known.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kubernetes/kube_object.h"

/* One object, in one allocation: a fleet has thousands. */
struct known_object {
    const char *name;
    const char *namespace_name;
    const char *uid;
    char *version; /* owned: it is what changes */
    unsigned round;
    char text[];
};

struct kube_known {
    void *tree; /* tsearch(3)'s */
    unsigned round;
};

static int compare(const void *a, const void *b)
{
    const struct known_object *left = a;
    const struct known_object *right = b;
    int order = strcmp(left->name, right->name);

    return order != 0 ? order : strcmp(left->namespace_name, right->namespace_name);
}

static void free_entry(void *entry)
{
    free(((struct known_object *)entry)->version);
    free(entry);
}

struct kube_known *kube_known_new(void)
{
    return NEW(struct kube_known);
}

void kube_known_free(struct kube_known *known)
{
    if (!known)
        return;
    tdestroy(known->tree, free_entry);
    free(known);
}

static struct known_object *find(const struct kube_known *known, const cJSON *object)
{
    const struct known_object wanted = {.name = kube_name(object), .namespace_name = kube_namespace(object)};
    void *node = tfind(&wanted, &known->tree, compare);

    return node ? *(struct known_object **)node : NULL;
}

static struct known_object *new_entry(const cJSON *object)
{
    const char *parts[] = {kube_name(object), kube_namespace(object), kube_uid(object)};
    size_t sizes[ARRAY_SIZE(parts)];
    size_t total = 0;

    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        total += sizes[i] = strlen(parts[i]) + 1;
    struct known_object *entry = memory_new(1, sizeof(*entry) + total);
    char *place = entry->text;
    const char **fields[] = {&entry->name, &entry->namespace_name, &entry->uid};
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        memcpy(place, parts[i], sizes[i]);
        *fields[i] = place;
        place += sizes[i];
    }
    return entry;
}

enum kube_known_change kube_known_put(struct kube_known *known, const cJSON *object)
{
    const char *version = kube_resource_version(object);
    struct known_object *entry = find(known, object);
    enum kube_known_change change = KUBE_KNOWN_CHANGED;

    if (!entry) {
        entry = new_entry(object);
        memory_checked(tsearch(entry, &known->tree, compare));
        change = KUBE_KNOWN_NEW;
    } else if (strcmp(entry->version, version) == 0) {
        change = KUBE_KNOWN_SAME;
    }
    if (change != KUBE_KNOWN_SAME) {
        free(entry->version);
        entry->version = text_copy(version);
    }
    entry->round = known->round;
    return change;
}

bool kube_known_remove(struct kube_known *known, const cJSON *object)
{
    struct known_object *entry = find(known, object);

    if (!entry)
        return false;
    tdelete(entry, &known->tree, compare);
    free_entry(entry);
    return true;
}

void kube_known_begin(struct kube_known *known)
{
    known->round++;
}

struct sweep {
    const struct kube_known *known;
    struct known_object **gone;
    size_t count;
};

static void collect(const void *node, VISIT which, void *context)
{
    struct sweep *sweep = context;
    struct known_object *entry = *(struct known_object *const *)node;

    if ((which != postorder && which != leaf) || entry->round == sweep->known->round)
        return;
    sweep->gone = memory_resize(sweep->gone, sweep->count + 1, sizeof(struct known_object *));
    sweep->gone[sweep->count++] = entry;
}

void kube_known_sweep(struct kube_known *known, void (*gone)(void *context, cJSON *stub), void *context)
{
    struct sweep sweep = {.known = known};

    twalk_r(known->tree, collect, &sweep);
    for (size_t i = 0; i < sweep.count; i++) {
        struct known_object *entry = sweep.gone[i];
        CLEANUP(cJSON_Delete) cJSON *stub = memory_checked(cJSON_CreateObject());
        cJSON *metadata = json_add_object(stub, "metadata");
        json_add_text(metadata, "name", entry->name);
        if (*entry->namespace_name)
            json_add_text(metadata, "namespace", entry->namespace_name);
        json_add_text(metadata, "uid", entry->uid);
        tdelete(entry, &known->tree, compare);
        free_entry(entry);
        gone(context, stub);
    }
    free(sweep.gone);
}
