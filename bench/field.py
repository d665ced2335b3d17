"""The servers side by side, and phones that boot against them in turns, so that noise of the machine hits all alike."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import phones
from servers import Server
from storm import BenchError, Result, Storm, combined, run_storm

PROTOCOLS = ("http", "tftp")


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


QUICK = Size((100, 10_000), (64, 500), rounds=2, boots=4000, taking_part=3000, new_phones=300, firmware_files=4)


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


@dataclass(slots=True)
class Field:
    """All servers, and the phones in front of them."""

    folder: Path
    size: Size
    provds: Sequence[Server]
    peers: Sequence[Server]
    _next_new: int = field(default=phones.FIRST_NEW)

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
                result = run_storm(self.known_phones(server, protocol, 64, boots=1))
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
        storm_of: Callable[[Server], Storm],
        *,
        way: str = "",
    ) -> list[Row]:
        """Give each server its turn in every round."""
        runs: dict[str, list[Result]] = {server.name: [] for server in servers}
        at_once = 0
        for turn in range(self.size.rounds):
            for server in _rotated(servers, turn):
                storm = storm_of(server)
                at_once = storm.at_once
                _show(f"{scenario} {protocol} {way} {at_once} at once, round {turn + 1}: {server.name}")
                runs[server.name].append(run_storm(storm))
        _show("")
        return [
            Row(scenario, protocol, each.name, each.devices, at_once, way, combined(runs[each.name]), runs[each.name])
            for each in servers
        ]


def _rotated(servers: Sequence[Server], turn: int) -> Sequence[Server]:
    """The servers with another one first in each round, so that none always follows the same one."""
    first = turn % len(servers)
    return [*servers[first:], *servers[:first]]


def _show(text: str) -> None:
    """Say on a terminal what is going on, on one line."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
