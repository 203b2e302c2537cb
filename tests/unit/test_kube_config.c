/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/kube_config.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "harness/test.h"
#include "kubernetes/kube_error.h"

#define HEAD    "apiVersion: v1\nkind: Config\ncurrent-context: home\n"
#define CONTEXT "contexts:\n- name: home\n  context: {cluster: c, user: u}\n"
#define CLUSTER "clusters:\n- name: c\n  cluster:\n    server: https://10.0.0.1:6443\n"
#define USER    "users:\n- name: u\n  user:\n"

static int parse(const char *text, const char *directory, const char *context, struct kube_config **ret,
                 struct error *err)
{
    return kube_config_parse(text, strlen(text), directory, context, ret, err);
}

FLEET_TEST(kube_config, smallest_has_defaults)
{
    CLEANUP(kube_config_free) struct kube_config *config = NULL;

    TRY(parse(HEAD CONTEXT CLUSTER USER "    {}\n", "/", NULL, &config, err));
    CHECK(text_equal(config->server, "https://10.0.0.1:6443"), "%s", config->server);
    CHECK(text_equal(config->namespace_name, "default"), "%s", config->namespace_name);
    CHECK(!config->ca_data && !config->client_certificate && !config->client_key && !config->token &&
              !config->token_file && !config->user && !config->password && !config->tls_server_name &&
              !config->insecure_skip_tls && config->exec.count == 0,
          "more than was given");
    return 0;
}

/** What EKS, GKE, kind and k3d hand out. */
FLEET_TEST(kube_config, forms_of_real_clusters_are_read)
{
    CLEANUP(kube_config_free) struct kube_config *cloud = NULL;
    CLEANUP(kube_config_free) struct kube_config *nobody = NULL;
    CLEANUP(kube_config_free) struct kube_config *socks = NULL;

    TRY(parse(HEAD CONTEXT "clusters:\n- name: c\n  cluster:\n    server: HTTPS://ABC.gr7.eu-west-1.eks.example.com\n"
                           "    proxy-url: http://me:pw@proxy:3128\n    disable-compression: true\n" USER
                           "    exec:\n      apiVersion: client.authentication.k8s.io/v1beta1\n      command: aws\n"
                           "      args: [--region, eu-west-1, eks, get-token]\n      env: null\n"
                           "      installHint: Install it.\n      interactiveMode: IfAvailable\n"
                           "      provideClusterInfo: false\npreferences: {}\n",
              "/", NULL, &cloud, err));
    CHECK(text_equal(cloud->server, "https://ABC.gr7.eu-west-1.eks.example.com"), "%s", cloud->server);
    CHECK(text_equal(cloud->proxy_url, "http://me:pw@proxy:3128"), "%s", cloud->proxy_url);
    CHECK(text_equal(cloud->exec_install_hint, "Install it."), "%s", cloud->exec_install_hint);
    TRY(parse(HEAD CONTEXT CLUSTER USER, "/", NULL, &nobody, err)); /* "user:" with nothing after it */
    CHECK(!nobody->token && !nobody->client_certificate, "somebody");
    TRY(parse(HEAD CONTEXT CLUSTER "    proxy-url: SOCKS5://[fd00::1]:1080\n" USER, "/", NULL, &socks, err));
    CHECK(text_equal(socks->proxy_url, "socks5://[fd00::1]:1080"), "%s", socks->proxy_url);
    return 0;
}

