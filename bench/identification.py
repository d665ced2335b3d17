"""What identification costs: phones that have moved, that take another one's address, and leases.

Phones that nobody knows, and those of which nothing has changed, are in `scenarios.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import phones
from events import Events
from field import PROTOCOLS, Field, Row
from servers import Server
from storm import Storm

_AT_ONCE = 32
"""Fewer than the phones of the smallest store, so that none asks again while it is being answered."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of request or event: its rows' scenario, how people call it, and the most CPU ms that it should take."""

    scenario: str
    name: str
    limit_ms: float


KINDS = (
    Kind("growth", "known phone", 0.3),
    Kind("moved", "known phone, changed address", 1.0),
    Kind("conflict", "known phone, at another one's address", 1.0),
    Kind("new", "new phone", 3.0),
    Kind("lease again", "lease of a known phone, nothing changed", 0.3),
    Kind("lease moved", "lease of a known phone, changed address", 1.0),
)


def costs_by_size(rows: Sequence[Row]) -> Iterator[tuple[Kind, str, dict[int, float]]]:
    """Each kind with its protocol and, by the size of the store, the CPU ms that a request or an event took."""
    for kind in KINDS:
        for protocol in (*PROTOCOLS, "dhcp"):
            found = [row for row in rows if (row.scenario, row.protocol) == (kind.scenario, protocol)]
            if found:
                yield kind, protocol, {row.devices: row.result.cpu_s_per_1000 for row in found}


def growth_of(costs: dict[int, float]) -> float:
    """The cost with the largest store beside the cost with the smallest one."""
    return costs[max(costs)] / costs[min(costs)]


def identification(field: Field) -> list[Row]:
    """Everything that changes what is known of a known phone; each row is of one kind, protocol and server."""
    requests = [row for each in PROTOCOLS for way in (moved, conflict) for row in way(field, each)]
    return [*requests, *leases_again(field), *leases_moved(field)]


def moved(field: Field, protocol: str) -> list[Row]:
    """Known phones ask from another address each time: each request is written down."""

    def lines() -> Iterator[str]:
        for turn, place in enumerate(field.free_places(field.size.changes)):
            yield phones.boot_line(turn % field.same_phones, protocol, place)

    return field.in_turns("moved", protocol, field.provds, _storm_of(field, protocol, lines), documents=1)


def conflict(field: Field, protocol: str) -> list[Row]:
    """Two known phones ask from the same address in turns: each time one gets it, and the other loses it."""
    pairs = field.same_phones // 2
    if pairs == 0:
        return []

    def lines() -> Iterator[str]:
        for number, place in takers(pairs, field.size.changes):
            yield phones.boot_line(number, protocol, place)

    storm_of = _storm_of(field, protocol, lines, at_once=min(_AT_ONCE, pairs))
    return field.in_turns("conflict", protocol, field.provds, storm_of, documents=2)


def takers(pairs: int, count: int) -> Iterator[tuple[int, int]]:
    """Phones, and the places whose addresses they take: of each pair the even phone's, which begins by losing it."""
    for turn in range(count):
        cycle, pair = divmod(turn, pairs)
        yield 2 * pair + (cycle + 1) % 2, 2 * pair


def leases_again(field: Field) -> list[Row]:
    """Known phones are given the address that they have."""

    def events_of(server: Server) -> Events:
        field.bring_home(server)
        numbers = (turn % field.same_phones for turn in range(field.size.boots))
        return Events(server, [phones.lease(number, number) for number in numbers])

    return field.in_turns("lease again", "dhcp", field.provds, events_of, documents=0)


def leases_moved(field: Field) -> list[Row]:
    """Known phones are given another address each time."""

    def events_of(server: Server) -> Events:
        places = field.free_places(field.size.changes)
        return Events(server, [phones.lease(turn % field.same_phones, place) for turn, place in enumerate(places)])

    return field.in_turns("lease moved", "dhcp", field.provds, events_of, documents=1)


def _storm_of(
    field: Field, protocol: str, lines: Callable[[], Iterator[str]], at_once: int = _AT_ONCE
) -> Callable[[Server], Storm]:
    """A storm for each server, which begins when the phones are where they belong."""

    def storm_of(server: Server) -> Storm:
        field.bring_home(server)
        return field.storm(server, protocol, list(lines()), at_once)

    return storm_of
