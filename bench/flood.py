"""A flood of phones that somebody has made up, while known phones boot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import phones
import process
from field import PROTOCOLS, Field, Size
from servers import Server, provd
from storm import Result, Storm

_STRANGERS = 100_000
_AT_ONCE = 64
_KNOWN = 1000
_KNOWN_PER_S = 200
_TURNS = 100
"""The strangers come again and again until the time is up."""

FLOOD_WAYS: Sequence[tuple[str, Sequence[str]]] = (
    ("wait for an answer", ("--retries", "0", "--timeout-ms", "1000")),
    ("wait 20 ms", ("--retries", "0", "--timeout-ms", "20", "--http-timeout-ms", "20")),
)
"""What the strangers do, and phonestorm's options for it.

The server answers late by HTTP, and not at all by TFTP, when it refuses a stranger: who waits for it asks seldom.
"""


@dataclass(frozen=True, slots=True)
class Flood:
    """What known phones experienced without and in a flood, by protocol, and what became of the flood."""

    way: str
    devices: int
    quiet: Mapping[str, Result]
    flooded: Mapping[str, Result]
    requests: int
    per_s: float
    made: int
    refused: int
    rss_before_mb: float
    rss_after_mb: float

    def slowdown(self, protocol: str) -> float:
        """How much longer the slowest hundredth of known phones waits in the flood."""
        return self.flooded[protocol].p99_ms / self.quiet[protocol].p99_ms


def flood(folder: Path, repository: Path, size: Size, way: str, options: Sequence[str], *, private: bool) -> Flood:
    """Flood a server of its own, which limits new phones as it is shipped."""
    name = f"flood-{way.replace(' ', '-')}"
    with provd(folder / name, repository, size.flood_devices, _KNOWN, private=private, admission="") as server:
        field = Field(folder, size, [server], [])
        field.check_seeded()
        quiet = together(known_storms(field))
        before, rss_before_mb = _made_and_refused(server), process.rss_mb(server.pid)
        flooded = together({"": _strangers(field, options), **known_storms(field)})
        after, rss_after_mb = _made_and_refused(server), process.rss_mb(server.pid)
    strangers = flooded.pop("")
    requests = strangers.files + strangers.failed
    made, refused = (now - then for now, then in zip(after, before, strict=True))
    return Flood(
        way, size.flood_devices, quiet, flooded, requests, requests / strangers.seconds, made, refused,
        rss_before_mb, rss_after_mb,
    )  # fmt: skip


def together(storms: Mapping[str, Storm]) -> dict[str, Result]:
    """Several storms at the same time."""
    with ThreadPoolExecutor(len(storms)) as pool:
        return dict(zip(storms, pool.map(Storm.run, storms.values()), strict=True))


def known_storms(field: Field) -> dict[str, Storm]:
    """Known phones that boot at a steady rate, by each protocol its share of it."""
    per_s = _KNOWN_PER_S // len(PROTOCOLS)
    boots = per_s * field.size.flood_s
    storms = {
        protocol: field.known_phones(field.usual, protocol, _KNOWN, boots=boots, most=min(_KNOWN, boots))
        for protocol in PROTOCOLS
    }
    return {protocol: replace(storm, options=("--rate", str(per_s))) for protocol, storm in storms.items()}


def _strangers(field: Field, options: Sequence[str]) -> Storm:
    """Phones never seen before, by HTTP and TFTP in turns, each from its own address, as fast as they are answered."""
    numbers = range(phones.FIRST_NEW, phones.FIRST_NEW + _STRANGERS)
    lines = [phones.boot_line(number, PROTOCOLS[number % len(PROTOCOLS)]) for number in numbers]
    storm = field.storm(field.usual, "flood", lines, _AT_ONCE, _TURNS)
    return replace(storm, options=("--max-time", str(field.size.flood_s), *options))


def _made_and_refused(server: Server) -> tuple[int, int]:
    status = server.status()
    return status["counts"]["devices"], sum(status["admission"]["refused"].values())