FLEET_TEST(kube_config, whole_is_read)
{
    static const char text[] =
        HEAD "contexts:\n"
             "- name: home\n  context: {cluster: other, user: other}\n"
             "- name: away\n  context: {cluster: c, user: u, namespace: fleet}\n"
             "clusters:\n- name: c\n  cluster:\n    server: https://k.example.com/prefix/\n"
             "    certificate-authority-data: LS0tCg==\n    tls-server-name: inside\n"
             "    insecure-skip-tls-verify: true\n"
             "users:\n- name: other\n  user: {token: wrong}\n- name: u\n  user:\n"
             "    client-certificate-data: Y2VydA==\n    client-key-data: a2V5\n    token: \"12345\"\n"
             "    tokenFile: token\n    username: me\n    password: secret\n"
             "    exec:\n      apiVersion: client.authentication.k8s.io/v1beta1\n      command: bin/plugin\n"
             "      args: [get, '--cluster=x']\n      env: [{name: A, value: 'b=c'}, {name: D}]\n"
             "      provideClusterInfo: true\n";
    CLEANUP(kube_config_free) struct kube_config *config = NULL;

    TRY(parse(text, "/etc/k", "away", &config, err));
    CHECK(text_equal(config->server, "https://k.example.com/prefix"), "%s", config->server);
    CHECK(text_equal(config->namespace_name, "fleet"), "%s", config->namespace_name);
    CHECK(text_equal(config->ca_data, "---\n"), "%s", config->ca_data);
    CHECK(text_equal(config->tls_server_name, "inside") && config->insecure_skip_tls, "other TLS");
    CHECK(text_equal(config->client_certificate, "cert") && text_equal(config->client_key, "key"), "other certificate");
    CHECK(text_equal(config->token, "12345"), "%s", config->token);
    CHECK(text_equal(config->token_file, "/etc/k/token"), "%s", config->token_file);
    CHECK(text_equal(config->user, "me") && text_equal(config->password, "secret"), "other user");
    cleanup_free char *exec = text_list_join(&config->exec, "|");
    cleanup_free char *environment = text_list_join(&config->exec_env, "|");
    CHECK(text_equal(exec, "/etc/k/bin/plugin|get|--cluster=x"), "%s", exec);
    CHECK(text_equal(environment, "A=b=c|D="), "%s", environment);
    CHECK(config->exec_cluster_info, "no cluster info");
    CHECK(text_equal(config->exec_api_version, "client.authentication.k8s.io/v1beta1"), "%s", config->exec_api_version);
    return 0;
}

FLEET_TEST(kube_config, files_are_relative_to_it)
{
    CLEANUP(kube_config_free) struct kube_config *config = NULL;
    cleanup_free char *ca = text_format("%s/ca.pem", test->artefacts);
    cleanup_free char *path = text_format("%s/config", test->artefacts);
    static const char text[] = HEAD CONTEXT CLUSTER "    certificate-authority: ca.pem\n" USER "    {token: t}\n";

    TRY(file_write_atomic(ca, "PEM", 3, 0600, err));
    TRY(file_write_atomic(path, text, strlen(text), 0600, err));
    TRY(kube_config_load(path, NULL, &config, err));
    CHECK(text_equal(config->ca_data, "PEM"), "%s", config->ca_data);
    return 0;
}

FLEET_TEST(kube_config, json_and_aliases_are_yaml)
{
    CLEANUP(kube_config_free) struct kube_config *json = NULL;
    CLEANUP(kube_config_free) struct kube_config *alias = NULL;

    TRY(parse("{\"current-context\":\"home\",\"contexts\":[{\"name\":\"home\",\"context\":{\"cluster\":\"c\"}}],"
              "\"clusters\":[{\"name\":\"c\",\"cluster\":{\"server\":\"http://localhost:8001\","
              "\"insecure-skip-tls-verify\":false}}]}",
              "/", NULL, &json, err));
    CHECK(text_equal(json->server, "http://localhost:8001"), "%s", json->server);
    TRY(parse(HEAD "contexts:\n- {name: home, context: {cluster: &it c, user: u}}\n"
                   "clusters:\n- {name: *it, cluster: {server: 'https://a'}}\nusers: [{name: u, user: {}}]\n",
              "/", NULL, &alias, err));
    CHECK(text_equal(alias->server, "https://a"), "%s", alias->server);
    return 0;
}

/** What cannot be used, and words of the error. */
struct refused {
    const char *text;
    const char *words;
};

