"""Boot storms side by side: provd with stores of several sizes, nginx and dnsmasq on the same machine.

Prints tables and compares them with the aims; it reports, and is no gate: the exit status is 0 unless something could
not run. See README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import report
import scenarios
from aims import Aim, aims
from field import PROTOCOLS, QUICK, Field, Row, Size
from flood import FLOOD_WAYS, Flood, flood
from identification import identification
from network import enter_private_network
from peers import dnsmasq, find_program, missing_peers, nginx, public_copy
from reconfiguration import Reconfiguration, reconfigurations
from servers import build_repository, provd, tftpboot
from storm import BenchError, build_phonestorm
from table import table


def main() -> None:
    """Run the benchmark."""
    options = _parser().parse_args()
    private = enter_private_network()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        build_phonestorm()
        with tempfile.TemporaryDirectory(prefix="provd-bench-", dir=options.folder) as folder, ExitStack() as stack:
            notes = missing_peers(private=private)
            for note in notes:
                print(f"Note: {note}.")
            repository = build_repository(Path(folder))
            field = _set_up(stack, Path(folder), repository, _size(options), private=private)
            rows = _measure(field)
            floods = [flood(field.folder, repository, field.size, *way, private=private) for way in FLOOD_WAYS]
            _show("A flood of phones that were never seen before", report.flood_tables(floods))
            anew = reconfigurations(field.folder, repository, field.size, private=private)
            _show("All devices' files made anew", report.reconfiguration_table(anew))
            largest = max(field.provds, key=lambda server: server.devices)
            reached = aims(rows, floods, anew, largest.idle_rss_mb)
            _show("Aims", table(("aim", "measured", "wanted", ""), [aim.cells() for aim in reached]))
            print(f"\n{report.remarks(rows)}")
            if options.json:
                everything = _everything(field, rows, floods, anew, reached, notes)
                options.json.write_text(json.dumps(everything, indent=1) + "\n")
    except (BenchError, CalledProcessError) as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small version, in two minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured to FILE")
    parser.add_argument("--devices", type=_numbers, metavar="N,N,…", help="sizes of the stores")
    parser.add_argument("--phones", type=_numbers, metavar="N,N,…", help="how many known phones boot at once")
    parser.add_argument(
        "--folder", default="/var/tmp", help="where the servers' files go, on a disk (default: %(default)s)"
    )
    return parser


def _numbers(text: str) -> tuple[int, ...]:
    numbers = tuple(sorted(int(part) for part in text.split(",")))
    if numbers[0] < 1:
        raise argparse.ArgumentTypeError("numbers from 1 on are needed")
    return numbers


def _size(options: argparse.Namespace) -> Size:
    size = QUICK if options.quick else Size()
    return replace(size, devices=options.devices or size.devices, at_once=options.phones or size.at_once)


def _set_up(stack: ExitStack, folder: Path, repository: Path, size: Size, *, private: bool) -> Field:
    """Start all servers."""
    provds = [
        stack.enter_context(
            provd(folder / f"provd-{devices}", repository, devices, min(size.taking_part, devices), private=private)
        )
        for devices in size.devices
    ]
    root = public_copy(tftpboot(provds[-1].folder), folder / "public")
    peers = []
    if find_program("nginx"):
        peers.append(stack.enter_context(nginx(folder / "nginx", root)))
    if find_program("dnsmasq") and private:
        peers.append(stack.enter_context(dnsmasq(folder / "dnsmasq", root)))
    field = Field(folder, size, provds, peers)
    field.check_seeded()
    return field


def _measure(field: Field) -> list[Row]:
    """Measure everything, and show each table when it is ready."""
    known = [row for each in PROTOCOLS for n in field.size.at_once for row in scenarios.known(field, each, n)]
    _show("Known phones, 4 KiB each", report.known_table(known))
    burst = [row for way in scenarios.BURST_WAYS for row in scenarios.burst(field, *way)]
    _show("A burst of known phones, all at the same moment", report.burst_table(burst))
    firmware = [row for way in scenarios.FIRMWARE_WAYS for row in scenarios.firmware(field, *way)]
    _show("Firmware, 4 MiB", report.firmware_table(firmware))
    grown = [row for each in PROTOCOLS for row in scenarios.growth(field, each)]
    _show("Growth of the store", report.growth_table(grown, known, field.provds))
    changed = identification(field)
    new = [row for each in PROTOCOLS for row in scenarios.new(field, each)]
    _show("New phones, all at the same moment", report.new_table(new))
    identified = [*grown, *changed, *new]
    _show("What identification costs", report.identification_table(identified, field.provds))
    return [*known, *burst, *firmware, *identified]


def _show(title: str, text: str) -> None:
    print(f"\n{title}\n\n{text}", flush=True)


def _everything(
    field: Field,
    rows: Sequence[Row],
    floods: Sequence[Flood],
    anew: Sequence[Reconfiguration],
    reached: Sequence[Aim],
    notes: Sequence[str],
) -> dict[str, Any]:
    return {
        "machine": {"cores": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()},
        "versions": {name: version(name) for name in ("xivo-provd", "gevent", "greenlet", "httptools", "tftpy")},
        "size": asdict(field.size),
        "notes": list(notes),
        "start": {server.name: {"s": server.start_s, "rss_mb": server.idle_rss_mb} for server in field.provds},
        "rows": [asdict(row) for row in rows],
        "floods": [asdict(each) for each in floods],
        "reconfigurations": [asdict(each) for each in anew],
        "aims": [{**asdict(aim), "reached": aim.reached} for aim in reached],
    }


if __name__ == "__main__":
    main()
