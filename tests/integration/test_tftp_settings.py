"""The TFTP door's settings: ports, one port for all, limits of sizes and numbers; and a storm of requests."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.integration.clients import (
    TftpPhone,
    boot,
    tftp_ack,
    tftp_atftp,
    tftp_busybox,
    tftp_curl,
    tftp_hpa,
    tftp_options,
    tftp_tftpy,
)
from tests.integration.server import RunningServer, wait_until

CONTENT = random.Random(7).randbytes(100_000)
QUIET_S = 0.5
StartServer = Callable[..., RunningServer]


def with_phones(server: RunningServer, *addresses: str) -> RunningServer:
    """The server, when the addresses are known phones' and there is a file."""
    for number, address in enumerate(addresses):
        boot(server.http_port, address, f"00:08:5d:00:00:{number:02x}")
    (server.tftpboot() / "file").write_bytes(CONTENT)
    return server


def block(number: int) -> bytes:
    """A block of the file."""
    return CONTENT[(number - 1) * 512 : number * 512]


FIRST_PACKET = struct.pack("!HH", 3, 1) + block(1)


def tftp_status(server: RunningServer) -> dict:
    return server.status()["doors"]["tftp"]


@contextmanager
def running_transfers(port: int, address: str, count: int) -> Iterator[list[TftpPhone]]:
    """Phones that have got the first block of the file, and did not acknowledge it yet."""
    with ExitStack() as stack:
        phones = [stack.enter_context(TftpPhone(port, address)) for _ in range(count)]
        for phone in phones:
            assert phone.begin("file") == block(1)
        yield phones


def finish(phone: TftpPhone) -> None:
    """Go on from the first block to the end of the file."""
    number, received = 1, block(1)
    while len(received) == 512:
        phone.send(tftp_ack(number))
        number += 1
        received = phone.block(number)
        assert received == block(number)
    phone.send(tftp_ack(number))


def all_clients(server: RunningServer, tmp_path: Path) -> list[bytes]:
    """What each client of other people gets, all at once, twice."""
    port = server.tftp_port
    fetch: list[Callable[[Path], object]] = [
        lambda target: target.write_bytes(tftp_curl(port, "file")),
        lambda target: tftp_hpa(port, "file", target),
        lambda target: tftp_atftp(port, "file", target, "blksize 1000"),
        lambda target: tftp_busybox(port, "file", target),
        lambda target: tftp_tftpy(port, "file", target),
    ] * 2
    targets = [tmp_path / str(number) for number in range(len(fetch))]
    with ThreadPoolExecutor(len(fetch)) as pool:
        list(pool.map(lambda one, target: one(target), fetch, targets))
    return [target.read_bytes() for target in targets]


def test_transfers_take_their_ports_from_the_range(start_server: StartServer, tmp_path: Path) -> None:
    low = 40_000 + random.Random(8).randrange(10) * 100
    settings = f'[tftp]\nport_range = "{low}-{low + 19}"\nmax_transfers_per_address = 100\n'
    server = with_phones(start_server(settings=settings), "127.0.0.1")
    assert all_clients(server, tmp_path) == [CONTENT] * 10
    with ExitStack() as stack:
        phones = [stack.enter_context(TftpPhone(server.tftp_port, timeout_s=QUIET_S)) for _ in range(25)]
        ports = []
        for phone in phones:
            if phone.answer("file", timeout=60) is not None:
                phone.send(tftp_ack(0))
                assert phone.block(1) == block(1)
                ports.append(phone.transfers[0][1])
        assert set(ports) <= set(range(low, low + 20))
        assert len(ports) == len(set(ports)), "every transfer has a port of its own"
        assert 15 <= len(ports) <= 20, "other programs may have a few, but not more transfers than ports"
        assert tftp_status(server)["dropped"] == 25 - len(ports)
        assert "answer=none reason='no room for one more transfer'" in server.log()


def test_in_single_port_mode_everything_comes_from_the_door(start_server: StartServer, tmp_path: Path) -> None:
    server = with_phones(start_server(settings="[tftp]\nsingle_port = true\n"), "127.0.0.1", "127.0.0.2")
    assert all_clients(server, tmp_path) == [CONTENT] * 10
    for address in ("127.0.0.1", "127.0.0.7"):
        with TftpPhone(server.tftp_port, "127.0.0.2", address) as phone:
            agreed = tftp_options(phone.answer("file", windowsize=8, blksize=65464))
            assert agreed == {"windowsize": 1, "blksize": 1428}, "acknowledgements can be forged blindly here"
            phone.send(b"\0\5\0\0no\0")
            assert phone.fetch("file", windowsize=8, blksize=1428) == CONTENT
            assert phone.transfers == [(address, server.tftp_port)]