static int check_refused(const struct refused *cases, size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        CLEANUP(kube_config_free) struct kube_config *config = NULL;
        bool refused = parse(cases[i].text, "/", NULL, &config, err) < 0;
        bool right =
            refused && error_is(err, &kube_error_domain, KUBE_CONFIG) && strstr(error_root_detail(err), cases[i].words);
        cleanup_free char *text = error_text(err);
        error_clear(err);
        CHECK(right, "case %zu: %s", i, text);
    }
    return 0;
}

FLEET_TEST(kube_config, errors_of_yaml_name_the_place)
{
    static const struct refused cases[] = {
        {"", "empty"},
        {"\"", "1:"},
        {"a: [", "1:"},
        {"%YAML 1.2\n---\na: b\n", "$.current-context is missing"},
        {"%YAML 3.0\n---\na: b\n", "1:1: found incompatible YAML document"},
        {"a: b\n---\nc: d\n", "more than one document"},
        {"a: b\na: c\n", "2:1: the key \"a\" is there twice"},
        {"&a [*a]", "nested too deep"},
        {"a: *b", "1:4: found undefined alias"},
        {"a: \"\\0\"", "without NUL"},
        {"a: \xff\n", "UTF-8"},
        {"\xef\xbb\xbf%t", "1:"},
    };

    return check_refused(cases, ARRAY_SIZE(cases), err);
}

FLEET_TEST(kube_config, errors_name_the_field)
{
    static const struct refused cases[] = {
        {"- x\n", "$ must be an object"},
        {"kind: Config\n", "$.current-context is missing"},
        {"current-context: gone\n" CONTEXT, "$.contexts has no entry named \"gone\""},
        {HEAD "contexts: 7\n", "$.contexts must be an array"},
        {HEAD "contexts: [{name: home}]\n", "$.contexts[0].context is missing"},
        {HEAD "contexts: [{name: home, context: {user: u}}]\n", "$.contexts[0].context.cluster is missing"},
        {HEAD CONTEXT, "$.clusters is missing"},
        {HEAD CONTEXT "clusters: [{name: c, cluster: {}}]\n", "$.clusters[0].cluster.server is missing"},
        {HEAD CONTEXT "clusters: [{name: c, cluster: {server: 'ftp://x'}}]\n",
         "$.clusters[0].cluster.server must begin with https://"},
        {HEAD CONTEXT "clusters: [{name: c, cluster: {server: 'https://'}}]\n", ".server names no host"},
        {HEAD CONTEXT "clusters: [{name: c, cluster: {server: 'https:////'}}]\n", ".server is no URL"},
        {HEAD CONTEXT "clusters: [{name: c, cluster: {server: 'https://:6443'}}]\n", ".server names no host"},
        {HEAD CONTEXT "clusters: [{name: c, cluster: {server: 'https://k:port'}}]\n", ".server is no URL"},
        {HEAD CONTEXT "clusters: [{name: c, cluster: {server: 'https://k/a b'}}]\n", ".server is no URL"},
        {HEAD CONTEXT "clusters: [{name: c, cluster: {server: 'https://me@k'}}]\n", ".server must be a scheme"},
        {HEAD CONTEXT "clusters: [{name: c, cluster: {server: 'https://k/?q=1'}}]\n", ".server must be a scheme"},
        {HEAD CONTEXT CLUSTER "    certificate-authority-data: '*'\n" USER "    {}\n",
         "$.clusters[0].cluster.certificate-authority-data is not base64"},
        {HEAD CONTEXT CLUSTER "    certificate-authority: /nonexistent/ca\n" USER "    {}\n",
         "$.clusters[0].cluster.certificate-authority /nonexistent/ca: No such file"},
        {HEAD CONTEXT CLUSTER "    insecure-skip-tls-verify: maybe\n" USER "    {}\n",
         "$.clusters[0].cluster.insecure-skip-tls-verify must be true or false"},
        {HEAD CONTEXT CLUSTER "users: []\n", "$.users has no entry named \"u\""},
    };

    return check_refused(cases, ARRAY_SIZE(cases), err);
}

