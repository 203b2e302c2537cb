/* SPDX-License-Identifier: Apache-2.0 */

/*
 * FleetAgentScore on a Kubernetes API: a Pod, which cannot have a podman, with its configuration in a Secret. A Pod's
 * specification is fixed once it is there, so one that is to be another is replaced.
 */

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "contracts/custom_resources.h"
#include "deploy/agent_config_text.h"
#include "deploy/agent_smoke_check.h"
#include "deploy/kubernetes_manifest.h"
#include "kubernetes/kube_watch.h"

#define AGENT_ACCOUNT     "harmony-fleet-agent"
#define CONFIG_DIRECTORY  "/etc/fleet-agent"
#define STATE_DIRECTORY   "/var/lib/fleet-agent"
#define PASSWORD_FILE     "nats-password"
#define CONFIG_FILE       "agent-config.toml"
#define DIGEST_ANNOTATION "harmony.io/agent-digest"
#define GRACE_S           5
#define LOOK_MS           1000 /* between two looks at the Pod, while the agent does not answer */

/** One interpretation, of either half. */
struct deployment {
    const struct fleet_agent_score *score;
    struct kubernetes_apply apply;
    char *name; /**< of Pod and Secret */
    struct deadline next_look;
};

static int validate(const struct fleet_agent_score *score, struct error *err)
{
    if (kubernetes_check_image(FLEET_AGENT_SCORE, score->image, err) < 0 || agent_score_check_config(score, err) < 0)
        return -1;
    if (score->runtime_enabled)
        return score_refuse(err, FLEET_AGENT_SCORE, "runtime_enabled", "there is no podman in a Pod");
    if (score->smoke_check_url)
        return agent_score_check_url("smoke_check_url", score->smoke_check_url, err);
    return 0;
}

static int begin(const struct fleet_agent_score *score, struct topology *topology, struct deadline deadline,
                 struct deployment *deployment, struct error *err)
{
    if (validate(score, err) < 0 ||
        kubernetes_apply_begin(FLEET_AGENT_SCORE, topology, deadline, &deployment->apply, err) < 0)
        return -1;
    cleanup_free char *device = kubernetes_name(score->device_id);
    deployment->score = score;
    deployment->name = text_format("agent-%s", device);
    return 0;
}

static void end(struct deployment *deployment)
{
    free(deployment->name);
    kubernetes_apply_clear(&deployment->apply);
}

/** "NAME=value" as Kubernetes has it. */
static void add_environment(cJSON *container, const char *const *environment)
{
    cJSON *variables = json_add_array(container, "env");

    for (size_t i = 0; environment && environment[i]; i++) {
        const char *value = strchr(environment[i], '=');
        size_t size = value ? (size_t)(value - environment[i]) : strlen(environment[i]);
        cleanup_free char *name = text_copy_n(environment[i], size);
        cJSON *variable = json_add_object(variables, NULL);

        json_add_text(variable, "name", name);
        json_add_text(variable, "value", value ? value + 1 : "");
    }
}

/* JSON is laid out as JSON, not as if it were C. */
/* clang-format off */
static cJSON *agent_pod(const struct deployment *deployment)
{
    const struct fleet_agent_score *score = deployment->score;
    cJSON *pod = kube_object_new(&kube_pods, deployment->apply.target->namespace_name, deployment->name);
    cJSON *spec = kube_json(JSON_TEXT({
        "serviceAccountName": "%s", "automountServiceAccountToken": false, "enableServiceLinks": false,
        "terminationGracePeriodSeconds": %d, "restartPolicy": "Always",
        "containers": [{
            "name": "agent", "image": "%s",
            "args": ["--config", "%s/%s"],
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
            "volumeMounts": [
                {"name": "config", "mountPath": "%s", "readOnly": true},
                {"name": "state", "mountPath": "%s"}
            ]
        }],
        "volumes": [
            {"name": "config", "secret": {"secretName": "%s", "defaultMode": 288}},
            {"name": "state", "emptyDir": {}}
        ]
    }), AGENT_ACCOUNT, GRACE_S, score->image, CONFIG_DIRECTORY, CONFIG_FILE, CONFIG_DIRECTORY, STATE_DIRECTORY,
        deployment->name);

    add_environment(cJSON_GetArrayItem(cJSON_GetObjectItem(spec, "containers"), 0), score->environment);
    kubernetes_harden(spec);
    cJSON_AddItemToObject(pod, "spec", spec);
    if (kubernetes_is_label_value(score->device_id))
        kube_set_label(pod, FLEET_LABEL_DEVICE, score->device_id);
    return pod;
}
/* clang-format on */

