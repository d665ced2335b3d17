"""What the house wants to reach, and whether it was reached."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean

from field import Row
from flood import Flood
from identification import costs_by_size, growth_of
from reconfiguration import Reconfiguration

MAX_CPU_S_PER_1000 = {"http": 0.25, "tftp": 0.30}
MIN_SHARE_OF_PEER = {"http": 0.5, "tftp": 0.6}
MAX_GROWTH = 1.1
MAX_IDENTIFICATION_GROWTH = 1.5
MAX_SLOWDOWN_IN_FLOOD = 3.0
MAX_RECONFIGURATION_S_PER_10000 = 6.0
MAX_DELAY_BY_RECONFIGURATION_MS = 50.0
MAX_RSS_MB = 400.0


@dataclass(frozen=True, slots=True)
class Aim:
    """A measured value beside its limit."""

    name: str
    value: float
    limit: float
    is_least: bool = False

    @property
    def reached(self) -> bool:
        """The value is on the right side of the limit."""
        return self.value >= self.limit if self.is_least else self.value <= self.limit

    def cells(self) -> tuple[str, str, str, str]:
        """The aim as a line of a table."""
        limit = f"{'>=' if self.is_least else '<='} {self.limit:g}"
        return self.name, f"{self.value:.3g}", limit, "ok" if self.reached else "missed"


def aims(
    rows: Sequence[Row], flooded: Sequence[Flood], anew: Sequence[Reconfiguration], largest_rss_mb: float
) -> list[Aim]:
    """All aims that the rows tell something about; where there are several stores, the worst one counts."""
    return [
        *_costs(rows), *_shares(rows), *_losses(rows), *_growth(rows), *_identification(rows), *_floods(flooded),
        *_reconfigurations(anew), _memory(rows, largest_rss_mb),
    ]  # fmt: skip


def mean_cost(rows: Sequence[Row], scenario: str, protocol: str, devices: int) -> float:
    """CPU seconds per 1,000 known phones in a scenario with this store, over all numbers of phones at once."""
    return mean(
        row.result.cpu_s_per_1000
        for row in rows
        if (row.scenario, row.protocol, row.devices) == (scenario, protocol, devices)
    )


def _costs(rows: Sequence[Row]) -> Iterator[Aim]:
    for protocol, limit in MAX_CPU_S_PER_1000.items():
        for at_once, group in _known(rows, protocol).items():
            worst = max(row.result.cpu_s_per_1000 for row in group if row.devices)
            yield Aim(f"{protocol.upper()}, {at_once:,} at once: CPU s per 1,000 known phones", worst, limit)


def _shares(rows: Sequence[Row]) -> Iterator[Aim]:
    for protocol, limit in MIN_SHARE_OF_PEER.items():
        for at_once, group in _known(rows, protocol).items():
            ours = min(row.result.per_s for row in group if row.devices)
            for peer in (row for row in group if not row.devices):
                name = f"{protocol.upper()}, {at_once:,} at once: rate beside {peer.server}'s"
                yield Aim(name, ours / peer.result.per_s, limit, is_least=True)


def _losses(rows: Sequence[Row]) -> Iterator[Aim]:
    for row in rows:
        if row.scenario == "burst" and row.devices:
            lost = row.result.failed + row.result.kernel_losses
            way = f", each {row.way}" if row.way else ""
            yield Aim(f"{row.protocol.upper()}, burst of {row.at_once:,}{way}: lost requests", lost, 0)


def _growth(rows: Sequence[Row]) -> Iterator[Aim]:
    for protocol in MAX_CPU_S_PER_1000:
        sizes = sorted({row.devices for row in rows if (row.scenario, row.protocol) == ("growth", protocol)})
        if len(sizes) > 1:
            name = f"{protocol.upper()}: CPU with {sizes[-1]:,} devices beside {sizes[0]:,}"
            most, least = (mean_cost(rows, "growth", protocol, sizes[end]) for end in (-1, 0))
            yield Aim(name, most / least, MAX_GROWTH)


def _identification(rows: Sequence[Row]) -> Iterator[Aim]:
    for kind, protocol, costs in costs_by_size(rows):
        name = f"{protocol.upper()}, {kind.name}: CPU"
        yield Aim(f"{name} ms", max(costs.values()), kind.limit_ms)
        if len(costs) > 1:
            times = f"{name} with {max(costs):,} devices beside {min(costs):,}"
            yield Aim(times, growth_of(costs), MAX_IDENTIFICATION_GROWTH)


def _floods(flooded: Sequence[Flood]) -> Iterator[Aim]:
    for flood in flooded:
        for protocol in flood.quiet:
            name = f"{protocol.upper()}, flood of strangers that {flood.way}: known phones' p99 beside quiet"
            yield Aim(name, flood.slowdown(protocol), MAX_SLOWDOWN_IN_FLOOD)


def _reconfigurations(anew: Sequence[Reconfiguration]) -> Iterator[Aim]:
    for each in anew:
        per_10_000 = max(each.seconds) * 10_000 / each.devices
        yield Aim(f"All files made anew, {each.way}: s for 10,000", per_10_000, MAX_RECONFIGURATION_S_PER_10000)
        for protocol in each.quiet:
            name = f"{protocol.upper()}, meanwhile, {each.way}: known phones' p99 ms more than quiet"
            yield Aim(name, each.delay_ms(protocol), MAX_DELAY_BY_RECONFIGURATION_MS)
        lost = each.failed + sum(result.failed for result in each.meanwhile.values())
        yield Aim(f"Meanwhile, {each.way}: lost requests and devices", lost, 0)


def _memory(rows: Sequence[Row], largest_rss_mb: float) -> Aim:
    most = max(row.devices for row in rows)
    used = [row.result.rss_mb for row in rows if row.devices == most]
    return Aim(f"RSS MiB at most with {most:,} devices", max([largest_rss_mb, *used]), MAX_RSS_MB)


def _known(rows: Sequence[Row], protocol: str) -> dict[int, list[Row]]:
    """The rows of known phones by how many there were at once."""
    groups: dict[int, list[Row]] = {}
    for row in rows:
        if row.scenario == "known" and row.protocol == protocol:
            groups.setdefault(row.at_once, []).append(row)
    return groups
