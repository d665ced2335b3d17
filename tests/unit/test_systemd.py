"""What systemd gives a service, and what the service tells it."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from provd import systemd
from provd.systemd import Notifier, inherited_descriptors, watchdog_interval_s

US = str(os.getpid())


@pytest.fixture
def descriptors(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Three inheritable descriptors in a row, in the place of 3, 4 and 5."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        copies = [fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD, 500)]
        copies += [fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD, copies[0] + number) for number in (1, 2)]
    assert copies == list(range(copies[0], copies[0] + 3))
    monkeypatch.setattr(systemd, "_FIRST_DESCRIPTOR", copies[0])
    yield copies
    for copy in copies:
        os.close(copy)


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Where systemd reads what services tell it."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        yield sock


# --- sockets


def test_without_systemd_nothing_is_inherited() -> None:
    assert inherited_descriptors({}) == []


def test_inherited_sockets_have_their_names(descriptors: list[int]) -> None:
    environment = {"LISTEN_PID": US, "LISTEN_FDS": "3", "LISTEN_FDNAMES": "tftp:http:admin"}
    assert inherited_descriptors(environment) == list(zip(["tftp", "http", "admin"], descriptors, strict=True))


@pytest.mark.parametrize(
    ("names", "expected"),
    [({}, ["", ""]), ({"LISTEN_FDNAMES": ""}, ["", ""]), ({"LISTEN_FDNAMES": "tftp"}, ["tftp", ""])],
)
def test_inherited_sockets_may_lack_names(descriptors: list[int], names: dict[str, str], expected: list[str]) -> None:
    environment = {"LISTEN_PID": US, "LISTEN_FDS": "2", **names}
    assert inherited_descriptors(environment) == list(zip(expected, descriptors[:2], strict=True))


def test_inherited_sockets_go_to_no_child_process(descriptors: list[int]) -> None:
    assert all(os.get_inheritable(descriptor) for descriptor in descriptors)
    environment = {"LISTEN_PID": US, "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b", "PATH": "/bin"}
    inherited_descriptors(environment)
    assert [os.get_inheritable(descriptor) for descriptor in descriptors] == [False, False, True]
    assert environment == {"PATH": "/bin"}


@pytest.mark.parametrize(
    "environment",
    [
        {"LISTEN_PID": "1", "LISTEN_FDS": "2"},
        {"LISTEN_PID": "", "LISTEN_FDS": "2"},
        {"LISTEN_FDS": "2"},
        {"LISTEN_PID": US},
        {"LISTEN_PID": US, "LISTEN_FDS": ""},
        {"LISTEN_PID": US, "LISTEN_FDS": "-1"},
        {"LISTEN_PID": US, "LISTEN_FDS": "two"},
        {"LISTEN_PID": US, "LISTEN_FDS": "0"},
    ],
)
def test_what_is_meant_for_another_process_is_not_inherited(environment: dict[str, str]) -> None:
    assert inherited_descriptors(environment) == []
    assert environment == {}


def test_a_number_that_is_none_is_ignored() -> None:
    assert inherited_descriptors({"LISTEN_PID": US, "LISTEN_FDS": "²"}) == []
    assert watchdog_interval_s({"WATCHDOG_USEC": "²"}) is None


def test_the_first_inherited_descriptor_is_3() -> None:
    code = (
        "import os; from provd.systemd import inherited_descriptors as inherited; "
        "print(inherited({'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '2', 'LISTEN_FDNAMES': 'tftp:http'}))"
    )
    command = ["sh", "-c", 'exec "$0" "$@" 3</dev/null 4</dev/null', sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert result.stdout == "[('tftp', 3), ('http', 4)]\n"


# --- watchdog


@pytest.mark.parametrize(
    ("environment", "interval"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": US}, 0.5),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": ""}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": ""}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_how_often_the_watchdog_wants_to_hear(environment: dict[str, str], interval: float | None) -> None:
    assert watchdog_interval_s(environment) == interval


# --- notifications


def test_what_systemd_is_told(inbox: socket.socket) -> None:
    notifier = Notifier()
    notifier.ready("2 devices")
    notifier.status("3 devices")
    notifier.alive()
    notifier.stopping()
    notifier.stopping(12.5)
    assert [inbox.recv(200) for _ in range(5)] == [
        b"READY=1\nSTATUS=2 devices",
        b"STATUS=3 devices",
        b"WATCHDOG=1",
        b"STOPPING=1\nSTATUS=stopping",
        b"STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=12500000",
    ]


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notifier = Notifier()
    notifier.ready("2 devices")
    notifier.alive()
    notifier.stopping()


def test_a_systemd_that_does_not_read_does_no_harm(inbox: socket.socket) -> None:
    notifier = Notifier()
    inbox.close()
    notifier.alive()
