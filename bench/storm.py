"""Building phonestorm, running it, and reading what its phones experienced."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import network

_FOLDER = Path(__file__).parent / "phonestorm"
_PROGRAM = _FOLDER / "phonestorm"
_MAX_RUN_S = 120
_CLIENT_WAS_THE_LIMIT = 0.9


class BenchError(Exception):
    """The benchmark cannot run; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Storm:
    """One run: which phones, where to, and with which of phonestorm's options."""

    requests: Path
    pid: int
    http_port: int
    tftp_port: int
    at_once: int
    repeat: int = 1
    options: Sequence[str] = ()

    def run(self) -> Result:
        """Let the phones boot.

        Raises:
            BenchError: phonestorm says no.
        """
        command = [
            _PROGRAM, "--requests", self.requests, "--pid", self.pid,
            "--http-port", self.http_port, "--tftp-port", self.tftp_port,
            "--concurrency", self.at_once, "--repeat", self.repeat, "--max-time", _MAX_RUN_S, *self.options,
        ]  # fmt: skip
        losses = network.kernel_losses()
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        if not done.stdout:
            raise BenchError(done.stderr.strip())
        return parse_report(json.loads(done.stdout), network.kernel_losses() - losses)


@dataclass(frozen=True, slots=True)
class Result:
    """What the phones of one run, or of several, experienced and what that cost the server.

    Events of the DHCP server count as files here; nobody waits for them, so of waiting there is nothing to say.
    """

    files: int
    failed: int
    per_s: float
    seconds: float
    cpu_s: float
    cpu_s_per_1000: float
    rss_mb: float
    foreign_share: float
    mib_per_s: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0
    retransmits: int = 0
    kernel_losses: int = 0
    cpu_s_per_gib: float = 0.0
    client_was_limit: bool = False
    failures: dict[str, int] = field(default_factory=dict)


def build_phonestorm() -> None:
    """Compile phonestorm if it is older than its source.

    Raises:
        BenchError: there is no compiler, or it fails.
    """
    try:
        subprocess.run(["make", "-s", "-C", _FOLDER, "phonestorm"], check=True)
    except FileNotFoundError:
        raise BenchError("make is missing: install the Debian package make") from None
    except subprocess.CalledProcessError:
        raise BenchError("phonestorm does not compile: install the Debian packages gcc and libc6-dev") from None


def parse_report(report: dict[str, Any], losses: int) -> Result:
    """The result that phonestorm's JSON tells; phones that were not finished in time count as failed."""
    latency, server, tftp = report["latency_us"]["all"], report["server"], report["tftp"]
    failures = dict(report["failures"])
    if report["unfinished"]:
        failures["unfinished"] = report["unfinished"]
    return Result(
        files=report["files"]["ok"],
        failed=report["files"]["failed"] + report["unfinished"],
        per_s=report["files"]["per_s"],
        mib_per_s=report["files"]["MiB_per_s"],
        p50_ms=latency.get("p50", 0) / 1000,
        p99_ms=latency.get("p99", 0) / 1000,
        max_ms=latency.get("max", 0) / 1000,
        seconds=report["wall_s"],
        retransmits=tftp["rrq_retransmits"] + tftp["ack_retransmits"],
        kernel_losses=losses,
        cpu_s=server["cpu_s"],
        cpu_s_per_1000=server["cpu_s_per_1000"],
        cpu_s_per_gib=server["cpu_s"] * 2**30 / max(report["files"]["bytes"], 1),
        rss_mb=server["rss_kb_peak"] / 1024,
        client_was_limit=report["client"]["loop_busy"] > _CLIENT_WAS_THE_LIMIT,
        foreign_share=max(report["machine"]["foreign_share"], 0.0),
        failures=failures,
    )


def combined(results: Sequence[Result]) -> Result:
    """Several runs as one: the median of what varies, the sum of what was lost, the most that was needed."""

    def middle(name: str) -> float:
        return float(median(getattr(result, name) for result in results))

    return Result(
        files=sum(result.files for result in results),
        failed=sum(result.failed for result in results),
        per_s=middle("per_s"),
        mib_per_s=middle("mib_per_s"),
        p50_ms=middle("p50_ms"),
        p99_ms=middle("p99_ms"),
        max_ms=max(result.max_ms for result in results),
        seconds=middle("seconds"),
        retransmits=sum(result.retransmits for result in results),
        kernel_losses=sum(result.kernel_losses for result in results),
        cpu_s=middle("cpu_s"),
        cpu_s_per_1000=middle("cpu_s_per_1000"),
        cpu_s_per_gib=middle("cpu_s_per_gib"),
        rss_mb=max(result.rss_mb for result in results),
        client_was_limit=any(result.client_was_limit for result in results),
        foreign_share=middle("foreign_share"),
        failures=_summed([result.failures for result in results]),
    )


def _summed(counts: Sequence[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in counts:
        for name, count in each.items():
            total[name] = total.get(name, 0) + count
    return total
