"""Five TFTP clients of other people, and one with every option, get the same bytes of files of all sizes."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.clients import (
    TftpPhone,
    assert_same,
    boot,
    tftp_ack,
    tftp_atftp,
    tftp_busybox,
    tftp_curl,
    tftp_hpa,
    tftp_options,
    tftp_tftpy,
)
from tests.integration.server import RunningServer

SIZES = (0, 1, 7, 8, 9, 63, 64, 511, 512, 513, 1024, 1427, 1428, 1429, 65463, 65464, 65465, 65536, 1024 * 1024)
ROLL_OVER_BLOCKS = 65536 + 300

TEXT = b"plain\nlone\rreturn\r\npair\n\n\0end without a line feed"
TEXT_ON_THE_WIRE = b"plain\r\nlone\r\0return\r\0\r\npair\r\n\r\n\0end without a line feed"


def content_of(size: int) -> bytes:
    """Bytes in which no block is like another."""
    return random.Random(size).randbytes(size)


@pytest.fixture(scope="module")
def files(shared_server: RunningServer) -> dict[str, bytes]:
    """The files that a known phone may ask for, by name."""
    boot(shared_server.http_port)
    contents = {f"size{size}": content_of(size) for size in SIZES}
    contents["roll-over-8"] = content_of(ROLL_OVER_BLOCKS * 8)
    contents["roll-over-64"] = content_of(ROLL_OVER_BLOCKS * 64 + 5)
    contents["roll-over-512"] = content_of(ROLL_OVER_BLOCKS * 512 + 1)
    contents["text"] = TEXT
    contents["long-text"] = b"a line\n" * 20_000
    for name, content in contents.items():
        (shared_server.tftpboot() / name).write_bytes(content)
    return contents


def with_curl(port: int, name: str, target: Path, blksize: int | None) -> None:
    options = ["--tftp-no-options"] if blksize is None else ["--tftp-blksize", str(blksize)]
    target.write_bytes(tftp_curl(port, name, *options))


def with_hpa(port: int, name: str, target: Path, _: int | None) -> None:
    tftp_hpa(port, name, target)


def with_atftp(port: int, name: str, target: Path, blksize: int | None) -> None:
    options = [] if blksize is None else [f"blksize {blksize}", "tsize", "timeout 5"]
    tftp_atftp(port, name, target, *options)


def with_atftp_windows(port: int, name: str, target: Path, blksize: int | None) -> None:
    tftp_atftp(port, name, target, f"blksize {blksize}", "windowsize 4")


def with_busybox(port: int, name: str, target: Path, blksize: int | None) -> None:
    tftp_busybox(port, name, target, blksize or 512)


def with_tftpy(port: int, name: str, target: Path, blksize: int | None) -> None:
    tftp_tftpy(port, name, target, {} if blksize is None else {"blksize": blksize, "tsize": 0})


def with_own(port: int, name: str, target: Path, blksize: int | None) -> None:
    with TftpPhone(port) as phone:
        target.write_bytes(phone.fetch(name, **({} if blksize is None else {"blksize": blksize, "tsize": 0})))


def with_own_windows(port: int, name: str, target: Path, blksize: int | None) -> None:
    with TftpPhone(port) as phone:
        options = {} if blksize is None else {"blksize": blksize}
        windowsize = 7 if (blksize or 512) < 10_000 else 2  # a window must fit into the client's receive buffer
        target.write_bytes(phone.fetch(name, **options, windowsize=windowsize, timeout=3, tsize=0))


CLIENTS: dict[str, tuple[Callable[[int, str, Path, int | None], None], tuple[int | None, ...]]] = {
    "curl": (with_curl, (None, 8, 512, 1428, 65464)),
    "tftp-hpa": (with_hpa, (None,)),
    "atftp": (with_atftp, (None, 8, 512, 1428, 65464)),
    "atftp with windows": (with_atftp_windows, (8, 1428)),
    "busybox": (with_busybox, (None, 64, 1428, 65464)),
    "tftpy": (with_tftpy, (None, 8, 1428)),
    "own": (with_own, (None, 8, 512, 1428, 65464)),
    "own with windows": (with_own_windows, (None, 8, 512, 1428, 65464)),
}
"""Each client, and the block sizes that it can ask for; None asks for nothing."""

COMBINATIONS = [(client, blksize) for client, (_, blksizes) in CLIENTS.items() for blksize in blksizes]


def sizes_for(client: str, blksize: int | None) -> list[int]:
    """The sizes that a client is tried with: it must be able to take them, and not need too many round trips."""
    asks_for_size_and_stumbles_over_none = client == "curl" and blksize is not None
    return [
        size
        for size in SIZES
        if not (size == 0 and asks_for_size_and_stumbles_over_none) and size / (blksize or 512) < 10_000
    ]


@pytest.mark.parametrize(("client", "blksize"), COMBINATIONS)
def test_every_client_gets_files_of_every_size(
    calm_server: RunningServer, files: dict[str, bytes], tmp_path: Path, client: str, blksize: int | None
) -> None:
    fetch, _ = CLIENTS[client]
    for size in sizes_for(client, blksize):
        target = tmp_path / str(size)
        target.touch()  # some clients make no file of no bytes
        fetch(calm_server.tftp_port, f"size{size}", target, blksize)
        assert_same(target.read_bytes(), files[f"size{size}"], f"size {size}")


@pytest.mark.parametrize(
    ("client", "name", "blksize"),
    [
        ("curl", "roll-over-8", 8),
        ("tftp-hpa", "roll-over-512", None),
        ("atftp with windows", "roll-over-8", 8),
        ("busybox", "roll-over-64", 64),
        ("own with windows", "roll-over-512", 512),
    ],
)
def test_the_number_of_a_block_rolls_over_in_large_files(
    calm_server: RunningServer, files: dict[str, bytes], tmp_path: Path, client: str, name: str, blksize: int | None
) -> None:
    target = tmp_path / "target"
    CLIENTS[client][0](calm_server.tftp_port, name, target, blksize)
    assert_same(target.read_bytes(), files[name])


def test_netascii_reaches_the_client_as_text_of_its_own_system(
    calm_server: RunningServer, files: dict[str, bytes], tmp_path: Path
) -> None:
    for name in ("text", "long-text"):
        tftp_hpa(calm_server.tftp_port, name, tmp_path / name, mode="netascii")
        assert (tmp_path / name).read_bytes() == files[name]


def test_netascii_is_the_same_on_the_wire_for_everybody(
    calm_server: RunningServer, files: dict[str, bytes], tmp_path: Path
) -> None:
    port = calm_server.tftp_port
    with TftpPhone(port) as phone:
        assert phone.fetch("text", "netascii") == TEXT_ON_THE_WIRE
    with TftpPhone(port) as phone:
        assert phone.fetch("text", "NetASCII", blksize=8, windowsize=3) == TEXT_ON_THE_WIRE
    assert tftp_curl(port, "text;mode=netascii") == TEXT_ON_THE_WIRE
    with TftpPhone(port) as phone:
        assert phone.fetch("long-text", "netascii") == files["long-text"].replace(b"\n", b"\r\n")


def test_the_size_told_beforehand_is_the_size_that_comes(calm_server: RunningServer, files: dict[str, bytes]) -> None:
    for name, mode in (("size0", "octet"), ("size513", "octet"), ("size1048576", "octet"), ("text", "netascii")):
        with TftpPhone(calm_server.tftp_port) as phone:
            told = tftp_options(phone.answer(name, mode, tsize=0))["tsize"]
        with TftpPhone(calm_server.tftp_port) as phone:
            assert len(phone.fetch(name, mode)) == told


def test_all_options_are_agreed_to_at_once(calm_server: RunningServer, files: dict[str, bytes]) -> None:
    with TftpPhone(calm_server.tftp_port) as phone:
        oack = phone.answer("size65536", BLKSIZE=1000, tSize=0, Timeout=60, windowSize=4)
        assert tftp_options(oack) == {"blksize": 1000, "tsize": 65536, "timeout": 60, "windowsize": 4}
        phone.send(tftp_ack(0))
        assert b"".join(phone.block(number) for number in (1, 2, 3, 4)) == files["size65536"][:4000]
        assert phone.receive(0.5) is None, "not more than a window goes out without an acknowledgement"
