"""The TFTP door and requests that cannot be served, or not as they were meant."""

from __future__ import annotations

import os
import random
import struct

import pytest

from tests.integration.clients import TftpPhone, boot, tftp_ack, tftp_options, tftp_request
from tests.integration.server import RunningServer

CONTENT = random.Random(5).randbytes(3000)
LARGE = random.Random(6).randbytes(300_000)
SECRET = b"kept outside the phones' files"


@pytest.fixture
def server(calm_server: RunningServer) -> RunningServer:
    """The module's server, where 127.0.0.1 is a known phone, with files that it may have and one that it may not."""
    tftpboot = calm_server.tftpboot()
    if not (tftpboot / "file").exists():
        boot(calm_server.http_port)
        outside = tftpboot.parent / "tftpboot-evil"
        outside.mkdir()
        (outside / "x").write_bytes(SECRET)
        (tftpboot / "file").write_bytes(CONTENT)
        (tftpboot / "link-outside").symlink_to(outside / "x")
        (tftpboot / "link-inside").symlink_to("file")
        (tftpboot / ".hidden").write_bytes(SECRET)
        os.mkfifo(tftpboot / "fifo")
    (tftpboot / "large").write_bytes(LARGE)
    return calm_server


def error_code(packet: bytes | None) -> int:
    """The code of an error packet, which ends with a zero byte as RFC 1350 wants it."""
    assert packet is not None
    assert packet[:2] == b"\0\5", packet[:100]
    assert packet.endswith(b"\0")
    assert packet[4:-1].decode("ascii").isprintable()
    return packet[3]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nothing", 1),
        ("Aastra/nothing.cfg", 1),
        ("file/below", 1),
        ("FILE", 1),
        (".hidden", 1),
        ("fifo", 1),
        ("link-outside", 1),
        ("", 2),
        ("/", 2),
        ("Aastra", 2),
        ("Aastra/", 2),
        ("./", 2),
        pytest.param("n" * 256, 2, id="256 letters"),
        pytest.param("d/" * 480 + "n", 1, id="480 folders"),
        pytest.param("n" * 980, 2, id="980 letters"),
    ],
)
def test_the_code_of_an_error_says_what_is_wrong(server: RunningServer, name: str, code: int) -> None:
    with TftpPhone(server.tftp_port) as phone:
        assert error_code(phone.answer(name)) == code
        assert error_code(phone.answer(name, "netascii", blksize=1024, tsize=0)) == code


@pytest.mark.parametrize(
    "name",
    [
        "../tftpboot-evil/x",
        "/../tftpboot-evil/x",
        "//../tftpboot-evil/x",
        "./../tftpboot-evil/x",
        ".//..//tftpboot-evil//x",
        "Aastra/../../tftpboot-evil/x",
        "nothing/../../tftpboot-evil/x",
        "../tftpboot/file",
        "../../plugin.toml",
        "..",
        "../",
        "/..",
        "Aastra/..",
        pytest.param("../" * 300 + "etc/passwd", id="300 times upwards"),
    ],
)
def test_names_with_dots_that_lead_upwards_are_refused(server: RunningServer, name: str) -> None:
    with TftpPhone(server.tftp_port) as phone:
        assert error_code(phone.answer(name)) == 2


@pytest.mark.parametrize(
    "name",
    [
        "..\\tftpboot-evil\\x",
        "\\..\\tftpboot-evil\\x",
        "%2e%2e/tftpboot-evil/x",
        "..%2ftftpboot-evil%2fx",
        "%252e%252e/tftpboot-evil/x",
        "..;/tftpboot-evil/x",
        ".../tftpboot-evil/x",
        "..../tftpboot-evil/x",
        ".. /tftpboot-evil/x",
        "-evil/x",
        "C:\\tftpboot-evil\\x",
        "/etc/passwd",
        "file:///etc/passwd",
        "tftpboot-evil/x",
        "~/x",
        "file\n",
        "file ",
    ],
)
def test_names_that_lead_upwards_in_other_systems_are_names_of_nothing(server: RunningServer, name: str) -> None:
    with TftpPhone(server.tftp_port) as phone:
        assert error_code(phone.answer(name)) == 1


@pytest.mark.parametrize("name", [b"f\xc3\xa9", b"f\xe9", b"\xff\xfe", b"\xc0\xae\xc0\xae/tftpboot-evil/x"])
def test_names_beyond_ascii_get_an_error_or_nothing(server: RunningServer, name: bytes) -> None:
    with TftpPhone(server.tftp_port) as phone:
        phone.ask(name)
        answer = phone.receive(0.3)
        assert answer is None or error_code(answer) in (0, 1, 2)


@pytest.mark.parametrize("name", ["file", "/file", "///file", "./file", "/./file", ".//./file", "link-inside"])
def test_names_that_mean_a_file_get_it(server: RunningServer, name: str) -> None:
    with TftpPhone(server.tftp_port) as phone:
        assert phone.fetch(name) == CONTENT


@pytest.mark.parametrize("mode", ["mail", "binary", "", "octets", "o", pytest.param("x" * 500, id="long")])
def test_unknown_modes_are_refused(server: RunningServer, mode: str) -> None:
    with TftpPhone(server.tftp_port) as phone:
        assert error_code(phone.answer("file", mode)) == 4


