/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/kubernetes_apply.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "contracts/custom_resources.h"
#include "deploy/kubernetes_change.h"
#include "deploy/kubernetes_manifest.h"

#define NAMESPACE_MAX 63

bool kubernetes_is_namespace_name(const char *text)
{
    size_t size = text ? strlen(text) : 0;

    return size > 0 && size <= NAMESPACE_MAX && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == size &&
           text[0] != '-' && text[size - 1] != '-';
}

/** "StatefulSet fleet/nats"; caller frees. */
static char *object_title(const cJSON *object)
{
    const char *space = kube_namespace(object);

    return text_format("%s %s%s%s", kube_text(object, "kind", "object"), space, space[0] ? "/" : "", kube_name(object));
}

static void tell_change(const struct kubernetes_apply *apply, const char *title, const struct text_list *changes)
{
    const struct score_observer *observer = apply->topology->observer;

    if (observer && observer->object_changed)
        observer->object_changed(observer->context, title, (const char *const *)changes->items);
}

/** Get, or NULL when there is none. */
static int get_or_none(const struct kubernetes_apply *apply, const struct kube_resource *resource, const cJSON *object,
                       cJSON **ret, struct error *err)
{
    if (kube_get(apply->target->client, resource, kube_namespace(object), kube_name(object), apply->deadline, ret,
                 err) == 0)
        return 0;
    if (!error_is(err, &kube_error_domain, KUBE_NOT_FOUND))
        return -1;
    error_clear(err);
    return 0;
}

/** A Service's node port belongs to another one. Source: the API server's message; it has no code of its own. */
static bool is_port_taken(const struct error *err)
{
    return error_is(err, &kube_error_domain, KUBE_INVALID) &&
           strstr(error_root_detail(err), "provided port is already allocated") != NULL;
}

/** Apply; in a dry run within a namespace that is only to be made, the object is taken for what would come of it. */
static int apply_to_server(const struct kubernetes_apply *apply, const struct kube_resource *resource,
                           const cJSON *object, cJSON **ret, struct error *err)
{
    const struct kube_apply_options options = {FLEET_DEPLOY_MANAGER, true, apply->target->dry_run};

    if (apply->target->dry_run && !apply->namespace_uid && resource->namespaced) {
        *ret = cJSON_Duplicate(object, true);
        return 0;
    }
    if (kube_apply(apply->target->client, resource, object, &options, apply->deadline, ret, err) == 0)
        return 0;
    if (!is_port_taken(err))
        return -1;
    error_wrap(err, "taking a node port", NULL);
    err->domain = &deploy_error_domain;
    err->code = DEPLOY_PORT_TAKEN;
    return -1;
}

static int apply_known(struct kubernetes_apply *apply, const struct kube_resource *resource, const cJSON *object,
                       bool *created, cJSON **ret, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *before = NULL;
    CLEANUP(cJSON_Delete) cJSON *after = NULL;
    cleanup_text_list struct text_list changes = {0};

    if (get_or_none(apply, resource, object, &before, err) < 0 ||
        apply_to_server(apply, resource, object, &after, err) < 0)
        return -1;
    if (created)
        *created = before == NULL;
    if (kubernetes_change(before, after, &changes)) {
        cleanup_free char *title = object_title(object);
        tell_change(apply, title, &changes);
        apply->changed = true;
    }
    if (ret)
        *ret = TAKE_PTR(after);
    return 0;
}

int kubernetes_apply_object(struct kubernetes_apply *apply, const char *component, cJSON *object, bool *created,
                            cJSON **ret, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *owned = object;
    const struct kube_resource *resource = kube_resource_of(object);

    if (!resource)
        return error_set(err, &general_error_domain, GENERAL_UNSUPPORTED, "applying", kube_name(object),
                         "its kind is not known");
    kube_set_label(owned, KUBERNETES_LABEL_NAME, component);
    kube_set_label(owned, KUBERNETES_LABEL_PART_OF, "harmony-fleet");
    kube_set_label(owned, KUBERNETES_LABEL_MANAGED_BY, FLEET_DEPLOY_MANAGER);
    return apply_known(apply, resource, owned, created, ret, err);
}

