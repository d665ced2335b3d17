"""The door for the DHCP server's hook: whom it believes, what it counts, and that nothing keeps it from going on."""

from __future__ import annotations

import array
import os
import pwd
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import Event

from provd.model.dhcp_event import DhcpEvent
from provd.serving import dhcp
from provd.serving.dhcp import DhcpDoor, DhcpOptions, known_users, open_dhcp_socket
from provd.serving.plain import PlainSocket

from .running import until

MAC = "00:08:5d:00:00:01"
NOBODY = 65534
BAD = "192.0.2.255"
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can send as somebody else")


class Desk:
    """Remembers events, but waits with them until it may go on; fails at the bad address."""

    def __init__(self) -> None:
        self.events: list[DhcpEvent] = []
        self.at_work = 0
        self.most_at_work = 0
        self.may_go_on = Event()
        self.may_go_on.set()

    def handle(self, event: DhcpEvent) -> None:
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        try:
            self.may_go_on.wait()
            if event.ip == BAD:
                raise ValueError("unforeseen")
            self.events.append(event)
        finally:
            self.at_work -= 1

    @property
    def addresses(self) -> list[str]:
        return [event.ip for event in self.events]


class Hook:
    """Sends messages to a door, as the DHCP server's hook does."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)

    def send(self, message: bytes) -> bool:
        """Send a message without waiting; False if there is no room for it."""
        try:
            self.socket.sendto(message, self.path)
        except BlockingIOError:
            return False
        return True

    def send_as(self, uid: int, message: bytes) -> None:
        """Send a message as another user, which root may pretend to be (unix(7))."""
        credentials = array.array("i", [os.getpid(), uid, 0]).tobytes()
        ancillary = [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, credentials)]
        self.socket.sendmsg([message], ancillary, 0, self.path)

    def send_all(self, messages: list[bytes]) -> None:
        """Send messages, each as soon as there is room for it."""
        for message in messages:
            until(lambda message=message: self.send(message))


def message(number: int = 1, *more: int) -> bytes:
    """A message with a commit for each number."""
    events = [f"commit\n192.0.2.{each % 250}\n{MAC}" for each in (number, *more)]
    return "\n\n".join(events).encode()


def fill(door: DhcpDoor, hook: Hook) -> int:
    """Send until the door does not read any more and the socket is full; returns how many messages were sent."""
    sent = 0

    def is_full() -> bool:
        nonlocal sent
        while hook.send(message(sent)):
            sent += 1
        return door._is_paused

    until(is_full)
    return sent


@pytest.fixture
def desk() -> Desk:
    return Desk()


OpenDoor = Callable[..., tuple[DhcpDoor, Hook]]


@pytest.fixture
def open_door(opened: ExitStack, tmp_path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenDoor]:
    monkeypatch.chdir(tmp_path)  # a socket's path must be short

    def make(*, start: bool = True, **options: Any) -> tuple[DhcpDoor, Hook]:
        door = DhcpDoor([open_dhcp_socket("dhcp.sock")], desk, DhcpOptions(**options))
        hook = Hook(Path("dhcp.sock"))
        opened.enter_context(closing(hook.socket))
        if start:
            opened.callback(door.stop, 0)
            door.start()
        return door, hook

    yield make
    desk.may_go_on.set()


# --- messages


def test_the_events_of_a_message_reach_the_desk(open_door: OpenDoor, desk: Desk) -> None:
    door, hook = open_door()
    hook.send(b"@5\nrelease\n192.0.2.7\n\ncommit\n192.0.2.8\n0:8:5d:0:0:1\n06053.61")
    until(lambda: len(desk.events) == 2)
    assert desk.events == [
        DhcpEvent("release", "192.0.2.7", None, {}, 5),
        DhcpEvent("commit", "192.0.2.8", MAC, {60: b"Sa"}, 5),
    ]
    assert door.counters == {"received": 1}


def test_events_are_begun_in_the_order_in_which_they_came(open_door: OpenDoor, desk: Desk) -> None:
    _, hook = open_door()
    hook.send_all([message(*range(number, number + 10)) for number in range(0, 200, 10)])
    until(lambda: len(desk.events) == 200)
    assert desk.addresses == [f"192.0.2.{number}" for number in range(200)]


WRONG = [b"", b"\n\n", b"commit", b"commit\n192.0.2.7", b"steal\n192.0.2.7\n" + MAC.encode(), b"commit\n1\n2",
         b"commit\n192.0.2.7\n" + MAC.encode() + b"\n999", b"\xff\0", b"@x\n" + message(), bytes(16384),
         message() + b"\n" + b"x" * 20_000, b"\n\n".join([message()] * 65)]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
def test_a_message_that_cannot_be_read_is_counted_and_told(
    open_door: OpenDoor, desk: Desk, caplog: pytest.LogCaptureFixture, wrong: bytes
) -> None:
    door, hook = open_door()
    for _ in range(5):
        hook.send(wrong)
    hook.send(message())
    until(lambda: desk.events)
    assert (door.counters["received"], door.counters["invalid"], len(desk.events)) == (6, 5, 1)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1, "once, and not each time"
    assert lines[0].startswith(f"message about a lease is wrong: user={pwd.getpwuid(os.getuid()).pw_name} error=")
    assert len(lines[0]) < 1000
    assert "\n" not in lines[0]


def test_descriptors_that_come_with_a_message_are_not_kept(open_door: OpenDoor, desk: Desk) -> None:
    _, hook = open_door()
    before = len(os.listdir("/proc/self/fd"))
    read, write = os.pipe()
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [read, write] * 50).tobytes())]
    for _ in range(10):
        hook.socket.sendmsg([message()], rights, 0, hook.path)
    until(lambda: len(desk.events) == 10)
    os.close(read)
    os.close(write)
    assert len(os.listdir("/proc/self/fd")) == before


# --- who is believed


def test_a_socket_that_systemd_made_tells_who_sends(
    tmp_path: Path, desk: Desk, opened: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    inherited: socket.socket = PlainSocket(socket.AF_UNIX, socket.SOCK_DGRAM)
    inherited.bind("dhcp.sock")
    door = DhcpDoor([inherited], desk, DhcpOptions())
    opened.callback(door.stop, 0)
    door.start()
    hook = Hook(Path("dhcp.sock"))
    opened.enter_context(closing(hook.socket))
    hook.send(message())
    until(lambda: desk.events)


@needs_root
def test_only_root_the_own_user_and_those_of_the_settings_are_believed(
    open_door: OpenDoor, desk: Desk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    door, hook = open_door(users=["daemon", "no-such-user"])
    for number, uid in enumerate((0, 4711, pwd.getpwnam("daemon").pw_uid)):
        hook.send_as(uid, message(number))
    for number, uid in enumerate((NOBODY, NOBODY, 4712, NOBODY)):
        hook.send_as(uid, message(100 + number))
    until(lambda: door.counters["received"] == 7)
    until(lambda: len(desk.events) == 3)
    assert desk.addresses == ["192.0.2.0", "192.0.2.1", "192.0.2.2"]
    assert door.counters["refused"] == 4
    assert door.users == {"daemon": pwd.getpwnam("daemon").pw_uid, "no-such-user": None}
    assert [record.getMessage() for record in caplog.records] == [
        "message about a lease refused: user=nobody advice='see the setting dhcp.users'",
        "message about a lease refused: user=4712 advice='see the setting dhcp.users'",
    ], "once for each user"


@needs_root
def test_changed_users_count_from_the_next_message_on(open_door: OpenDoor, desk: Desk) -> None:
    door, hook = open_door()
    uid = pwd.getpwnam("daemon").pw_uid
    hook.send_as(uid, message(1))
    until(lambda: door.counters["refused"] == 1)
    door.use(DhcpOptions(users=["daemon"]))
    hook.send_as(uid, message(2))
    until(lambda: desk.events)
    door.use(DhcpOptions(users=[]))
    hook.send_as(uid, message(3))
    until(lambda: door.counters["refused"] == 2)
    assert desk.addresses == ["192.0.2.2"]


AS_NOBODY = """
import os, socket, sys
os.setgid(65534); os.setuid(65534)
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"commit\\n192.0.2.7\\n00:08:5d:00:00:01", sys.argv[1])
"""


@needs_root
def test_another_program_of_another_user_may_send_but_is_not_believed(open_door: OpenDoor, desk: Desk) -> None:
    """A real process; what it says of itself is the kernel's word."""
    door, hook = open_door()
    Path.cwd().chmod(0o755)  # it is the only folder of a relative path
    sender = subprocess.Popen([sys.executable, "-c", AS_NOBODY, hook.path])
    until(lambda: sender.poll() is not None)
    assert sender.returncode == 0, "the hook must never fail"
    until(lambda: door.counters["refused"] == 1)
    assert desk.events == []


