"""The phones' HTTP door: a file server for GET and HEAD, small and bounded.

A greenlet per connection, llhttp for the grammar, sendfile for large files. One sweep cuts connections whose time is
over, so that a slow client costs a deadline and not a timer.
"""

from __future__ import annotations

import errno
import logging
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gevent
from gevent.server import StreamServer

from provd.model.address import normalize_address
from provd.occasionally import Occasionally
from provd.serving.desk import Desk
from provd.serving.http_conversation import Connection, Conversation

log = logging.getLogger(__name__)

BACKLOG = 4096
"""Connections that the kernel holds until they are accepted: a boot storm must fit."""
_SWEEP_SECONDS = 0.5
_PAUSE_WITHOUT_DESCRIPTORS_S = 0.1


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """The settings of the door; the table of settings says what each means."""

    max_connections: int = 4096
    max_connections_per_address: int = 256
    head_timeout_s: float = 10.0
    idle_timeout_s: float = 15.0
    trusted_proxies: int = 0


class _Listener(StreamServer):
    """Accepts connections; when descriptors run out it says so once, and waits for some to be free."""

    _complaint = Occasionally()

    def do_read(self) -> Any:
        try:
            return super().do_read()
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                raise
            if self._complaint.due():
                log.error("no connection can be accepted: error=%s", error)
            self.stop_accepting()
            gevent.spawn_later(_PAUSE_WITHOUT_DESCRIPTORS_S, self._accept_again)
            return None

    def _accept_again(self) -> None:
        if self.started:
            self.start_accepting()


class HttpDoor:
    """Serves files by HTTP on the given listening sockets, which it owns from now on.

    When all connections are taken, the one that has waited longest for a request gives way; if all are busy, the
    new one is answered 503.
    """

    def __init__(self, listeners: Sequence[Any], desk: Desk, options: HttpOptions) -> None:
        self._desk = desk
        self._options = options
        self._listeners = list(listeners)
        self._connections: set[Connection] = set()
        self._waiting: dict[Connection, None] = {}
        self._per_address: Counter[str] = Counter()
        self.draining = False
        self.counters: Counter[str] = Counter()
        self._servers = [_Listener(listener, self._serve) for listener in self._listeners]
        self._sweeper = gevent.get_hub().loop.timer(_SWEEP_SECONDS, repeat=_SWEEP_SECONDS)

    def start(self) -> None:
        """Begin to answer."""
        for server in self._servers:
            server.start()
        self._sweeper.start(self._sweep)

    def stop(self, drain_s: float) -> None:
        """Accept nothing new, give running answers up to `drain_s` seconds to end, then close everything."""
        self.draining = True
        for server in self._servers:
            server.stop_accepting()
        for connection in list(self._waiting):
            connection.cut()
        deadline = time.monotonic() + drain_s
        while self._connections and time.monotonic() < deadline:
            gevent.sleep(0.02)
        for connection in list(self._connections):
            connection.cut()
        for server in self._servers:
            server.stop(timeout=1)
        self._sweeper.stop()
        self._sweeper.close()

    @property
    def addresses(self) -> list[Any]:
        """Where the door listens."""
        return [listener.getsockname() for listener in self._listeners]

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    # --- connections

    def _serve(self, sock: Any, peer: tuple[Any, ...]) -> None:
        """Serve one connection from its first byte to its end; whatever goes wrong ends with it."""
        address = normalize_address(str(peer[0])) if peer else "127.0.0.1"
        connection = Connection(sock, address, time.monotonic() + self._options.head_timeout_s)
        if not self._admit(connection):
            self.counters["dropped"] += 1
            self._conversation(connection).turn_away()
            return
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._conversation(connection).run()
        except OSError as error:
            log.debug("HTTP connection lost: address=%s error=%s", address, error)
        except Exception:
            log.exception("an HTTP connection failed: address=%s", address)
        finally:
            self._forget(connection)

    def _admit(self, connection: Connection) -> bool:
        if self._per_address[connection.address] >= self._options.max_connections_per_address:
            return False
        if len(self._connections) >= self._options.max_connections:
            longest = next(iter(self._waiting), None)
            if longest is None:
                return False
            del self._waiting[longest]
            longest.cut()
            self.counters["gave_way"] += 1
        self._connections.add(connection)
        self._waiting[connection] = None
        self._per_address[connection.address] += 1
        return True

    def _forget(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._waiting.pop(connection, None)
        self._per_address[connection.address] -= 1
        if not self._per_address[connection.address]:
            del self._per_address[connection.address]

    def _sweep(self) -> None:
        now = time.monotonic()
        for connection in [each for each in self._connections if each.deadline <= now]:
            self.counters["timed_out"] += 1
            connection.deadline = now + self._options.head_timeout_s
            connection.cut()

    def _conversation(self, connection: Connection) -> Conversation:
        return Conversation(
            connection,
            self,
            self._desk,
            self.counters,
            idle_timeout_s=self._options.idle_timeout_s,
            trusted_proxies=self._options.trusted_proxies,
        )

    def busy(self, connection: Connection) -> None:
        """A request is being answered: the connection does not give way to others."""
        self._waiting.pop(connection, None)

    def waits(self, connection: Connection) -> None:
        """The next request is awaited: the connection may give way to others."""
        self._waiting[connection] = None
