"""Connections of the HTTP door: none keeps the hub or its place for itself, and no exception closes the door."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import gevent
import pytest

from provd.serving import http, http_connection
from provd.serving.http import HttpDoor
from tests.integration.clients import HttpAnswer, HttpPhone

from .running import (
    LOOPBACK,
    FolderDesk,
    http_door,
    listening_socket,
    longest_pause,
    outside,
    paths_asked,
    port_of,
    until,
)

REQUEST = b"GET /file HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE_BYTES = 20 * 1024 * 1024
CONTENT = b"x" * 4096


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(CONTENT)
    (tmp_path / "empty").touch()
    with (tmp_path / "large").open("wb") as large:
        large.truncate(LARGE_BYTES)
    return tmp_path


def get(port: int, path: str = "/file", source: str = LOOPBACK) -> HttpAnswer:
    with HttpPhone(port, source) as phone:
        return phone.get(path)


def is_served(door: HttpDoor) -> bool:
    return outside(get, port_of(door)).body == CONTENT


# --- the hub

PIPELINING_CLIENT = """
import socket, sys, threading, time
sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
requests, end = b"GET /file HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n" * 400, time.monotonic() + 2
def send():
    while time.monotonic() < end:
        sock.sendall(requests)
threading.Thread(target=send, daemon=True).start()
while time.monotonic() < end:
    sock.recv(1 << 20)
"""


def test_a_client_that_sends_requests_without_pause_does_not_keep_the_hub(opened: ExitStack, folder: Path) -> None:
    door = http_door(opened, folder)
    with subprocess.Popen([sys.executable, "-c", PIPELINING_CLIENT, str(port_of(door))]) as client:
        until(lambda: door.counters["complete"] > 1000)
        assert longest_pause(1.0) < 0.5
        assert is_served(door)
        until(lambda: client.poll() is not None)
    assert door.counters["complete"] > 2000


def test_only_some_of_the_requests_of_a_connection_are_answered_before_others_have_their_turn(
    opened: ExitStack, folder: Path
) -> None:
    door = http_door(opened, folder)
    count = 120
    with HttpPhone(port_of(door)) as phone:
        phone.send(b"GET /empty HTTP/1.1\r\nHost:\r\n\r\n" * count)
        turns = [0]
        while turns[-1] < count:
            gevent.sleep(0)
            turns.append(len(paths_asked(door)))
        assert max(after - before for before, after in pairwise(turns)) <= 32
        assert [outside(phone.answer).status for _ in range(count)] == [200] * count
        phone.send(REQUEST)
        assert outside(phone.answer).body == CONTENT


# --- clients that do not take their answers


def begun_download(door: HttpDoor, receive_buffer: int = 65_536) -> socket.socket:
    """A client that has asked for the large file and takes only what its kernel takes."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.connect((LOOPBACK, port_of(door)))
    client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    client.settimeout(10)
    return client


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "_SEND_TIMEOUT_S", 0.5)
    monkeypatch.setattr(http, "_SWEEP_SECONDS", 0.1)


@pytest.mark.usefixtures("_hasty")
def test_a_reader_that_takes_nothing_loses_its_connection(opened: ExitStack, folder: Path) -> None:
    door = http_door(opened, folder)
    began = time.monotonic()
    with begun_download(door):
        until(lambda: door.connections == 1)
        until(lambda: door.connections == 0)
    assert time.monotonic() - began < 10, "and not when the slowest reader would be done"
    assert door.counters["timed_out"] == 1


@pytest.mark.usefixtures("_hasty")
def test_a_client_that_asks_again_and_again_and_takes_no_answer_loses_its_connection(
    opened: ExitStack, folder: Path
) -> None:
    door = http_door(opened, folder)
    with socket.create_connection((LOOPBACK, port_of(door))) as client:
        client.setblocking(False)
        try:
            while True:
                client.send(REQUEST * 100)
                gevent.sleep(0.001)
        except OSError:
            pass  # all buffers are full, or the connection is lost already
        until(lambda: door.connections == 0)
    assert door.counters["timed_out"] == 1


