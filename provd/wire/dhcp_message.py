"""The datagram by which the DHCP server's hook tells of leases.

It is text in ASCII, lines end with LF. The lines of an event are its operation, the IP address, for a commit the MAC
address, then one line for each option, as in `provd.model.dhcp_event`: what the existing hook, dxtorc, sends too. New:
release and expiry may have the MAC address; an empty line stands between events; and the first line of the datagram
may be `@` with the time of CLOCK_MONOTONIC in nanoseconds, because hooks that run at the same time overtake each other.

    @81234567890123
    commit
    192.0.2.7
    00:08:5d:2e:ec:fb
    06041.61.73.74.72.61
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from provd.errors import InvalidValueError
from provd.model.dhcp_event import DhcpEvent, dhcp_event

MAX_SIZE = 16384
"""Bytes of the largest datagram that is read."""
MAX_EVENTS = 64
"""Events in one datagram; what stands behind them is refused."""

_TIME = re.compile(r"@([0-9]{1,19})")


def decode(datagram: bytes) -> list[DhcpEvent]:
    """The events of a datagram, in their order.

    Raises:
        InvalidValueError: it is none, or one of its events is wrong; the message says what.
    """
    if len(datagram) > MAX_SIZE:
        raise InvalidValueError("datagram", f"{len(datagram)} bytes", f"at most {MAX_SIZE} bytes")
    try:
        text = datagram.decode("ascii")
    except UnicodeDecodeError:
        raise InvalidValueError("datagram", datagram, "text in ASCII") from None
    lines = text.split("\n")
    time_ns = None
    if lines[0].startswith("@"):
        match = _TIME.fullmatch(lines.pop(0))
        if match is None:
            raise InvalidValueError("time", text.split("\n")[0], "@ and nanoseconds")
        time_ns = int(match[1])
    events = [dhcp_event(*_values(event), time_ns=time_ns) for event in _events(lines)]
    if not events or len(events) > MAX_EVENTS:
        raise InvalidValueError("datagram", f"{len(events)} events", f"1 to {MAX_EVENTS} events")
    return events


def _events(lines: list[str]) -> Iterator[list[str]]:
    """The lines of each event."""
    event: list[str] = []
    for line in [*lines, ""]:
        if line:
            event.append(line)
        elif event:
            yield event
            event = []


def _values(lines: list[str]) -> tuple[str, str | None, str | None, list[str]]:
    """Operation, address, MAC address and options of an event's lines."""
    rest = [*lines[1:3], None, None]
    return lines[0], rest[0], rest[1], lines[3:]
