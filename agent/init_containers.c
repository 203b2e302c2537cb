/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/init_containers.h"

#include "base/text.h"

enum {
    KILL_GRACE_S = 2, /* it has had its time already */
    LAST_LINES = 3,   /* of its output go into the error */
};

static const char *init_code_name(int code)
{
    switch ((enum init_error)code) {
    case INIT_EXITED:
        return "exited";
    case INIT_TIMED_OUT:
        return "timed-out";
    }
    return "unknown";
}
const struct error_domain init_error_domain = {"init", init_code_name};

static const char operation[] = "running init container";

static int remove_former(const struct convergence *convergence, const struct observed_list *observed, const char *name,
                         struct error *err)
{
    for (size_t i = 0; i < observed->count; i++) {
        const struct observed_container *former = &observed->items[i];
        if (text_equal(former->init, name) &&
            podman_container_remove(convergence->client, former->id, KILL_GRACE_S, err) < 0)
            return -1;
    }
    return 0;
}

/** Its own last words say more than its exit code does; that they cannot be had is no error. */
static int fail_exited(const struct convergence *convergence, const struct container_spec *spec, const char *id,
                       int exit_code, struct error *err)
{
    cleanup_error struct error ignored = ERROR_INIT;
    cleanup_free char *words = NULL;

    if (podman_container_last_words(convergence->client, id, LAST_LINES, &words, &ignored) < 0 || !*words)
        return error_set(err, &init_error_domain, INIT_EXITED, operation, spec->name, "it exited with code %d",
                         exit_code);
    return error_set(err, &init_error_domain, INIT_EXITED, operation, spec->name, "it exited with code %d: %s",
                     exit_code, words);
}

static int fail_timed_out(const struct convergence *convergence, const struct container_spec *spec, const char *id,
                          struct error *err)
{
    cleanup_error struct error ignored = ERROR_INIT;

    if (podman_container_stop(convergence->client, id, KILL_GRACE_S, &ignored) < 0)
        return error_set(err, &init_error_domain, INIT_TIMED_OUT, operation, spec->name,
                         "it was still running after its timeout of %d s, and could not be stopped: %s",
                         spec->timeout_s, error_root_detail(&ignored));
    return error_set(err, &init_error_domain, INIT_TIMED_OUT, operation, spec->name,
                     "it was still running after its timeout of %d s", spec->timeout_s);
}

static int run_one(const struct convergence *convergence, const struct container_spec *spec, struct error *err)
{
    cleanup_free char *id = NULL;
    int exit_code = 0;

    if (converge_create(convergence, true, spec, &id, err) < 0 ||
        podman_container_start(convergence->client, id, err) < 0)
        return error_wrap(err, operation, spec->name);
    struct deadline deadline = deadline_in_ms((int64_t)spec->timeout_s * 1000);
    if (podman_container_wait(convergence->client, id, deadline, &exit_code, err) < 0) {
        if (!error_is(err, &http_error_domain, HTTP_TIMED_OUT))
            return error_wrap(err, operation, spec->name);
        error_clear(err);
        return fail_timed_out(convergence, spec, id, err);
    }
    if (exit_code != 0)
        return fail_exited(convergence, spec, id, exit_code, err);
    if (podman_container_remove(convergence->client, id, 0, err) < 0)
        return error_wrap(err, operation, spec->name);
    return 0;
}

int init_containers_run(const struct convergence *convergence, const struct observed_list *observed, struct error *err)
{
    const struct podman_v0 *podman = convergence->podman;

    for (size_t i = 0; i < podman->init_container_count; i++) {
        const struct container_spec *spec = &podman->init_containers[i];
        converge_say(convergence, "running init container %s (%zu of %zu)", spec->name, i + 1,
                     podman->init_container_count);
        if (remove_former(convergence, observed, spec->name, err) < 0)
            return error_wrap(err, "removing the former init container", spec->name);
        if (run_one(convergence, spec, err) < 0)
            return -1;
    }
    return 0;
}