def test_a_message_without_credentials_is_not_believed(
    open_door: OpenDoor, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    door, _ = open_door()
    door._take(message(), dhcp._sender([]))
    assert (door.counters["refused"], len(desk.events)) == (1, 0)
    assert "user=unknown" in caplog.text


def test_users_that_this_machine_does_not_have_are_known_as_such() -> None:
    assert known_users(["root", "no-such-user"]) == {"root": 0, "no-such-user": None}


# --- off


def test_while_integration_is_off_leases_are_ignored(
    open_door: OpenDoor, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    door, hook = open_door(is_on=False)
    for _ in range(3):
        hook.send(message(1, 2))
    until(lambda: door.counters["ignored"] == 6)
    assert [record.getMessage() for record in caplog.records] == [
        "leases are ignored: general.dhcp_integration is off"
    ]
    door.use(DhcpOptions(is_on=True))
    hook.send(message(3))
    until(lambda: desk.events)
    assert desk.addresses == ["192.0.2.3"]


# --- more than can be done at once


def test_only_some_events_are_worked_on_at_the_same_time(open_door: OpenDoor, desk: Desk) -> None:
    _, hook = open_door()
    desk.may_go_on.clear()
    hook.send_all([message(*range(50))] * 4)
    until(lambda: desk.at_work == 64)
    gevent.sleep(0)
    assert desk.at_work == 64
    desk.may_go_on.set()
    until(lambda: len(desk.events) == 200)
    assert desk.most_at_work == 64


def test_a_full_queue_leaves_the_rest_in_the_socket_and_nothing_is_lost(
    open_door: OpenDoor, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dhcp, "_MAX_QUEUED", 20)
    door, hook = open_door()
    desk.may_go_on.clear()
    sent = fill(door, hook)
    read = door.counters["received"]
    assert read < sent, "the rest waits"
    gevent.sleep(0.02)
    assert door.counters["received"] == read, "and is not looked at"
    assert len(door._queue) <= 20
    desk.may_go_on.set()
    until(lambda: len(desk.events) == sent)
    assert desk.addresses == [f"192.0.2.{number % 250}" for number in range(sent)]
    for number in range(100):
        until(lambda number=number: hook.send(message(number)))
    until(lambda: len(desk.events) == sent + 100)


# --- the end


@pytest.mark.parametrize("messages", [1, 4])
def test_stopping_does_what_was_read(open_door: OpenDoor, desk: Desk, messages: int) -> None:
    door, hook = open_door(start=False)
    door.start()
    desk.may_go_on.clear()
    for _ in range(messages):
        hook.send(message(*range(50)))
    until(lambda: door.counters["received"] == messages and desk.at_work == min(64, 50 * messages))
    stopping = gevent.spawn(door.stop, 10)
    gevent.sleep(0.05)
    assert not stopping.ready()
    hook.send(message(61))
    desk.may_go_on.set()
    stopping.get(timeout=10)
    assert len(desk.events) == 50 * messages
    assert door.counters["received"] == messages, "what comes now waits for the next process"


def test_stopping_while_it_is_full_does_not_read_on(
    open_door: OpenDoor, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dhcp, "_MAX_QUEUED", 20)
    door, hook = open_door(start=False)
    door.start()
    desk.may_go_on.clear()
    fill(door, hook)
    read = door.counters["received"]
    stopping = gevent.spawn(door.stop, 10)
    gevent.sleep(0)
    desk.may_go_on.set()
    stopping.get(timeout=10)
    assert (len(desk.events), door.counters["received"]) == (read, read)


def test_stopping_takes_no_longer_than_it_may(open_door: OpenDoor, desk: Desk) -> None:
    door, hook = open_door(start=False)
    door.start()
    desk.may_go_on.clear()
    hook.send(message(*range(60)))
    until(lambda: desk.at_work)
    gevent.spawn(door.stop, 0.05).get(timeout=10)
    assert (desk.at_work, desk.events) == (0, [])
    assert hook.socket.connect_ex(hook.path) != 0, "nobody reads"


def test_a_door_without_sockets_starts_and_stops(desk: Desk) -> None:
    door = DhcpDoor([], desk, DhcpOptions())
    door.start()
    door.stop(1)
    assert door.addresses == []


# --- failures


def test_an_event_that_fails_costs_only_itself(
    open_door: OpenDoor, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    door, hook = open_door()
    bad = f"commit\n{BAD}\n{MAC}\n\n".encode()
    hook.send(message(1) + b"\n\n" + bad + message(2))
    hook.send(bad + message(3))
    until(lambda: len(desk.events) == 3)
    assert desk.addresses == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    until(lambda: door.counters["failed"] == 2)
    assert caplog.text.count(f"an event of the DHCP server failed: op=commit ip={BAD} mac={MAC}") == 1, "not each time"


def test_whatever_goes_wrong_in_reading_the_door_stays_open(
    open_door: OpenDoor, desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    good, failures = dhcp.decode, []

    def bad(datagram: bytes) -> Any:
        if len(failures) < 3:
            failures.append(datagram)
            raise RuntimeError("unforeseen")
        return good(datagram)

    monkeypatch.setattr(dhcp, "decode", bad)
    _, hook = open_door()
    for number in range(6):
        hook.send(message(number))
    until(lambda: len(desk.events) == 3)
    assert caplog.text.count("receiving messages about leases failed") == 1


def test_the_socket_of_a_door_that_has_ended_is_replaced(open_door: OpenDoor, desk: Desk) -> None:
    door, _ = open_door(start=False)
    door.start()
    door.stop(0)
    _, hook = open_door()
    hook.send(message())
    until(lambda: desk.events)
