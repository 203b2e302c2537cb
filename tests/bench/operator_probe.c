/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/operator_probe.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "kubernetes/kube_object.h"

#define OPERATOR_PODS "app.kubernetes.io/name=harmony-fleet-operator"
#define OPERATOR_COMM "harmony-fleet-o" /* as far as the kernel keeps a program's name */
#define METRICS_PORT  8080
#define REQUEST_MS    30000
#define PROC_MAX      (256u << 10)
#define STAT_USER     14 /* of proc(5)'s fields of stat: user time; system time follows */

static int take_name(void *context, cJSON *item, struct error *err __attribute__((unused)))
{
    char **name = context;

    if (!*name && text_equal(kube_text(item, "status.phase", ""), "Running") && !kube_is_deleting(item))
        *name = text_copy(kube_name(item));
    return 0;
}

/** Sum up the lines of a Prometheus text that begin with `prefix` and that `wanted` (NULL: all) wants. */
static double sum_metric(const char *text, const char *prefix, bool (*wanted)(const char *line, size_t size))
{
    double sum = 0;

    for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        size_t size = strcspn(line, "\n");
        const char *value = line + size;

        if (!text_starts_with(line, prefix) || (wanted && !wanted(line, size)))
            continue;
        while (value > line && value[-1] != ' ')
            value--;
        sum += strtod(value, NULL);
    }
    return sum;
}

int operator_metric(struct stack *stack, const char *prefix, double *ret, struct error *err)
{
    static const struct kube_list_options options = {.label_selector = OPERATOR_PODS};
    struct deadline deadline = deadline_in_ms(REQUEST_MS);
    cleanup_free char *pod = NULL;
    cleanup_free char *body = NULL;

    if (kube_list(stack_kube(stack), &kube_pods, stack_namespace(stack), &options, take_name, &pod, deadline, NULL,
                  err) < 0)
        return -1;
    if (!pod)
        return error_set(err, &general_error_domain, GENERAL_NOT_FOUND, "asking the operator", stack_namespace(stack),
                         "no Pod of it is running");
    cleanup_free char *path =
        text_format("/api/v1/namespaces/%s/pods/%s:%d/proxy/metrics", stack_namespace(stack), pod, METRICS_PORT);
    if (kube_get_raw(stack_kube(stack), path, deadline, &body, err) < 0)
        return -1;
    *ret = sum_metric(body, prefix, NULL);
    return 0;
}

static bool has(const char *line, size_t size, const char *text)
{
    return memmem(line, size, text, strlen(text)) != NULL;
}

static bool is_fleet_write(const char *line, size_t size)
{
    return has(line, size, "group=\"fleet.harmony.io\"") && !has(line, size, "verb=\"GET\"") &&
           !has(line, size, "verb=\"LIST\"") && !has(line, size, "verb=\"WATCH\"");
}

int api_server_fleet_writes(struct stack *stack, double *ret, struct error *err)
{
    cleanup_free char *body = NULL;

    if (kube_get_raw(stack_kube(stack), "/metrics", deadline_in_ms(REQUEST_MS), &body, err) < 0)
        return -1;
    *ret = sum_metric(body, "apiserver_request_total{", is_fleet_write);
    return 0;
}

/** A file of /proc/PID; one that is gone meanwhile is empty. Caller frees. */
static char *read_proc(const char *pid, const char *name, size_t *ret_size)
{
    cleanup_free char *path = text_format("/proc/%s/%s", pid, name);
    cleanup_error struct error gone = ERROR_INIT;
    char *data = NULL;

    *ret_size = 0;
    return file_read(path, PROC_MAX, &data, ret_size, &gone) < 0 ? text_copy("") : data;
}

struct operator_search {
    char *variable; /* "POD_NAMESPACE=…" */
    pid_t found;
};

/** Whether an environment, as the kernel shows it, holds this variable. */
static bool holds_variable(const char *environment, size_t size, const char *variable)
{
    for (const char *item = environment; item < environment + size; item += strlen(item) + 1) {
        if (strcmp(item, variable) == 0)
            return true;
    }
    return false;
}

static int look_at_process(void *context, const char *name, struct error *err __attribute__((unused)))
{
    struct operator_search *search = context;
    size_t size;

    if (!isdigit((unsigned char)*name))
        return 0;
    cleanup_free char *comm = read_proc(name, "comm", &size);
    if (!text_equal(comm, OPERATOR_COMM "\n"))
        return 0;
    cleanup_free char *environment = read_proc(name, "environ", &size);
    if (holds_variable(environment, size, search->variable))
        search->found = (pid_t)strtol(name, NULL, 10);
    return 0;
}

int operator_pid(struct stack *stack, pid_t *ret, struct error *err)
{
    cleanup_free char *variable = text_format("POD_NAMESPACE=%s", stack_namespace(stack));
    struct operator_search search = {.variable = variable};

    if (directory_each("/proc", look_at_process, &search, err) < 0)
        return -1;
    if (search.found == 0)
        return error_set(err, &general_error_domain, GENERAL_NOT_FOUND, "looking for the operator's process",
                         stack_namespace(stack), "none on this machine has %s", variable);
    *ret = search.found;
    return 0;
}

int process_memory_kb(pid_t pid, const char *field, double *ret, struct error *err)
{
    cleanup_free char *path = text_format("/proc/%d/status", pid);
    cleanup_free char *needle = text_format("\n%s:", field);
    cleanup_free char *data = NULL;
    size_t size;

    if (file_read(path, PROC_MAX, &data, &size, err) < 0)
        return -1;
    const char *line = strstr(data, needle);
    if (!line)
        return error_set(err, &general_error_domain, GENERAL_NOT_FOUND, "reading", path, "no %s", field);
    *ret = strtod(line + strlen(needle), NULL);
    return 0;
}

int process_cpu_s(pid_t pid, double *ret, struct error *err)
{
    cleanup_free char *path = text_format("/proc/%d/stat", pid);
    cleanup_free char *data = NULL;
    size_t size;

    if (file_read(path, PROC_MAX, &data, &size, err) < 0)
        return -1;
    char *rest = strrchr(data, ')'); /* the program's name may hold anything */
    for (int field = 2; rest && field < STAT_USER; field++)
        rest = strchr(rest + 1, ' ');
    if (!rest)
        return error_set(err, &general_error_domain, GENERAL_FAILED, "reading", path, "not as proc(5) says");
    unsigned long user = strtoul(rest, &rest, 10);
    unsigned long system = strtoul(rest, NULL, 10);
    *ret = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
    return 0;
}
