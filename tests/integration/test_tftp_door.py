"""What the TFTP door answers, packet by packet: to phones, to strangers, and to those who misbehave."""

from __future__ import annotations

import random
import socket
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.clients import (
    TFTP_ABORT,
    TftpPhone,
    boot,
    program,
    tftp_ack,
    tftp_atftp,
    tftp_busybox,
    tftp_curl,
    tftp_hpa,
    tftp_options,
    tftp_request,
    tftp_tftpy,
)
from tests.integration.server import RunningServer, wait_until

CONTENT = random.Random(3).randbytes(5000)
LARGE = random.Random(4).randbytes(200_000)
QUIET_S = 0.5
"""How long nothing must come before we believe that nothing comes."""


@pytest.fixture
def server(calm_server: RunningServer) -> RunningServer:
    """The module's server, where 127.0.0.1 is a known phone, and some files."""
    tftpboot = calm_server.tftpboot()
    if not (tftpboot / "file").exists():
        boot(calm_server.http_port)
    for name, content in (("file", CONTENT), ("large", LARGE), ("blocks", CONTENT[:1024])):
        (tftpboot / name).write_bytes(content)
    return calm_server


def transfers(server: RunningServer) -> int:
    return server.status()["doors"]["tftp"]["transfers"]


def data(block: int, content: bytes) -> bytes:
    return struct.pack("!HH", 3, block) + content


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.7", "127.1.2.3", "::1"])
def test_answers_come_from_the_address_that_was_asked(server: RunningServer, address: str) -> None:
    if ":" in address:
        boot(server.http_port, source="::1", mac="00:08:5d:00:00:06", host="[::1]")
    source = "::1" if ":" in address else "127.0.0.1"
    for name, options in (("file", {}), ("file", {"blksize": 600}), ("large", {"tsize": 0}), ("nothing", {})):
        with TftpPhone(server.tftp_port, source, address) as phone:
            assert phone.answer(name, **options) is not None
            assert phone.transfers[0][0] == address
    with TftpPhone(server.tftp_port, source, address) as phone:
        phone.send(tftp_request("file", opcode=2), phone.server)
        assert phone.receive() is not None
        assert phone.transfers[0][:2] == (address, server.tftp_port)


def test_a_request_by_broadcast_is_either_ignored_or_served_to_its_end(server: RunningServer) -> None:
    """RFC 1123 section 4.2.3.5 wants it ignored."""
    with TftpPhone(server.tftp_port, host="127.255.255.255", timeout_s=4) as phone:
        phone.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        phone.ask("file")
        with TftpPhone(server.tftp_port) as other:
            assert other.fetch("file") == CONTENT, "so the request before was seen"
        if phone.receive(QUIET_S) is not None:
            phone.send(tftp_ack(1))
            assert phone.block(2) == CONTENT[512:1024]


def test_each_transfer_has_a_port_of_its_own(server: RunningServer) -> None:
    with TftpPhone(server.tftp_port) as one, TftpPhone(server.tftp_port) as other:
        assert one.begin("file") == other.begin("file") == CONTENT[:512]
        ports = {one.transfers[0][1], other.transfers[0][1], server.tftp_port}
        assert len(ports) == 3


def test_a_file_of_whole_blocks_ends_with_an_empty_one_and_then_nothing(server: RunningServer) -> None:
    with TftpPhone(server.tftp_port) as phone:
        phone.ask("blocks")
        for number, content in ((1, CONTENT[:512]), (2, CONTENT[512:1024]), (3, b"")):
            assert phone.block(number) == content
            phone.send(tftp_ack(number))
        wait_until(lambda: transfers(server) == 0)
        assert phone.receive(QUIET_S) is None


def test_a_request_that_is_sent_again_starts_one_transfer(server: RunningServer) -> None:
    with TftpPhone(server.tftp_port) as phone:
        for _ in range(5):
            phone.ask("file", timeout=60)
        assert tftp_options(phone.receive()) == {"timeout": 60}
        assert phone.receive(QUIET_S) is None
        assert transfers(server) == 1


def test_a_client_that_asks_for_another_file_from_the_same_port_gets_that(server: RunningServer) -> None:
    with TftpPhone(server.tftp_port) as phone:
        assert phone.begin("large") == LARGE[:512]
        assert phone.begin("file") == CONTENT[:512]
        assert transfers(server) == 1


def test_a_client_that_asks_again_without_options_gets_a_transfer_without_them(server: RunningServer) -> None:
    with TftpPhone(server.tftp_port) as phone:
        assert tftp_options(phone.answer("file", blksize=1400, timeout=60)) == {"blksize": 1400, "timeout": 60}
        phone.ask("file")
        assert phone.receive(2) == data(1, CONTENT[:512])


def test_a_client_that_never_acknowledges_gets_little(server: RunningServer) -> None:
    asked: list[dict] = [{}, {"blksize": 65464}, {"windowsize": 64, "blksize": 1428}, {"timeout": 1, "tsize": 0}]
    phones = [TftpPhone(server.tftp_port) for _ in asked]
    for phone, options in zip(phones, asked, strict=True):
        phone.ask("large", **options)
    wait_until(lambda: transfers(server) == len(asked))
    wait_until(lambda: transfers(server) == 0, 30)
    for phone, options in zip(phones, asked, strict=True):
        with phone:
            packets = []
            while packet := phone.receive(0.1):
                packets.append(packet)
            assert 1 <= len(packets) <= 3, options
            assert sum(map(len, packets)) <= 3 * 516, options
            assert len(set(packets)) == 1, options


