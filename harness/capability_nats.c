/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "harness/capability_probe.h"

/* Auth callout, and what the fleet's JetStream use was written against. */
#define VERSION_MAJOR 2
#define VERSION_MINOR 10

#define REMEDY "run scripts/setup, or set FLEET_NATS_SERVER to a nats-server of 2.10 or later"

static char *find_version(const char *path)
{
    cleanup_free char *key = capability_identity(path);
    CLEANUP(cJSON_Delete) cJSON *known = capability_recall("nats-server", key);
    const char *remembered = cJSON_GetStringValue(known);

    if (remembered)
        return text_copy(remembered);
    char *version = capability_ask_version(path, ": v"); /* "nats-server: v2.10.27" */
    if (version)
        capability_remember("nats-server", key, cJSON_CreateString(version));
    return version;
}

/* True if `path` (taken into `gaps` when not) can be used; *version is then its version. */
static bool candidate_is_good(const char *path, char **version, struct text_list *gaps)
{
    if (access(path, X_OK) < 0) {
        text_list_format(gaps, "no %s", path);
        return false;
    }
    cleanup_free char *found = find_version(path);
    if (!found) {
        text_list_format(gaps, "%s does not tell its version", path);
        return false;
    }
    if (!capability_version_at_least(found, VERSION_MAJOR, VERSION_MINOR)) {
        text_list_format(gaps, "%s is %s, older than 2.10", path, found);
        return false;
    }
    *version = TAKE_PTR(found);
    return true;
}

/* Returns its path (caller frees), or NULL with what was looked at in `gaps`. */
static char *find_server(char **version, struct text_list *gaps)
{
    const char *chosen = getenv("FLEET_NATS_SERVER");
    cleanup_free char *cached = text_format("%s/nats-server/usr/sbin/nats-server", cache_directory());
    cleanup_free char *installed = NULL;

    if (chosen && *chosen) /* an explicit choice is used or refused, never replaced */
        return candidate_is_good(chosen, version, gaps) ? text_copy(chosen) : NULL;
    if (candidate_is_good(cached, version, gaps))
        return TAKE_PTR(cached);
    installed = capability_find_program("nats-server");
    if (!installed)
        text_list_add(gaps, "no nats-server in PATH");
    else if (candidate_is_good(installed, version, gaps))
        return TAKE_PTR(installed);
    return NULL;
}

int nats_server_find(char **ret, struct error *err)
{
    cleanup_text_list struct text_list gaps = {0};
    cleanup_free char *version = NULL;
    char *path = find_server(&version, &gaps);

    if (!path) {
        cleanup_free char *why = text_list_join(&gaps, ", ");
        return error_set(err, &general_error_domain, GENERAL_UNSUPPORTED, "finding", "nats-server", "%s; " REMEDY, why);
    }
    *ret = path;
    return 0;
}

void probe_nats_server(struct capability_report *ret)
{
    cleanup_text_list struct text_list gaps = {0};
    cleanup_free char *version = NULL;
    cleanup_free char *path = find_server(&version, &gaps);

    if (path)
        capability_set_found(ret, text_format("nats-server %s (%s)", version, path));
    else
        capability_set_gap(ret, text_list_join(&gaps, ", "), text_copy(REMEDY));
}
