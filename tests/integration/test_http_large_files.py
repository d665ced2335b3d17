"""Large files by HTTP: every byte, slow readers, readers that go away, and files that change meanwhile."""

from __future__ import annotations

import os
import random
import socket
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.clients import HttpPhone, assert_same, boot, http_get, program
from tests.integration.server import RunningServer, wait_until

MIB = 1024 * 1024
CONTENT = random.Random(9).randbytes(20 * MIB + 12_345)
REQUEST = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def server(calm_server: RunningServer) -> RunningServer:
    """The module's server, where 127.0.0.1 is a known phone, with a large file."""
    boot(calm_server.http_port)
    (calm_server.tftpboot() / "large").write_bytes(CONTENT)
    (calm_server.tftpboot() / "small").write_bytes(b"small")
    return calm_server


def connections(server: RunningServer) -> int:
    return server.status()["doors"]["http"]["connections"]


def begun_download(server: RunningServer) -> HttpPhone:
    """A client that has asked for the large file and reads nothing; the answer fills the kernel's buffers."""
    phone = HttpPhone(server.http_port, timeout_s=60)
    phone.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    phone.send(REQUEST)
    return phone


def test_every_byte_of_a_large_file_arrives(server: RunningServer) -> None:
    answer = http_get(server.http_port, "/large")
    assert answer.status == 200
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert_same(answer.body, CONTENT)


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (0, 65_535),
        (0, 65_536),
        (1, len(CONTENT) - 2),
        (MIB - 1, 3 * MIB),
        (19 * MIB + 7, len(CONTENT) - 1),
        (len(CONTENT) - 1, len(CONTENT) - 1),
        (5 * MIB, 5 * MIB),
    ],
)
def test_every_byte_of_a_range_of_a_large_file_arrives(server: RunningServer, first: int, last: int) -> None:
    answer = http_get(server.http_port, "/large", "-r", f"{first}-{last}")
    assert answer.status == 206
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(CONTENT)}"
    assert_same(answer.body, CONTENT[first : last + 1])


def test_a_download_that_was_cut_can_be_resumed(server: RunningServer, tmp_path: Path) -> None:
    target = tmp_path / "large"
    target.write_bytes(CONTENT[: 7 * MIB + 3])
    url = f"http://127.0.0.1:{server.http_port}/large"
    subprocess.run([program("curl"), "-sS", "-C", "-", "-o", target, url], check=True, timeout=60)
    assert_same(target.read_bytes(), CONTENT)


def test_large_and_small_files_follow_each_other_on_one_connection(server: RunningServer) -> None:
    with HttpPhone(server.http_port, timeout_s=60) as phone:
        for _ in range(2):
            assert_same(phone.get("/large", "Range: bytes=100-9000099").body, CONTENT[100:9_000_100])
            assert phone.get("/small").body == b"small"
            assert phone.get("/large", method="HEAD").headers["content-length"] == str(len(CONTENT))
        assert_same(phone.get("/large", "Connection: close").body, CONTENT)
        assert phone.rest() == b""


def test_many_readers_at_once_each_get_every_byte(server: RunningServer) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda _: http_get(server.http_port, "/large").body == CONTENT, range(8))
        assert all(answers)


def test_a_slow_reader_gets_every_byte(server: RunningServer) -> None:
    with begun_download(server) as phone:
        for _ in range(100):
            assert http_get(server.http_port, "/small").body == b"small"
        received = bytearray(phone.socket.recv(1000))
        del received[: received.index(b"\r\n\r\n") + 4]
        while len(received) < len(CONTENT):
            piece = phone.socket.recv(16_384)
            assert piece
            received += piece
        assert_same(received, CONTENT)


def test_readers_that_take_nothing_keep_nobody_waiting(server: RunningServer) -> None:
    phones = [begun_download(server) for _ in range(50)]
    wait_until(lambda: connections(server) == 50)
    assert_same(http_get(server.http_port, "/large").body, CONTENT)
    assert http_get(server.http_port, "/small").body == b"small"
    for phone in phones:
        phone.__exit__()
    wait_until(lambda: connections(server) == 0, 30)


@pytest.mark.parametrize("how", ["close", "reset", "half-close"])
def test_a_reader_that_goes_away_leaves_nothing(server: RunningServer, how: str) -> None:
    phone = begun_download(server)
    assert phone.socket.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
    if how == "reset":
        phone.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if how == "half-close":  # it only says that it will not ask again
        phone.socket.shutdown(socket.SHUT_WR)
        assert len(phone.rest()) > 20 * MIB
    phone.__exit__()
    wait_until(lambda: connections(server) == 0)


@pytest.mark.parametrize("change", ["vanishes", "is replaced"])
def test_a_download_that_has_begun_gives_the_file_as_it_was(server: RunningServer, change: str) -> None:
    path = server.tftpboot() / "large"
    with begun_download(server) as phone:
        assert phone.socket.recv(1, socket.MSG_PEEK) == b"H"
        if change == "vanishes":
            path.unlink()
        else:
            path.with_name("new").write_bytes(b"new" * 100_000)
            path.with_name("new").rename(path)
        assert_same(phone.answer().body, CONTENT)


def test_the_client_sees_that_something_is_missing_of_a_file_that_shrank(server: RunningServer) -> None:
    with begun_download(server) as phone:
        assert phone.socket.recv(1, socket.MSG_PEEK) == b"H"
        os.truncate(server.tftpboot() / "large", MIB)
        answer = phone.answer()
        assert answer.headers["content-length"] == str(len(CONTENT))
        assert len(answer.body) < len(CONTENT)
    wait_until(lambda: connections(server) == 0)