NO_REQUESTS = {
    "ERROR": TFTP_ABORT,
    "ERROR without text": b"\0\5\0\1",
    "ERROR cut": b"\0\5",
    "ACK 0": tftp_ack(0),
    "ACK 1": tftp_ack(1),
    "DATA": data(1, b"x" * 512),
    "OACK": b"\0\6blksize\0001024\0",
    "nothing": b"",
    "one byte": b"\0",
    "opcode 0": b"\0\0",
    "opcode 7": b"\0\7",
    "opcode 65535": b"\xff\xff" + b"octet\0" * 300,
    "HTTP": b"GET / HTTP/1.0\r\n\r\n",
    "65,000 bytes": b"x" * 65_000,
}


@pytest.mark.parametrize("packet", NO_REQUESTS.values(), ids=NO_REQUESTS)
def test_what_is_no_request_is_not_answered(server: RunningServer, packet: bytes) -> None:
    with TftpPhone(server.tftp_port) as phone:
        phone.send(packet, phone.server)
        assert phone.receive(0.2) is None
        assert phone.fetch("file") == CONTENT


def test_errors_and_rubbish_in_a_transfer_are_not_answered(server: RunningServer) -> None:
    with TftpPhone(server.tftp_port) as phone:
        phone.begin("file")
        for packet in (b"", b"\0", b"\0\4", b"\0\4\0", b"x" * 3000, data(1, b"x"), tftp_request("file"), b"\0\6a\0b\0"):
            phone.send(packet)
        for number in (0, 2, 3, 40_000, 65_535):
            phone.send(tftp_ack(number))
        assert phone.receive(QUIET_S) is None
        phone.send(tftp_ack(1))
        assert phone.block(2) == CONTENT[512:1024], "the transfer goes on"
        phone.send(TFTP_ABORT)
        wait_until(lambda: transfers(server) == 0)
        phone.send(tftp_ack(2))
        assert phone.receive(QUIET_S) is None


def test_a_third_party_cannot_disturb_a_transfer(server: RunningServer) -> None:
    with TftpPhone(server.tftp_port) as phone, TftpPhone(server.tftp_port, "127.0.0.66") as stranger:
        assert phone.begin("file") == CONTENT[:512]
        for packet in (TFTP_ABORT, tftp_ack(1), tftp_ack(2), b"x"):
            stranger.send(packet, phone.transfers[0])
        assert phone.receive(QUIET_S) is None
        phone.send(tftp_ack(1))
        assert phone.block(2) == CONTENT[512:1024]
        assert stranger.receive(0.1) is None


def test_a_transfer_ends_when_the_clients_machine_says_that_nobody_listens(server: RunningServer) -> None:
    phone = TftpPhone(server.tftp_port)
    phone.ask("file")
    phone.block(1)
    phone.send(tftp_ack(1))
    phone.block(2)
    transfer = phone.transfers[0]
    port = phone.socket.getsockname()[1]
    phone.socket.close()
    try:
        wait_until(lambda: transfers(server) == 0, 5)
    finally:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind(("127.0.0.1", port))
            again.sendto(TFTP_ABORT, transfer)


@pytest.mark.parametrize("client", ["tftp-hpa", "atftp", "own"])
def test_files_cannot_be_written(server: RunningServer, tmp_path: Path, client: str) -> None:
    source, port = tmp_path / "new", str(server.tftp_port)
    source.write_text("bad")
    if client == "own":
        with TftpPhone(server.tftp_port) as phone:
            for name, options in (("new", {}), ("file", {"tsize": 3}), ("../new", {}), ("", {})):
                phone.send(tftp_request(name, opcode=2, **options), phone.server)
                assert phone.receive()[:4] == b"\0\5\0\2"
            assert phone.receive(0.2) is None
    else:
        command = {
            "tftp-hpa": [program("tftp"), "127.0.0.1", port, "-c", "put", str(source), "new"],
            "atftp": [program("atftp"), "-p", "-l", str(source), "-r", "new", "127.0.0.1", port],
        }[client]
        done = subprocess.run(command, capture_output=True, timeout=60)
        assert b"files can only be read" in done.stdout + done.stderr
    assert not list(server.state.rglob("new"))
    assert (server.tftpboot() / "file").read_bytes() == CONTENT


def test_many_clients_at_once_each_get_their_own_file(server: RunningServer, tmp_path: Path) -> None:
    for name in ("curl", "tftp", "atftp", "busybox"):
        program(name)
    fetch = [
        lambda port, name, target: target.write_bytes(tftp_curl(port, name)),
        tftp_hpa,
        lambda port, name, target: tftp_atftp(port, name, target, "blksize 1000"),
        tftp_busybox,
        tftp_tftpy,
    ]
    contents = {f"many{number}": random.Random(number).randbytes(20_000 + number) for number in range(50)}
    for name, content in contents.items():
        (server.tftpboot() / name).write_bytes(content)

    def one(number: int) -> None:
        fetch[number % len(fetch)](server.tftp_port, f"many{number}", tmp_path / str(number))

    with ThreadPoolExecutor(50) as pool:
        list(pool.map(one, range(50)))
    for number in range(50):
        assert (tmp_path / str(number)).read_bytes() == contents[f"many{number}"], number
