"""Connections from addresses that nobody knows wait for those of known phones, and there are not too many of them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from provd.serving.http import HttpDoor, HttpOptions

from .running import LOOPBACK, FolderDesk, listening_socket, until

KNOWN = "127.0.0.2"
REQUEST = b"GET /file HTTP/1.1\r\nHost: provd\r\nConnection: close\r\n\r\n"


class KnowingDesk(FolderDesk):
    """Knows one address."""

    def knows(self, address: str) -> bool:
        return address == KNOWN


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def desk(tmp_path: Path) -> KnowingDesk:
    (tmp_path / "file").write_bytes(b"content")
    return KnowingDesk(tmp_path)


def crowd(stack: ExitStack, port: int, sources: list[str]) -> list[socket.socket]:
    """Clients that have connected and asked, one after the other, before anybody is accepted."""
    clients = []
    for source in sources:
        client = stack.enter_context(socket.create_connection((LOOPBACK, port), 10, source_address=(source, 0)))
        client.sendall(REQUEST)
        client.setblocking(False)
        clients.append(client)
    return clients


def asked_after(stack: ExitStack, desk: KnowingDesk, **options: int) -> list[str]:
    """The addresses in the order in which they were answered: forty strangers had come before the known phone."""
    listener = listening_socket()
    crowd(stack, listener.getsockname()[1], ["127.0.0.9"] * 40 + [KNOWN])
    door = HttpDoor([listener], desk, HttpOptions(**options))
    stack.callback(door.stop, 0)
    door.start()
    until(lambda: len(desk.asked) == 41)
    return [request.address for request in desk.asked]


def test_a_known_phone_that_comes_last_is_answered_first(stack: ExitStack, desk: KnowingDesk) -> None:
    assert asked_after(stack, desk) == [KNOWN, *["127.0.0.9"] * 40]


def test_behind_a_proxy_nobody_is_a_stranger(stack: ExitStack, desk: KnowingDesk) -> None:
    assert asked_after(stack, desk, trusted_proxies=1)[-1] == KNOWN


def test_more_strangers_than_there_may_be_connections_are_turned_away(stack: ExitStack, desk: KnowingDesk) -> None:
    listener = listening_socket()
    clients = crowd(stack, listener.getsockname()[1], ["127.0.0.9"] * 60)
    door = HttpDoor([listener], desk, HttpOptions(max_connections=20))
    stack.callback(door.stop, 0)
    door.start()
    until(lambda: len(desk.asked) + door.counters["dropped"] == 60)
    assert door.counters["dropped"] >= 20
    answers = [client.recv(20) for client in clients]
    assert {answer[:12] for answer in answers} == {b"HTTP/1.1 200", b"HTTP/1.1 503"}


def test_strangers_that_wait_when_the_door_closes_are_not_forgotten(stack: ExitStack, desk: KnowingDesk) -> None:
    listener = listening_socket()
    clients = crowd(stack, listener.getsockname()[1], ["127.0.0.9"] * 40)
    door = HttpDoor([listener], desk, HttpOptions())
    door.start()
    until(lambda: desk.asked)
    door.stop(5)
    assert all(client.recv(12) == b"HTTP/1.1 200" for client in clients)
