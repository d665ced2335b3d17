"""What the doors note in a request's trace: how it ended, and how many bytes were to be sent."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gevent
import gevent.event
import pytest

from provd.model.decision import Decision, Record, as_data
from provd.model.request import PhoneRequest
from provd.plugins.files import Problem
from provd.serving import http_connection, tftp
from provd.serving.desk import Reply
from provd.serving.http import HttpDoor, HttpOptions
from provd.serving.tftp import TftpDoor, TftpOptions
from provd.serving.udp import open_udp_socket
from tests.integration.clients import HttpPhone, TftpPhone

from .running import LOOPBACK, FolderDesk, listening_socket, outside, port_of, until

CONTENT = b"x" * 2560
LARGE_BYTES = 20 * 1024 * 1024


class TracingDesk(FolderDesk):
    """Remembers the traces; `stranger` is refused, and what is below `slow/` waits until it may go on."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.records: list[Record] = []
        self.asked_for = 0
        self.may_go_on = gevent.event.Event()
        self.may_go_on.set()

    def quick(self, request: PhoneRequest) -> Reply | None:
        request.decision = Decision("test", request.address, request.path, "", self.records.append)
        self.asked_for += 1
        return Problem.REFUSED if request.path == "stranger" else super().quick(request)

    def handle(self, request: PhoneRequest) -> Reply:
        self.may_go_on.wait()
        return super().handle(request)

    def result(self, number: int = 0) -> tuple[str, int]:
        """How a request ended, as soon as it has, and the bytes."""
        until(lambda: len(self.records) > number)
        data = as_data(self.records[number])
        return data["result"], data["bytes"]


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Phones that are too many are held back for a shorter time."""
    monkeypatch.setattr(http_connection, "_HELD_BACK_S", 0.05)


@pytest.fixture
def desk(tmp_path: Path) -> TracingDesk:
    (tmp_path / "file").write_bytes(CONTENT)
    (tmp_path / "text").write_bytes(b"\n" * (256 * 1024 + 1))
    with (tmp_path / "large").open("wb") as large:
        large.truncate(LARGE_BYTES)
    return TracingDesk(tmp_path)


@pytest.fixture
def http(opened: ExitStack, desk: TracingDesk) -> HttpDoor:
    door = HttpDoor([listening_socket()], desk, HttpOptions())
    opened.callback(door.stop, 0)
    door.start()
    return door


def tftp_door(opened: ExitStack, desk: TracingDesk, **options: Any) -> TftpDoor:
    door = TftpDoor([open_udp_socket(LOOPBACK, 0)], desk, TftpOptions(**options))
    opened.callback(door.stop, 0)
    door.start()
    return door


# --- HTTP


@pytest.mark.parametrize(
    ("path", "method", "fields", "result"),
    [
        ("/file", "GET", [], ("200 complete", len(CONTENT))),
        ("/slow/file", "GET", [], ("200 complete", len(CONTENT))),
        ("/file", "HEAD", [], ("200 complete", 0)),
        ("/file", "GET", ["Range: bytes=0-99"], ("206 complete", 100)),
        ("/file", "GET", ["If-None-Match: *"], ("304 complete", 0)),
        ("/nothing", "GET", [], ("404 No such file for this phone.", 0)),
        ("/slow/nothing", "GET", [], ("404 No such file for this phone.", 0)),
        ("/foreign", "GET", [], ("404 No plugin serves this phone.", 0)),
        ("/stranger", "GET", [],
         ("503 Too many phones that were never seen before; this one may ask again later.", 0)),
    ],
)  # fmt: skip
def test_an_http_request_ends_with_its_status(
    desk: TracingDesk, http: HttpDoor, path: str, method: str, fields: list[str], result: tuple[str, int]
) -> None:
    with HttpPhone(port_of(http)) as phone:
        outside(lambda: phone.get(path, *fields, method=method))
        assert desk.result() == result


def test_a_refused_phone_is_told_when_to_ask_again(http: HttpDoor) -> None:
    with HttpPhone(port_of(http)) as phone:
        answer = outside(lambda: phone.get("/stranger"))
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert outside(lambda: phone.get("/file")).body == CONTENT, "the connection goes on"


def test_requests_of_one_connection_have_a_trace_each(desk: TracingDesk, http: HttpDoor) -> None:
    with HttpPhone(port_of(http)) as phone:
        for name in (b"file", b"nothing", b"slow/file"):
            phone.send(b"GET /%s HTTP/1.1\r\nHost:\r\n\r\n" % name)
        for _ in range(3):
            outside(phone.answer)
    assert [desk.result(number)[0][:3] for number in range(3)] == ["200", "404", "200"]


def test_an_http_client_that_takes_only_a_part_is_cut_off(desk: TracingDesk, http: HttpDoor) -> None:
    with HttpPhone(port_of(http)) as phone:
        phone.send(b"GET /large HTTP/1.1\r\nHost:\r\n\r\n")
        until(lambda: http._connections and next(iter(http._connections))._body)
        assert desk.records == [], "it goes on"
    assert desk.result() == ("200 cut off", LARGE_BYTES)


def test_an_http_client_that_goes_while_the_store_is_waited_for(desk: TracingDesk, http: HttpDoor) -> None:
    desk.may_go_on.clear()
    with HttpPhone(port_of(http)) as phone:
        phone.send(b"GET /slow/file HTTP/1.1\r\nHost:\r\n\r\n")
        until(lambda: desk.asked_for)
        (connection,) = http._connections
        connection.close()  # as the door does when a client's time is over
        desk.may_go_on.set()
        assert desk.result() == ("client gone", 0)


# --- TFTP


@pytest.mark.parametrize(
    ("name", "mode", "result"),
    [
        ("nothing", "octet", ("error 1: no such file for this phone", 0)),
        ("slow/nothing", "octet", ("error 1: no such file for this phone", 0)),
        ("foreign", "octet", ("error 1: no plugin serves this phone", 0)),
        (".", "octet", ("error 2: this is a directory", 0)),
        ("text", "netascii", ("error 0: the file is too large for netascii", 0)),
    ],
)
def test_a_tftp_request_ends_with_its_error(
    opened: ExitStack, desk: TracingDesk, name: str, mode: str, result: tuple[str, int]
) -> None:
    with TftpPhone(port_of(tftp_door(opened, desk))) as phone:
        outside(phone.answer, name, mode)
    assert desk.result() == result


@pytest.mark.parametrize("name", ["file", "slow/file"])
def test_a_tftp_transfer_ends_when_the_last_block_was_acknowledged(
    opened: ExitStack, desk: TracingDesk, name: str
) -> None:
    with TftpPhone(port_of(tftp_door(opened, desk))) as phone:
        outside(phone.begin, name)
        assert desk.records == [], "it goes on"
    assert desk.result()[0] not in ("", "complete"), "it was aborted"
    with TftpPhone(port_of(tftp_door(opened, desk))) as phone:
        assert outside(phone.fetch, name) == CONTENT
    assert desk.result(1) == ("complete", len(CONTENT))


def test_a_refused_phone_gets_no_answer_by_tftp(opened: ExitStack, desk: TracingDesk) -> None:
    door = tftp_door(opened, desk)
    with TftpPhone(port_of(door)) as phone:
        phone.ask("stranger")
        assert desk.result() == ("no answer", 0)
        assert outside(phone.answer, "nothing")[2:4] == b"\0\1", "what it is answered first is the next request"
    assert door.counters["dropped"] == 1


def test_a_transfer_that_finds_no_room(opened: ExitStack, desk: TracingDesk) -> None:
    door = tftp_door(opened, desk, max_transfers=1)
    with TftpPhone(port_of(door)) as busy, TftpPhone(port_of(door), "127.0.0.2") as late:
        outside(busy.begin, "file")
        late.ask("file")
        assert desk.result()[0] == "no answer: no room for one more transfer"


def test_a_transfer_that_gives_way(opened: ExitStack, desk: TracingDesk) -> None:
    door = tftp_door(opened, desk, max_transfers=1)
    with TftpPhone(port_of(door)) as silent, TftpPhone(port_of(door), "127.0.0.2") as late:
        outside(silent.answer, "file")
        outside(late.answer, "file")
        assert desk.result(0) == ("gave way to a new request", len(CONTENT))


def test_a_transfer_for_which_too_many_wait_for_the_store(
    opened: ExitStack, desk: TracingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tftp, "_MAX_IDENTIFYING", 1)
    desk.may_go_on.clear()
    port = port_of(tftp_door(opened, desk))
    with TftpPhone(port) as first, TftpPhone(port) as second:
        first.ask("slow/nothing")
        until(lambda: desk.asked_for == 1)
        second.ask("slow/nothing")
        assert desk.result() == ("no answer: too many requests wait for the store", 0)
        desk.may_go_on.set()
        assert desk.result(1)[0] == "error 1: no such file for this phone"