def read_slowly(client: socket.socket, seconds: float, size: int) -> int:
    received, end = 0, time.monotonic() + seconds
    while time.monotonic() < end and (piece := client.recv(size)):
        received += len(piece)
        time.sleep(0.1)
    return received


@pytest.mark.usefixtures("_hasty")
def test_a_slow_reader_keeps_its_connection_while_the_kernel_sends_what_it_has(opened: ExitStack, folder: Path) -> None:
    """The kernel takes megabytes at once, and takes more only when a third of its buffer is free."""
    door = http_door(opened, folder)
    with begun_download(door) as client:
        assert outside(read_slowly, client, 3.0, 50_000) > 1_000_000
        assert door.connections == 1
    until(lambda: door.connections == 0)
    assert door.counters["timed_out"] == 0


@pytest.mark.usefixtures("_hasty")
def test_a_reader_that_is_too_slow_for_the_whole_loses_its_connection(
    opened: ExitStack, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_connection, "_SLOWEST_BYTES_PER_S", LARGE_BYTES)  # one second for the file
    door = http_door(opened, folder)
    with begun_download(door, 2_000_000) as client:
        outside(read_slowly, client, 3.0, 500_000)
        assert door.connections == 0
    assert door.counters["timed_out"] == 1


# --- places


def statuses(opened: ExitStack, door: HttpDoor, count: int, *fields: str) -> list[int]:
    """What clients of one address are answered while they all keep their connections."""
    phones = [opened.enter_context(HttpPhone(port_of(door))) for _ in range(count)]
    return [outside(phone.get, "/file", *fields).status for phone in phones]


def test_an_address_has_no_more_connections_than_allowed(opened: ExitStack, folder: Path) -> None:
    door = http_door(opened, folder, max_connections_per_address=3)
    assert statuses(opened, door, 5) == [200, 200, 200, 503, 503]
    assert door.counters["dropped"] == 2


def test_behind_proxies_all_phones_share_the_proxys_address(opened: ExitStack, folder: Path) -> None:
    door = http_door(opened, folder, max_connections_per_address=3, trusted_proxies=1)
    assert statuses(opened, door, 8, "X-Forwarded-For: 192.0.2.7") == [200] * 8
    assert door.counters["dropped"] == 0


def test_ended_connections_give_their_places_back(opened: ExitStack, folder: Path) -> None:
    door = http_door(opened, folder, max_connections_per_address=1)
    for _ in range(5):
        assert is_served(door)
        until(lambda: door.connections == 0)


# --- exceptions


@pytest.mark.parametrize("where", ["_begin", "_has_room"])
def test_an_exception_costs_one_connection_and_not_the_door(
    opened: ExitStack, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    door = http_door(opened, folder)
    good, failures = getattr(door, where), []

    def bad(*arguments: Any) -> Any:
        if not failures:
            failures.append(arguments)
            raise ValueError("unforeseen")
        return good(*arguments)

    monkeypatch.setattr(door, where, bad)
    with HttpPhone(port_of(door)) as phone:
        assert outside(phone.rest) == b"", "closed, and not left open for ever"
    assert failures
    assert is_served(door)
    assert [record.levelname for record in caplog.records if "accepting" in record.message] == ["ERROR"]


# --- the end


def test_the_addresses_are_known_while_the_door_closes_and_after_it(folder: Path) -> None:
    with ExitStack() as opened:
        door = http_door(opened, folder)
        addresses = door.addresses
        assert addresses[0][0] == LOOPBACK
    assert door.addresses == addresses


def test_a_door_has_the_addresses_of_all_its_sockets(opened: ExitStack, folder: Path) -> None:
    listeners = [listening_socket(), listening_socket("127.0.0.2")]
    expected = [listener.getsockname() for listener in listeners]
    door = HttpDoor(listeners, FolderDesk(folder), http.HttpOptions())
    door.start()
    opened.callback(door.stop, 0)
    assert door.addresses == expected
