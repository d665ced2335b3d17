"""MAC addresses as provd stores them: six lower-case hex pairs joined by colons."""

from __future__ import annotations

import re

from provd.errors import InvalidValueError

_STORED = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_USUAL = re.compile(r"[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){4}")
"""How phones write their own: told apart first, because it is in every request."""
_BARE = re.compile(r"[0-9A-Fa-f]{12}")
_DOTTED = re.compile(r"[0-9A-Fa-f]{4}(\.[0-9A-Fa-f]{4}){2}")
_SEPARATED = re.compile(r"[0-9A-Fa-f]{1,2}(?:([:-])[0-9A-Fa-f]{1,2})(?:\1[0-9A-Fa-f]{1,2}){4}")


class InvalidMacError(InvalidValueError):
    """The text is not a 48-bit MAC address."""

    def __init__(self, value: object, field: str = "mac") -> None:
        super().__init__(field, value, "six hexadecimal bytes, such as 00:08:5d:2e:ec:fb")


def normalize_mac(text: str) -> str:
    """Return `text` in stored form.

    Accepts colons, dashes, dots or no separator, any case, and one-digit bytes when separated, because
    ISC dhcpd prints `0:8:5d:1:2:3`.

    Raises:
        InvalidMacError: `text` has another length or a non-hexadecimal digit.
    """
    if _USUAL.fullmatch(text):
        return text.replace("-", ":").lower()
    if _BARE.fullmatch(text):
        digits = text
    elif _DOTTED.fullmatch(text):
        digits = text.replace(".", "")
    elif _SEPARATED.fullmatch(text):
        digits = "".join(byte.zfill(2) for byte in re.split("[:-]", text))
    else:
        raise InvalidMacError(text)
    digits = digits.lower()
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


def format_mac(mac: str, separator: str = ":", *, upper: bool = False) -> str:
    """Return a stored MAC address as a vendor writes it, e.g. `00085D2EECFB` with no separator and `upper`."""
    text = mac.replace(":", separator)
    return text.upper() if upper else text


def is_normalized_mac(text: object) -> bool:
    """Tell whether `text` is a MAC address in stored form."""
    return isinstance(text, str) and _STORED.fullmatch(text) is not None
