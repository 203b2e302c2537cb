/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tests/host/support_reconciler.h"

enum { NEVER_MS = 3600 * 1000 }; /* no periodic pass: what happens is due to what was done */

int scene_start(struct scene *scene, struct error *err)
{
    const struct reconciler_options options = {.device_id = SCENE_DEVICE,
                                               .state_directory = scene->state_directory,
                                               .podman_socket = podman_host_socket(scene->host),
                                               .runtime_enabled = true,
                                               .interval_ms = NEVER_MS,
                                               .sink = reported_sink(scene->reported)};

    return reconciler_new(&options, &scene->reconciler, err);
}

void scene_stop(struct scene *scene)
{
    reconciler_free(TAKE_PTR(scene->reconciler));
}

int scene_open(struct test_context *test, struct scene *scene, struct error *err)
{
    struct run *run = NULL;

    if (test_run(test, &run, err) < 0 || podman_host_new(run, test->timeline, "scene", &scene->host, err) < 0)
        return -1;
    scene->state_directory = text_format("%s/state", run_directory(run));
    scene->reported = reported_new();
    return scene_start(scene, err);
}

void scene_close(struct scene *scene)
{
    scene_stop(scene);
    reported_free(scene->reported);
    podman_host_free(scene->host);
    free(scene->state_directory);
    *scene = (struct scene){0};
}

void scene_put(struct scene *scene, const char *deployment, uint64_t revision, const char *data_format, ...)
{
    va_list arguments;

    va_start(arguments, data_format);
    cleanup_free char *data = text_format_v(data_format, arguments);
    va_end(arguments);
    cleanup_free char *value = text_format("{\"type\":\"PodmanV0\",\"data\":%s}", data);
    reconciler_put(scene->reconciler, deployment, revision, value, strlen(value));
}

/** Split at spaces; a '~' stands for a space within a word. */
static void split(const char *words, struct text_list *ret)
{
    while (*words) {
        size_t size = strcspn(words, " ");
        char *word = text_copy_n(words, size);
        for (char *at = strchr(word, '~'); at; at = strchr(at, '~'))
            *at = ' ';
        text_list_take(ret, word);
        words += size + strspn(words + size, " ");
    }
}

static int run(struct scene *scene, const char *words, char **output, struct error *err)
{
    cleanup_text_list struct text_list arguments = {0};

    split(words, &arguments);
    if (podman_host_cli(scene->host, (const char *const *)arguments.items, output, err) < 0)
        return -1;
    if (output) {
        size_t size = strlen(*output);
        if (size > 0 && (*output)[size - 1] == '\n')
            (*output)[size - 1] = '\0';
    }
    return 0;
}

int scene_podman(struct scene *scene, struct error *err, const char *words_format, ...)
{
    va_list arguments;

    va_start(arguments, words_format);
    cleanup_free char *words = text_format_v(words_format, arguments);
    va_end(arguments);
    return run(scene, words, NULL, err);
}

int scene_ask(struct scene *scene, char **output, struct error *err, const char *words_format, ...)
{
    va_list arguments;

    va_start(arguments, words_format);
    cleanup_free char *words = text_format_v(words_format, arguments);
    va_end(arguments);
    return run(scene, words, output, err);
}

static int compare_texts(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

int scene_containers(struct scene *scene, char **ret, struct error *err)
{
    cleanup_container_list struct podman_container_list list = {0};
    cleanup_text_list struct text_list names = {0};
    struct text_buffer text = {0};

    if (podman_host_ps(scene->host, NULL, &list, err) < 0)
        return -1;
    for (size_t i = 0; i < list.count; i++)
        text_list_format(&names, "%s:%s", list.items[i].name, list.items[i].state);
    if (names.count > 1)
        qsort(names.items, names.count, sizeof(*names.items), compare_texts);
    for (size_t i = 0; i < names.count; i++)
        text_buffer_format(&text, "%s%s", i ? " " : "", names.items[i]);
    *ret = text_buffer_take(&text);
    return 0;
}
