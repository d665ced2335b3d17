"""Events of the DHCP server, sent to provd as its hook sends them, and what they cost."""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import process
from servers import Server
from storm import Result

_QUIET_S = 0.3
"""A server that has used no CPU for so long has done everything."""


@dataclass(frozen=True, slots=True)
class Events:
    """Messages without their first line, the time, which are sent one after the other as fast as they are taken."""

    server: Server
    messages: Sequence[str]
    at_once: int = 1

    def run(self) -> Result:
        """Send them, and wait until the server has done everything."""
        pid, counts, began = self.server.pid, _counts(self.server), time.monotonic()
        before = [process.machine_cpu_s(), process.cpu_s(pid), process.cpu_s(os.getpid())]
        self._send()
        _wait_until_quiet(pid)
        after = [process.machine_cpu_s(), process.cpu_s(pid), process.cpu_s(os.getpid())]
        machine, used, own = (now - then for now, then in zip(after, before, strict=True))
        seconds = time.monotonic() - began
        done = _counts(self.server) - counts
        files = done["commit"] - done["late"] - done["failed"]
        return Result(
            files=files,
            failed=len(self.messages) - files,
            per_s=files / seconds,
            seconds=seconds,
            cpu_s=used,
            cpu_s_per_1000=1000 * used / max(files, 1),
            rss_mb=process.rss_mb(pid),
            foreign_share=max((machine - used - own) / seconds, 0.0),
        )

    def _send(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect(str(self.server.dhcp_socket))
            for message in self.messages:
                sender.send(f"@{time.monotonic_ns()}\n{message}".encode("ascii"))


def _wait_until_quiet(pid: int) -> None:
    before, now = -1.0, process.cpu_s(pid)
    while now != before:
        time.sleep(_QUIET_S)
        before, now = now, process.cpu_s(pid)


def _counts(server: Server) -> Counter[str]:
    """The DHCP door's counters."""
    door = server.status()["doors"]["dhcp"]
    return Counter({name: count for name, count in door.items() if isinstance(count, int)})
