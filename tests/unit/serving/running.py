"""Doors that run in the test's own hub, and clients outside of it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import gevent

from provd.model.request import HttpRequest, PhoneRequest
from provd.plugins.files import OpenFile, Problem, open_file
from provd.serving.desk import Reply
from provd.serving.http import HttpDoor, HttpOptions
from provd.serving.plain import PlainSocket
from provd.serving.tftp import TftpDoor, TftpOptions
from provd.serving.udp import open_udp_socket

LOOPBACK = "127.0.0.1"
T = TypeVar("T")


class FolderDesk:
    """Gives every phone the files of a folder; those below `slow/` need the store."""

    def __init__(self, folder: Path) -> None:
        self.root = str(folder.resolve())
        self.asked: list[PhoneRequest] = []
        self.turned_away_from: list[tuple[str, str]] = []

    def knows(self, address: str) -> bool:
        return False

    def turned_away(self, request: PhoneRequest, reason: str) -> None:
        self.turned_away_from.append((request.address, reason))

    def quick(self, request: PhoneRequest) -> Reply | None:
        self.asked.append(request)
        return None if request.path.startswith("slow/") else self._opened(request.path)

    def handle(self, request: PhoneRequest) -> Reply:
        gevent.sleep(0.01)
        return self._opened(request.path.removeprefix("slow/"))

    def _opened(self, path: str) -> OpenFile | Problem:
        return Problem.NO_PLUGIN if path == "foreign" else open_file(self.root, path)


def listening_socket(address: str = LOOPBACK) -> socket.socket:
    listener: socket.socket = PlainSocket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    listener.bind((address, 0))
    listener.listen(512)
    return listener


def http_door(opened: ExitStack, folder: Path, address: str = LOOPBACK, **options: Any) -> HttpDoor:
    """A running door; options are those of `HttpOptions`."""
    door = HttpDoor([listening_socket(address)], FolderDesk(folder), HttpOptions(**options))
    opened.callback(door.stop, 0)
    door.start()
    return door


def tftp_door(opened: ExitStack, folder: Path, address: str = LOOPBACK, **options: Any) -> TftpDoor:
    """A running door; options are those of `TftpOptions`."""
    door = TftpDoor([open_udp_socket(address, 0)], FolderDesk(folder), TftpOptions(**options))
    opened.callback(door.stop, 0)
    door.start()
    return door


def port_of(door: HttpDoor | TftpDoor) -> int:
    return int(door.addresses[0][1])


def outside(function: Callable[..., T], *arguments: Any) -> T:
    """Run a client, which blocks, in a thread of its own, so that the hub goes on."""
    result: T = gevent.get_hub().threadpool.apply(function, arguments)
    return result


def until(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Let the hub go on until `condition` is true."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        gevent.sleep(0.01)


def longest_pause(seconds: float) -> float:
    """How long the hub let a greenlet wait that wants to do something every few milliseconds."""
    longest, last, end = 0.0, time.monotonic(), time.monotonic() + seconds
    while last < end:
        gevent.sleep(0.005)
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    return longest


def paths_asked(door: HttpDoor) -> list[str]:
    """The paths that phones asked for."""
    assert isinstance(door.desk, FolderDesk)
    return [request.path for request in door.desk.asked if isinstance(request, HttpRequest)]
