"""The table of phones: what is right in it, and what is said of what is wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from provd.dhcp.table import Option, Pattern, parse_table
from provd.dhcp.values import ServerPlace, Value, filled
from provd.errors import InvalidValueError
from tests.unit.dhcp.acme import NASTY, PLACE, acme

SOURCES = Path(__file__).parents[3] / "plugins"


def phones(**keys: Any) -> dict[str, Any]:
    """A table with one entry."""
    return {"phones": [{"name": "desk", "oui": ["02:00:01"], **keys}]}


def mistake(data: Any, family: str = "acme") -> str:
    with pytest.raises(InvalidValueError) as caught:
        parse_table(family, data)
    return str(caught.value)


def test_everything_is_read() -> None:
    table = acme()
    assert (table.family, [each.name for each in table.phones]) == ("acme", ["desk", "bare", "late"])
    desk = table.phones[0]
    assert desk.vendor_classes == (Pattern("Acme \"D\\esk' "), Pattern("Acme, Inc.", exact=True))
    assert desk.ouis == ("02:00:01",)
    assert desk.options[0] == Option(66, Value("text", NASTY))
    assert Option(43, Value("boolean", True), 3) in desk.options
    assert Option(43, Value("uint32", 4294967295), 254) in desk.options
    assert Option(150, Value("ip", "198.51.100.1")) in desk.options


def test_toml_says_it_shortly() -> None:
    text = """
        [[phones]]
        name = "desk"
        vendor_class = [{ prefix = "Acme" }]
        [phones.options]
        43.2 = { text = "{http_base_url}/Acme" }
        43.3 = { boolean = false }
        66 = { text = "x" }
    """
    assert parse_table("acme", tomllib.loads(text)).phones[0].options == (
        Option(43, Value("text", "{http_base_url}/Acme"), 2),
        Option(43, Value("boolean", False), 3),
        Option(66, Value("text", "x")),
    )


@pytest.mark.parametrize("family", ["", "Acme", "a b", "../x", "a" * 33])
def test_a_familys_name_can_be_a_folders(family: str) -> None:
    assert mistake(phones(), family).startswith(f"family: {family!r} is not allowed; allowed: lower-case letters")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "dhcp: [] is not allowed; allowed: keys and values"),
        ({}, "phones: None is not allowed; allowed: a list"),
        ({"phone": []}, "dhcp: 'phone' is not allowed; allowed: the keys phones"),
        ({"phones": [1]}, "phones[1]: 1 is not allowed; allowed: keys and values"),
        ({"phones": [{"oui": ["02:00:01"]}]}, "phones[1].name: missing; needed: lower-case letters, digits and da"),
        (phones(name="A B"), "phones[1].name: 'A B' is not allowed; allowed: lower-case letters"),
        (phones(model="x"), "phones[1]: 'model' is not allowed; allowed: the keys name, vendor_class, oui, option"),
        (phones(oui=[]), "phones[1].vendor_class: missing; needed: vendor_class or oui"),
        (phones(oui="02:00:01"), "phones[1].oui: '02:00:01' is not allowed; allowed: a list"),
        (phones(oui=["02:00:01", "02-00-01"]), "phones[1].oui[2]: '02-00-01' is not allowed; allowed: three bytes"),
        (phones(oui=["02:00:0A"]), "phones[1].oui[1]: '02:00:0A' is not allowed"),
        (phones(vendor_class=["Acme"]), "phones[1].vendor_class[1]: 'Acme' is not allowed; allowed: { exact"),
        (phones(vendor_class=[{"suffix": "e"}]), "phones[1].vendor_class[1]: 'suffix' is not allowed"),
        (phones(vendor_class=[{"prefix": "A"}]), "phones[1].vendor_class[1].prefix: 'A' is not allowed; allowed:"),
        (phones(vendor_class=[{"prefix": "A\n"}]), "phones[1].vendor_class[1].prefix: 'A\\n' is not allowed"),
        (phones(vendor_class=[{"exact": "é" * 9}]), "allowed: 1 to 255 printable ASCII characters"),
        (phones(note="a\nb"), "phones[1].note: 'a\\nb' is not allowed; allowed: 1 to 255 printable ASCII characters"),
        (phones(options=[]), "phones[1].options: [] is not allowed; allowed: values by the numbers of options"),
        (phones(options={"6": {"text": "x"}}), "phones[1].options: '6' is not allowed; allowed: the options 43, 6"),
        (phones(options={"066": {"text": "x"}}), "phones[1].options: '066' is not allowed"),
        (phones(options={"66": "x"}), "phones[1].options.66: 'x' is not allowed; allowed: one value with its kind"),
        (phones(options={"66": {"string": "x"}}), "phones[1].options.66: 'string' is not allowed; allowed: one va"),
        (phones(options={"66": {"ip": "192.0.2.1"}}), "phones[1].options.66: 'ip' is not allowed; allowed: a"),
        (phones(options={"66": {"text": ""}}), "phones[1].options.66.text: '' is not allowed"),
        (phones(options={"66": {"text": "{addr}"}}), "phones[1].options.66.text: '{addr}' is not allowed; allowed"),
        (phones(options={"66": {"text": "a{b"}}), "phones[1].options.66.text: '{' is not allowed"),
        (phones(options={"43": {"0": {"text": "x"}}}), "phones[1].options.43: '0' is not allowed; allowed: the nu"),
        (phones(options={"43": {"255": {"text": "x"}}}), "phones[1].options.43: '255' is not allowed"),
        (phones(options={"150": {"ip": "here"}}), "phones[1].options.150.ip: 'here' is not allowed; allowed: {add"),
        (phones(options={"160": {"boolean": 1}}), "phones[1].options.160.boolean: 1 is not allowed; allowed: true"),
        (phones(options={"160": {"uint8": 256}}), "allowed: a whole number from 0 to 255"),
        (phones(options={"160": {"uint16": True}}), "allowed: a whole number from 0 to 65535"),
        ({"phones": phones()["phones"] * 2}, "phones: 'desk' is not allowed; allowed: a name that no other phones"),
    ],
)  # fmt: skip
def test_a_mistake_is_called_by_its_place_and_what_is_allowed(data: Any, message: str) -> None:
    assert message in mistake(data)


# --- what texts become


@pytest.mark.parametrize(
    ("address", "text", "expected"),
    [
        ("192.0.2.10", "{http_base_url}/spa$PSN.cfg", "http://192.0.2.10:8667/spa$PSN.cfg"),
        ("2001:db8::1", "{http_base_url} {address} {host}", "http://[2001:db8::1]:8667 2001:db8::1 [2001:db8::1]"),
        ("prov.example", "tftp://{host}:{tftp_port}/{{mac}}", "tftp://prov.example:69/{mac}"),
        ("192.0.2.10", "{{address}}", "{address}"),
        ("192.0.2.10", "{{{address}}}", "{192.0.2.10}"),
    ],
)
def test_placeholders_are_filled_in(address: str, text: str, expected: str) -> None:
    assert filled("x", Value("text", text), ServerPlace(address, 8667, 69)) == Value("text", expected)


def test_a_text_that_has_grown_too_long_is_refused() -> None:
    with pytest.raises(InvalidValueError, match=r"acme\.66: .* allowed: 1 to 255 printable"):
        filled("acme.66", Value("text", "{address}" * 28), PLACE)


@pytest.mark.parametrize("address", ["prov.example", "2001:db8::1", "192.0.2"])
def test_an_option_for_ipv4_addresses_takes_no_other(address: str) -> None:
    place = ServerPlace(address, 8667, 69)
    assert filled("x", Value("ip", "{address}"), place) is None
    assert filled("x", Value("ip", "198.51.100.1"), place) == Value("ip", "198.51.100.1")


# --- patterns


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (Pattern("Acme"), Pattern("Acme Desk"), True),
        (Pattern("Acme"), Pattern("Acme Desk", exact=True), True),
        (Pattern("Acme", exact=True), Pattern("Acme Desk"), False),
        (Pattern("Acme", exact=True), Pattern("Acme", exact=True), True),
        (Pattern("Acme", exact=True), Pattern("Acme"), True),
        (Pattern("Acme A"), Pattern("Acme B"), False),
    ],
)
def test_patterns_that_fit_the_same_phone_overlap(one: Pattern, other: Pattern, expected: bool) -> None:
    assert one.overlaps(other) is other.overlaps(one) is expected


# --- the official families


@pytest.mark.parametrize("path", sorted(SOURCES.glob("*/dhcp.toml")), ids=lambda path: path.parent.name)
def test_the_official_tables_are_right(path: Path) -> None:
    assert parse_table(path.parent.name, tomllib.loads(path.read_text())).phones


def test_there_is_one_of_each_family() -> None:
    families = {path.parent.name for path in SOURCES.glob("*/dhcp.toml")}
    assert families >= {"aastra", "cisco-sccp", "cisco-spa", "digium", "polycom", "snom", "yealink"}
