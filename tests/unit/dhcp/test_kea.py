"""The snippet for Kea, as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provd.dhcp import kea
from provd.dhcp.kea import KeaPlace
from provd.dhcp.snippet import Snippet
from tests.unit.dhcp.acme import NASTY_SENT, PLACE, rules


def text(*, fragment: bool = False) -> str:
    return kea.render(Snippet(rules(), PLACE, "/hook"), KeaPlace("/library.so", fragment))


def parsed(document: str) -> dict[str, Any]:
    """The document without its comments, which stand on lines of their own."""
    lines = [line for line in document.splitlines() if not line.lstrip().startswith("//")]
    data: dict[str, Any] = json.loads("\n".join(lines))
    return data


def dhcp4() -> dict[str, Any]:
    data: dict[str, Any] = parsed(text())["Dhcp4"]
    return data


def classes() -> dict[str, dict[str, Any]]:
    return {each["name"].removeprefix("xivo-provd-"): each for each in dhcp4()["client-classes"]}


def test_it_is_json_with_comments() -> None:
    assert list(dhcp4()) == ["hooks-libraries", "option-def", "client-classes"]


def test_a_fragment_is_what_stands_in_dhcp4() -> None:
    lines = text(fragment=True).splitlines()
    place = next(number for number, line in enumerate(lines) if not line.startswith("//"))
    assert parsed("\n".join(["{", *lines[place:], "}"])) == dhcp4()


def test_the_hook_is_run() -> None:
    assert dhcp4()["hooks-libraries"] == [{"library": "/library.so", "parameters": {"name": "/hook", "sync": False}}]


def test_every_kind_is_defined() -> None:
    definitions = dhcp4()["option-def"]
    assert {"name": "xivo-provd-150", "code": 150, "type": "ipv4-address", "array": True} in definitions
    assert {"name": "xivo-provd-226", "code": 226, "type": "uint16"} in definitions
    space = "xivo-provd-acme-desk"
    assert {"name": "sub-1", "code": 1, "space": space, "type": "string"} in definitions
    assert {"name": "sub-3", "code": 3, "space": space, "type": "boolean"} in definitions


def test_option_43_is_a_place_for_sub_options_or_a_text() -> None:
    definition = {"name": "vendor-encapsulated-options", "code": 43}
    assert classes()["acme-desk"]["option-def"] == [
        {**definition, "type": "empty", "encapsulate": "xivo-provd-acme-desk"}
    ]
    assert classes()["other-any"]["option-def"] == [{**definition, "type": "string"}]
    assert "option-def" not in classes()["acme-late"]


def test_phones_that_are_left_alone_are_told_nothing() -> None:
    assert set(classes()["acme-bare"]) == {"name", "test"}


@pytest.mark.parametrize(
    ("content", "data"),
    [
        ("http://192.0.2.10:8667/spa$PSN.cfg", {"data": "http://192.0.2.10:8667/spa$PSN.cfg"}),
        ('a "b"', {"data": 'a "b"'}),
        ("a,b", {"csv-format": False, "data": "612c62"}),
        ("a\\b", {"csv-format": False, "data": "615c62"}),
        (" a", {"csv-format": False, "data": "2061"}),
        ("a ", {"csv-format": False, "data": "6120"}),
    ],
)
def test_texts_that_kea_would_read_as_something_else_are_in_hex(content: str, data: dict[str, Any]) -> None:
    rule = rules()[2]
    option = type(rule.options[0])(66, type(rule.options[0].value)("text", content))
    changed = type(rule)(rule.name, rule.phones, rule.vendor_classes, rule.ouis, (option,), ())
    document = parsed(kea.render(Snippet([changed], PLACE), KeaPlace("/x")))
    sent = document["Dhcp4"]["client-classes"][0]["option-data"]
    assert sent == [{"name": "tftp-server-name", "code": 66, **data, "always-send": True}]


def test_a_nasty_text_is_in_hex() -> None:
    assert {"name": "tftp-server-name", "code": 66, "csv-format": False, "data": NASTY_SENT.encode().hex(),
            "always-send": True} in classes()["acme-desk"]["option-data"]  # fmt: skip


def test_a_constant_with_a_quote_is_in_hex() -> None:
    assert (kea.constant('a"b\\'), kea.constant("a'b")) == ("'a\"b\\'", "0x612762")


def test_a_class_excludes_those_before_it_that_fit_the_same_phones() -> None:
    tests = {name: each["test"] for name, each in classes().items()}
    assert tests["acme-bare"] == "option[60].hex == 'Acme' or option[60].hex == 0x41636d6500"
    assert tests["acme-late"] == (
        "not member('xivo-provd-acme-desk') and not member('xivo-provd-acme-bare') "
        "and (substring(option[60].hex, 0, 2) == 'Ac')"
    )
    assert tests["other-any"].startswith(
        "not member('xivo-provd-acme-bare') and not member('xivo-provd-acme-late') and (substring("
    )
    assert tests["known"] == " or ".join(
        f"member('xivo-provd-{name}')" for name in ("acme-desk", "acme-bare", "acme-late", "other-any")
    )
    assert tests["acme-desk-oui"] == "not member('xivo-provd-known') and (substring(pkt4.mac, 0, 3) == 0x020001)"
    assert tests["other-any-oui"].startswith(
        "not member('xivo-provd-known') and not member('xivo-provd-acme-desk-oui') and (substring("
    )


def test_a_class_stands_behind_those_that_it_names() -> None:
    names = list(classes())
    assert names.index("other-any") < names.index("known") < names.index("acme-desk-oui")
