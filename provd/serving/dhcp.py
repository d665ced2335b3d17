"""The door for the DHCP server's hook: a Unix datagram socket that takes messages about leases.

The kernel says who sent a message (SCM_CREDENTIALS, unix(7)); only root, the server's own user and those of the
settings are believed, so that no other program on this machine can change devices. What comes while the server is
restarted waits in the socket.
"""

from __future__ import annotations

import logging
import os
import pwd
import socket
import stat
import struct
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import gevent
from gevent.pool import Pool
from gevent.queue import Queue

from provd.errors import InvalidValueError
from provd.model.dhcp_event import DhcpEvent
from provd.occasionally import OccasionallyForEach
from provd.serving.plain import READ, PlainSocket
from provd.wire.dhcp_message import MAX_SIZE, decode

log = logging.getLogger(__name__)

SOCKET_MODE = 0o666
"""Everybody may send: who is believed is decided by the sender's credentials."""

_CREDENTIALS = struct.Struct("3i")
"""struct ucred: process, user, group."""
_ROOT = 0
_READ_AT_ONCE = 256
_MAX_QUEUED = 8192
"""Events that were read and wait for their turn; when there are more, the rest waits in the socket."""
_AT_THE_SAME_TIME = 64
"""Events that are worked on at the same time, so that the store can commit many of them at once."""


class LeaseDesk(Protocol):
    """Takes events of the DHCP server."""

    def handle(self, event: DhcpEvent) -> None:
        """Do what an event asks for; may wait for the store."""


@dataclass(frozen=True, slots=True)
class DhcpOptions:
    """The settings of the door; the table of settings says what each means."""

    is_on: bool = True
    users: Sequence[str] = ()


class DhcpDoor:
    """Takes messages from the given sockets, plain ones, which it owns from now on."""

    def __init__(self, sockets: Sequence[socket.socket], desk: LeaseDesk, options: DhcpOptions) -> None:
        self._sockets = list(sockets)
        self._desk = desk
        self.counters: Counter[str] = Counter()
        self.addresses: list[Any] = [each.getsockname() for each in sockets]
        self._queue: Queue[DhcpEvent] = Queue()
        self._pool = Pool(_AT_THE_SAME_TIME)
        self._complaint = OccasionallyForEach()
        loop = gevent.get_hub().loop
        self._watchers = [loop.io(each.fileno(), READ) for each in self._sockets]
        self._is_paused = False
        self._worker: gevent.Greenlet[[], None] | None = None
        self.use(options)

    def start(self) -> None:
        """Begin to read."""
        for each in self._sockets:
            each.setblocking(False)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        if self._sockets:
            self._worker = gevent.spawn(self._work)
        self._watch()

    def stop(self, drain_s: float) -> None:
        """Read no more, and give what was read up to `drain_s` seconds to be done."""
        deadline = time.monotonic() + drain_s
        for watcher in self._watchers:
            watcher.stop()
        self._is_paused = False
        while (len(self._queue) or len(self._pool)) and time.monotonic() < deadline:
            gevent.sleep(0.02)
        if self._worker is not None:
            self._worker.kill()
        self._pool.kill()
        for each, watcher in zip(self._sockets, self._watchers, strict=True):
            watcher.close()
            each.close()

    def use(self, options: DhcpOptions) -> None:
        """Keep to other settings from now on."""
        self._options = options
        self._is_on = options.is_on
        self.users = known_users(options.users)
        self._believed = {_ROOT, os.getuid(), *(uid for uid in self.users.values() if uid is not None)}

    # --- messages in

    def _watch(self) -> None:
        for each, watcher in zip(self._sockets, self._watchers, strict=True):
            watcher.start(self._readable, each)

    def _readable(self, plain: socket.socket) -> None:
        """Take what has come; whatever goes wrong, the door stays open: the hub drops a watcher that raises."""
        try:
            self._read_some(plain)
        except Exception:
            if self._complaint.due("failure"):
                log.exception("receiving messages about leases failed")

    def _read_some(self, plain: socket.socket) -> None:
        for _ in range(_READ_AT_ONCE):
            if len(self._queue) >= _MAX_QUEUED:
                self._is_paused = True
                for watcher in self._watchers:
                    watcher.stop()
                return
            try:
                datagram, ancillary, _, _ = plain.recvmsg(MAX_SIZE + 1, socket.CMSG_SPACE(_CREDENTIALS.size))
            except BlockingIOError:
                return
            self._take(datagram, _sender(ancillary))

    def _take(self, datagram: bytes, uid: int | None) -> None:
        """Put the events of a message into the queue, if its sender is believed and it can be read."""
        self.counters["received"] += 1
        if uid not in self._believed and not self._is_believed_now(uid):
            self.counters["refused"] += 1
            return
        try:
            events = decode(datagram)
        except InvalidValueError as error:
            self.counters["invalid"] += 1
            if self._complaint.due(f"invalid {uid}"):
                log.warning("message about a lease is wrong: user=%s error=%s", _name_of(uid), error)
            return
        if not self._is_on:
            self.counters["ignored"] += len(events)
            if self._complaint.due("off"):
                log.warning("leases are ignored: general.dhcp_integration is off")
            return
        for event in events:
            self._queue.put_nowait(event)

    def _is_believed_now(self, uid: int | None) -> bool:
        """Look again, but not with each message: a user may have come with a package since. Otherwise tell of it."""
        if not self._complaint.due(f"user {uid}"):
            return False
        self.use(self._options)
        if uid in self._believed:
            return True
        log.warning("message about a lease refused: user=%s advice='see the setting dhcp.users'", _name_of(uid))
        return False

    # --- events

    def _work(self) -> None:
        while True:
            event = self._queue.get()
            self._pool.spawn(self._handle, event)  # waits while all places are taken
            if self._is_paused and len(self._queue) < _MAX_QUEUED // 2:
                self._is_paused = False
                self._watch()

    def _handle(self, event: DhcpEvent) -> None:
        try:
            self._desk.handle(event)
        except Exception:
            self.counters["failed"] += 1
            if self._complaint.due("event"):
                log.exception("an event of the DHCP server failed: op=%s ip=%s mac=%s", event.op, event.ip, event.mac)


def open_dhcp_socket(path: str) -> socket.socket:
    """A plain socket at a path, in place of one that was left there.

    Raises:
        OSError: it cannot be made.
    """
    plain: socket.socket = PlainSocket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        _remove_left_socket(path)
        plain.bind(path)
        os.chmod(path, SOCKET_MODE)
    except OSError:
        plain.close()
        raise
    return plain


def known_users(names: Sequence[str]) -> Mapping[str, int | None]:
    """The number of each user; None for one that this machine does not have."""
    found: dict[str, int | None] = {}
    for name in names:
        try:
            found[name] = pwd.getpwnam(name).pw_uid
        except KeyError:
            found[name] = None
    return found


def _remove_left_socket(path: str) -> None:
    """Remove a socket that nobody reads from; another program's stays, and so does a file of any other kind."""
    try:
        with PlainSocket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            probe.connect(path)
    except ConnectionRefusedError:
        if stat.S_ISSOCK(os.stat(path).st_mode):
            os.unlink(path)
    except OSError:
        pass  # nothing there, or what binding will complain about


def _sender(ancillary: Sequence[tuple[int, int, bytes]]) -> int | None:
    """The user that the kernel says sent a message."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS) and len(data) >= _CREDENTIALS.size:
            return int(_CREDENTIALS.unpack_from(data)[1])
    return None


def _name_of(uid: int | None) -> str:
    try:
        return "unknown" if uid is None else pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
