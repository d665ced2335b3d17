"""The HTTP door for phones: accepts connections, bounds them, and closes what takes too long.

Connections work in callbacks of the hub (see `http_connection`). One timer looks every half second for those whose
time is over, so that a slow client costs a deadline and not a timer.
"""

from __future__ import annotations

import errno
import logging
import socket
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gevent

from provd.model.address import IPNetwork, normalize_address
from provd.occasionally import Occasionally
from provd.security.networks import PhoneNetworks
from provd.serving.desk import Desk
from provd.serving.http_connection import TOO_MANY, Connection, turn_away
from provd.serving.plain import READ, PlainSocket
from provd.serving.quota import Quota
from provd.serving.request_log import RequestLog

log = logging.getLogger(__name__)

BACKLOG = 4096
"""Connections that the kernel holds until they are accepted: a boot storm must fit."""
_ACCEPTED_AT_ONCE = 256
_STRANGERS_BEGUN_AT_ONCE = 16
"""Connections from addresses that nobody knows, of those that were accepted; the others have their turn before more."""
_RECEIVE_BUFFER_BYTES = 32 * 1024
"""What one connection may make the kernel hold: some requests."""
_SWEEP_SECONDS = 0.5
_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE_IN_SHORTAGE_S = 0.1
_PROXY_TOLD_EACH_S = 600.0


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """The settings of the door; the table of settings says what each means."""

    max_connections: int = 1024
    max_connections_per_address: int = 64
    head_timeout_s: float = 10.0
    idle_timeout_s: float = 30.0
    trusted_proxies: int = 0
    networks: Sequence[IPNetwork] = ()


