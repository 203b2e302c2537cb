/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/nats_smoke_check.h"

#include "base/text.h"
#include "deploy/nats_config.h"
#include "deploy/score_steps.h"
#include "messaging/kv.h"

static int connect_as(const char *url, const char *role, const struct user_password *user, struct deadline deadline,
                      struct credentials **credentials, struct nats_connection **ret, struct error *err)
{
    const char *const urls[] = {url, NULL};
    cleanup_free char *name = text_format("smoke check as %s", role);
    struct nats_settings settings = {.urls = urls, .name = name, .connect_timeout_ms = deadline_poll_ms(deadline)};

    if (score_check_credentials(FLEET_NATS_SCORE, role, user, credentials, err) < 0)
        return -1;
    settings.credentials = *credentials;
    if (nats_connection_open(&settings, ret, err) < 0 || nats_connection_flush(*ret, deadline, err) < 0)
        return error_wrap(err, "connecting as", role);
    return 0;
}

int nats_smoke_check(const struct fleet_nats_score *score, const char *url, struct deadline deadline, struct error *err)
{
    CLEANUP(credentials_free) struct credentials *admin = NULL;
    CLEANUP(credentials_free) struct credentials *device = NULL;
    CLEANUP(nats_connection_free) struct nats_connection *as_admin = NULL;
    CLEANUP(nats_connection_free) struct nats_connection *as_device = NULL;

    if (connect_as(url, "admin", &score->admin, deadline, &admin, &as_admin, err) < 0 ||
        kv_ensure_fleet_buckets(as_admin, err) < 0)
        return -1;
    if (score->replicas > 1 && kv_replicate_fleet_buckets(as_admin, score->replicas, err) < 0)
        return -1;
    return connect_as(url, "device", &score->device, deadline, &device, &as_device, err);
}
