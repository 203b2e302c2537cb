/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Who is trusted: a server with a certificate of an authority made here.
 */

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "harness/test.h"
#include "kubernetes/kube_client.h"
#include "tests/unit/support_http.h"

#define SOON deadline_in_ms(20000)

DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP(X509 *, X509_free)
DEFINE_CLEANUP(BIO *, BIO_free)
DEFINE_CLEANUP(SSL *, SSL_free)
DEFINE_CLEANUP(SSL_CTX *, SSL_CTX_free)

/** A certificate and its key, as PEM. */
struct credential {
    EVP_PKEY *key;
    X509 *certificate;
    char *key_pem;
    char *certificate_pem;
};

static void credential_clear(struct credential *credential)
{
    EVP_PKEY_free(credential->key);
    X509_free(credential->certificate);
    free(credential->key_pem);
    free(credential->certificate_pem);
}
#define cleanup_credential __attribute__((cleanup(credential_clear)))

static char *take_text(BIO *memory)
{
    char *data = NULL;
    long size = BIO_get_mem_data(memory, &data);

    return text_copy_n(data, (size_t)size);
}

static void add_extension(X509 *certificate, int nid, const char *value)
{
    X509V3_CTX context;

    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = memory_checked(X509V3_EXT_conf_nid(NULL, &context, nid, value));
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

/** Signed by `issuer` (NULL: by itself). `names`: "DNS:inside", NULL: none. */
static struct credential make_special(const char *common_name, const struct credential *issuer, const char *names,
                                      bool is_authority, long ends_in_s)
{
    static long serial = 1;
    struct credential made = {.key = memory_checked(EVP_EC_gen("P-256")), .certificate = memory_checked(X509_new())};
    X509_NAME *name = X509_get_subject_name(made.certificate);

    X509_set_version(made.certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made.certificate), -7200);
    X509_gmtime_adj(X509_getm_notAfter(made.certificate), ends_in_s);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1, -1, 0);
    X509_set_issuer_name(made.certificate, issuer ? X509_get_subject_name(issuer->certificate) : name);
    X509_set_pubkey(made.certificate, made.key);
    if (is_authority)
        add_extension(made.certificate, NID_basic_constraints, "critical,CA:TRUE");
    if (names)
        add_extension(made.certificate, NID_subject_alt_name, names);
    X509_sign(made.certificate, issuer ? issuer->key : made.key, EVP_sha256());

    CLEANUP(BIO_free) BIO *key = memory_checked(BIO_new(BIO_s_mem()));
    CLEANUP(BIO_free) BIO *certificate = memory_checked(BIO_new(BIO_s_mem()));
    PEM_write_bio_PrivateKey(key, made.key, NULL, NULL, 0, NULL, NULL);
    PEM_write_bio_X509(certificate, made.certificate);
    made.key_pem = take_text(key);
    made.certificate_pem = take_text(certificate);
    return made;
}

/** Good for an hour; an authority where it signs itself. */
static struct credential make_credential(const char *common_name, const struct credential *issuer, const char *names)
{
    return make_special(common_name, issuer, names, issuer == NULL, 3600);
}

/** Answer each request with the common name of the client's certificate, and the host that was asked for. */
static void serve_tls(void *context, struct http_server *server, int fd, int number)
{
    CLEANUP(SSL_free) SSL *tls = memory_checked(SSL_new(context));
    char request[8192];
    char name[64] = "nobody";

    (void)server;
    (void)number;
    SSL_set_fd(tls, fd);
    if (SSL_accept(tls) != 1)
        return;
    CLEANUP(X509_free) X509 *peer = SSL_get1_peer_certificate(tls);
    if (peer)
        X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, name, sizeof(name));
    for (int size = 0; (size = SSL_read(tls, request, sizeof(request) - 1)) > 0;) {
        request[size] = '\0';
        const char *host = strstr(request, "\r\nHost: ");
        host = host ? host + strlen("\r\nHost: ") : "";
        cleanup_free char *body = text_format("%s@%.*s", name, (int)strcspn(host, ":\r"), host);
        cleanup_free char *reply = text_format("HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
        SSL_write(tls, reply, (int)strlen(reply));
    }
}

/** A server with this certificate, which asks for one of `authority`. */
static int start_server(const struct credential *own, const struct credential *authority, SSL_CTX **context,
                        struct http_server **ret, struct error *err)
{
    signal(SIGPIPE, SIG_IGN); /* a client that does not trust us hangs up in the middle */
    *context = memory_checked(SSL_CTX_new(TLS_server_method()));
    SSL_CTX_use_certificate(*context, own->certificate);
    SSL_CTX_use_PrivateKey(*context, own->key);
    SSL_CTX_set_verify(*context, SSL_VERIFY_PEER, NULL);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(*context), authority->certificate);
    return http_server_start(NULL, serve_tls, *context, ret, err);
}

/** What the server says to a client with `config`, whose `server` is set here. Caller frees *ret. */
static int ask(const struct http_server *server, const char *host, struct kube_config *config, char **ret,
               struct error *err)
{
    CLEANUP(kube_client_free) struct kube_client *client = NULL;
    cleanup_free char *url = text_format("https://%s%s", host, strrchr(http_server_url(server), ':'));

    config->server = url;
    int result = kube_client_new(config, &client, err);
    config->server = NULL;
    return result < 0 ? -1 : kube_get_raw(client, "/version", SOON, ret, err);
}