class HttpDoor:
    """Serves files by HTTP on the given listening sockets, plain ones, which it owns from now on.

    Whoever connects from a known phone's address comes first. When all connections are taken, the one that has waited
    longest for a request gives way; if all are busy, the new one is answered 503.
    """

    def __init__(self, listeners: Sequence[socket.socket], desk: Desk, options: HttpOptions) -> None:
        self.desk = desk
        self.draining = False
        self.counters: Counter[str] = Counter()
        self._options = options
        self._listeners = list(listeners)
        self._connections: set[Connection] = set()
        self._waiting: dict[Connection, None] = {}
        self._quota = Quota(*_limits(options))
        self.networks = PhoneNetworks(options.networks)
        self.request_log = RequestLog("http", "user_agent")
        self.addresses: list[Any] = [listener.getsockname() for listener in listeners]
        self._complaint = Occasionally()
        self._proxy_complaint = Occasionally(_PROXY_TOLD_EACH_S)
        self._strangers: deque[tuple[socket.socket, str]] = deque()
        loop = gevent.get_hub().loop
        self._rest = loop.timer(0)
        self._rest_waits = False
        self._watchers = {listener: loop.io(listener.fileno(), READ) for listener in self._listeners}
        self._sweeper = loop.timer(_SWEEP_SECONDS, repeat=_SWEEP_SECONDS)

    def start(self) -> None:
        """Begin to answer."""
        for listener, watcher in self._watchers.items():
            listener.setblocking(False)
            # The accepted ones inherit both (tcp(7)). A buffer that systemd made large is for datagrams, not for these.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
            watcher.start(self._accept, listener)
        self._sweeper.start(self._sweep)

    def stop(self, drain_s: float) -> None:
        """Accept nothing new, give running answers up to `drain_s` seconds to end, then close everything.

        Whoever connected a moment ago and has still to send a request is given a moment for it, and is answered.
        """
        self.draining = True
        for watcher in self._watchers.values():
            watcher.stop()
        while self._strangers:
            self._begin_or_close(*self._strangers.popleft())
        for connection in list(self._waiting):
            connection.hurry()
        deadline = time.monotonic() + drain_s
        while self._connections and time.monotonic() < deadline:
            gevent.sleep(0.02)
        for connection in list(self._connections):
            connection.close()
        for timer in (self._sweeper, self._rest):
            timer.stop()
            timer.close()
        for listener, watcher in self._watchers.items():
            watcher.close()
            listener.close()

    def use(self, options: HttpOptions) -> None:
        """Keep to other limits from now on; connections that are open stay so."""
        self._options = options
        self._quota.limit(*_limits(options))
        self.networks = PhoneNetworks(options.networks)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    # --- what connections need

    @property
    def idle_timeout_s(self) -> float:
        """How long a connection may wait for its next request."""
        return self._options.idle_timeout_s

    @property
    def trusted_proxies(self) -> int:
        """How many proxies stand between the phones and this server."""
        return self._options.trusted_proxies

    def not_trusted(self, peer: str) -> None:
        """Tell, now and then, of a request through a proxy, whose address all phones behind it seem to have."""
        if self._proxy_complaint.due():
            line = "a request came through a proxy that is not trusted, so it counts as the proxy's: proxy=%s advice=%r"
            log.warning(line, peer, "if the proxy is yours, see the setting http.trusted_proxies")

    def busy(self, connection: Connection) -> None:
        """A request is being answered: the connection does not give way to others."""
        self._waiting.pop(connection, None)

    def waits(self, connection: Connection) -> None:
        """The next request is awaited: the connection may give way to others."""
        self._waiting[connection] = None

    def ended(self, connection: Connection) -> None:
        """The connection is closed: others may have its place."""
        self._connections.discard(connection)
        self._waiting.pop(connection, None)
        self._quota.give_back(connection.address)

    # --- accepting

    def _accept(self, listener: socket.socket) -> None:
        """Accept what waits; whatever goes wrong, the door stays open: the hub drops a watcher that raises."""
        try:
            self._accept_some(listener)
        except Exception:
            if self._complaint.due():
                log.exception("accepting connections failed")

    def _accept_some(self, listener: socket.socket) -> None:
        """Accept many, begin with known phones, and with a few of the others, so that a flood of those delays none."""
        self._accept_all(listener)
        self._begin_strangers()

    def _accept_all(self, listener: socket.socket) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                descriptor, peer = listener._accept()  # type: ignore[attr-defined]  # `accept` makes gevent's sockets
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _SHORTAGES:
                    self._pause(listener, error)
                    return
                continue  # that client has gone already
            plain = PlainSocket(listener.family, listener.type, listener.proto, descriptor)
            plain.setblocking(False)
            address = normalize_address(str(peer[0]))
            if self._options.trusted_proxies or self.desk.knows(address):  # a proxy's connection may be any phone's
                self._begin_or_close(plain, address)
            elif len(self._strangers) < self._options.max_connections:
                self._strangers.append((plain, address))
            else:
                self._turn_away(plain, address)

    def _begin_strangers(self) -> None:
        """Begin with some of those who wait for it; the rest waits until the others have had their turn."""
        self._rest_waits = False
        for _ in range(min(_STRANGERS_BEGUN_AT_ONCE, len(self._strangers))):
            self._begin_or_close(*self._strangers.popleft())
        if self._strangers and not self._rest_waits:
            self._rest_waits = True
            self._rest.start(self._begin_strangers)

    def _pause(self, listener: socket.socket, error: OSError) -> None:
        """Wait for some descriptors to be free, instead of being woken again and again."""
        if self._complaint.due():
            log.error("no connection can be accepted: error=%s", error)
        self._watchers[listener].stop()
        gevent.spawn_later(_PAUSE_IN_SHORTAGE_S, self._resume, listener)

    def _resume(self, listener: socket.socket) -> None:
        if not self.draining:
            self._watchers[listener].start(self._accept, listener)

    def _begin_or_close(self, plain: socket.socket, address: str) -> None:
        """Begin with a connection; whatever goes wrong ends it, and nothing else."""
        try:
            self._begin(plain, address)
        except Exception:
            plain.close()
            if self._complaint.due():
                log.exception("accepting a connection failed: address=%s", address)

    def _begin(self, plain: socket.socket, address: str) -> None:
        if not self._has_room(address):
            self._turn_away(plain, address)
            return
        connection = Connection(plain, address, self, time.monotonic() + self._options.head_timeout_s)
        self._connections.add(connection)
        self._waiting[connection] = None
        self._quota.take(address)
        connection.begin()

    def _turn_away(self, plain: socket.socket, address: str) -> None:
        self.counters["dropped"] += 1
        self.request_log.refused(address, "", "", "status=503", TOO_MANY)
        turn_away(plain)

    def _has_room(self, address: str) -> bool:
        """There is room for one more connection, or one that waits gives way."""
        if not self._quota.has_room(address):
            return False
        if len(self._connections) >= self._options.max_connections:
            longest = next(iter(self._waiting), None)
            if longest is None:
                return False
            longest.close()
            self.counters["gave_way"] += 1
        return True

    def _sweep(self) -> None:
        now = time.monotonic()
        for connection in [each for each in self._connections if each.deadline <= now and each.is_overdue(now)]:
            self.counters["timed_out"] += 1
            connection.close()


def _limits(options: HttpOptions) -> tuple[int, int]:
    """The connections that an address may have, and those that all may have together."""
    per_address = options.max_connections_per_address
    if options.trusted_proxies:
        per_address = options.max_connections  # every phone's connection is a proxy's
    return per_address, options.max_connections
