/* SPDX-License-Identifier: Apache-2.0 */
#include "messaging/options.h"

#include "base/memory.h"
#include "base/text.h"

#define CONNECT_TIMEOUT_MS 5000
#define RECONNECT_MIN_MS   100
#define RECONNECT_MAX_MS   10000
#define PING_INTERVAL_MS   20000
#define PINGS_OUT_MAX      2

/*
 * What is published while reconnecting waits here. nats.c allocates it whole at every disconnect, but untouched pages
 * cost nothing. It must hold one value of the largest kind; more would only be published late.
 */
#define RECONNECT_BUFFER_SIZE (4 << 20)

static int or_default(int value, int fallback)
{
    return value > 0 ? value : fallback;
}

int settings_connect_timeout_ms(const struct nats_settings *settings)
{
    return or_default(settings->connect_timeout_ms, CONNECT_TIMEOUT_MS);
}

int settings_reconnect_min_ms(const struct nats_settings *settings)
{
    return or_default(settings->reconnect_min_ms, RECONNECT_MIN_MS);
}

int settings_reconnect_max_ms(const struct nats_settings *settings)
{
    return or_default(settings->reconnect_max_ms, RECONNECT_MAX_MS);
}

size_t settings_url_count(const struct nats_settings *settings)
{
    size_t count = 0;

    while (settings->urls && settings->urls[count])
        count++;
    return count;
}

/** nats.c (3.4 to 3.9: conn.c, _connectProto) puts this into its CONNECT line's JSON as it is. Caller frees. */
static char *escape_for_connect(const char *text)
{
    cleanup_text_buffer struct text_buffer quoted = {0};

    text_buffer_quote(&quoted, text);
    return text_copy_n(quoted.data + 1, quoted.size - 2);
}

static natsStatus set_user(natsOptions *options, const struct credentials *credentials)
{
    cleanup_free char *user = escape_for_connect(credentials->user);
    cleanup_free char *password = escape_for_connect(credentials->password);

    return natsOptions_SetUserInfo(options, user, password);
}

/** The one place where credentials become options; a token's handler will be set here, asked at every reconnect. */
static natsStatus set_credentials(natsOptions *options, const struct credentials *credentials)
{
    switch (credentials ? credentials->type : CREDENTIAL_NONE) {
    case CREDENTIAL_NONE:
        return NATS_OK;
    case CREDENTIAL_USER_PASSWORD:
        return set_user(options, credentials);
    }
    return NATS_INVALID_ARG;
}

/** nats.c itself takes "tls://" for a mere wish and goes on in the clear with a server that has no TLS. */
static bool wants_tls(const struct nats_settings *settings)
{
    for (size_t i = 0; i < settings_url_count(settings); i++) {
        if (text_starts_with(settings->urls[i], "tls://"))
            return true;
    }
    return settings->ca_file || settings->cert_file;
}

static natsStatus set_tls(natsOptions *options, const struct nats_settings *settings)
{
    natsStatus status = NATS_OK;

    if (settings->ca_file)
        status = natsOptions_LoadCATrustedCertificates(options, settings->ca_file);
    if (status == NATS_OK && settings->cert_file)
        status = natsOptions_LoadCertificatesChain(options, settings->cert_file, settings->key_file);
    if (status == NATS_OK && wants_tls(settings))
        status = natsOptions_SetSecure(options, true);
    return status;
}

static natsStatus set_reconnect(natsOptions *options, const struct nats_settings *settings,
                                const struct nats_callbacks *callbacks)
{
    natsStatus status = natsOptions_SetAllowReconnect(options, settings->reconnect);

    if (status == NATS_OK)
        status = natsOptions_SetMaxReconnect(options, -1);
    if (status == NATS_OK)
        status = natsOptions_SetReconnectBufSize(options, RECONNECT_BUFFER_SIZE);
    if (status == NATS_OK)
        status = natsOptions_SetCustomReconnectDelay(options, callbacks->reconnect_delay, callbacks->closure);
    if (status == NATS_OK)
        status = natsOptions_SetFailRequestsOnDisconnect(options, true);
    /* A server tells its cluster's addresses, which devices behind NAT or a node port cannot reach. */
    if (status == NATS_OK)
        status = natsOptions_SetIgnoreDiscoveredServers(options, true);
    return status;
}

