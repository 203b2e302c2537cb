/* SPDX-License-Identifier: Apache-2.0 */
#include "operator/leader.h"

#include <string.h>

#include "base/memory.h"
#include "harness/test.h"
#include "tests/unit/support_kube.h"

#define LEASES "/apis/coordination.k8s.io/v1/namespaces/fleet/leases"
#define LEASE  LEASES "/operator"
#define HELD_BY(identity)                                                                                              \
    "{\"metadata\":{\"name\":\"operator\",\"resourceVersion\":\"7\"},\"spec\":{\"holderIdentity\":\"" identity         \
    "\",\"leaseDurationSeconds\":1,\"leaseTransitions\":4}}"
#define NOT_FOUND "{\"kind\":\"Status\",\"reason\":\"NotFound\",\"code\":404}"

/** An operator "me" that stands for it at `fake`. */
static int stand(struct fake_kube *fake, int lease_ms, int renew_ms, struct leader **ret, struct error *err)
{
    const struct leader_options options = {.client = fake_kube_client(fake),
                                           .namespace_name = "fleet",
                                           .lease = "operator",
                                           .identity = "me",
                                           .lease_ms = lease_ms,
                                           .renew_ms = renew_ms};

    return leader_start(&options, ret, err);
}

/** Request `index` says all of these (NULL-terminated). */
static int check_request(struct fake_kube *fake, size_t index, const char *const *texts, struct error *err)
{
    cleanup_free char *request = fake_kube_request(fake, index);

    for (; *texts; texts++)
        CHECK(request && strstr(request, *texts), "request %zu does not say %s: %s", index, *texts, request);
    return 0;
}

FLEET_TEST(leader, a_lease_that_is_there_for_the_taking_is_taken_and_given_back)
{
    static const struct kube_step steps[] = {
        REPLY("GET " LEASE, 404, NOT_FOUND),
        REPLY("POST " LEASES, 201, HELD_BY("me")),
        REPLY("GET " LEASE, 200, HELD_BY("me")),
        REPLY("PATCH " LEASE, 200, HELD_BY("")),
        {0},
    };
    static const char *const taken[] = {"\"holderIdentity\":\"me\"", "\"leaseDurationSeconds\":60",
                                        "\"renewTime\":", NULL};
    static const char *const given[] = {"\"holderIdentity\":\"\"", "\"resourceVersion\":\"7\"", NULL};
    CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;
    CLEANUP(leader_free) struct leader *leader = NULL;

    TRY(fake_kube_start(steps, NULL, &fake, err));
    TRY(stand(fake, 60000, 20000, &leader, err));
    CHECK(leader_wait(leader) && leader_is(leader), "it does not lead");
    leader_stop(leader);
    CHECK(!leader_is(leader) && !leader_wait(leader), "it leads after its end");
    TRY(check_request(fake, 1, taken, err));
    TRY(check_request(fake, 3, given, err));
    return fake_kube_check(fake, err);
}

FLEET_TEST(leader, anothers_lease_is_taken_only_when_it_has_not_changed_for_its_time)
{
    /* By our clock: the second look comes when the lease's second is long over. */
    static const struct kube_step steps[] = {
        REPLY("GET " LEASE, 200, HELD_BY("other")),
        REPLY("GET " LEASE, 200, HELD_BY("other")),
        REPLY("PATCH " LEASE, 200, HELD_BY("me")),
        REPLY("GET " LEASE, 200, HELD_BY("another")),
        {0},
    };
    static const char *const taken[] = {"\"holderIdentity\":\"me\"", "\"resourceVersion\":\"7\"",
                                        "\"leaseTransitions\":5", NULL};
    CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;
    CLEANUP(leader_free) struct leader *leader = NULL;

    TRY(fake_kube_start(steps, NULL, &fake, err));
    TRY(stand(fake, 60000, 3000, &leader, err));
    CHECK(leader_wait(leader), "it does not lead");
    TRY(check_request(fake, 2, taken, err));
    leader_stop(leader); /* and what is another's by then is not given back */
    return fake_kube_check(fake, err);
}

static int leads_no_more(void *context, struct text_buffer *state __attribute__((unused)),
                         struct error *err __attribute__((unused)))
{
    return !leader_is(context);
}

FLEET_TEST(leader, who_cannot_renew_stops_before_others_may_start)
{
    static const struct kube_step steps[] = {
        REPLY("GET " LEASE, 404, NOT_FOUND),
        REPLY("POST " LEASES, 201, HELD_BY("me")), /* and nothing works after that */
        {0},
    };
    CLEANUP(fake_kube_free) struct fake_kube *fake = NULL;
    CLEANUP(leader_free) struct leader *leader = NULL;

    TRY(fake_kube_start(steps, NULL, &fake, err));
    TRY(stand(fake, 3000, 1000, &leader, err));
    CHECK(leader_wait(leader), "it does not lead");
    int64_t led_ms = clock_monotonic_ms(); /* the lease was written before this */
    int64_t until_ms = leader_deadline(leader).at_ms;
    CHECK(until_ms <= led_ms + 3000 - 500, "writes may go on until %lld ms after", (long long)(until_ms - led_ms));
    TRY(wait_until("the end of it", leads_no_more, leader, NULL, deadline_in_ms(20000), err));
    CHECK(leader_deadline(leader).at_ms <= until_ms, "it is longer than it was");
    return 0;
}