def test_in_single_port_mode_parallel_transfers_do_not_mix(start_server: StartServer) -> None:
    server = with_phones(start_server(settings="[tftp]\nsingle_port = true\n"), "127.0.0.1", "127.0.0.2")
    contents = {f"f{number}": random.Random(number).randbytes(30_000 + number) for number in range(40)}
    for name, content in contents.items():
        (server.tftpboot() / name).write_bytes(content)

    def fetch(name: str) -> bytes:
        with TftpPhone(server.tftp_port, f"127.0.0.{1 + len(contents[name]) % 2}") as phone:
            return phone.fetch(name)

    with ThreadPoolExecutor(40) as pool:
        assert dict(zip(contents, pool.map(fetch, contents), strict=True)) == contents


def test_in_single_port_mode_only_the_client_can_move_its_transfer(start_server: StartServer) -> None:
    server = with_phones(start_server(settings="[tftp]\nsingle_port = true\n"), "127.0.0.1")
    with running_transfers(server.tftp_port, "127.0.0.1", 1) as (phone,):
        with TftpPhone(server.tftp_port) as stranger:
            for packet in (tftp_ack(1), b"\0\5\0\0no\0", b"", FIRST_PACKET):
                stranger.send(packet, phone.server)
            assert stranger.receive(QUIET_S) is None
        assert phone.receive(0.1) is None
        finish(phone)


def test_the_largest_sizes_are_the_settings(start_server: StartServer) -> None:
    settings = "[tftp]\nmax_blksize = 1024\nmax_windowsize = 3\n"
    server = with_phones(start_server(settings=settings), "127.0.0.1")
    with TftpPhone(server.tftp_port) as phone:
        assert tftp_options(phone.answer("file", blksize=1428, windowsize=8)) == {"blksize": 1024, "windowsize": 3}
    with TftpPhone(server.tftp_port) as phone:
        assert phone.fetch("file", blksize=65464, windowsize=64) == CONTENT


def test_an_address_has_no_more_transfers_than_allowed(start_server: StartServer) -> None:
    server = with_phones(start_server(settings="[tftp]\nmax_transfers_per_address = 3\n"), "127.0.0.1", "127.0.0.2")
    with running_transfers(server.tftp_port, "127.0.0.1", 3) as phones:
        with TftpPhone(server.tftp_port) as fourth:
            fourth.ask("file")
            assert fourth.receive(QUIET_S) is None
            with TftpPhone(server.tftp_port, "127.0.0.2") as other:
                assert other.fetch("file") == CONTENT
            finish(phones[0])
            wait_until(lambda: tftp_status(server)["transfers"] == 2)
            assert fourth.begin("file") == block(1), "there is room again"
        for phone in phones[1:]:
            finish(phone)
    assert tftp_status(server)["dropped"] == 1


def test_when_all_transfers_are_taken_one_that_nobody_acknowledged_gives_way(start_server: StartServer) -> None:
    server = with_phones(start_server(settings="[tftp]\nmax_transfers = 4\n"), "127.0.0.1", "127.0.0.2")
    port = server.tftp_port
    with (
        running_transfers(port, "127.0.0.1", 2) as busy,
        TftpPhone(port, "127.0.0.2") as older,
        TftpPhone(port, "127.0.0.2") as newer,
        TftpPhone(port) as late,
        TftpPhone(port, "127.0.0.2") as too_late,
    ):
        for phone in (older, newer):
            assert tftp_options(phone.answer("file", timeout=60)) == {"timeout": 60}
        assert late.begin("file") == block(1)
        assert tftp_status(server)["transfers"] == 4
        older.send(tftp_ack(0))
        newer.send(tftp_ack(0))
        assert newer.block(1) == block(1)
        assert older.receive(QUIET_S) is None, "the oldest gave way"
        too_late.ask("file")
        assert too_late.receive(QUIET_S) is None, "all are acknowledged, so none gives way"
        for phone in (*busy, newer, late):
            finish(phone)
    assert tftp_status(server)["dropped"] == 1


def test_a_storm_of_requests_at_once_loses_none(start_server: StartServer) -> None:
    if int(Path("/proc/sys/net/core/rmem_max").read_text()) < 1024 * 1024:
        pytest.skip("the kernel allows no receive buffer that holds a storm: sysctl net.core.rmem_max=4194304")
    addresses = [f"127.0.2.{number}" for number in range(1, 11)]
    server = with_phones(start_server(), *addresses)
    (server.tftpboot() / "small").write_bytes(CONTENT[:300])
    with ExitStack() as stack:
        phones = [stack.enter_context(TftpPhone(server.tftp_port, address)) for address in addresses * 50]
        for phone in phones:
            phone.ask("small")
        for phone in phones:
            assert phone.receive() == struct.pack("!HH", 3, 1) + CONTENT[:300]
            phone.send(tftp_ack(1))
        wait_until(lambda: tftp_status(server)["transfers"] == 0)
        status = tftp_status(server)
    assert status["complete"] == 500
    assert status.get("dropped", 0) == 0
