"""What the watchdog's question finds out: a door that answers in any way is alive."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import gevent
import pytest

from provd.serving.probe import http_answers, tftp_answers
from tests.integration.clients import HttpPhone

from .askers import needs_ipv6
from .running import LOOPBACK, http_door, port_of, tftp_door

TIMEOUT_S = 2.0
Probe = Callable[[tuple[Any, ...], float], bool]
PROBES = pytest.mark.parametrize(("probe", "kind"), [(http_answers, "http"), (tftp_answers, "tftp")])


def address_of(opened: ExitStack, kind: str, folder: Path, address: str = LOOPBACK) -> tuple[Any, ...]:
    door = (http_door if kind == "http" else tftp_door)(opened, folder, address)
    listener: tuple[Any, ...] = tuple(door.addresses[0])
    return listener


@PROBES
@pytest.mark.parametrize("host", [LOOPBACK, "0.0.0.0", pytest.param("::1", marks=needs_ipv6)])
def test_a_door_that_answers_is_alive(opened: ExitStack, tmp_path: Path, probe: Probe, kind: str, host: str) -> None:
    assert probe(address_of(opened, kind, tmp_path, host), TIMEOUT_S)


@PROBES
def test_a_door_on_all_addresses_is_asked_by_ipv4_where_ipv6_is_switched_off(
    opened: ExitStack, tmp_path: Path, probe: Probe, kind: str
) -> None:
    """The socket for all addresses of both kinds stays, but `::1` is gone."""
    port = address_of(opened, kind, tmp_path)[1]
    assert probe(("::", port, 0, 0), TIMEOUT_S)


def test_a_door_without_room_for_one_more_connection_is_alive(opened: ExitStack, tmp_path: Path) -> None:
    door = http_door(opened, tmp_path, max_connections_per_address=2)
    for _ in range(2):
        opened.enter_context(HttpPhone(port_of(door)))
    gevent.sleep(0.1)
    assert http_answers(door.addresses[0], TIMEOUT_S)
    assert door.counters["dropped"] == 1


@PROBES
@pytest.mark.parametrize("host", [LOOPBACK, "0.0.0.0", "::"])
def test_a_door_that_is_closed_does_not_answer(tmp_path: Path, probe: Probe, kind: str, host: str) -> None:
    with ExitStack() as opened:
        port = address_of(opened, kind, tmp_path)[1]
    assert not probe((host, port), TIMEOUT_S)


@PROBES
@pytest.mark.parametrize("host", [LOOPBACK, "::"])
def test_a_door_that_hangs_does_not_answer_and_costs_no_more_than_its_time(probe: Probe, kind: str, host: str) -> None:
    with closing(socket.socket(type=socket.SOCK_STREAM if kind == "http" else socket.SOCK_DGRAM)) as hanging:
        hanging.bind((LOOPBACK, 0))
        if kind == "http":
            hanging.listen()
        began = time.monotonic()
        assert not probe((host, hanging.getsockname()[1]), 0.4)
        assert time.monotonic() - began < 10


def test_a_question_that_is_lost_is_asked_again(opened: ExitStack, tmp_path: Path) -> None:
    """In a storm of requests the kernel drops datagrams."""
    door = tftp_door(opened, tmp_path)
    with closing(socket.socket(type=socket.SOCK_DGRAM)) as lossy:
        lossy.bind((LOOPBACK, 0))
        lossy.setblocking(False)
        probing = gevent.spawn(tftp_answers, lossy.getsockname(), 2.0)
        gevent.sleep(0.1)
        _, asker = lossy.recvfrom(2048)
        gevent.sleep(1.1)
        question, _ = lossy.recvfrom(2048)
        assert question.startswith(b"\0\2")
        lossy.sendto(b"\0\5\0\2no\0", asker)
        assert probing.get(timeout=2)
    assert door.counters["probes"] == 0


def test_what_speaks_another_protocol_is_no_door() -> None:
    with closing(socket.socket()) as listener:
        listener.bind((LOOPBACK, 0))
        listener.listen()

        def greet() -> None:
            listener.setblocking(False)
            while True:
                try:
                    with listener.accept()[0] as connection:
                        connection.send(b"SSH-2.0-OpenSSH_9.2\r\n")
                        return
                except BlockingIOError:
                    gevent.sleep(0.01)

        gevent.spawn(greet)
        assert not http_answers(listener.getsockname(), TIMEOUT_S)
