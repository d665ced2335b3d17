"""TFTP clients get the right bytes over networks that lose, double, reorder and delay datagrams."""

from __future__ import annotations

import random
import struct
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.clients import TftpPhone, boot, program, tftp_ack, tftp_busybox, tftp_curl, tftp_options
from tests.integration.relay import Relay, Weather
from tests.integration.server import RunningServer

BLOCKS = 16
CONTENT = random.Random(1).randbytes((BLOCKS - 1) * 512 + 77)
LONG_CONTENT = random.Random(2).randbytes(199 * 512 + 77)
ONE_FILE_S = 60.0


@pytest.fixture(scope="module")
def known_phone(shared_server: RunningServer) -> None:
    """A known phone may ask for `file` and `long-file`."""
    boot(shared_server.http_port)
    (shared_server.tftpboot() / "file").write_bytes(CONTENT)
    (shared_server.tftpboot() / "long-file").write_bytes(LONG_CONTENT)


def with_curl(port: int, target: Path) -> None:
    target.write_bytes(tftp_curl(port, "file", "--tftp-no-options"))


def with_hpa(port: int, target: Path) -> None:
    commands = f"mode octet\nrexmt 1\ntimeout 50\nget file {target}\nquit\n"
    command = [program("tftp"), "127.0.0.1", str(port)]
    subprocess.run(command, input=commands.encode(), check=True, capture_output=True, timeout=90)


def with_atftp(port: int, target: Path) -> None:
    command = [program("atftp"), "--tftp-timeout", "1", "-g", "-r", "file", "-l", str(target), "127.0.0.1", str(port)]
    subprocess.run(command, check=True, capture_output=True, timeout=90)


def with_busybox(port: int, target: Path) -> None:
    tftp_busybox(port, "file", target)


def with_tftpy(port: int, target: Path) -> None:
    from tftpy.TftpClient import TftpClient

    TftpClient("127.0.0.1", port).download("file", str(target), timeout=1, retries=20)


def with_windows(port: int, target: Path, name: str = "file") -> None:
    """As RFC 7440 wants it; atftp, which has windows, and tftpy with options, give up at a doubled OACK."""
    blocks: list[bytes] = []
    with TftpPhone(port) as phone:
        packet = phone.answer(name, windowsize=4)
        while not (packet and packet[1] == 6):
            packet = phone.receive(1) or phone.answer(name, windowsize=4)
        assert tftp_options(packet) == {"windowsize": 4}
        phone.send(tftp_ack(0))
        acknowledged, complained = 0, False
        while not (blocks and len(blocks[-1]) < 512):
            packet = phone.receive(1)
            opcode, number = struct.unpack_from("!HH", packet) if packet else (0, 0)
            if opcode == 3 and number == len(blocks) + 1:
                blocks.append(packet[4:])
                complained = False
            gap = opcode == 3 and number > len(blocks)
            if packet is None or len(blocks) - acknowledged == 4 or (gap and not complained):
                phone.send(tftp_ack(len(blocks)))
                acknowledged, complained = len(blocks), gap
        phone.send(tftp_ack(len(blocks)))
    target.write_bytes(b"".join(blocks))


CLIENTS: dict[str, Callable[[int, Path], None]] = {
    "curl": with_curl,
    "tftp-hpa": with_hpa,
    "atftp": with_atftp,
    "busybox": with_busybox,
    "tftpy": with_tftpy,
    "windows": with_windows,
}

WEATHERS = {
    "loss": Weather(loss=0.12),
    "duplication": Weather(duplication=0.2),
    "reordering": Weather(reordering=0.2),
    "delay": Weather(latency_s=0.03),
    "all together": Weather(loss=0.1, duplication=0.2, reordering=0.2, latency_s=0.005),
}


@pytest.mark.parametrize("weather", WEATHERS)
@pytest.mark.usefixtures("known_phone")
def test_every_client_gets_the_right_bytes(calm_server: RunningServer, tmp_path: Path, weather: str) -> None:
    for name in ("curl", "tftp", "atftp", "busybox"):
        program(name)

    def fetch(client: str) -> tuple[bytes, float]:
        target = tmp_path / client
        began = time.monotonic()
        with Relay(calm_server.tftp_port, WEATHERS[weather], f"{client} {weather}") as relay:
            CLIENTS[client](relay.port, target)
        return target.read_bytes(), time.monotonic() - began

    with ThreadPoolExecutor(len(CLIENTS)) as pool:
        results = dict(zip(CLIENTS, pool.map(fetch, CLIENTS), strict=True))
    for client, (received, seconds) in results.items():
        assert received == CONTENT, client
        assert seconds < ONE_FILE_S, client


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.usefixtures("known_phone")
def test_doubled_acknowledgements_do_not_multiply_data(
    calm_server: RunningServer, tmp_path: Path, client: str
) -> None:
    """The Sorcerer's Apprentice (RFC 1123 section 4.2.3.1): every packet of both sides comes twice."""
    with Relay(calm_server.tftp_port, Weather(duplication=1.0, latency_s=0.002), client) as relay:
        CLIENTS[client](relay.port, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == CONTENT
    assert relay.sent["client", "ACK"] >= BLOCKS / 4
    assert len(relay.blocks) == BLOCKS
    late = 3  # what a busy machine may make the server send again when its time is over
    most = 1 if client != "windows" else 1.5  # every other window starts again: the first was not lost, but who knows?
    assert sum(relay.blocks.values()) <= BLOCKS * most + late


@pytest.mark.usefixtures("known_phone")
def test_a_long_file_with_windows_over_a_bad_network_costs_little_more_than_its_blocks(
    calm_server: RunningServer, tmp_path: Path
) -> None:
    with Relay(calm_server.tftp_port, Weather(duplication=0.3, reordering=0.1), "long") as relay:
        with_windows(relay.port, tmp_path / "target", "long-file")
    assert (tmp_path / "target").read_bytes() == LONG_CONTENT
    assert sum(relay.blocks.values()) <= 2 * len(relay.blocks)


@pytest.mark.usefixtures("known_phone")
def test_a_request_that_comes_again_when_the_transfer_has_begun_does_no_harm(calm_server: RunningServer) -> None:
    """RFC 1350 section 4: of two transfers for a doubled request, the first need not end."""
    weather = Weather(duplication=1.0, latency_s=0.01, late_requests=True)
    with Relay(calm_server.tftp_port, weather, "late") as relay, TftpPhone(relay.port, timeout_s=2.5) as phone:
        blocks = [phone.answer("file")]
        (transfer,) = phone.transfers
        while len(blocks) < BLOCKS:
            phone.send(tftp_ack(len(blocks)), transfer)
            packet = phone.receive()
            assert packet is not None, f"the transfer ended after block {len(blocks)}"
            if phone.transfers[-1] == transfer and packet[2:4] == struct.pack("!H", len(blocks) + 1):
                blocks.append(packet)
    assert b"".join(block[4:] for block in blocks) == CONTENT
