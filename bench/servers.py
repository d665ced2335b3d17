"""Starting provd with stores of several sizes, and what the benchmark knows of a server that runs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import phones
from network import free_port
from process import rss_mb
from storm import BenchError

from provd.store.sqlite import SqliteBackend

_HERE = Path(__file__).parent
_BUILDER = _HERE.parent / "plugins" / "builder.py"
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0

_SETTINGS = """\
[general]
state_dir = "{folder}/state"
plugin_server = "{repository}"
external_ip = "127.0.0.1"
bind = "{bind}"
[tftp]
port = {tftp_port}
[http]
port = {http_port}
[admin]
port = {admin_port}
[security]
log_file = "{folder}/security.log"
[dhcp]
socket = "{folder}/{dhcp_socket}"
"""
_DHCP_SOCKET = "dhcp.sock"

MANY_NEW_PHONES = """\
[admission]
burst = 1_000_000
per_minute = 1_000_000
address_burst = 1_000_000
address_per_minute = 1_000_000
max_unclaimed = 1_000_000
"""
"""Settings by which no phone is refused, so that what a new one costs can be measured."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs. `devices` is how many phones its store knows; a peer has no store, and knows none."""

    name: str
    folder: Path
    pid: int
    protocols: Sequence[str]
    http_port: int = 0
    tftp_port: int = 0
    admin_port: int = 0
    devices: int = 0
    start_s: float = 0.0
    idle_rss_mb: float = 0.0

    @property
    def is_provd(self) -> bool:
        """It is ours."""
        return self.devices > 0

    @property
    def dhcp_socket(self) -> Path:
        """Where provd takes messages about leases."""
        return self.folder / _DHCP_SOCKET

    def status(self) -> dict[str, Any]:
        """What provd says of itself."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/status", timeout=5) as answer:
            status: dict[str, Any] = json.load(answer)
        return status

    def writes(self) -> tuple[int, int]:
        """Size and time of change of the store's log: they stay as they are while nothing is written."""
        status = (self.folder / "state" / "provd.db-wal").stat()
        return status.st_size, status.st_mtime_ns

    def documents_written(self) -> int:
        """How many documents provd has written to its store since that was made."""
        backend = SqliteBackend(self.folder / "state" / "provd.db", read_only=True)
        try:
            return backend.last_revision
        finally:
            backend.close()


def build_repository(folder: Path) -> Path:
    """Build the official plugins' repository below a folder; returns its path."""
    target = folder / "repository"
    subprocess.run([sys.executable, _BUILDER, target], check=True, stdout=subprocess.DEVNULL)
    return target


def tftpboot(folder: Path) -> Path:
    """Where the provd of a folder has the files of its phones."""
    return folder / "state" / "plugins" / phones.PLUGIN / "var" / "tftpboot"


def custom_templates(folder: Path) -> Path:
    """Where the provd of a folder has its administrator's templates."""
    return tftpboot(folder).with_name("templates")


@contextmanager
def provd(
    folder: Path, repository: Path, devices: int, taking_part: int, *, private: bool, admission: str = MANY_NEW_PHONES
) -> Iterator[Server]:
    """A provd that knows `devices` phones, of which the first `taking_part` have their files.

    In a private network it listens on all addresses, as it does where it is used. `admission` is a part of its
    settings; if that is empty, new phones are limited as the server is shipped.

    Raises:
        BenchError: it does not start.
    """
    folder.mkdir()
    ports = {f"{door}_port": free_port() for door in ("http", "tftp", "admin")}
    settings = folder / "provd.toml"
    bind = "" if private else "127.0.0.1"
    places = {"folder": folder, "repository": repository, "dhcp_socket": _DHCP_SOCKET}
    settings.write_text(_SETTINGS.format(bind=bind, **places, **ports) + admission)
    seed = [sys.executable, _HERE / "seed.py", "--config", settings, "--devices", devices, "--phones", taking_part]
    subprocess.run([str(part) for part in seed], check=True)
    began = time.monotonic()
    with running([sys.executable, "-m", "provd", "--config", str(settings)], folder) as process:
        server = Server(f"provd, {devices:,} devices", folder, process.pid, ("http", "tftp"), **ports, devices=devices)
        _wait_for(server, process)
        yield replace(server, start_s=time.monotonic() - began, idle_rss_mb=rss_mb(process.pid))


@contextmanager
def running(command: Sequence[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is stopped in the end, with its words in the file `output` of its folder."""
    with (folder / "output").open("wb") as output, subprocess.Popen(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_for(server: Server, process: subprocess.Popen[bytes]) -> None:
    """Wait until provd answers."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            server.status()
            return
        except OSError:
            time.sleep(0.01)
    raise BenchError(f"{server.name} does not start: {(server.folder / 'output').read_text()[-1000:]}")
