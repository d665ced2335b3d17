"""Leases, told through the socket to the real server, and the phones that boot afterwards."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.clients import CONFIG, MAC, http_get, tftp_curl, user_agent
from tests.integration.hooks import OPTION_60, commit, ended, tell
from tests.integration.server import AASTRA, RunningServer, wait_until

OTHER = "00:08:5d:00:00:01"
COMPUTER = "52:54:00:00:00:01"
A, B = "127.0.0.5", "127.0.0.6"
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can send as somebody else")


@pytest.fixture
def path() -> Iterator[Path]:
    """Where the socket is: a short path, because the kernel wants that."""
    with tempfile.TemporaryDirectory(prefix="provd") as folder:
        yield Path(folder, "dhcp.sock")


@pytest.fixture
def server(start_server: Callable[..., RunningServer], path: Path) -> RunningServer:
    """A server that is told of leases."""
    return start_server(arguments=["--dhcp-socket", str(path)])


def dhcp(server: RunningServer) -> dict:
    return server.status()["doors"]["dhcp"]


def told(server: RunningServer, path: Path, *events: str, time_ns: int | None = None) -> None:
    """Tell of leases, and wait until the server has done what it had to."""
    before = len(server.log())
    for event in events:
        tell(path, event, time_ns=time_ns)
    wait_until(lambda: server.log()[before:].count(" lease: op=") == len(events), what="the end of the events")


@pytest.fixture
def talking_server(start_server: Callable[..., RunningServer], path: Path) -> RunningServer:
    """The same, and its log says what it does."""
    return start_server(arguments=["--dhcp-socket", str(path), "--log-level", "debug"])


def addresses(server: RunningServer) -> dict[str, str | None]:
    return {device["mac"]: device.get("ip") for device in server.devices()}


def test_a_phone_is_known_before_it_asks(talking_server: RunningServer, path: Path) -> None:
    server = talking_server
    told(server, path, commit(A, MAC, OPTION_60))
    (device,) = server.devices()
    assert (device["vendor"], device["model"], device["mac"], device["ip"], device["plugin"], device["configured"]) == (
        "Aastra", "6731i", MAC, A, AASTRA, True,
    )  # fmt: skip
    own_file = server.tftpboot() / "Aastra" / CONFIG
    assert own_file.exists()
    revisions = server.revisions()
    assert tftp_curl(server.tftp_port, "aastra.cfg", source=A), "by its address alone"
    assert tftp_curl(server.tftp_port, CONFIG, source=A) == own_file.read_bytes()
    assert server.revisions() == revisions
    assert f"New device created automatically from {A}: {device['id']}" in server.security_lines()[0]
    assert dhcp(server) | {"listening": [str(path)], "received": 1, "commit": 1} == dhcp(server)


def test_the_life_of_an_address(talking_server: RunningServer, path: Path) -> None:
    server = talking_server
    told(server, path, commit(A, MAC, OPTION_60), commit(B, OTHER, OPTION_60))
    assert addresses(server) == {MAC: A, OTHER: B}
    told(server, path, commit(B, MAC, OPTION_60))
    assert addresses(server) == {MAC: B, OTHER: None}
    told(server, path, ended("release", B, OTHER), ended("expiry", A))
    assert addresses(server) == {MAC: B, OTHER: None}, "not theirs any more"
    told(server, path, commit(B, COMPUTER, "06040.53"))
    assert addresses(server) == {MAC: None, OTHER: None}, "a computer has it now, which is no device"
    http_get(server.http_port, "/Aastra/aastra.cfg", source=A)
    told(server, path, ended("expiry", A))
    assert addresses(server) == {MAC: None, OTHER: None}
    assert http_get(server.http_port, "/Aastra/aastra.cfg", source=A, agent="curl").status == 404


def test_messages_that_overtake_each_other(talking_server: RunningServer, path: Path) -> None:
    server = talking_server
    now = time.monotonic_ns()
    told(server, path, commit(B, MAC, OPTION_60), time_ns=now)
    told(server, path, commit(A, MAC, OPTION_60), ended("release", B, MAC), time_ns=now - 1)
    assert addresses(server) == {MAC: B}
    assert dhcp(server)["late"] == 2


def test_many_phones_at_once(server: RunningServer, path: Path) -> None:
    count = 200

    def send(first: int) -> None:
        for number in range(first, count, 4):
            tell(path, commit(f"127.0.1.{number}", f"00:08:5d:00:01:{number:02x}", OPTION_60))

    senders = [threading.Thread(target=send, args=(first,)) for first in range(4)]
    for each in senders:
        each.start()
    for each in senders:
        each.join()
    def all_are_ready() -> bool:
        counts = server.status()["counts"]  # of one moment: while the last are made, all others are ready
        return (counts["devices"], counts["unconfigured"]) == (count, 0)

    wait_until(all_are_ready, 30)
    assert addresses(server) == {f"00:08:5d:00:01:{number:02x}": f"127.0.1.{number}" for number in range(count)}
    assert len(list((server.tftpboot() / "Aastra").glob("00085D0001*.cfg"))) == count


def test_rubbish_is_counted_and_the_next_message_is_understood(server: RunningServer, path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hook:
        for rubbish in (b"", b"\0" * 1000, b"commit", b"x" * 50_000, b"@\ncommit\n1\n2"):
            hook.sendto(rubbish, str(path))
    tell(path, commit(A, MAC, OPTION_60))
    wait_until(server.devices)
    assert (dhcp(server)["invalid"], dhcp(server)["received"]) == (5, 6)
    assert server.log().count("message about a lease is wrong") == 1


@needs_root
def test_other_users_are_not_believed_unless_the_settings_name_them(
    start_server: Callable[..., RunningServer], path: Path
) -> None:
    server = start_server(arguments=["--dhcp-socket", str(path)], settings='[dhcp]\nusers = ["daemon"]\n')
    tell(path, commit(A, OTHER, OPTION_60), uid=65534)
    tell(path, commit(B, MAC, OPTION_60), uid=1)
    wait_until(server.devices)
    assert addresses(server) == {MAC: B}
    assert dhcp(server)["refused"] == 1
    assert dhcp(server)["users"] == {"daemon": 1}
    assert "message about a lease refused: user=nobody advice='see the setting dhcp.users'" in server.log()


def test_the_integration_is_switched_off_and_on(server: RunningServer, path: Path) -> None:
    folder = server.state / "conf.d"
    folder.mkdir()

    def switch(setting: str) -> None:
        offset = len(server.log())
        (folder / "dhcp.toml").write_text(f"[general]\ndhcp_integration = {setting}\n")
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "settings read again: changed=general.dhcp_integration" in server.log()[offset:])

    switch("false")
    tell(path, commit(A, MAC, OPTION_60))
    wait_until(lambda: dhcp(server).get("ignored") == 1)
    switch("true")
    tell(path, commit(A, OTHER, OPTION_60))
    wait_until(server.devices)
    assert addresses(server) == {OTHER: A}


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_the_socket_is_there_again_after_a_restart(server: RunningServer, path: Path, end: str) -> None:
    tell(path, commit(A, MAC, OPTION_60))
    wait_until(server.devices)
    getattr(server, end)()
    server.start()
    tell(path, commit(B, MAC, OPTION_60))
    wait_until(lambda: addresses(server) == {MAC: B})


def test_what_was_read_before_the_stop_is_done(server: RunningServer, path: Path) -> None:
    for number in range(50):
        tell(path, commit(f"127.0.1.{number}", f"00:08:5d:00:01:{number:02x}", OPTION_60))
    wait_until(lambda: dhcp(server).get("received") == 50)
    assert server.stop() == 0
    assert len(server.devices()) == 50


def test_phones_and_leases_at_the_same_time_make_one_device_each(server: RunningServer, path: Path) -> None:
    def boot(number: int) -> None:
        mac, address = f"00:08:5d:00:01:{number:02x}", f"127.0.1.{number}"
        tell(path, commit(address, mac, OPTION_60))
        http_get(server.http_port, "/Aastra/aastra.cfg", source=address, agent=user_agent(mac))

    phones = [threading.Thread(target=boot, args=(number,)) for number in range(1, 31)]
    for each in phones:
        each.start()
    for each in phones:
        each.join()
    wait_until(lambda: dhcp(server).get("commit") == 30)
    assert addresses(server) == {f"00:08:5d:00:01:{number:02x}": f"127.0.1.{number}" for number in range(1, 31)}
    assert sum("New device" in line for line in server.security_lines()) == 30