int kubernetes_remove_object(struct kubernetes_apply *apply, const struct kube_resource *resource, const char *name,
                             struct error *err)
{
    const struct kubernetes_target *target = apply->target;
    CLEANUP(cJSON_Delete) cJSON *wanted = kube_object_new(resource, target->namespace_name, name);
    CLEANUP(cJSON_Delete) cJSON *found = NULL;
    cleanup_text_list struct text_list changes = {0};

    if (get_or_none(apply, resource, wanted, &found, err) < 0)
        return -1;
    if (!found || !text_equal(kube_label(found, KUBERNETES_LABEL_MANAGED_BY), FLEET_DEPLOY_MANAGER))
        return 0;
    cleanup_free char *title = object_title(wanted);
    text_list_add(&changes, "is removed");
    tell_change(apply, title, &changes);
    apply->changed = true;
    if (target->dry_run)
        return 0;
    return kube_delete(target->client, resource, target->namespace_name, name, KUBE_BACKGROUND, -1, apply->deadline,
                       err);
}

/** Look the namespace up, or make it. */
static int find_namespace(struct kubernetes_apply *apply, struct error *err)
{
    const char *name = apply->target->namespace_name;
    CLEANUP(cJSON_Delete) cJSON *wanted = kube_object_new(&kube_namespaces, NULL, name);
    CLEANUP(cJSON_Delete) cJSON *found = NULL;

    if (get_or_none(apply, &kube_namespaces, wanted, &found, err) < 0)
        return error_wrap(err, "looking up namespace", name);
    if (!found && !apply->target->create_namespace)
        return error_set(err, &kube_error_domain, KUBE_NOT_FOUND, "looking up namespace", name, "it does not exist");
    if (!found && kubernetes_apply_object(apply, "harmony-fleet", TAKE_PTR(wanted), NULL, &found, err) < 0)
        return -1;
    if (kube_is_deleting(found))
        return error_set(err, &kube_error_domain, KUBE_CONFLICT, "looking up namespace", name, "it is being deleted");
    /* What a dry run answers for a namespace that is not there is of no use as an owner. */
    if (!(apply->changed && apply->target->dry_run))
        apply->namespace_uid = text_copy(kube_uid(found));
    return 0;
}

int kubernetes_apply_begin(const char *score, const struct topology *topology, struct deadline deadline,
                           struct kubernetes_apply *ret, struct error *err)
{
    cleanup_kubernetes_apply struct kubernetes_apply apply = {
        .score = score, .topology = topology, .target = topology->kubernetes, .deadline = deadline};
    cleanup_free char *operation = text_format("deploying %s to", score);

    if (!apply.target)
        return error_set(err, &deploy_error_domain, DEPLOY_NO_CAPABILITY, operation, topology->name,
                         "it has no Kubernetes API");
    if (!kubernetes_is_namespace_name(apply.target->namespace_name))
        return score_refuse(err, score, "namespace", "\"%s\" is not 1 to %d of a-z, 0-9 and '-' within",
                            apply.target->namespace_name ? apply.target->namespace_name : "", NAMESPACE_MAX);
    if (find_namespace(&apply, err) < 0)
        return -1;
    *ret = apply;
    apply.namespace_uid = NULL;
    return 0;
}

void kubernetes_apply_clear(struct kubernetes_apply *apply)
{
    free(apply->namespace_uid);
    *apply = (struct kubernetes_apply){0};
}

void kubernetes_own_by_namespace(const struct kubernetes_apply *apply, cJSON *object)
{
    if (!apply->namespace_uid)
        return;
    cJSON *owners = json_add_array(kube_ensure(object, "metadata"), "ownerReferences");
    cJSON_AddItemToArray(owners,
                         kube_json("{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"name\":\"%s\",\"uid\":\"%s\"}",
                                   apply->target->namespace_name, apply->namespace_uid));
}