FLEET_TEST(kube_config, what_cannot_be_followed_is_refused)
{
    static const struct refused cases[] = {
        {HEAD CONTEXT CLUSTER USER "    {client-certificate-data: Y2VydA==}\n", "$.users[0].user needs"},
        {HEAD CONTEXT CLUSTER USER "    {token: [1]}\n", "$.users[0].user.token must be a string"},
        {HEAD CONTEXT CLUSTER USER "    {exec: {command: x}}\n", "$.users[0].user.exec.apiVersion is missing"},
        {HEAD CONTEXT CLUSTER USER "    {exec: {command: x, apiVersion: client.authentication.k8s.io/v1alpha1}}\n",
         "$.users[0].user.exec.apiVersion must be"},
        {HEAD CONTEXT CLUSTER "    tls-server-name: a/b\n" USER "    {}\n",
         "$.clusters[0].cluster.tls-server-name is no host name"},
        {HEAD CONTEXT CLUSTER "    proxy-url: ftp://x\n" USER "    {}\n",
         "$.clusters[0].cluster.proxy-url must begin with http://"},
        {HEAD CONTEXT CLUSTER "    proxy-url: 'http://'\n" USER "    {}\n", ".proxy-url is no URL"},
        {HEAD CONTEXT CLUSTER USER "    {as: root}\n", "$.users[0].user.as is not supported"},
        {HEAD CONTEXT CLUSTER USER "    {as-groups: [root]}\n", "$.users[0].user.as-groups is not supported"},
        {HEAD CONTEXT CLUSTER USER "    {exec: {command: x, apiVersion: client.authentication.k8s.io/v1, "
                                   "interactiveMode: Always}}\n",
         "$.users[0].user.exec.interactiveMode is Always"},
        {HEAD CONTEXT CLUSTER USER "    {exec: {command: x, apiVersion: client.authentication.k8s.io/v1, "
                                   "interactiveMode: always}}\n",
         "$.users[0].user.exec.interactiveMode must be"},
        {"current-context: ''\n" CONTEXT CLUSTER, "$.current-context is missing"},
        {HEAD CONTEXT CLUSTER USER "    {auth-provider: {name: gcp}}\n", "$.users[0].user.auth-provider is not supp"},
    };

    return check_refused(cases, ARRAY_SIZE(cases), err);
}