@pytest.mark.parametrize("mode", ["octet", "OCTET", "OcTeT"])
def test_modes_are_known_in_any_case(server: RunningServer, mode: str) -> None:
    with TftpPhone(server.tftp_port) as phone:
        assert phone.fetch("file", mode) == CONTENT


def test_a_stranger_gets_error_1_for_every_name(server: RunningServer) -> None:
    with TftpPhone(server.tftp_port, "127.0.0.99") as phone:
        for name in ("file", "large", "nothing", "Aastra", "Aastra/aastra.cfg"):
            assert error_code(phone.answer(name)) == 1


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("blksize", "7"), ("blksize", "0"), ("blksize", "-8"), ("blksize", "+512"), ("blksize", " 512"),
        ("blksize", "5e2"), ("blksize", "0x200"), pytest.param("blksize", "9" * 300, id="blksize-long"),
        ("blksize", "big"), ("blksize", "512\n"),
        ("tsize", "x"), ("tsize", "-1"), ("tsize", "1.5"),
        ("timeout", "0"), ("timeout", "256"), ("timeout", "-1"), ("timeout", "99999999999999999999"),
        ("windowsize", "0"), ("windowsize", "65536"), ("windowsize", "-1"), ("windowsize", "two"),
        ("multicast", "1"), ("utimeout", "1000"), ("%s%n", "%s%n"), pytest.param("b" * 200, "1", id="long-1"),
    ],
)  # fmt: skip
def test_an_option_that_cannot_be_had_is_left_out(server: RunningServer, option: str, value: str) -> None:
    with TftpPhone(server.tftp_port) as phone:
        assert phone.answer("file", **{option: value}) == struct.pack("!HH", 3, 1) + CONTENT[:512]
        phone.ask("large", **{option: value, "tsize" if option != "tsize" else "blksize": "1000"})
        assert option not in tftp_options(phone.receive())


@pytest.mark.parametrize(
    ("asked", "agreed"),
    [
        ({"blksize": 8}, {"blksize": 8}),
        ({"blksize": 65464}, {"blksize": 65464}),
        ({"blksize": 65465}, {"blksize": 65464}),
        ({"blksize": "000001024"}, {"blksize": 1024}),
        ({"timeout": 1}, {"timeout": 1}),
        ({"timeout": 255}, {"timeout": 255}),
        ({"tsize": 0}, {"tsize": 3000}),
        ({"tsize": 77}, {"tsize": 3000}),
        ({"windowsize": 16}, {"windowsize": 16}),
        ({"windowsize": 65535}, {"windowsize": 16}),
        ({"blksize": 600, "BLKSIZE": 700}, {"blksize": 700}),
    ],
)
def test_options_are_agreed_to_within_limits(server: RunningServer, asked: dict, agreed: dict[str, int]) -> None:
    with TftpPhone(server.tftp_port) as phone:
        assert tftp_options(phone.answer("file", **asked)) == agreed


BEHIND_THE_MODE = {
    "zero": b"\0",
    "zeros": b"\0" * 400,
    "empty value": b"tsize\0\0",
    "empty value of an unknown option": b"multicast\0\0",
    "rubbish": b"\xa5" * 400,
    "name without end": b"tsize",
    "name without value": b"tsize\0",
    "value without end": b"tsize\0" b"0",
    "name beyond ASCII": b"blks\xedze\0" b"512\0",
}


@pytest.mark.parametrize("rest", BEHIND_THE_MODE.values(), ids=BEHIND_THE_MODE)
def test_a_request_is_served_whatever_stands_behind_its_mode(server: RunningServer, rest: bytes) -> None:
    """Old clients send a block of fixed length, padded with what was there; an empty value is a value (RFC 2347)."""
    with TftpPhone(server.tftp_port) as phone:
        phone.send(tftp_request("file") + rest, phone.server)
        with TftpPhone(server.tftp_port) as other:
            assert other.fetch("file") == CONTENT, "so the request before was seen"
        answer = phone.receive(0.1)
        assert answer is not None
        assert answer[1] in (3, 6)


def test_a_file_that_shrinks_during_a_transfer_ends_it_with_an_error(server: RunningServer) -> None:
    with TftpPhone(server.tftp_port) as phone:
        assert phone.begin("large") == LARGE[:512]
        os.truncate(server.tftpboot() / "large", 700)
        phone.send(tftp_ack(1))
        assert error_code(phone.receive()) == 0


@pytest.mark.parametrize("change", ["vanishes", "is replaced", "grows"])
def test_a_transfer_that_has_begun_sends_the_file_as_it_was(server: RunningServer, change: str) -> None:
    path = server.tftpboot() / "large"
    with TftpPhone(server.tftp_port) as phone:
        received = [phone.begin("large")]
        if change == "vanishes":
            path.unlink()
        elif change == "is replaced":
            path.with_name("new").write_bytes(b"new" * 100_000)
            path.with_name("new").rename(path)
        else:
            with path.open("ab") as file:
                file.write(b"more" * 1000)
        while len(received[-1]) == 512:
            phone.send(tftp_ack(len(received)))
            received.append(phone.block(len(received) + 1))
        phone.send(tftp_ack(len(received)))
    assert b"".join(received) == LARGE
