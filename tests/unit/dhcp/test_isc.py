"""The snippet for ISC dhcpd, as text."""

from __future__ import annotations

from provd.dhcp import isc
from provd.dhcp.rules import make_rules
from provd.dhcp.snippet import Snippet
from tests.unit.dhcp.acme import PLACE, acme, rules


def lines() -> list[str]:
    return isc.render(Snippet(rules(), PLACE)).splitlines()


def test_what_has_a_meaning_in_a_string_is_escaped_and_a_dollar_has_none() -> None:
    assert isc.quoted("a\"b\\c$PSN'") == '"a\\"b\\\\c$PSN\'"'


def test_conditions_form_one_chain() -> None:
    chain = [line.split()[0] for line in lines() if line.startswith(("    if", "    elsif", "    else"))]
    assert chain == ["if", *["elsif"] * 5]


def test_an_exact_text_may_have_a_nul_behind_it() -> None:
    assert isc.condition(rules()[1]) == (
        'option vendor-class-identifier = "Acme"\n            or option vendor-class-identifier = "Acme\\000"'
    )


def test_a_prefix_is_as_long_as_its_text() -> None:
    text = 'substring(option vendor-class-identifier, 0, 13) = "Acme \\"D\\\\esk\' "'
    assert isc.condition(rules()[0]).startswith(text)


def test_ouis_are_compared_behind_the_kind_of_hardware() -> None:
    assert isc.condition(rules()[5]) == (
        "substring(hardware, 1, 3) = 02:00:02\n            or substring(hardware, 1, 3) = 02:00:01"
    )


def test_every_kind_is_defined_and_written() -> None:
    for line in (
        "option xivo-provd-150 code 150 = array of ip-address;",
        "option xivo-provd-224 code 224 = boolean;",
        "option xivo-provd-225 code 225 = unsigned integer 8;",
        "option xivo-provd-226 code 226 = unsigned integer 16;",
        "option xivo-provd-227 code 227 = unsigned integer 32;",
        "option xivo-provd-228 code 228 = text;",
        "option space xivo-provd-acme-desk;",
        "option xivo-provd-acme-desk.sub-254 code 254 = unsigned integer 32;",
        "        vendor-option-space xivo-provd-acme-desk;",
        "        option xivo-provd-acme-desk.sub-2 192.0.2.10;",
        "        option xivo-provd-acme-desk.sub-3 true;",
        "        option xivo-provd-acme-desk.sub-254 4294967295;",
        "        option xivo-provd-150 198.51.100.1;",
        "        option xivo-provd-224 false;",
        '        option xivo-provd-228 "12";',
        '        option tftp-server-name "late";',
    ):
        assert line in lines()


def test_options_are_sent_to_phones_that_do_not_ask_for_them() -> None:
    asked = "option dhcp-parameter-request-list"
    assert f"        {asked} = concat({asked}, 2b:96);" in lines()


def test_phones_that_are_left_alone_are_told_nothing() -> None:
    place = next(number for number, line in enumerate(lines()) if "left alone" in line)
    assert lines()[place + 1 : place + 4] == [
        '    elsif option vendor-class-identifier = "Acme"',
        '            or option vendor-class-identifier = "Acme\\000" {',
        "    }",
    ]


def test_the_hook_gets_an_empty_argument_for_an_option_that_is_missing() -> None:
    text = isc.render(Snippet(make_rules([acme()], PLACE), PLACE, "/hook"))
    assert text.endswith(
        """\
on commit {
    execute("/hook", "commit",
        binary-to-ascii(10, 8, ".", leased-address),
        binary-to-ascii(16, 8, ":", suffix(hardware, 6)),
        pick-first-value(concat("060", binary-to-ascii(16, 8, ".", option vendor-class-identifier)), ""));
}
on release {
    execute("/hook", "release", binary-to-ascii(10, 8, ".", leased-address));
}
on expiry {
    execute("/hook", "expiry", binary-to-ascii(10, 8, ".", leased-address));
}
"""
    )