/** Aliases of aliases: a short text that would fill the memory. */
FLEET_TEST(kube_config, what_grows_without_limit_is_refused)
{
    CLEANUP(kube_config_free) struct kube_config *config = NULL;
    cleanup_text_buffer struct text_buffer bomb = {0};
    cleanup_text_buffer struct text_buffer deep = {0};

    text_buffer_add(&bomb, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++)
        text_buffer_format(&bomb, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1,
                           i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    CHECK_FAILS(parse(text_buffer_text(&bomb), "/", NULL, &config, err), kube_error_domain, KUBE_CONFIG);
    for (int i = 0; i < 5000; i++)
        text_buffer_add(&deep, "[");
    CHECK_FAILS(parse(text_buffer_text(&deep), "/", NULL, &config, err), kube_error_domain, KUBE_CONFIG);
    CHECK_FAILS(parse("a: &a [*a]\n", "/", NULL, &config, err), kube_error_domain, KUBE_CONFIG);
    return 0;
}

FLEET_TEST(kube_config, default_is_where_kubectl_looks)
{
    CLEANUP(kube_config_free) struct kube_config *listed = NULL;
    CLEANUP(kube_config_free) struct kube_config *home = NULL;
    CLEANUP(kube_config_free) struct kube_config *none = NULL;
    cleanup_free char *directory = text_format("%s/.kube", test->artefacts);
    cleanup_free char *path = text_format("%s/config", directory);
    cleanup_free char *list = text_format("%s:/nonexistent/second", path);
    static const char text[] = HEAD CONTEXT CLUSTER USER "    {}\n";

    TRY(directory_create(directory, 0700, err));
    TRY(file_write_atomic(path, text, strlen(text), 0600, err));
    unsetenv("KUBERNETES_SERVICE_HOST");
    setenv("KUBECONFIG", list, 1);
    TRY(kube_config_default(&listed, err));
    unsetenv("KUBECONFIG");
    setenv("HOME", test->artefacts, 1);
    TRY(kube_config_default(&home, err));
    setenv("HOME", "/nonexistent", 1);
    CHECK_FAILS(kube_config_default(&none, err), kube_error_domain, KUBE_CONFIG);
    CHECK_FAILS(kube_config_in_cluster(&none, err), kube_error_domain, KUBE_CONFIG);
    return 0;
}

static int write_file(const char *directory, const char *name, const char *text, struct error *err)
{
    cleanup_free char *path = text_format("%s/%s", directory, name);

    TRY(directory_create(directory, 0700, err));
    return file_write_atomic(path, text, strlen(text), 0600, err);
}

/** The first file that names something wins, a missing one is passed over, and paths are relative to their file. */
FLEET_TEST(kube_config, listed_files_are_merged)
{
    CLEANUP(kube_config_free) struct kube_config *config = NULL;
    CLEANUP(kube_config_free) struct kube_config *other = NULL;
    CLEANUP(kube_config_free) struct kube_config *none = NULL;
    cleanup_free char *first = text_format("%s/first", test->artefacts);
    cleanup_free char *second = text_format("%s/second", test->artefacts);
    cleanup_free char *list = text_format("/nonexistent/zero:%s/config::%s/config", first, second);

    TRY(write_file(first, "config", "current-context: home\n" CONTEXT "users:\n- name: u\n  user: {tokenFile: token}\n",
                   err));
    TRY(write_file(second, "config",
                   "current-context: gone\n"
                   "contexts:\n- name: home\n  context: {cluster: gone, user: u}\n"
                   "- name: away\n  context: {cluster: c, user: v}\n" CLUSTER "    certificate-authority: ca.pem\n"
                   "users:\n- name: u\n  user: {token: wrong}\n- name: v\n  user: {token: [1]}\n",
                   err));
    TRY(write_file(second, "ca.pem", "PEM", err));
    setenv("KUBECONFIG", list, 1);
    TRY(kube_config_load(NULL, NULL, &config, err));
    CHECK(text_equal(config->ca_data, "PEM"), "%s", config->ca_data);
    cleanup_free char *token = text_format("%s/token", first);
    CHECK(text_equal(config->token_file, token) && !config->token, "%s", config->token_file);

    CHECK(kube_config_load(NULL, "away", &other, err) < 0, "it was taken");
    cleanup_free char *text = error_text(err);
    error_clear(err);
    CHECK(strstr(text, second) && strstr(text, "$.users[1].user.token"), "%s", text);
    setenv("KUBECONFIG", "/nonexistent/zero:/nonexistent/one", 1);
    CHECK_FAILS(kube_config_load(NULL, NULL, &none, err), kube_error_domain, KUBE_CONFIG);
    return 0;
}

FLEET_TEST(kube_config, service_account_is_read)
{
    CLEANUP(kube_config_free) struct kube_config *config = NULL;
    CLEANUP(kube_config_free) struct kube_config *none = NULL;
    cleanup_free char *directory = text_format("%s/account", test->artefacts);
    cleanup_free char *token = text_format("%s/token", directory);

    setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    CHECK_FAILS(kube_config_account(directory, &none, err), kube_error_domain, KUBE_CONFIG);
    TRY(write_file(directory, "token", "t\n", err));
    TRY(write_file(directory, "ca.crt", "PEM\n", err));
    TRY(write_file(directory, "namespace", "fleet\n", err));
    TRY(kube_config_account(directory, &config, err));
    CHECK(text_equal(config->server, "https://[fd00::1]:443"), "%s", config->server);
    CHECK(text_equal(config->namespace_name, "fleet"), "%s", config->namespace_name);
    CHECK(text_equal(config->ca_data, "PEM") && text_equal(config->token_file, token), "%s", config->token_file);
    return 0;
}
