"""What a DHCP server tells of a lease: given, given back, or run out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from provd.errors import InvalidValueError, MissingValueError
from provd.model.address import InvalidAddressError, normalize_address
from provd.model.mac import InvalidMacError, normalize_mac

COMMIT, RELEASE, EXPIRY = "commit", "release", "expiry"
OPERATIONS = (COMMIT, RELEASE, EXPIRY)

MAX_OPTIONS = 256
_MAX_OPTION_LENGTH = 3 * 256 + 3
_OPTION = re.compile(r"([0-9]{3})((?:[0-9A-Fa-f]{1,2}(?:\.[0-9A-Fa-f]{1,2})*)?)", re.ASCII)


@dataclass(frozen=True, slots=True)
class DhcpEvent:
    """One event: `op` is commit, release or expiry; addresses are in stored form, `options` raw bytes by code.

    `mac` is always known of a commit; of the others only if the server told it. `time_ns` is when it happened, by
    CLOCK_MONOTONIC of this machine, or None if nobody noted it.
    """

    op: str
    ip: str
    mac: str | None = None
    options: Mapping[int, bytes] = field(default_factory=dict)
    time_ns: int | None = None


def dhcp_event(
    op: object, ip: object, mac: object = None, options: object = (), *, time_ns: int | None = None
) -> DhcpEvent:
    """The event that somebody tells with these values; an option is three digits of its code and its bytes in hex.

    The bytes are joined by dots and need no leading zeros: `06066.6f.6f` is option 60 with the value `foo`.

    Raises:
        InvalidValueError: a value is missing or not allowed; the message names it.
    """
    if op not in OPERATIONS:
        raise InvalidValueError("op", op, ", ".join(OPERATIONS))
    address = _address(ip)
    if mac is None and op == COMMIT:
        raise MissingValueError("mac", "the MAC address that the lease was given to")
    return DhcpEvent(
        op=str(op), ip=address, mac=None if mac is None else _mac(mac), options=_options(options), time_ns=time_ns
    )


def dhcp_event_of(data: Mapping[str, Any]) -> DhcpEvent:
    """The event of a `dhcp_info` object, with the keys `op`, `ip`, `mac` and `options`.

    Raises:
        InvalidValueError: a value is missing or not allowed; the message names it.
    """
    return dhcp_event(data.get("op"), data.get("ip"), data.get("mac"), data.get("options") or ())


def _address(ip: object) -> str:
    if not isinstance(ip, str):
        raise InvalidAddressError(ip)
    return normalize_address(ip)


def _mac(mac: object) -> str:
    if not isinstance(mac, str):
        raise InvalidMacError(mac)
    return normalize_mac(mac)


def _options(options: object) -> dict[int, bytes]:
    if isinstance(options, str | Mapping) or not isinstance(options, Iterable):
        raise InvalidValueError("options", options, "a list of options")
    found: dict[int, bytes] = {}
    for number, option in enumerate(options):
        if number >= MAX_OPTIONS:
            raise InvalidValueError("options", f"more than {MAX_OPTIONS} options", f"at most {MAX_OPTIONS}")
        code, value = _option(option)
        if value:
            found[code] = value
    return found


def _option(option: object) -> tuple[int, bytes]:
    match = _OPTION.fullmatch(option) if isinstance(option, str) and len(option) <= _MAX_OPTION_LENGTH else None
    if match is None or int(match[1]) > 255:
        raise InvalidValueError(
            "options", option, "three digits of the option's code, then its bytes in hex joined by dots: 06066.6f.6f"
        )
    return int(match[1]), bytes(int(byte, 16) for byte in match[2].split(".")) if match[2] else b""
