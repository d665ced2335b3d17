"""Start, readiness, watchdog, inherited sockets, drain and stop, as systemd sees them."""

from __future__ import annotations

import itertools
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.clients import CONFIG, USER_AGENT, http_get, tftp_curl
from tests.integration.server import AASTRA, RunningServer, wait_until

StartServer = Callable[..., RunningServer]

# Puts the sockets where systemd puts them, and becomes the server.
ACTIVATE = """
import os, sys
count = int(sys.argv[1])
for position, descriptor in enumerate(map(int, sys.argv[2:2 + count])):
    os.dup2(descriptor, 3 + position)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(count), LISTEN_FDNAMES=sys.argv[2 + count])
os.execv(sys.executable, [sys.executable, *sys.argv[3 + count:]])
"""


class Manager:
    """The socket on which systemd hears what a service says."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self.heard: list[tuple[float, str]] = []

    def listen(self, timeout_s: float) -> None:
        """Take what is said within a time."""
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                self.heard.append((time.monotonic(), self._socket.recv(4096).decode()))
            except TimeoutError:
                return

    def hears(self, text: str, timeout_s: float = 20.0) -> None:
        """Wait until something with this text is said."""
        deadline = time.monotonic() + timeout_s
        while not any(text in said for _, said in self.heard):
            assert time.monotonic() < deadline, f"{text} was not said, but {self.heard}"
            self.listen(0.1)

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path)
    yield manager
    manager.close()


def test_readiness_is_told_after_every_door_listens(start_server: StartServer, manager: Manager) -> None:
    server = start_server(environment={"NOTIFY_SOCKET": str(manager.path)})
    manager.hears("READY=1")
    first = manager.heard[0][1]
    assert first == "READY=1\nSTATUS=0 phones, 0 transfers, 0 connections"
    log = server.log()
    assert len(re.findall("listening: door=", log)) == 3
    assert server.stop() == 0
    manager.hears("STOPPING=1")


def test_the_watchdog_is_told_that_all_is_well_while_the_doors_answer(
    start_server: StartServer, manager: Manager
) -> None:
    server = start_server(environment={"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "2000000"})
    manager.listen(4)
    times = [when for when, said in manager.heard if "WATCHDOG=1" in said]
    assert len(times) >= 3
    assert max(later - earlier for earlier, later in itertools.pairwise(times)) < 2
    doors = server.status()["doors"]
    assert doors["tftp"]["probes"] >= 3
    assert doors["http"]["probes"] >= 3
    assert doors["http"].get("requests", 0) == 0, "questions of the watchdog are no phones' requests"


def test_the_watchdog_hears_nothing_while_the_hub_is_stuck(start_server: StartServer, manager: Manager) -> None:
    server = start_server(environment={"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "1000000"})
    entry = server.plugin_folder() / "entry.py"
    source = entry.read_text()
    entry.write_text(
        source + "\n    def identify_http(self, request):\n"
        "        import time\n        end = time.monotonic() + 4\n"
        "        while 'stuck' in request.path and time.monotonic() < end:\n            pass\n"
    )
    server.stop()
    server.start()
    manager.heard.clear()
    manager.hears("WATCHDOG=1")
    with socket.create_connection(("127.0.0.1", server.http_port)) as client:
        client.sendall(b"GET /stuck HTTP/1.0\r\n\r\n")
        manager.listen(0.5)
        manager.heard.clear()
        manager.listen(2)
        assert not [said for _, said in manager.heard if "WATCHDOG" in said]
        client.settimeout(20)
        assert client.recv(100).startswith(b"HTTP/1.1 404")
    manager.hears("WATCHDOG=1")


def test_inherited_sockets_are_used_and_requests_that_waited_in_them_are_answered(
    tmp_path: Path, repository: Path, start_server: StartServer
) -> None:
    tftp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    http, admin = (socket.socket(family, socket.SOCK_STREAM) for family in (socket.AF_INET6, socket.AF_INET))
    tftp.bind(("::", 0))
    http.bind(("::", 0))
    admin.bind(("127.0.0.1", 0))
    for listener in (http, admin):
        listener.listen(16)
    tftp_port, http_port = tftp.getsockname()[1], http.getsockname()[1]
    phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    phone.settimeout(30)
    phone.sendto(b"\0\1" + CONFIG.encode() + b"\0octet\0", ("127.0.0.1", tftp_port))
    early = socket.create_connection(("127.0.0.1", http_port))
    early.settimeout(30)
    early.sendall(f"GET /Aastra/aastra.cfg HTTP/1.0\r\nUser-Agent: {USER_AGENT}\r\n\r\n".encode())

    descriptors = [each.fileno() for each in (tftp, http, admin)]
    server = start_server(
        pass_fds=descriptors,
        launcher=[sys.executable, "-c", ACTIVATE, "3", *map(str, descriptors), "tftp:http:admin"],
    )
    assert (server.tftp_port, server.http_port) == (tftp_port, http_port)
    assert early.recv(100).startswith(b"HTTP/1.1 200")
    packet, peer = phone.recvfrom(1024)
    assert struct.unpack("!HH", packet[:4]) == (3, 1)
    received = len(packet) - 4
    while len(packet) == 516:
        phone.sendto(b"\0\4" + packet[2:4], peer)
        packet, peer = phone.recvfrom(1024)
        received += len(packet) - 4
    phone.sendto(b"\0\4" + packet[2:4], peer)
    assert received == (server.tftpboot() / "Aastra" / CONFIG).stat().st_size
    for each in (tftp, http, admin, phone, early):
        each.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_running_transfer_ends_before_the_server_does(server: RunningServer, number: signal.Signals) -> None:
    http_get(server.http_port, "/Aastra/aastra.cfg")
    content = os.urandom(3000)
    (server.tftpboot() / "firmware.st").write_bytes(content)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.settimeout(10)
        phone.sendto(b"\0\1firmware.st\0octet\0", ("127.0.0.1", server.tftp_port))
        packet, peer = phone.recvfrom(1024)
        server.process.send_signal(number)
        wait_until(lambda: "stopping: transfers=1" in server.log(), 10, "the drain")
        received = packet[4:]
        while len(packet) == 516:
            phone.sendto(b"\0\4" + packet[2:4], peer)
            packet, peer = phone.recvfrom(1024)
            received += packet[4:]
        phone.sendto(b"\0\4" + packet[2:4], peer)
    assert received == content
    assert server.process.wait(20) == 0
    assert server.log().rstrip().endswith("stopped")


def test_a_large_download_ends_before_the_server_does(server: RunningServer) -> None:
    http_get(server.http_port, "/Aastra/aastra.cfg")
    content = os.urandom(8 * 1024 * 1024)
    (server.tftpboot() / "firmware.st").write_bytes(content)
    with socket.create_connection(("127.0.0.1", server.http_port)) as phone:
        phone.settimeout(20)
        phone.sendall(f"GET /firmware.st HTTP/1.0\r\nUser-Agent: {USER_AGENT}\r\n\r\n".encode())
        received = phone.recv(1000)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "stopping:" in server.log(), 10, "the drain")
        while data := phone.recv(65536):
            received += data
    assert received.partition(b"\r\n\r\n")[2] == content
    assert server.process.wait(20) == 0


def test_a_client_that_never_answers_does_not_keep_the_server_from_ending(start_server: StartServer) -> None:
    server = start_server(settings="[general]\ndrain_timeout = 1\n")
    http_get(server.http_port, "/Aastra/aastra.cfg")
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent,
        socket.create_connection(("127.0.0.1", server.http_port)) as idle,
    ):
        silent.sendto(b"\0\1aastra.cfg\0octet\0", ("127.0.0.1", server.tftp_port))
        idle.sendall(b"GET / HT")
        wait_until(lambda: server.status()["doors"]["tftp"]["transfers"] == 1, 10, "the transfer")
        assert server.stop() == 0


def test_a_hang_up_reopens_the_security_log(server: RunningServer) -> None:
    http_get(server.http_port, "/Aastra/aastra.cfg")
    rotated = server.security_file.rename(server.security_file.with_suffix(".1"))
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "security log opened again" in server.log(), 10, "the reopening")
    http_get(server.http_port, f"/Aastra/{CONFIG}")
    assert "New device" in rotated.read_text()
    assert [line.partition("] ")[2][:14] for line in server.security_lines()] == ["Sensitive file"]


def test_a_hang_up_makes_changed_templates_reach_the_phones(server: RunningServer) -> None:
    http_get(server.http_port, f"/Aastra/{CONFIG}")
    templates = server.tftpboot().parent / "templates"
    (templates / "base.tpl").write_text("mine {{ XX_mac }}")
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "templates looked at" in server.log(), 10, "the look")
    assert http_get(server.http_port, f"/Aastra/{CONFIG}").body.startswith(b"mine ")


def test_a_client_that_has_connected_and_not_asked_yet_is_answered_before_the_server_ends(
    server: RunningServer,
) -> None:
    http_get(server.http_port, "/Aastra/aastra.cfg")
    request = f"GET /Aastra/aastra.cfg HTTP/1.1\r\nHost: x\r\nUser-Agent: {USER_AGENT}\r\n\r\n".encode()
    clients = [socket.create_connection(("127.0.0.1", server.http_port)) for _ in range(3)]
    silent, late, idle = clients
    for client in clients:
        client.settimeout(10)
    idle.sendall(request)
    assert idle.recv(65536).startswith(b"HTTP/1.1 200")
    wait_until(lambda: server.status()["doors"]["http"]["connections"] == 3, 10, "the connections")
    server.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "stopping:" in server.log(), 10, "the drain")
    assert idle.recv(100) == b"", "who has had an answer is not waited for"
    late.sendall(request)
    answer = late.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"\r\nConnection: close\r\n" in answer
    assert silent.recv(100) == b""
    assert server.process.wait(5) == 0, "a silent client does not take all the time that transfers may"
    for client in clients:
        client.close()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_during_the_start_does_no_harm(server: RunningServer, number: signal.Signals) -> None:
    server.stop()
    process = subprocess.Popen(server.command, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: "provd" in Path(f"/proc/{process.pid}/maps").read_text(), 10, "the program")
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            process.send_signal(number)
            ready, _, _ = select.select([process.stderr], [], [], 0.005)
            if ready and "listening" in (line := process.stderr.readline()):
                break
            assert process.poll() is None, line if ready else number
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_phones_are_not_silently_told_that_the_server_is_where_they_are(start_server: StartServer) -> None:
    server = start_server(settings='[general]\nexternal_ip = "127.0.0.1"\n')
    assert "phones are told that this server is 127.0.0.1: set general.external_ip" in server.log()


def test_devices_without_their_files_are_told(server: RunningServer) -> None:
    (server.tftpboot().parent / "templates" / "base.tpl").write_text("{{ broken")
    assert http_get(server.http_port, f"/Aastra/{CONFIG}").status == 404
    status = server.status()
    (shown,) = status["unconfigured"]
    assert status["counts"]["unconfigured"] == 1
    assert shown["mac"] == "00:08:5d:23:74:29"
    assert "base.tpl" in shown["configure_error"]


def test_the_state_survives_a_restart(server: RunningServer) -> None:
    before = http_get(server.http_port, f"/Aastra/{CONFIG}").body
    revisions = server.revisions()
    assert server.stop() == 0
    server.start()
    assert server.status()["store"]["unchecked_devices"] == 0
    assert http_get(server.http_port, f"/Aastra/{CONFIG}").body == before
    assert [each for each in server.revisions() if each[0] != "parameters"] == [
        each for each in revisions if each[0] != "parameters"
    ]


def test_files_follow_the_server_when_phones_are_told_another_address(server: RunningServer) -> None:
    http_get(server.http_port, f"/Aastra/{CONFIG}")
    server.stop()
    (server.state / "conf.d").mkdir()
    (server.state / "conf.d" / "address.toml").write_text('[general]\nexternal_ip = "192.0.2.99"\n')
    server.start()
    assert b"http server: 192.0.2.99\n" in http_get(server.http_port, f"/Aastra/{CONFIG}").body
    wait_until(lambda: server.status()["store"]["unchecked_devices"] == 0, 20, "the check")


def test_after_a_crash_damaged_files_are_made_again_before_they_are_served(server: RunningServer) -> None:
    before = http_get(server.http_port, f"/Aastra/{CONFIG}").body
    server.kill()
    (server.tftpboot() / "Aastra" / CONFIG).write_bytes(b"")
    server.start()
    assert http_get(server.http_port, f"/Aastra/{CONFIG}").body == before
    assert tftp_curl(server.tftp_port, CONFIG) == before


def test_a_second_server_on_the_same_state_is_refused(start_server: StartServer) -> None:
    server = start_server()
    command = [*server.command, "--tftp-port=0", "--http-port=0", "--admin-port=0"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert result.returncode == 1
    assert "another xivo-provd is using this store" in result.stderr
    assert http_get(server.http_port, "/Aastra/aastra.cfg").status == 200
    assert server.devices()[0]["plugin"] == AASTRA


def test_a_signal_makes_the_server_say_what_it_is_doing(server: RunningServer) -> None:
    server.resources()
    stacks = server.log().rpartition("stacks:\n")[2]
    assert "greenlet 1: " in stacks
    assert "thread " in stacks
    assert "_write" in stacks, "the store's writer is among them"
