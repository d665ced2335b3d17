"""The hook as a program that is run, and as functions that are called."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[3]
HOOK = ROOT / "dhcp" / "xivo-provd-dhcp-hook"
PYTHON = Path("/usr/bin/python3")
"""Whose hook it is: the one of Debian."""


@dataclass(frozen=True, slots=True)
class Told:
    """How a run of the hook ended."""

    status: int
    stdout: bytes
    stderr: str
    datagrams: list[bytes]


class Listener:
    """A socket such as provd's; `run` runs the hook for it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)

    def run(self, *arguments: str | bytes, environment: Mapping[bytes, bytes] | None = None, **options: Any) -> Told:
        """Run the hook with nothing but this environment, and take what it sent."""
        return run("--socket", str(self.path), *arguments, environment=environment, listener=self, **options)

    def datagrams(self) -> list[bytes]:
        """What has come."""
        found = []
        while True:
            try:
                found.append(self.socket.recv(65536))
            except BlockingIOError:
                return found


def run(
    *arguments: str | bytes,
    environment: Mapping[bytes, bytes] | None = None,
    listener: Listener | None = None,
    program: Path = HOOK,
    **options: Any,
) -> Told:
    """Run the hook as DHCP servers do: by its file, without a shell."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, "timeout": 10}
    result = subprocess.run([program, *arguments], env=environment or {}, **{**streams, **options})
    stderr = (result.stderr or b"").decode()
    return Told(result.returncode, result.stdout or b"", stderr, listener.datagrams() if listener else [])


@cache
def module() -> ModuleType:
    """The hook's functions."""
    made = ModuleType("xivo_provd_dhcp_hook")
    exec(compile(HOOK.read_text(), HOOK, "exec"), made.__dict__)
    return made
