"""The TFTP door: none keeps the hub or the places for himself, and no exception closes the door."""

from __future__ import annotations

import logging
import os
import socket
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import gevent
import pytest

from provd.serving import tftp, tftp_sessions
from provd.serving.tftp import PROBE_NAME, TftpDoor
from provd.serving.tftp_session import OwnPort
from provd.serving.udp import MAX_DATAGRAM_BYTES
from tests.integration.clients import TFTP_ABORT, TftpPhone, tftp_ack, tftp_options, tftp_request

from .askers import needs_ipv6
from .running import LOOPBACK, longest_pause, outside, port_of, tftp_door, until

CONTENT = bytes(range(256)) * 10
FEW_PORTS = 4


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(CONTENT)
    (tmp_path / "text").write_bytes(b"\n" * 256 * 1024)
    (tmp_path / "long-text").write_bytes(b"\n" * (256 * 1024 + 1))
    (tmp_path / "large").write_bytes(bytes(10_000_000))
    return tmp_path


def fetch(port: int, name: str = "file", mode: str = "octet", source: str = LOOPBACK, **options: object) -> bytes:
    with TftpPhone(port, source, timeout_s=5) as phone:
        return phone.fetch(name, mode, **options)


def is_served(door: TftpDoor, source: str = LOOPBACK) -> bool:
    return outside(fetch, port_of(door), "file", "octet", source) == CONTENT


def answer(door: TftpDoor, name: str, mode: str = "octet", **options: object) -> bytes:
    def ask() -> bytes:
        with TftpPhone(port_of(door), timeout_s=5) as phone:
            packet = phone.answer(name, mode, **options)
            assert packet is not None
            return packet

    return outside(ask)


def silent_phones(opened: ExitStack, door: TftpDoor, count: int, source: str = "127.0.0.9") -> list[TftpPhone]:
    """Phones that ask for a file, and acknowledge nothing."""
    phones = [opened.enter_context(TftpPhone(port_of(door), source)) for _ in range(count)]
    for phone in phones:
        phone.ask("file", timeout=255)
    return phones


# --- the hub


def test_a_flood_of_requests_with_many_options_does_not_keep_the_hub(opened: ExitStack, folder: Path) -> None:
    door = tftp_door(opened, folder)
    attacker = opened.enter_context(TftpPhone(port_of(door)))

    def flood() -> None:
        for _ in range(14):
            for _ in range(150):
                attacker.send(b"\0\1f\0octet\0" + b"a\0b\0" * 250, attacker.server)
            gevent.sleep(0.01)

    flooding = gevent.spawn(flood)
    assert longest_pause(0.5) < 0.1
    flooding.get()
    assert door.counters["requests"] > 1000
    assert is_served(door)


@pytest.mark.parametrize(
    ("datagram", "counter"), [(b"\0\1\xff\0octet\0", "malformed"), (tftp_request("nothing"), "requests")]
)
def test_only_some_requests_are_read_and_answered_before_others_have_their_turn(
    opened: ExitStack, folder: Path, datagram: bytes, counter: str
) -> None:
    door = tftp_door(opened, folder)
    count = 100
    with TftpPhone(port_of(door)) as phone:
        for _ in range(count):
            phone.send(datagram, phone.server)
        turns = [0]
        while turns[-1] < count:
            gevent.sleep(0)
            turns.append(door.counters[counter])
    assert max(after - before for before, after in pairwise(turns)) <= 48


def test_a_datagram_that_is_longer_than_any_request_is_not_read(opened: ExitStack, folder: Path) -> None:
    door = tftp_door(opened, folder)
    with TftpPhone(port_of(door)) as phone:
        for size in (MAX_DATAGRAM_BYTES + 1, 2000, 60_000):
            phone.send(tftp_request("file").ljust(size, b"x"), phone.server)
        assert outside(phone.receive, 0.2) is None
    assert door.counters["stray"] == 3
    assert is_served(door)


def test_a_long_packet_in_a_transfer_is_understood(opened: ExitStack, folder: Path) -> None:
    door = tftp_door(opened, folder)
    with TftpPhone(port_of(door)) as phone:
        outside(phone.answer, "file")
        phone.send(b"\0\5\0\0" + b"enough " * 1000 + b"\0")
        until(lambda: door.transfers == 0)


# --- netascii


def test_texts_of_a_quarter_of_a_megabyte_are_sent_as_netascii(opened: ExitStack, folder: Path) -> None:
    door = tftp_door(opened, folder)
    received = outside(lambda: fetch(port_of(door), "text", "netascii", blksize=8192))
    assert received == b"\r\n" * 256 * 1024