static cJSON *agent_secret(const struct deployment *deployment)
{
    cleanup_free char *text = agent_config_text(deployment->score, STATE_DIRECTORY, CONFIG_DIRECTORY "/" PASSWORD_FILE);
    cleanup_free char *password = text_format("%s\n", deployment->score->credentials.password);
    const char *const files[] = {CONFIG_FILE, text, PASSWORD_FILE, password, NULL};

    return kubernetes_secret(deployment->apply.target->namespace_name, deployment->name, files);
}

/** Say in the Pod what it and its Secret are, so that the next deployment knows whether they are to be others.
 *  `secret_text`: what was asked for; `secret`: as the server has it. */
static void annotate(cJSON *pod, const char *secret_text, const cJSON *secret)
{
    cleanup_free char *pod_text = json_print(pod);
    cleanup_free char *text = text_format("%s\n%s", pod_text, secret_text);
    char digest[DIGEST_SIZE];

    kubernetes_secret_digest(secret, text, digest);
    json_add_text(kube_ensure(pod, "metadata.annotations"), DIGEST_ANNOTATION, digest);
}

static bool has_ended(const cJSON *pod)
{
    const char *phase = kube_text(pod, "status.phase", "");

    return kube_is_deleting(pod) || strcmp(phase, "Failed") == 0 || strcmp(phase, "Succeeded") == 0;
}

/** Have a Pod that is another one, or has ended, gone. *keep: there is one, and it is as it should be. */
static int make_way(const struct deployment *deployment, const cJSON *wanted, bool *keep, struct error *err)
{
    const struct kubernetes_target *target = deployment->apply.target;
    struct deadline deadline = deployment->apply.deadline;
    CLEANUP(cJSON_Delete) cJSON *found = NULL;

    *keep = false;
    if (kube_get(target->client, &kube_pods, target->namespace_name, deployment->name, deadline, &found, err) < 0) {
        if (!error_is(err, &kube_error_domain, KUBE_NOT_FOUND))
            return -1;
        error_clear(err);
        return 0;
    }
    const char *before = kube_annotation(found, DIGEST_ANNOTATION);
    *keep = !has_ended(found) && text_equal(before, kube_annotation(wanted, DIGEST_ANNOTATION));
    if (*keep || target->dry_run)
        return 0;
    if (!kube_is_deleting(found) && kube_delete(target->client, &kube_pods, target->namespace_name, deployment->name,
                                                KUBE_BACKGROUND, -1, deadline, err) < 0)
        return -1;
    return kube_wait_gone(target->client, &kube_pods, target->namespace_name, deployment->name, deadline, err);
}

/** Takes and frees both. */
static int apply_pod(struct deployment *deployment, cJSON *secret, cJSON *pod, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *owned_pod = pod;
    CLEANUP(cJSON_Delete) cJSON *owned_secret = secret;
    CLEANUP(cJSON_Delete) cJSON *applied = NULL;
    cleanup_free char *secret_text = json_print(secret);
    const char *space = deployment->apply.target->namespace_name;
    cJSON *account = kube_object_new(&kube_service_accounts, space, AGENT_ACCOUNT);
    bool keep = false;

    json_add_boolean(account, "automountServiceAccountToken", false);
    if (kubernetes_apply_object(&deployment->apply, AGENT_ACCOUNT, account, NULL, NULL, err) < 0 ||
        kubernetes_apply_object(&deployment->apply, deployment->name, TAKE_PTR(owned_secret), NULL, &applied, err) < 0)
        return -1;
    annotate(pod, secret_text, applied);
    if (make_way(deployment, pod, &keep, err) < 0)
        return -1;
    if (keep)
        return 0;
    return kubernetes_apply_object(&deployment->apply, deployment->name, TAKE_PTR(owned_pod), NULL, NULL, err);
}