FLEET_TEST(kube_tls, only_who_the_configuration_names_is_trusted)
{
    cleanup_credential struct credential authority = make_credential("authority", NULL, NULL);
    cleanup_credential struct credential stranger = make_credential("authority", NULL, NULL);
    cleanup_credential struct credential server = make_credential("server", &authority, "DNS:inside,IP:127.0.0.1");
    cleanup_credential struct credential person = make_credential("person", &authority, NULL);
    CLEANUP(SSL_CTX_free) SSL_CTX *context = NULL;
    CLEANUP(http_server_free) struct http_server *listening = NULL;
    struct kube_config config = {.ca_data = authority.certificate_pem};
    cleanup_free char *nobody = NULL;
    cleanup_free char *known = NULL;
    cleanup_free char *none = NULL;
    cleanup_free char *inside = NULL;
    cleanup_free char *skipped = NULL;

    TRY(start_server(&server, &authority, &context, &listening, err));
    TRY(ask(listening, "127.0.0.1", &config, &nobody, err));
    CHECK(text_equal(nobody, "nobody@127.0.0.1"), "it is %s", nobody);

    config.client_certificate = person.certificate_pem;
    config.client_key = person.key_pem;
    TRY(ask(listening, "127.0.0.1", &config, &known, err));
    CHECK(text_equal(known, "person@127.0.0.1"), "it is %s", known);

    CHECK_FAILS(ask(listening, "localhost", &config, &none, err), kube_error_domain, KUBE_UNTRUSTED);
    config.tls_server_name = (char *)"inside";
    TRY(ask(listening, "localhost", &config, &inside, err));
    CHECK(text_equal(inside, "person@localhost"), "it is %s", inside); /* what is before a server may choose by it */
    config.tls_server_name = NULL;

    config.ca_data = stranger.certificate_pem;
    CHECK_FAILS(ask(listening, "127.0.0.1", &config, &none, err), kube_error_domain, KUBE_UNTRUSTED);
    config.ca_data = NULL; /* the system's authorities */
    CHECK_FAILS(ask(listening, "127.0.0.1", &config, &none, err), kube_error_domain, KUBE_UNTRUSTED);
    config.insecure_skip_tls = true;
    TRY(ask(listening, "localhost", &config, &skipped, err));
    return 0;
}

/** Whoever has to mend it must learn what it is. */
FLEET_TEST(kube_tls, reason_not_to_trust_is_told)
{
    cleanup_credential struct credential authority = make_credential("authority", NULL, NULL);
    cleanup_credential struct credential stranger = make_credential("stranger", NULL, NULL);
    cleanup_credential struct credential old = make_special("old", &authority, "IP:127.0.0.1", false, -60);
    cleanup_credential struct credential named = make_credential("named", &authority, "DNS:elsewhere");
    struct {
        const struct credential *server;
        char *authority_pem;
        const char *words;
    } cases[] = {
        {&old, authority.certificate_pem, "certificate has expired"},
        {&named, authority.certificate_pem, "127.0.0.1"},
        {&named, stranger.certificate_pem, "self-signed certificate in certificate chain"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CLEANUP(SSL_CTX_free) SSL_CTX *context = NULL;
        CLEANUP(http_server_free) struct http_server *listening = NULL;
        struct kube_config config = {.ca_data = cases[i].authority_pem};
        cleanup_free char *none = NULL;
        TRY(start_server(cases[i].server, &authority, &context, &listening, err));
        bool right = ask(listening, "127.0.0.1", &config, &none, err) < 0 &&
                     error_is(err, &kube_error_domain, KUBE_UNTRUSTED) &&
                     strstr(error_root_detail(err), cases[i].words);
        cleanup_free char *text = error_text(err);
        error_clear(err);
        CHECK(right, "case %zu: %s", i, text);
    }
    return 0;
}

/** The server knows the authority only; what is between it and the client's certificate comes with that. */
FLEET_TEST(kube_tls, chain_of_the_clients_certificate_is_sent)
{
    cleanup_credential struct credential authority = make_credential("authority", NULL, NULL);
    cleanup_credential struct credential middle = make_special("middle", &authority, NULL, true, 3600);
    cleanup_credential struct credential person = make_credential("person", &middle, NULL);
    cleanup_credential struct credential server = make_credential("server", &authority, "IP:127.0.0.1");
    CLEANUP(SSL_CTX_free) SSL_CTX *context = NULL;
    CLEANUP(http_server_free) struct http_server *listening = NULL;
    cleanup_free char *chain = text_format("%s%s", person.certificate_pem, middle.certificate_pem);
    struct kube_config config = {
        .ca_data = authority.certificate_pem,
        .client_certificate = chain,
        .client_key = person.key_pem,
    };
    cleanup_free char *known = NULL;

    TRY(start_server(&server, &authority, &context, &listening, err));
    TRY(ask(listening, "127.0.0.1", &config, &known, err));
    CHECK(text_equal(known, "person@127.0.0.1"), "it is %s", known);
    return 0;
}

FLEET_TEST(kube_tls, unusable_certificate_of_ours_is_the_configurations_fault)
{
    cleanup_credential struct credential authority = make_credential("authority", NULL, NULL);
    cleanup_credential struct credential server = make_credential("server", &authority, "IP:127.0.0.1");
    CLEANUP(SSL_CTX_free) SSL_CTX *context = NULL;
    CLEANUP(http_server_free) struct http_server *listening = NULL;
    struct kube_config config = {
        .ca_data = authority.certificate_pem,
        .client_certificate = (char *)"no PEM",
        .client_key = server.key_pem,
    };
    cleanup_free char *none = NULL;

    TRY(start_server(&server, &authority, &context, &listening, err));
    CHECK_FAILS(ask(listening, "127.0.0.1", &config, &none, err), kube_error_domain, KUBE_CONFIG);
    config.client_certificate = config.client_key = NULL;
    config.ca_data = (char *)"no PEM";
    CHECK_FAILS(ask(listening, "127.0.0.1", &config, &none, err), kube_error_domain, KUBE_CONFIG);
    return 0;
}