def test_longer_ones_are_refused_without_an_error_in_the_log(
    opened: ExitStack, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    door = tftp_door(opened, folder)
    assert answer(door, "long-text", "netascii") == b"\0\5\0\0the file is too large for netascii\0"
    assert door.counters["refused"] == 1
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert outside(fetch, port_of(door), "long-text") == b"\n" * (256 * 1024 + 1), "as it is, it can be had"


# --- places


def free_range() -> tuple[int, int]:
    """A few ports that are free on loopback, and not those that another run of these tests finds free."""
    for low in range(33_000 + os.getpid() % 5000 * FEW_PORTS, 60_000, FEW_PORTS):
        with ExitStack() as tried:
            try:
                for port in range(low, low + FEW_PORTS):
                    tried.enter_context(socket.socket(type=socket.SOCK_DGRAM)).bind((LOOPBACK, port))
            except OSError:
                continue
        return low, low + FEW_PORTS - 1
    raise AssertionError("there are no free ports")


def test_phones_that_never_acknowledge_do_not_keep_the_ports_of_a_small_range(
    opened: ExitStack, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = tftp_door(opened, folder, port_range=free_range())
    without_port = []

    def counted(*arguments: Any) -> OwnPort:
        try:
            return OwnPort(*arguments)
        except OSError as error:
            without_port.append(error)
            raise

    monkeypatch.setattr(tftp_sessions, "OwnPort", counted)
    silent_phones(opened, door, 3 * FEW_PORTS)
    until(lambda: door.counters["requests"] == 3 * FEW_PORTS)
    assert door.transfers == FEW_PORTS
    assert is_served(door)
    assert door.counters["dropped"] == 0
    assert not without_port, "to look at all ports of a large range would take long"


def test_phones_that_never_acknowledge_give_way_also_where_others_have_ports_of_the_range(
    opened: ExitStack, folder: Path
) -> None:
    low, high = free_range()
    opened.enter_context(socket.socket(type=socket.SOCK_DGRAM)).bind((LOOPBACK, low))
    door = tftp_door(opened, folder, port_range=(low, high))
    silent_phones(opened, door, 3 * FEW_PORTS)
    until(lambda: door.counters["requests"] == 3 * FEW_PORTS)
    assert is_served(door)
    assert door.counters["dropped"] == 0


def test_phones_that_acknowledge_keep_their_ports(opened: ExitStack, folder: Path) -> None:
    door = tftp_door(opened, folder, port_range=free_range())
    with ExitStack() as phones:
        busy = [phones.enter_context(TftpPhone(port_of(door))) for _ in range(FEW_PORTS)]
        for phone in busy:
            assert outside(lambda phone=phone: phone.begin("file")) == CONTENT[:512]
        with TftpPhone(port_of(door)) as late:
            assert outside(lambda: (late.ask("file"), late.receive(0.3))[1]) is None
        assert door.transfers == FEW_PORTS
        assert door.counters["dropped"] == 1


def test_in_single_port_mode_a_range_of_ports_does_not_matter(opened: ExitStack, folder: Path) -> None:
    door = tftp_door(opened, folder, port_range=(40_000, 40_001), single_port=True)
    silent_phones(opened, door, 5)
    until(lambda: door.transfers == 5)


def test_requests_that_wait_for_the_store_have_their_places_too(opened: ExitStack, folder: Path) -> None:
    door = tftp_door(opened, folder, max_transfers_per_address=2)
    phones = [opened.enter_context(TftpPhone(port_of(door))) for _ in range(4)]
    for phone in phones:
        phone.ask("slow/file")
    until(lambda: door.transfers == 2)
    assert door.counters["dropped"] == 2
    for phone in phones:
        outside(phone.receive, 0.2)
        for transfer in phone.transfers:
            phone.send(TFTP_ABORT, transfer)
    until(lambda: door.transfers == 0)
    assert outside(fetch, port_of(door), "slow/file") == CONTENT


@needs_ipv6
@pytest.mark.parametrize(("asked", "agreed"), [(512, 512), (1228, 1228), (1428, 1228), (65464, 1228)])
def test_a_block_fits_into_what_every_ipv6_path_lets_through(
    opened: ExitStack, folder: Path, asked: int, agreed: int
) -> None:
    """1280 bytes, less 40 of the IPv6 header, 8 of UDP's, and 4 of TFTP's."""
    door = tftp_door(opened, folder, "::")

    def agreement(source: str) -> int:
        with TftpPhone(port_of(door), source, source) as phone:
            return tftp_options(phone.answer("file", blksize=asked))["blksize"]

    assert outside(agreement, "::1") == agreed
    assert outside(agreement, LOOPBACK) == asked, "IPv4 is fragmented on its way"


# --- exceptions


@pytest.mark.parametrize("where", ["_sort", "_on_request", "_read"])
def test_an_exception_costs_one_datagram_and_not_the_door(
    opened: ExitStack, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    door = tftp_door(opened, folder)
    good, failures = getattr(door, where), []

    def bad(*arguments: Any) -> Any:
        if not failures:
            failures.append(arguments)
            raise ValueError("unforeseen")
        return good(*arguments)

    monkeypatch.setattr(door, where, bad)
    with TftpPhone(port_of(door)) as phone:
        phone.ask("file")
        until(lambda: failures)
    assert is_served(door)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_a_socket_that_fails_in_an_unforeseen_way_does_not_close_the_door(
    opened: ExitStack, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    door = tftp_door(opened, folder)
    good, failures = tftp.receive, []

    def bad(listener: socket.socket) -> Any:
        if len(failures) < 3:
            failures.append(listener)
            raise ValueError("unforeseen")
        return good(listener)

    monkeypatch.setattr(tftp, "receive", bad)
    assert is_served(door)
    assert len(failures) == 3
    assert len([record for record in caplog.records if "receiving" in record.message]) == 1, "said now and then"


# --- what is counted and told


def test_a_client_that_has_the_last_block_and_is_gone_counts_as_served(
    opened: ExitStack, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tftp_sessions, "_SWEEP_SECONDS", 0.05)
    (folder / "small").write_bytes(b"small")
    door = tftp_door(opened, folder)
    with TftpPhone(port_of(door)) as phone:
        assert outside(phone.answer, "small") == b"\0\3\0\1small"
        phone.transfers.clear()  # so that leaving does not abort it
    until(lambda: door.transfers == 0)
    assert (door.counters["complete"], door.counters["incomplete"]) == (1, 0)


def test_a_client_that_is_gone_before_the_last_block_counts_as_not_served(opened: ExitStack, folder: Path) -> None:
    door = tftp_door(opened, folder)
    with TftpPhone(port_of(door)) as phone:
        outside(phone.answer, "file")
        phone.transfers.clear()
    until(lambda: door.transfers == 0)
    assert (door.counters["complete"], door.counters["incomplete"]) == (0, 1)


def test_the_addresses_are_known_while_the_door_closes_and_after_it(folder: Path) -> None:
    with ExitStack() as opened:
        door = tftp_door(opened, folder)
        addresses = door.addresses
        assert addresses[0][0] == LOOPBACK
    assert door.addresses == addresses


REFUSED = [
    ("nothing", "octet", 1, "path='nothing' mode='octet' error=1 reason='no such file for this phone'"),
    ("foreign", "octet", 1, "path='foreign' mode='octet' error=1 reason='no plugin serves this phone'"),
    ("slow/nothing", "octet", 1, "path='slow/nothing' mode='octet' error=1 reason='no such file for this phone'"),
    (".", "octet", 1, "path='.' mode='octet' error=2 reason='this is a directory'"),
    ("file", "mail", 1, "path='file' mode='mail' error=4 reason='the mode must be octet or netascii'"),
    ("file", "octet", 2, "path='file' mode='octet' error=2 reason='files can only be read'"),
    ("a\nb", "octet", 1, r"path='a\nb' mode='octet' error=1 reason='no such file for this phone'"),
]


@pytest.mark.parametrize(("name", "mode", "opcode", "line"), REFUSED)
def test_a_refused_request_leaves_its_trace(
    opened: ExitStack, folder: Path, caplog: pytest.LogCaptureFixture, name: str, mode: str, opcode: int, line: str
) -> None:
    caplog.set_level(logging.INFO)
    door = tftp_door(opened, folder)
    with TftpPhone(port_of(door)) as phone:
        for _ in range(3):
            phone.send(tftp_request(name, mode, opcode), phone.server)
            assert outside(phone.receive)[:2] == b"\0\5"
    expected = f"request refused: door=tftp address=127.0.0.1 {line} unreported=0"
    assert [record.getMessage() for record in caplog.records] == [expected], "once, and not three times"


def test_requests_that_get_no_answer_leave_their_trace_too(
    opened: ExitStack, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    door = tftp_door(opened, folder, max_transfers_per_address=1)
    silent_phones(opened, door, 2, LOOPBACK)
    until(lambda: caplog.records)
    assert caplog.records[0].getMessage() == (
        "request refused: door=tftp address=127.0.0.1 path='file' mode='octet' answer=none "
        "reason='too many transfers of this address' unreported=0"
    )


def test_the_watchdogs_question_is_not_told(opened: ExitStack, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    door = tftp_door(opened, folder)
    with TftpPhone(port_of(door)) as phone:
        phone.send(tftp_request(PROBE_NAME, opcode=2), phone.server)
        assert outside(phone.receive)[:2] == b"\0\5"
    assert not [record for record in caplog.records if "request" in record.getMessage()]


def test_each_answered_request_is_told_in_detail(
    opened: ExitStack, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    door = tftp_door(opened, folder)
    assert is_served(door)
    (line,) = [record.getMessage() for record in caplog.records if "request" in record.getMessage()]
    assert line == "request answered: door=tftp address=127.0.0.1 path='file' mode='octet' answer=file bytes=2560"


def test_an_acknowledgement_of_nothing_is_stray(opened: ExitStack, folder: Path) -> None:
    door = tftp_door(opened, folder)
    with TftpPhone(port_of(door)) as phone:
        phone.send(tftp_ack(1), phone.server)
        until(lambda: door.counters["stray"] == 1)
