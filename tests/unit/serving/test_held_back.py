"""Whoever makes phones up by HTTP waits for the refusal, and keeps nobody else from being served."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gevent
import pytest

from provd.model.decision import Decision, Record, as_data
from provd.model.request import PhoneRequest
from provd.plugins.files import Problem
from provd.serving import http_connection
from provd.serving.desk import Reply
from provd.serving.http import HttpDoor, HttpOptions
from tests.integration.clients import HttpPhone

from .running import FolderDesk, listening_socket, outside, port_of, until

CONTENT = b"content"
REQUEST = b"GET /stranger HTTP/1.1\r\nHost:\r\n\r\n"
LONG_S = 600.0


class FullDesk(FolderDesk):
    """Knows the phones that ask for a file, and refuses those that ask for `stranger`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.records: list[Record] = []

    def quick(self, request: PhoneRequest) -> Reply | None:
        request.decision = Decision("http", request.address, request.path, "", self.records.append)
        reply = super().quick(request)
        return Problem.REFUSED if request.path == "stranger" else reply

    def results(self) -> list[str]:
        return [as_data(record)["result"] for record in self.records]


@pytest.fixture
def desk(tmp_path: Path) -> FullDesk:
    (tmp_path / "file").write_bytes(CONTENT)
    return FullDesk(tmp_path)


def full_door(opened: ExitStack, desk: FullDesk, **options: Any) -> HttpDoor:
    door = HttpDoor([listening_socket()], desk, HttpOptions(**options))
    opened.callback(door.stop, 0)
    door.start()
    return door


def held_back(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(http_connection, "_HELD_BACK_S", seconds)


def is_served(door: HttpDoor) -> bool:
    def get() -> bytes:
        with HttpPhone(port_of(door), "127.0.0.2") as phone:
            return phone.get("/file").body

    return outside(get) == CONTENT


def test_the_refusal_comes_late_and_the_connection_goes_on(
    opened: ExitStack, desk: FullDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_back(monkeypatch, 0.1)
    door = full_door(opened, desk)
    with HttpPhone(port_of(door)) as phone:
        began = time.monotonic()
        phone.send(REQUEST * 2 + b"GET /file HTTP/1.1\r\nHost:\r\n\r\n")
        assert [outside(phone.answer).status for _ in range(3)] == [503, 503, 200]
        assert time.monotonic() - began > 0.2, "each of them"
    assert desk.results()[2] == "200 complete"
    assert [each[:4] for each in desk.results()[:2]] == ["503 "] * 2


def test_others_are_served_meanwhile(opened: ExitStack, desk: FullDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    held_back(monkeypatch, LONG_S)
    door = full_door(opened, desk)
    for _ in range(20):
        opened.enter_context(HttpPhone(port_of(door))).send(REQUEST)
    until(lambda: len(desk.asked) == 20)
    assert is_served(door)
    assert desk.results() == ["200 complete"]


def test_who_waits_for_a_refusal_gives_way(opened: ExitStack, desk: FullDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    held_back(monkeypatch, LONG_S)
    door = full_door(opened, desk, max_connections=2)
    for _ in range(2):
        opened.enter_context(HttpPhone(port_of(door))).send(REQUEST)
    until(lambda: len(desk.asked) == 2)
    assert is_served(door)
    assert desk.results() == ["503 cut off", "200 complete"]


def test_a_stop_does_not_wait_for_refusals(opened: ExitStack, desk: FullDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    held_back(monkeypatch, LONG_S)
    door = HttpDoor([listening_socket()], desk, HttpOptions())
    door.start()
    opened.enter_context(HttpPhone(port_of(door))).send(REQUEST)
    until(lambda: desk.asked)
    gevent.spawn(door.stop, LONG_S).get(timeout=10)
    assert desk.results() == ["503 cut off"]


def test_who_goes_before_the_refusal_leaves_nothing(
    opened: ExitStack, desk: FullDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_back(monkeypatch, 0.1)
    door = full_door(opened, desk)
    with HttpPhone(port_of(door)) as phone:
        phone.send(REQUEST)
        until(lambda: desk.asked)
    until(lambda: door.connections == 0)
    assert len(desk.records) == 1
