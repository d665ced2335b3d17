"""The table of a family's phones: how a DHCP server recognises them, and which options it tells them.

Its source is `plugins/<family>/dhcp.toml`; the builder puts it into `plugin-info` and into the repository.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from provd.dhcp.values import Value, keys_of, parse_value, printable
from provd.errors import InvalidValueError, MissingValueError

TFTP_SERVER_NAME, BOOT_FILE_NAME, VENDOR_OPTIONS = 66, 67, 43
OWN_CODES = (150, 160, 161, *range(224, 255))
"""Codes that no server knows, so that a snippet may define them (RFC 3942: 224 to 254 are private)."""

_KEYS = ("name", "vendor_class", "oui", "options", "note")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_OUI = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){2}")
_NUMBER = re.compile(r"[1-9][0-9]{0,2}")


@dataclass(frozen=True, slots=True)
class Pattern:
    """What option 60 has to be. An `exact` text may have a NUL behind it, as many phones send it.

    There are no other kinds, because a substring is more than Kea can look for, and a suffix more than dnsmasq can.
    """

    text: str
    exact: bool = False

    def overlaps(self, other: Pattern) -> bool:
        """Tell whether a phone can match both."""
        short, long = sorted((self, other), key=lambda each: len(each.text))
        return self.text == other.text if short.exact else long.text.startswith(short.text)


@dataclass(frozen=True, slots=True)
class Option:
    """An option, or with `sub` a sub-option of option 43, and its value."""

    code: int
    value: Value
    sub: int | None = None


@dataclass(frozen=True, slots=True)
class Phones:
    """Some phones of a family: those of a vendor class, and those of an OUI that send no vendor class of the table.

    Without options they are left alone. `note` is what an administrator should know of them.
    """

    name: str
    vendor_classes: tuple[Pattern, ...]
    ouis: tuple[str, ...]
    options: tuple[Option, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A family's phones in the order in which they are looked at, and the version of the plugin that says so."""

    family: str
    phones: tuple[Phones, ...]
    version: str = ""


def parse_table(family: str, data: Any, version: str = "") -> Table:
    """Check what `dhcp.toml`, or JSON made of it, says of a family.

    Raises:
        InvalidValueError: something is missing or wrong; the message names the key and says what is allowed.
    """
    if not _NAME.fullmatch(family):
        raise InvalidValueError("family", family, "lower-case letters, digits and dashes")
    _check_keys("", data, ("phones",))
    phones = tuple(_phones(f"phones[{number}]", each) for number, each in _list("phones", data.get("phones")))
    names = [each.name for each in phones]
    for name in names:
        if names.count(name) > 1:
            raise InvalidValueError("phones", name, "a name that no other phones of the family have")
    return Table(family, phones, version)


def _phones(field: str, data: Any) -> Phones:
    _check_keys(field, data, _KEYS)
    if "name" not in data:
        raise MissingValueError(f"{field}.name", "lower-case letters, digits and dashes")
    if not isinstance(data["name"], str) or not _NAME.fullmatch(data["name"]):
        raise InvalidValueError(f"{field}.name", data["name"], "lower-case letters, digits and dashes")
    if not data.get("vendor_class") and not data.get("oui"):
        raise MissingValueError(f"{field}.vendor_class", "vendor_class or oui, so that the phones can be recognised")
    note = data.get("note", "")
    return Phones(
        name=data["name"],
        vendor_classes=tuple(_pattern(*each) for each in _items(f"{field}.vendor_class", data)),
        ouis=tuple(_oui(*each) for each in _items(f"{field}.oui", data)),
        options=tuple(_options(f"{field}.options", data.get("options", {}))),
        note=printable(f"{field}.note", note) if note != "" else "",
    )


def _pattern(field: str, data: Any) -> Pattern:
    if not isinstance(data, Mapping) or len(data) != 1 or next(iter(data)) not in ("exact", "prefix"):
        raise InvalidValueError(field, keys_of(data), '{ exact = "…" } or { prefix = "…" }')
    ((kind, text),) = data.items()
    printable(f"{field}.{kind}", text)
    if len(text) < 2:  # dnsmasq takes one byte in hex for a number
        raise InvalidValueError(f"{field}.{kind}", text, "at least two characters")
    return Pattern(text, exact=kind == "exact")


def _oui(field: str, text: Any) -> str:
    if not isinstance(text, str) or not _OUI.fullmatch(text):
        raise InvalidValueError(field, text, "three bytes in lower-case hex joined by colons, such as 00:08:5d")
    return text


def _options(field: str, data: Any) -> Iterator[Option]:
    if not isinstance(data, Mapping):
        raise InvalidValueError(field, data, "values by the numbers of options")
    for key, entry in data.items():
        where, code = f"{field}.{key}", _number(key)
        if code == VENDOR_OPTIONS and isinstance(entry, Mapping) and "text" not in entry:
            yield from _sub_options(where, entry)
        elif code in (TFTP_SERVER_NAME, BOOT_FILE_NAME, VENDOR_OPTIONS):
            value = parse_value(where, entry)
            if value.kind != "text":
                raise InvalidValueError(where, value.kind, 'a text: { text = "…" }')
            yield Option(code, value)
        elif code in OWN_CODES:
            yield Option(code, parse_value(where, entry))
        else:
            raise InvalidValueError(field, key, "the options 43, 66, 67, 150, 160, 161, and 224 to 254")


def _sub_options(field: str, data: Mapping[str, Any]) -> Iterator[Option]:
    for key, entry in data.items():
        sub = _number(key)
        if not 1 <= sub <= 254:
            raise InvalidValueError(field, key, "the numbers of sub-options, from 1 to 254; or a text")
        yield Option(VENDOR_OPTIONS, parse_value(f"{field}.{key}", entry), sub)


def _number(key: Any) -> int:
    return int(key) if isinstance(key, str) and _NUMBER.fullmatch(key) else 0


def _items(field: str, data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The items of a list that may be missing, each with its place."""
    for number, item in _list(field, data.get(field.rpartition(".")[2], [])):
        yield f"{field}[{number}]", item


def _list(field: str, data: Any) -> list[tuple[int, Any]]:
    if not isinstance(data, list):
        raise InvalidValueError(field, data, "a list")
    return list(enumerate(data, 1))


def _check_keys(field: str, data: Any, known: tuple[str, ...]) -> None:
    """Refuse what is no object, or has keys that nobody reads: they are misspelt."""
    if not isinstance(data, Mapping):
        raise InvalidValueError(field or "dhcp", data, "keys and values")
    for key in data:
        if key not in known:
            raise InvalidValueError(field or "dhcp", key, f"the keys {', '.join(known)}")
