"""The servers side by side, and phones that boot against them in turns, so that noise of the machine hits all alike."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import phones
from servers import Server
from storm import BenchError, Result, Storm, combined

PROTOCOLS = ("http", "tftp")
_MISCOUNTED = 0.02
"""A phone's next request may overtake the one before, and then changes nothing."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    devices: Sequence[int] = (100, 10_000, 100_000)
    at_once: Sequence[int] = (64, 500, 2000)
    rounds: int = 3
    boots: int = 10_000
    taking_part: int = 10_000
    new_phones: int = 1000
    firmware_files: int = 16
    changes: int = 2000
    flood_devices: int = 10_000
    flood_s: int = 20


QUICK = Size(
    (100, 10_000), (64, 500), rounds=2, boots=4000, taking_part=3000, new_phones=300, firmware_files=4, changes=500,
    flood_devices=1000, flood_s=4,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table: what was measured, the runs, and what they come to."""

    scenario: str
    protocol: str
    server: str
    devices: int
    at_once: int
    way: str
    result: Result
    runs: Sequence[Result]


class Run(Protocol):
    """What is done to a server in its turn: phones that boot, or events of the DHCP server."""

    @property
    def at_once(self) -> int:
        """How many at the same time."""

    def run(self) -> Result:
        """Do it, and say what it took."""


@dataclass(slots=True)
class Field:
    """All servers, and the phones in front of them."""

    folder: Path
    size: Size
    provds: Sequence[Server]
    peers: Sequence[Server]
    _next_new: int = field(default=phones.FIRST_NEW)
    _next_place: int = field(default=phones.FIRST_FREE_ADDRESS)

    @property
    def usual(self) -> Server:
        """The provd that stands for all where the size of the store is not the question: 10,000 devices, or near."""
        return min(self.provds, key=lambda server: abs(server.devices - 10_000))

    def speaking(self, protocol: str, provds: Sequence[Server]) -> list[Server]:
        """These provds, and the peers that speak a protocol."""
        return [*provds, *(peer for peer in self.peers if protocol in peer.protocols)]

    def check_seeded(self) -> None:
        """Boot every phone that takes part once: the caches are warm then, and no server may have written anything.

        Raises:
            BenchError: a phone was not served, or was not known.
        """
        for server in self.provds:
            before = server.writes()
            for protocol in PROTOCOLS:
                result = self.known_phones(server, protocol, 64, boots=1).run()
                if result.failed:
                    raise BenchError(f"{server.name}: {result.failed} phones are not served: {result.failures}")
            status = server.status()
            if status["store"]["unchecked_devices"] or status["counts"].get("new_devices") or before != server.writes():
                raise BenchError(f"{server.name}: the phones are not as a server leaves them: {status}")

    def known_phones(
        self, server: Server, protocol: str, at_once: int, *, boots: int, most: int | None = None
    ) -> Storm:
        """Known phones that fetch their own file: those that take part, or `most` of them, at least `boots` times."""
        known = server.devices or max(provd.devices for provd in self.provds)
        count = min(known, self.size.taking_part, most or known)
        lines = [phones.boot_line(number, protocol) for number in range(count)]
        return self.storm(server, protocol, lines, at_once, repeat=-(-boots // count))

    @property
    def same_phones(self) -> int:
        """How many phones all stores know: those ask where the size of the store is the question."""
        return min(*self.size.devices, self.size.taking_part)

    def free_places(self, count: int) -> range:
        """Numbers of addresses that no phone has ever had."""
        first = self._next_place
        self._next_place += count
        return range(first, first + count)

    def bring_home(self, server: Server) -> None:
        """Let the phones that all stores know boot where they belong, so that they have their own addresses again."""
        self.known_phones(server, "http", 16, boots=1, most=self.same_phones).run()

    def new_phones(self, server: Server, protocol: str) -> Storm:
        """Phones that no server has ever seen."""
        first, count = self._next_new, self.size.new_phones
        self._next_new += count
        lines = [phones.boot_line(number, protocol) for number in range(first, first + count)]
        return self.storm(server, protocol, lines, count)

    def storm(self, server: Server, protocol: str, lines: list[str], at_once: int, repeat: int = 1) -> Storm:
        """A storm of the phones with these lines."""
        requests = phones.write_lines(self.folder / f"requests-{protocol}", lines)
        return Storm(requests, server.pid, server.http_port, server.tftp_port, at_once, repeat)

    def in_turns(
        self,
        scenario: str,
        protocol: str,
        servers: Sequence[Server],
        run_of: Callable[[Server], Run],
        *,
        way: str = "",
        documents: int | None = None,
    ) -> list[Row]:
        """Give each server its turn in every round. `documents`, if given, is what each request must have written.

        Raises:
            BenchError: a server has written something else.
        """
        runs: dict[str, list[Result]] = {server.name: [] for server in servers}
        at_once = 0
        for turn in range(self.size.rounds):
            for server in _rotated(servers, turn):
                run = run_of(server)
                at_once = run.at_once
                _show(f"{scenario} {protocol} {way} {at_once} at once, round {turn + 1}: {server.name}")
                runs[server.name].append(run.run() if documents is None else _checked(run, server, documents))
        _show("")
        return [
            Row(scenario, protocol, each.name, each.devices, at_once, way, combined(runs[each.name]), runs[each.name])
            for each in servers
        ]


def _checked(run: Run, server: Server, documents: int) -> Result:
    """What a run comes to, if each of its requests has made the server write so many documents."""
    before = server.documents_written()
    result = run.run()
    written, wanted = server.documents_written() - before, documents * result.files
    if abs(written - wanted) > _MISCOUNTED * wanted:
        raise BenchError(f"{server.name}: {written} documents were written for {result.files} requests, not {wanted}")
    return result


def _rotated(servers: Sequence[Server], turn: int) -> Sequence[Server]:
    """The servers with another one first in each round, so that none always follows the same one."""
    first = turn % len(servers)
    return [*servers[first:], *servers[:first]]


def _show(text: str) -> None:
    """Say on a terminal what is going on, on one line."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
