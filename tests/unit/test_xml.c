/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/xml.h"

#include "harness/test.h"

static const char network[] = "<network><name>default</name><ip address='192.168.122.1'/></network>";

FLEET_TEST(xml, tells_what_an_expression_selects)
{
    cleanup_free char *address = NULL;
    cleanup_free char *nothing = NULL;

    TRY(xml_text(network, "string(/network/ip/@address)", &address, err));
    CHECK(text_equal(address, "192.168.122.1"), "it is %s", address);
    TRY(xml_text(network, "string(/network/mac)", &nothing, err));
    CHECK(text_equal(nothing, ""), "it is %s", nothing);
    return 0;
}

FLEET_TEST(xml, sets_an_attribute_of_a_child_that_may_be_missing)
{
    cleanup_free char *made = NULL;
    cleanup_free char *changed = NULL;

    TRY(xml_with_attribute(network, "/network/ip", "link", "state", "down", &made, err));
    CHECK(text_equal(made, "<ip address=\"192.168.122.1\"><link state=\"down\"/></ip>"), "it is %s", made);
    TRY(xml_with_attribute(made, "/ip", "link", "state", "up", &changed, err));
    CHECK(text_equal(changed, "<ip address=\"192.168.122.1\"><link state=\"up\"/></ip>"), "it is %s", changed);
    return 0;
}

FLEET_TEST(xml, refuses_what_is_none)
{
    static const char outside[] = "<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/hostname'>]><a>&e;</a>";
    cleanup_free char *text = NULL;
    cleanup_free char *element = NULL;

    CHECK_FAILS(xml_text("<network>", "string(/network)", &text, err), general_error_domain, GENERAL_INVALID);
    CHECK_FAILS(xml_text(network, "][", &text, err), general_error_domain, GENERAL_INVALID);
    CHECK_FAILS(xml_with_attribute(network, "/domain", "link", "state", "up", &element, err), general_error_domain,
                GENERAL_NOT_FOUND);
    TRY(xml_text(outside, "string(/a)", &text, err));
    CHECK(text_equal(text, ""), "it reached outside: %s", text);
    return 0;
}

FLEET_TEST(xml, escapes_what_means_something)
{
    cleanup_text_buffer struct text_buffer buffer = {0};

    xml_add_escaped(&buffer, "<a href='b&c'>");
    CHECK(text_equal(text_buffer_text(&buffer), "&lt;a href=&apos;b&amp;c&apos;&gt;"), "it is %s",
          text_buffer_text(&buffer));
    return 0;
}
