"""The values of DHCP options in the table of phones: their kinds, and the placeholders in them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provd.errors import InvalidValueError
from provd.model.address import is_ipv6, url_host

MAX_TEXT = 255
"""Bytes of the longest option (RFC 2132 section 2)."""

PLACEHOLDERS = ("address", "host", "http_base_url", "http_port", "tftp_port")
ADDRESS = "{address}"

INTEGER_BITS: Mapping[str, int] = {"uint8": 8, "uint16": 16, "uint32": 32}
KINDS = ("text", "ip", "boolean", *INTEGER_BITS)

_PIECE = re.compile(r"\{\{|\}\}|\{[^{}]*\}|\{|\}")
_PRINTABLE = re.compile(r"[ -~]+")


@dataclass(frozen=True, slots=True)
class ServerPlace:
    """Where phones find provd: its address or name, and its ports."""

    address: str
    http_port: int
    tftp_port: int

    @property
    def is_ipv4(self) -> bool:
        """Tell whether the address can stand in an option that holds IPv4 addresses."""
        try:
            ipaddress.IPv4Address(self.address)
        except ValueError:
            return False
        return True

    def placeholders(self) -> dict[str, str]:
        """What each placeholder stands for."""
        host = url_host(self.address) if is_ipv6(self.address) else self.address
        return {
            "address": self.address,
            "host": host,
            "http_base_url": f"http://{host}:{self.http_port}",
            "http_port": str(self.http_port),
            "tftp_port": str(self.tftp_port),
        }


@dataclass(frozen=True, slots=True)
class Value:
    """A value and its kind, one of `KINDS`; a text may hold placeholders until it is filled in."""

    kind: str
    content: str | int | bool


def parse_value(field: str, data: Any) -> Value:
    """The value that is written as `{ kind = content }`.

    Raises:
        InvalidValueError: there is no such kind, or the content is none of it.
    """
    if not isinstance(data, Mapping) or len(data) != 1 or next(iter(data)) not in KINDS:
        raise InvalidValueError(
            field, keys_of(data), f'one value with its kind, such as {{ text = "…" }}: {", ".join(KINDS)}'
        )
    ((kind, content),) = data.items()
    field = f"{field}.{kind}"
    if kind == "text":
        return Value(kind, _text_with_placeholders(field, content))
    if kind == "ip":
        return Value(kind, _ip(field, content))
    if kind == "boolean":
        if not isinstance(content, bool):
            raise InvalidValueError(field, content, "true or false")
        return Value(kind, content)
    highest = 2 ** INTEGER_BITS[kind] - 1
    if isinstance(content, bool) or not isinstance(content, int) or not 0 <= content <= highest:
        raise InvalidValueError(field, content, f"a whole number from 0 to {highest}")
    return Value(kind, content)


def keys_of(data: Any) -> Any:
    """What a message shows of an object: its keys, because no message shows the values of one."""
    return ", ".join(map(str, data)) if isinstance(data, Mapping) else data


def printable(field: str, text: Any, longest: int = MAX_TEXT) -> str:
    """A text of printable ASCII, which can neither end a line of a snippet nor mean another character to a server.

    Raises:
        InvalidValueError: it is none, empty or too long.
    """
    if not isinstance(text, str) or len(text) > longest or not _PRINTABLE.fullmatch(text):
        raise InvalidValueError(field, text, f"1 to {longest} printable ASCII characters")
    return text


def filled(field: str, value: Value, place: ServerPlace) -> Value | None:
    """The value with its placeholders replaced; None if it has to be an IPv4 address and provd's is none.

    Raises:
        InvalidValueError: the text is longer than an option can be.
    """
    if value.kind == "ip" and value.content == ADDRESS:
        return Value("ip", place.address) if place.is_ipv4 else None
    if value.kind != "text":
        return value
    meanings = {f"{{{name}}}": text for name, text in place.placeholders().items()} | {"{{": "{", "}}": "}"}
    text = _PIECE.sub(lambda match: meanings[match[0]], str(value.content))
    return Value("text", printable(field, text))


def _text_with_placeholders(field: str, text: Any) -> str:
    checked = printable(field, text)
    known = {"{{", "}}", *(f"{{{name}}}" for name in PLACEHOLDERS)}
    for piece in _PIECE.findall(checked):
        if piece not in known:
            raise InvalidValueError(field, piece, "{" + "}, {".join(PLACEHOLDERS) + "}; {{ and }} for braces")
    return checked


def _ip(field: str, text: Any) -> str:
    try:
        return ADDRESS if text == ADDRESS else str(ipaddress.IPv4Address(str(text)))
    except ValueError:
        raise InvalidValueError(field, text, f"{ADDRESS}, or an IPv4 address") from None