static int apply_everything(struct deployment *deployment, struct fleet_agent_deployed *deployed, struct error *err)
{
    struct score_step step = score_step_begin(deployment->apply.topology, "apply agent", &deployed->outcome);
    cJSON *secret = agent_secret(deployment);
    cJSON *pod = agent_pod(deployment);
    int result = apply_pod(deployment, secret, pod, err);

    step.changed = deployment->apply.changed;
    score_step_end(&step);
    return result;
}

static int wrap(struct error *err, const struct fleet_agent_score *score, const struct topology *topology)
{
    cleanup_free char *subject = text_format("%s to %s", score->device_id, topology->name);

    return error_wrap(err, "deploying agent", subject);
}

int fleet_agent_score_apply(const struct fleet_agent_score *score, struct topology *topology, struct deadline deadline,
                            struct fleet_agent_deployed *ret, struct error *err)
{
    struct fleet_agent_deployed deployed = {0};
    struct deployment deployment = {0};

    if (begin(score, topology, deadline, &deployment, err) < 0)
        return -1;
    int result = apply_everything(&deployment, &deployed, err);
    if (result == 0) {
        deployed.service = text_copy(deployment.name);
        fleet_agent_deployed_clear(ret);
        *ret = deployed;
    }
    end(&deployment);
    return result < 0 ? wrap(err, score, topology) : 0;
}

static int pod_may_answer(void *context, struct error *err)
{
    struct deployment *deployment = context;

    if (!deadline_passed(deployment->next_look))
        return 0;
    deployment->next_look = deadline_in_ms(LOOK_MS);
    return kubernetes_check_pods(&deployment->apply, deployment->name, err);
}

static int is_ready(void *context, const cJSON *pod, struct error *err)
{
    const struct deployment *deployment = context;
    const cJSON *condition;

    if (!pod)
        return 0;
    cJSON_ArrayForEach(condition, kube_member(pod, "status.conditions")) {
        if (strcmp(kube_text(condition, "type", ""), "Ready") == 0 &&
            strcmp(kube_text(condition, "status", ""), "True") == 0)
            return 1;
    }
    return kubernetes_check_pod(&deployment->apply, pod, err);
}

static int smoke_check(struct deployment *deployment, struct error *err)
{
    const struct fleet_agent_score *score = deployment->score;
    const struct kubernetes_target *target = deployment->apply.target;
    const struct agent_smoke_check check = {
        .score = FLEET_AGENT_SCORE,
        .device_id = score->device_id,
        .nats_url = score->smoke_check_url,
        .user = score->smoke_check,
    };

    if (!score->smoke_check.user || !score->smoke_check_url)
        return kube_wait(target->client, &kube_pods, target->namespace_name, deployment->name, is_ready, deployment,
                         deployment->apply.deadline, err);
    deployment->next_look = deadline_in_ms(LOOK_MS);
    return agent_answers(&check, pod_may_answer, deployment, deployment->apply.deadline, err);
}

int fleet_agent_score_wait(const struct fleet_agent_score *score, struct topology *topology, struct deadline deadline,
                           struct fleet_agent_deployed *deployed, struct error *err)
{
    struct deployment deployment = {0};

    if (topology->kubernetes && topology->kubernetes->dry_run)
        return 0;
    if (begin(score, topology, deadline, &deployment, err) < 0)
        return -1;
    struct score_step step = score_step_begin(topology, "smoke check of agent", &deployed->outcome);
    int result = smoke_check(&deployment, err);
    score_step_end(&step);
    if (result < 0)
        kubernetes_smoke_check_failed(err, &deployment.apply, deployment.name);
    end(&deployment);
    return result < 0 ? wrap(err, score, topology) : 0;
}