static natsStatus set_callbacks(natsOptions *options, const struct nats_callbacks *callbacks)
{
    natsStatus status = natsOptions_SetDisconnectedCB(options, callbacks->disconnected, callbacks->closure);

    if (status == NATS_OK)
        status = natsOptions_SetReconnectedCB(options, callbacks->reconnected, callbacks->closure);
    if (status == NATS_OK)
        status = natsOptions_SetClosedCB(options, callbacks->closed, callbacks->closure);
    if (status == NATS_OK)
        status = natsOptions_SetErrorHandler(options, callbacks->error, callbacks->closure);
    return status;
}

static natsStatus set_basics(natsOptions *options, const struct nats_settings *settings)
{
    natsStatus status =
        natsOptions_SetServers(options, (const char **)settings->urls, (int)settings_url_count(settings));

    if (status == NATS_OK && settings->name)
        status = natsOptions_SetName(options, settings->name);
    if (status == NATS_OK)
        status = natsOptions_SetTimeout(options, settings_connect_timeout_ms(settings));
    if (status == NATS_OK)
        status = natsOptions_SetPingInterval(options, or_default(settings->ping_interval_ms, PING_INTERVAL_MS));
    if (status == NATS_OK)
        status = natsOptions_SetMaxPingsOut(options, PINGS_OUT_MAX);
    /* Without this nats.c holds small messages back for up to a millisecond to send several at once. */
    if (status == NATS_OK)
        status = natsOptions_SetSendAsap(options, true);
    return status;
}

int nats_options_make(const struct nats_settings *settings, const struct nats_callbacks *callbacks, natsOptions **ret,
                      struct error *err)
{
    CLEANUP(natsOptions_Destroy) natsOptions *options = NULL;
    natsStatus status;

    if (settings_url_count(settings) == 0)
        return error_set(err, &general_error_domain, GENERAL_INVALID, "connecting to NATS", NULL, "no URL is given");
    status = natsOptions_Create(&options);
    if (status == NATS_OK)
        status = set_basics(options, settings);
    if (status == NATS_OK)
        status = set_reconnect(options, settings, callbacks);
    if (status == NATS_OK)
        status = set_callbacks(options, callbacks);
    if (status == NATS_OK)
        status = set_credentials(options, settings->credentials);
    if (status == NATS_OK)
        status = set_tls(options, settings);
    if (status != NATS_OK)
        return error_set_nats(err, status, "preparing the NATS connection to", settings->urls[0]);
    *ret = TAKE_PTR(options);
    return 0;
}

int nats_settings_check(const struct nats_settings *settings, struct error *err)
{
    static const struct nats_callbacks none = {0};
    CLEANUP(natsOptions_Destroy) natsOptions *options = NULL;

    return nats_options_make(settings, &none, &options, err);
}

void nats_settings_copy(struct nats_settings *to, const struct nats_settings *from)
{
    struct text_list urls = {0};

    for (size_t i = 0; i < settings_url_count(from); i++)
        text_list_add(&urls, from->urls[i]);
    *to = *from;
    to->urls = (const char *const *)urls.items;
    to->name = text_copy(from->name);
    to->ca_file = text_copy(from->ca_file);
    to->cert_file = text_copy(from->cert_file);
    to->key_file = text_copy(from->key_file);
}

void nats_settings_clear(struct nats_settings *settings)
{
    struct text_list urls = {(char **)settings->urls, settings_url_count(settings)};

    text_list_clear(&urls);
    free((char *)settings->name);
    free((char *)settings->ca_file);
    free((char *)settings->cert_file);
    free((char *)settings->key_file);
    *settings = (struct nats_settings){0};
}
