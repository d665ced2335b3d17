"""Checks of single values: each takes a field's name and a value, and returns the value in its plain type.

All raise `InvalidValueError` with the field, the value and what is allowed.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from provd.errors import InvalidValueError
from provd.model.address import InvalidAddressError, normalize_address
from provd.model.document import without_control_characters

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?")
_DIGITS_AND_DOTS = re.compile(r"[0-9.]+")
_LOCALE = re.compile(r"[a-z]{2,3}_[A-Z]{2,3}")
_PEM_CHARACTERS = re.compile(r"[A-Za-z0-9+/=\s:,.-]*", re.ASCII)


def text(field: str, value: Any) -> str:
    """A text of one line. A number is taken as its digits, because clients write extensions so."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return without_control_characters(field, value)


def flag(field: str, value: Any) -> bool:
    """True or false."""
    if value in (True, 1, "1", "true", "True"):
        return True
    if value in (False, 0, "0", "false", "False"):
        return False
    raise InvalidValueError(field, value, "true or false")


def number(low: int, high: int) -> Callable[[str, Any], int]:
    """A whole number from `low` to `high`."""

    def check(field: str, value: Any) -> int:
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise InvalidValueError(field, value, f"a whole number from {low} to {high}")
        return value

    return check


def choice(*allowed: str) -> Callable[[str, Any], str]:
    """One of the `allowed` texts."""

    def check(field: str, value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise InvalidValueError(field, value, "one of " + ", ".join(allowed))
        return value

    return check


def host(field: str, value: Any) -> str:
    """An address or a host name."""
    if isinstance(value, str) and (_is_address(value) if _means_address(value) else _NAME.fullmatch(value)):
        return value
    raise InvalidValueError(field, value, "an IPv4 or IPv6 address or a host name")


def _means_address(value: str) -> bool:
    """No host has a name of digits and dots alone (RFC 1123 section 2.1): who writes 300.1.1.1 mistyped an address."""
    return ":" in value or _DIGITS_AND_DOTS.fullmatch(value) is not None


def _is_address(value: str) -> bool:
    if len(value) >= 64:  # longer than any address
        return False
    try:
        normalize_address(value)
    except InvalidAddressError:
        return False
    return True


def url(field: str, value: Any) -> str:
    """An HTTP or HTTPS URL."""
    checked = without_control_characters(field, value)
    try:
        parts = urlsplit(checked)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in checked
    except ValueError:
        valid = False
    if not valid:
        raise InvalidValueError(field, value, "a URL such as http://192.0.2.10:8667")
    return checked


def locale(field: str, value: Any) -> str:
    """A language and a country, such as `fr_CA`."""
    if not isinstance(value, str) or not _LOCALE.fullmatch(value):
        raise InvalidValueError(field, value, "a language and a country, such as fr_CA")
    return value


def timezone(field: str, value: Any) -> str:
    """A name of the time zone database, such as `Europe/Paris`."""
    try:
        zoneinfo.ZoneInfo(value)
    except (TypeError, ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        allowed = "a name of the time zone database, such as Europe/Paris"
        raise InvalidValueError(field, value, allowed) from None
    return str(value)


def pem(field: str, value: Any) -> str:
    """One or more PEM blocks (RFC 7468)."""
    checked = without_control_characters(field, value, lines=True)
    block = checked.strip()
    framed = block.startswith("-----BEGIN ") and block.endswith("-----") and "-----END " in block
    if not framed or not _PEM_CHARACTERS.fullmatch(block):
        raise InvalidValueError(field, "…", "PEM text, from -----BEGIN … to -----END …-----")
    return checked


def certificates(field: str, value: Any) -> list[str]:
    """A list of PEM certificates, the root first; a single PEM text is taken as a list of one."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        raise InvalidValueError(field, value, "a list of PEM certificates, the root first")
    return [pem(f"{field}.{index}", item) for index, item in enumerate(value)]
