"""The rows of each scenario as a table."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from aims import mean_cost
from field import PROTOCOLS, Row
from flood import Flood
from identification import costs_by_size, growth_of
from reconfiguration import Reconfiguration
from servers import Server
from table import table


def known_table(rows: Sequence[Row]) -> str:
    """Rate, waiting time and cost of known phones."""
    header = ("", "at once", "server", "requests/s", "p50 ms", "p99 ms", "failed", "again", "CPU s/1,000", "RSS MiB")
    lines = []
    for row in rows:
        result = row.result
        mark = " (*)" if result.client_was_limit else ""
        lines.append(
            (row.protocol.upper(), row.at_once, row.server + mark, result.per_s, result.p50_ms, result.p99_ms,
             result.failed, result.retransmits, result.cpu_s_per_1000, result.rss_mb)
        )  # fmt: skip
    return table(header, lines)


def burst_table(rows: Sequence[Row]) -> str:
    """What was lost when all came at the same moment."""
    header = ("", "at once", "each phone", "server", "failed", "again", "dropped by the kernel", "p50 ms", "last ms")
    return table(
        header,
        [
            (row.protocol.upper(), row.at_once, row.way, row.server, row.result.failed, row.result.retransmits,
             row.result.kernel_losses,
             row.result.p50_ms, row.result.max_ms)
            for row in rows
        ],
    )  # fmt: skip


def new_table(rows: Sequence[Row]) -> str:
    """What a phone costs that nobody knows."""
    header = ("", "new at once", "beside known", "failed", "again", "CPU ms a phone", "p50 s", "last s", "RSS MiB")
    return table(
        header,
        [
            (row.protocol.upper(), row.at_once, row.devices, row.result.failed, row.result.retransmits,
             row.result.cpu_s_per_1000, row.result.p50_ms / 1000, row.result.max_ms / 1000, row.result.rss_mb)
            for row in rows
        ],
    )  # fmt: skip


def firmware_table(rows: Sequence[Row]) -> str:
    """How fast large files go."""
    header = ("", "way", "server", "MiB/s", "CPU s a GiB", "failed", "again", "p99 ms")
    return table(
        header,
        [
            (row.protocol.upper(), row.way, row.server, row.result.mib_per_s, row.result.cpu_s_per_gib,
             row.result.failed, row.result.retransmits, row.result.p99_ms)
            for row in rows
        ],
    )  # fmt: skip


def growth_table(grown: Sequence[Row], known: Sequence[Row], provds: Sequence[Server]) -> str:
    """What the size of the store changes for the same phones, and beside it what up to 10,000 phones cost that ask."""
    columns = [(name, protocol) for protocol in PROTOCOLS for name in ("same phones", "all phones")]
    costs_of = [f"{protocol.upper()} CPU s/1,000, {name}" for name, protocol in columns]
    header = ("devices", "start s", "RSS MiB then", *costs_of)
    lines = []
    for server in provds:
        costs = [
            mean_cost(rows, scenario, protocol, server.devices)
            for protocol in PROTOCOLS
            for rows, scenario in ((grown, "growth"), (known, "known"))
        ]
        lines.append((server.devices, server.start_s, server.idle_rss_mb, *costs))
    return table(header, lines)


def identification_table(rows: Sequence[Row], provds: Sequence[Server]) -> str:
    """CPU of the server for each kind of request or event, by the size of the store."""
    sizes = [server.devices for server in provds]
    header = ("CPU ms", "", *(f"{size:,} devices" for size in sizes), "largest beside smallest")
    return table(
        header,
        [
            (kind.name, protocol.upper(), *(costs[size] for size in sizes), growth_of(costs))
            for kind, protocol, costs in costs_by_size(rows)
        ],
    )


def flood_tables(floods: Sequence[Flood]) -> str:
    """How long known phones wait beside a flood, and what became of that."""
    header = ("", "strangers", "quiet p50 ms", "quiet p99 ms", "flood p50 ms", "flood p99 ms", "p99 beside quiet",
              "failed", "again")  # fmt: skip
    waiting = [
        (protocol.upper(), flood.way, quiet.p50_ms, quiet.p99_ms, flooded.p50_ms, flooded.p99_ms,
         flood.slowdown(protocol), flooded.failed, flooded.retransmits)
        for flood in floods
        for protocol, quiet in flood.quiet.items()
        for flooded in (flood.flooded[protocol],)
    ]  # fmt: skip
    rest = ("strangers", "known devices", "requests of strangers", "a second", "made devices", "refused",
            "RSS MiB before", "after")  # fmt: skip
    what_became = [
        (each.way, each.devices, each.requests, each.per_s, each.made, each.refused, each.rss_before_mb,
         each.rss_after_mb)
        for each in floods
    ]  # fmt: skip
    return f"{table(header, waiting)}\n\n{table(rest, what_became)}"


def reconfiguration_table(anew: Sequence[Reconfiguration]) -> str:
    """How long it takes to make all files anew, and how long known phones wait meanwhile."""
    header = ("", "devices", "times", "s", "s at most", "CPU s with the phones", "", "quiet p50 ms", "quiet p99 ms",
              "meanwhile p50 ms", "meanwhile p99 ms", "failed", "again")  # fmt: skip
    return table(
        header,
        [
            (each.way, each.devices, len(each.seconds), median(each.seconds), max(each.seconds), median(each.cpu_s),
             protocol.upper(), quiet.p50_ms, quiet.p99_ms, meanwhile.p50_ms, meanwhile.p99_ms,
             each.failed + meanwhile.failed, meanwhile.retransmits)
            for each in anew
            for protocol, quiet in each.quiet.items()
            for meanwhile in (each.meanwhile[protocol],)
        ],
    )  # fmt: skip


def remarks(rows: Sequence[Row]) -> str:
    """What to know of the figures: how quiet the machine was, who was the limit, why phones failed."""
    shares = [run.foreign_share for row in rows for run in row.runs]
    text = f"Other programs used {median(shares):.1%} of a core while this was measured, {max(shares):.1%} at most."
    if any(row.result.client_was_limit for row in rows if row.scenario == "known"):
        text += "\n(*) phonestorm was the limit: the server can do more."
    for row in rows:
        for cause, count in row.result.failures.items():
            text += f"\n{row.scenario} {row.protocol.upper()}, {row.server}: {count} failed with {cause}"
    return text
