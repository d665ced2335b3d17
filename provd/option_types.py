"""The types of settings: what each allows, and the value it gives."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from provd.errors import InvalidValueError
from provd.model import values
from provd.model.address import InvalidAddressError, IPNetwork, normalize_address


@dataclass(frozen=True, slots=True)
class Type:
    """A check of a value (value in; value out) and what it allows, in words.

    `parse` makes a value of a text of the command line; None: the text itself is the value.
    """

    allowed: str
    convert: Callable[[Any], Any]
    parse: Callable[[str], Any] | None = None

    def __call__(self, field: str, value: Any) -> Any:
        """The value of a settings file in the type that the program uses.

        Raises:
            InvalidValueError: the value is not allowed.
        """
        try:
            return self._checked(value)
        except ValueError:
            shown = without_credentials(value) if isinstance(value, str) else value
            raise InvalidValueError(field, shown, self.allowed + self._advice(value)) from None

    def from_text(self, field: str, text: str) -> Any:
        """The same for a text of the command line, which has no other types.

        Raises:
            InvalidValueError: the text is not allowed.
        """
        try:
            return self._checked(self.parse(text) if self.parse else text)
        except ValueError:
            raise InvalidValueError(field, without_credentials(text), self.allowed) from None

    def _checked(self, value: Any) -> Any:
        try:
            return self.convert(value)
        except (TypeError, InvalidValueError) as error:
            raise ValueError from error

    def _advice(self, value: Any) -> str:
        """Quotes are the only mistake of somebody who knows what the value has to be."""
        if self.parse is None or not isinstance(value, str):
            return ""
        try:
            self._checked(self.parse(value))
        except ValueError:
            return ""
        return ", without quotes"


@dataclass(frozen=True, slots=True)
class Option:
    """A setting: its place in the files, its type, default and meaning, and its flag on the command line if any.

    A change of a `reloadable` one is used when the running server is told to read its settings again.
    """

    table: str
    key: str
    check: Type
    default: Any
    doc: str
    flag: str | None = None
    metavar: str | None = None
    reloadable: bool = False

    @property
    def name(self) -> str:
        """Table and key, joined by a dot."""
        return f"{self.table}.{self.key}"

    def as_toml(self) -> str:
        """The option with its default, as a line of a settings file."""
        return f"{self.key} = {json.dumps(self.default)}"


def without_credentials(text: str) -> str:
    """A wrong value as a message may show it: a URL may hold user and password, and who knows where in a wrong one."""
    before, at, behind = text.rpartition("@")
    return f"{before[: before.find('://') + 3] if '://' in before else ''}…@{behind}" if at else text


def integer(low: int, high: int) -> Type:
    """A whole number from `low` to `high`."""
    return Type(f"a whole number from {low} to {high}", lambda value: _whole(value, low, high), _whole_from_text)


def seconds(low: int, high: int) -> Type:
    """A number of seconds, also with a fraction."""

    def convert(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError
        return float(value)

    return Type(f"a number of seconds from {low} to {high}", convert, _number_from_text)


def choice(*allowed: str) -> Type:
    """One of the given texts."""
    return Type("one of " + ", ".join(allowed), lambda value: values.choice(*allowed)("", value))


def _whole(value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError
    return value


def _whole_from_text(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise ValueError
    return int(text)


def _number_from_text(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        raise ValueError
    return float(text)


def _boolean_from_text(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError
    return text == "true"


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


def _proxy(value: Any) -> str:
    """A proxy's URL; `host:port` is one too, as it was for the existing provd."""
    if not _text(value):
        return ""
    parts = urlsplit(value if "://" in value else f"http://{value}")
    if parts.scheme != "http" or not parts.hostname or not value.isprintable() or " " in value:
        raise ValueError
    if parts.path not in ("", "/") or parts.query or parts.fragment or ("://" not in value and not parts.port):
        raise ValueError
    _ = parts.port  # one that is none raises
    return urlunsplit(("http", parts.netloc, "", "", ""))


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


def _list_of(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError
    return value


def _networks(value: Any) -> tuple[IPNetwork, ...]:
    return tuple(ipaddress.ip_network(each) for each in _list_of(value))


def _users(value: Any) -> tuple[str, ...]:
    names = _list_of(value)
    if not all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}", name) for name in names):
        raise ValueError
    return tuple(names)


port = integer(0, 65535)
boolean = Type("true or false", _boolean, _boolean_from_text)
folder = Type("the path of a folder", _needed_path)
file = Type("the path of a file", _needed_path)
path = Type("the path of a file, or an empty text", _path)
address = Type("an IPv4 or IPv6 address, or an empty text", _address)
host = Type("an address, a host name, or an empty text", lambda value: values.host("", value) if _text(value) else "")
proxy = Type("an http URL such as http://user:password@192.0.2.1:3128, or an empty text", _proxy)
location = Type("the path of a folder, or an http or https URL", _location)
port_range = Type("two ports joined by a dash, such as 20000-20999, or an empty text", _port_range)
networks = Type(
    'a list of networks in quotes, such as ["192.0.2.0/24", "2001:db8::/64"], without bits behind the prefix', _networks
)
users = Type("a list of names of users in quotes", _users)
