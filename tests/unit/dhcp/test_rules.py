"""From tables to rules: their order, what each tells, and what is said of what cannot be told."""

from __future__ import annotations

from typing import Any

import pytest

from provd.dhcp.rules import describe, make_rules, own_options, vendor_spaces
from provd.dhcp.table import parse_table
from provd.dhcp.values import ServerPlace, Value
from provd.errors import InvalidValueError
from tests.unit.dhcp.acme import PLACE, acme, rules, tables


def family(name: str, phones: str = "desk", **options: Any) -> Any:
    entry = {"name": phones, "oui": ["02:00:09"], "options": options}
    return parse_table(name, {"phones": [entry]})


def test_vendor_classes_come_before_ouis_and_families_by_name() -> None:
    assert [rule.name for rule in rules()] == [
        "acme-desk", "acme-bare", "acme-late", "other-any", "acme-desk-oui", "other-any-oui",
    ]  # fmt: skip


def test_the_order_of_the_tables_does_not_matter() -> None:
    assert make_rules(reversed(tables()), PLACE) == make_rules(tables(), PLACE)


def test_a_rule_is_by_vendor_class_or_by_oui_and_says_the_same() -> None:
    by_class, by_oui = (rule for rule in rules() if rule.phones == "acme-desk")
    assert by_class.vendor_classes
    assert not by_class.ouis
    assert by_oui.ouis == ("02:00:01",)
    assert not by_oui.vendor_classes
    assert by_class.options == by_oui.options


def test_options_and_spaces_are_defined_once() -> None:
    assert own_options(rules()) == {
        150: "ip", 224: "boolean", 225: "uint8", 226: "uint16", 227: "uint32", 228: "text", 229: "text", 230: "text",
    }  # fmt: skip
    assert vendor_spaces(rules()) == {
        "acme-desk": {1: "text", 2: "ip", 3: "boolean", 4: "uint8", 5: "uint16", 254: "uint32"}
    }


def test_without_an_ipv4_address_options_that_need_one_are_left_out() -> None:
    place = ServerPlace("prov.example", 8667, 69)
    by_name = {rule.name: rule for rule in make_rules(tables(), place)}
    assert by_name["other-any"].codes == (43,)
    assert by_name["other-any"].remarks == (
        "Option 150 is left out: it needs an IPv4 address, and prov.example is none.",
    )
    assert by_name["acme-desk"].options[-8].value == Value("ip", "198.51.100.1")


def test_phones_that_ask_on_the_usual_port_are_told_of() -> None:
    place = ServerPlace("192.0.2.10", 8667, 6969)
    by_name = {rule.name: rule for rule in make_rules(tables(), place)}
    remark = "These phones ask on port 69, but provd's TFTP port is 6969."
    assert remark in by_name["other-any"].remarks
    assert remark not in by_name["acme-late"].remarks


def test_descriptions_are_for_people() -> None:
    descriptions = {rule.name: list(describe(rule)) for rule in rules()}
    assert descriptions["acme-desk"] == ["acme-desk, by option 60", 'Phones with "quotes" and #signs.']
    assert descriptions["acme-bare"] == ["acme-bare, by option 60: left alone"]
    assert descriptions["other-any-oui"] == ["other-any, by OUI, if their option 60 tells nothing"]


def test_families_that_want_one_option_in_different_kinds_are_refused() -> None:
    one, other = family("a", **{"224": {"text": "x"}}), family("b", **{"224": {"uint8": 1}})
    with pytest.raises(InvalidValueError) as caught:
        make_rules([one, other], PLACE)
    assert str(caught.value) == (
        "b-desk.options.224: 'uint8' is not allowed; allowed: the kind text, as other phones have it"
    )


@pytest.mark.parametrize(
    "others",
    [
        [family("acme-x", "y"), family("acme", "x-y")],
        [acme(), parse_table("acme-desk", {"phones": [{"name": "oui", "vendor_class": [{"exact": "xx"}]}]})],
    ],
)
def test_names_that_become_the_same_are_refused(others: list[Any]) -> None:
    with pytest.raises(InvalidValueError, match="allowed: a family and a name that together are no others'"):
        make_rules(others, PLACE)
