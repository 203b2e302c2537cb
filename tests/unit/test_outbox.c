/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/outbox.h"

#include <inttypes.h>

#include "base/text.h"
#include "harness/test.h"

static const char states[] = "device-state";
static const char infos[] = "device-info";

FLEET_TEST(outbox, latest_value_of_a_key_wins)
{
    CLEANUP(outbox_free) struct outbox *outbox = outbox_new();
    cleanup_outbox_item struct outbox_item item = {0};

    CHECK(outbox_is_empty(outbox), "a new one is not empty");
    outbox_put(outbox, states, "a", text_copy("1"));
    outbox_put(outbox, states, "a", text_copy("2"));
    CHECK(!outbox_is_empty(outbox), "it is empty");
    CHECK(outbox_next(outbox, 0, &item), "nothing waits");
    CHECK(text_equal(item.key, "a") && text_equal(item.value, "2"), "%s=%s waits", item.key, item.value);
    uint64_t version = item.version;
    outbox_written(outbox, &item);
    outbox_item_clear(&item);
    CHECK(!outbox_next(outbox, version, &item) && !outbox_next(outbox, 0, &item), "more waits");
    CHECK(outbox_is_empty(outbox), "it is not empty");
    CHECK(outbox_knows(outbox, states, "a"), "what was written is forgotten");
    return 0;
}

FLEET_TEST(outbox, change_during_a_write_still_waits)
{
    CLEANUP(outbox_free) struct outbox *outbox = outbox_new();
    cleanup_outbox_item struct outbox_item item = {0};

    outbox_put(outbox, states, "a", text_copy("1"));
    CHECK(outbox_next(outbox, 0, &item), "nothing waits");
    outbox_put(outbox, states, "a", text_copy("2"));
    outbox_written(outbox, &item);
    outbox_item_clear(&item);
    CHECK(outbox_next(outbox, 0, &item) && text_equal(item.value, "2"), "the later value was lost");
    return 0;
}

FLEET_TEST(outbox, buckets_are_apart)
{
    CLEANUP(outbox_free) struct outbox *outbox = outbox_new();

    outbox_put(outbox, states, "a", text_copy("1"));
    CHECK(!outbox_knows(outbox, infos, "a"), "the other bucket's key is known");
    return 0;
}

FLEET_TEST(outbox, deleted_key_is_forgotten_once_written)
{
    CLEANUP(outbox_free) struct outbox *outbox = outbox_new();
    cleanup_outbox_item struct outbox_item item = {0};

    outbox_put(outbox, states, "a", text_copy("1"));
    outbox_delete(outbox, states, "a");
    CHECK(outbox_next(outbox, 0, &item) && item.value == NULL, "no deletion waits");
    CHECK(outbox_knows(outbox, states, "a"), "forgotten before it was written");
    outbox_written(outbox, &item);
    CHECK(!outbox_knows(outbox, states, "a"), "still known");
    outbox_repeat_all(outbox);
    CHECK(outbox_is_empty(outbox), "the deletion comes again");
    return 0;
}

FLEET_TEST(outbox, put_after_delete_is_kept)
{
    CLEANUP(outbox_free) struct outbox *outbox = outbox_new();
    cleanup_outbox_item struct outbox_item item = {0};

    outbox_delete(outbox, states, "a");
    CHECK(outbox_next(outbox, 0, &item) && item.value == NULL, "no deletion waits");
    outbox_put(outbox, states, "a", text_copy("new"));
    outbox_written(outbox, &item);
    outbox_item_clear(&item);
    CHECK(outbox_next(outbox, 0, &item) && text_equal(item.value, "new"), "the new value was lost");
    return 0;
}

FLEET_TEST(outbox, sweep_sees_each_key_once_though_writes_fail)
{
    CLEANUP(outbox_free) struct outbox *outbox = outbox_new();
    uint64_t after = 0;
    int seen = 0;

    outbox_put(outbox, states, "a", text_copy("1"));
    outbox_put(outbox, states, "b", text_copy("1"));
    outbox_put(outbox, infos, "c", text_copy("1"));
    for (;;) {
        cleanup_outbox_item struct outbox_item item = {0};

        if (!outbox_next(outbox, after, &item))
            break;
        CHECK(item.version > after, "version %" PRIu64 " after %" PRIu64, item.version, after);
        after = item.version;
        seen++;
    }
    CHECK(seen == 3, "%d items", seen);
    return 0;
}

FLEET_TEST(outbox, all_is_repeated)
{
    CLEANUP(outbox_free) struct outbox *outbox = outbox_new();
    int seen = 0;

    for (int i = 0; i < 3; i++) {
        cleanup_outbox_item struct outbox_item item = {0};
        cleanup_free char *key = text_format("key-%d", i);

        outbox_put(outbox, states, key, text_copy("1"));
        CHECK(outbox_next(outbox, 0, &item), "nothing waits");
        outbox_written(outbox, &item);
    }
    outbox_repeat_all(outbox);
    for (uint64_t after = 0;; seen++) {
        cleanup_outbox_item struct outbox_item item = {0};

        if (!outbox_next(outbox, after, &item))
            break;
        after = item.version;
    }
    CHECK(seen == 3, "%d items", seen);
    return 0;
}
