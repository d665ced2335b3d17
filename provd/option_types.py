"""The types of settings: what each allows, and the value it gives."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from provd.errors import InvalidValueError
from provd.model import values
from provd.model.address import InvalidAddressError, normalize_address


@dataclass(frozen=True, slots=True)
class Type:
    """A check of a value (field name, value in; value out) and what it allows, in words."""

    allowed: str
    convert: Callable[[Any], Any]

    def __call__(self, field: str, value: Any) -> Any:
        """The value in the type that the program uses.

        Raises:
            InvalidValueError: the value is not allowed.
        """
        try:
            return self.convert(value)
        except (ValueError, TypeError, InvalidValueError):
            raise InvalidValueError(field, value, self.allowed) from None


@dataclass(frozen=True, slots=True)
class Option:
    """A setting: its place in the files, its type, default and meaning, and its flag on the command line if any."""

    table: str
    key: str
    check: Type
    default: Any
    doc: str
    flag: str | None = None
    metavar: str | None = None

    @property
    def name(self) -> str:
        """Table and key, joined by a dot."""
        return f"{self.table}.{self.key}"

    def as_toml(self) -> str:
        """The option with its default, as a line of a settings file."""
        return f"{self.key} = {json.dumps(self.default)}"


def integer(low: int, high: int) -> Type:
    """A whole number from `low` to `high`; the command line gives it as text."""
    return Type(f"a whole number from {low} to {high}", lambda value: _whole(value, low, high))


def seconds(low: int, high: int) -> Type:
    """A number of seconds, also with a fraction."""

    def convert(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError
        return float(value)

    return Type(f"a number of seconds from {low} to {high}", convert)


def choice(*allowed: str) -> Type:
    """One of the given texts."""
    return Type("one of " + ", ".join(allowed), lambda value: values.choice(*allowed)("", value))


def _whole(value: Any, low: int, high: int) -> int:
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,9}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError
    return value


def _needed_path(value: Any) -> Path:
    if not _text(value):
        raise ValueError
    return Path(value).absolute()


def _path(value: Any) -> Path | None:
    return Path(value).absolute() if _text(value) else None


def _address(value: Any) -> str:
    try:
        return normalize_address(value) if _text(value) else ""
    except InvalidAddressError as error:
        raise ValueError from error


def _location(value: Any) -> str:
    """A URL as it is, a folder as an absolute path."""
    if not _text(value):
        raise ValueError
    parts = urlsplit(value)
    if parts.scheme in ("http", "https") and parts.hostname:
        return str(value)
    if "://" in value:
        raise ValueError
    return str(Path(value).absolute())


def _port_range(value: Any) -> tuple[int, int] | None:
    if not _text(value):
        return None
    match = re.fullmatch(r"([0-9]{1,5})-([0-9]{1,5})", value)
    if match is None:
        raise ValueError
    low, high = int(match[1]), int(match[2])
    if not 1 <= low <= high <= 65535:
        raise ValueError
    return low, high


port = integer(0, 65535)
boolean = Type("true or false", _boolean)
folder = Type("the path of a folder", _needed_path)
file = Type("the path of a file", _needed_path)
path = Type("the path of a file, or an empty text", _path)
address = Type("an IPv4 or IPv6 address, or an empty text", _address)
host = Type("an address, a host name, or an empty text", lambda value: values.host("", value) if _text(value) else "")
location = Type("the path of a folder, or an http or https URL", _location)
port_range = Type("two ports joined by a dash, such as 20000-20999, or an empty text", _port_range)
