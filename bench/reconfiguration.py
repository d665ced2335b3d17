"""All devices' files made anew while known phones boot."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import phones
import process
from field import Field, Size
from flood import known_storms, together
from servers import Server, custom_templates, provd, tftpboot
from storm import BenchError, Result

_TIMEOUT_S = 120.0
_PADDINGS = ('"#"', '"-"')
"""What the custom template fills each phone's file up with: one or the other."""
_CHECKED = re.compile(rb"files checked: devices=\d+ failed=(\d+)$", re.M)

RECONFIGURATION_WAYS: Mapping[str, bool] = {"every file changes": True, "no file changes": False}


@dataclass(frozen=True, slots=True)
class Reconfiguration:
    """How long it took to make all devices' files anew, each time, and what known phones experienced meanwhile.

    `cpu_s` is the server's for both, because they cannot be told apart.
    """

    way: str
    devices: int
    seconds: Sequence[float]
    cpu_s: Sequence[float]
    failed: int
    quiet: Mapping[str, Result]
    meanwhile: Mapping[str, Result]

    def delay_ms(self, protocol: str) -> float:
        """How much longer the slowest hundredth of known phones waits meanwhile."""
        return self.meanwhile[protocol].p99_ms - self.quiet[protocol].p99_ms


def reconfigurations(folder: Path, repository: Path, size: Size, *, private: bool) -> list[Reconfiguration]:
    """Have a server of its own make all files anew, again and again as long as phones boot."""
    devices = size.flood_devices
    with provd(folder / "reconfiguration", repository, devices, devices, private=private) as server:
        field = Field(folder, size, [server], [])
        field.check_seeded()
        return [_measured(field, way) for way in RECONFIGURATION_WAYS]


def _measured(field: Field, way: str) -> Reconfiguration:
    server, is_change = field.usual, RECONFIGURATION_WAYS[way]
    quiet = together(known_storms(field))
    seconds, cpu_s, failed = [], [], 0
    with ThreadPoolExecutor(1) as pool:
        booting = pool.submit(together, known_storms(field))
        while not booting.done():
            began, used = time.monotonic(), process.cpu_s(server.pid)
            failed += _reconfigure(server, is_change=is_change)
            seconds.append(time.monotonic() - began)
            cpu_s.append(process.cpu_s(server.pid) - used)
    _check_files(server)
    return Reconfiguration(way, server.devices, seconds, cpu_s, failed, quiet, booting.result())


def _reconfigure(server: Server, *, is_change: bool) -> int:
    """Edit the custom template, have the server look again, and wait; returns for how many devices it failed.

    Raises:
        BenchError: it takes too long.
    """
    edit(custom_templates(server.folder) / "base.tpl", is_change=is_change)
    output = server.folder / "output"
    said = output.stat().st_size
    os.kill(server.pid, signal.SIGHUP)
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        end = _CHECKED.search(output.read_bytes(), said)
        if end is not None:
            return int(end[1])
        time.sleep(0.01)
    raise BenchError(f"{server.name}: the files are not made within {_TIMEOUT_S:.0f} s")


def edit(template: Path, *, is_change: bool) -> None:
    """Write the custom template, with the other padding or as it was."""
    text = template.read_text(encoding="utf-8")
    old, new = _PADDINGS if _PADDINGS[0] in text else _PADDINGS[::-1]
    template.write_text(text.replace(old, new) if is_change else text, encoding="utf-8")


def _check_files(server: Server) -> None:
    """See whether each phone's file is what the template says now.

    Raises:
        BenchError: one is not.
    """
    text = (custom_templates(server.folder) / "base.tpl").read_text(encoding="utf-8")
    padding = b"#" if _PADDINGS[0] in text else b"-"
    for number in range(server.devices):
        path = tftpboot(server.folder) / phones.own_file(number)
        if not path.read_bytes().endswith(padding):
            raise BenchError(f"{server.name}: {path.name} is not as the template says")
