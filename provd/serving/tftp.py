"""The TFTP door (RFC 1350, 2347, 2348, 2349, 7440): callbacks on the hub's watchers, no greenlet per transfer.

A request that needs the store is answered by a greenlet of a bounded pool; everything else happens in callbacks.
Whatever a datagram makes the code raise ends with that datagram.
"""

from __future__ import annotations

import logging
import socket
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

import gevent
from gevent.pool import Pool

from provd.model.address import normalize_address
from provd.model.request import TftpRequest
from provd.plugins.files import OpenFile, Problem
from provd.serving.desk import Desk, Reply
from provd.serving.plain import READ
from provd.serving.tftp_session import Session
from provd.serving.tftp_sessions import Sessions
from provd.serving.udp import Datagram, SocketAddress, prepare_listener, receive, send_from_asked
from provd.wire.netascii import to_netascii
from provd.wire.tftp_options import negotiate
from provd.wire.tftp_packets import ErrorCode, MalformedPacketError, Request, encode_error, parse_request
from provd.wire.tftp_transfer import Source, Transfer

log = logging.getLogger(__name__)

PROBE_NAME = "provd-watchdog-probe"
"""A write request for this name is the watchdog's question whether the door answers."""

_DRAINED_AT_ONCE = 1024
_ANSWERED_AT_ONCE = 16
_MAX_QUEUED = 8192
"""Requests read from the kernel and not answered yet; more are dropped, and the phones ask again."""
_MAX_IDENTIFYING = 1024
"""Requests that wait for the store; more are dropped, and the phones ask again."""
_MAX_IN_MEMORY_BYTES = 64 * 1024
_SINGLE_PORT_BLKSIZE = 1428
_MAX_NETASCII_BYTES = 8 * 1024 * 1024

_ERRORS = {
    Problem.NOT_FOUND: (ErrorCode.FILE_NOT_FOUND, "no such file for this phone"),
    Problem.NO_PLUGIN: (ErrorCode.FILE_NOT_FOUND, "no plugin serves this phone"),
    Problem.DIRECTORY: (ErrorCode.ACCESS_VIOLATION, "this is a directory"),
    Problem.BAD_NAME: (ErrorCode.ACCESS_VIOLATION, "this is no file name"),
    Problem.NAME_TOO_LONG: (ErrorCode.ACCESS_VIOLATION, "the file name is too long"),
    Problem.UNAVAILABLE: (ErrorCode.UNDEFINED, "the server cannot answer now, try again"),
}


@dataclass(frozen=True, slots=True)
class TftpOptions:
    """The settings of the door; the table of settings says what each means."""

    port_range: tuple[int, int] | None = None
    single_port: bool = False
    max_transfers: int = 4096
    max_transfers_per_address: int = 256
    max_blksize: int = 65464
    max_windowsize: int = 16


class BytesSource:
    """A small file, read already."""

    __slots__ = ("_content", "size")

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size = len(content)

    def read(self, offset: int, size: int) -> bytes:
        """Bytes at `offset`."""
        return self._content[offset : offset + size]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request with where it came from and which socket it came to."""

    listener: socket.socket
    datagram: Datagram
    packet: Request

    @property
    def peer(self) -> SocketAddress:
        return self.datagram.peer


class TftpDoor:
    """Serves files by TFTP on the given sockets, which it owns from now on."""

    def __init__(self, listeners: Sequence[socket.socket], desk: Desk, options: TftpOptions) -> None:
        self._listeners = list(listeners)
        self._desk = desk
        self._options = options
        self.counters: Counter[str] = Counter()
        self._sessions = Sessions(
            max_transfers=options.max_transfers,
            port_range=options.port_range,
            single_port=options.single_port,
            counters=self.counters,
        )
        self._queue: deque[_Asked] = deque()
        self._identifying: dict[SocketAddress, str] = {}
        self._identifying_per_address: Counter[str] = Counter()
        self._pool = Pool(_MAX_IDENTIFYING)
        self._draining = False
        loop = gevent.get_hub().loop
        self._watchers = [loop.io(listener.fileno(), READ) for listener in self._listeners]
        self._rest = loop.timer(0)
        self._rest_waits = False

    def start(self) -> None:
        """Begin to answer."""
        for listener, watcher in zip(self._listeners, self._watchers, strict=True):
            prepare_listener(listener)
            watcher.start(self._readable, listener)
        self._sessions.start()

    def stop(self, drain_s: float) -> None:
        """Take no new requests, give running transfers up to `drain_s` seconds to end, then close everything."""
        deadline = time.monotonic() + drain_s
        self._draining = True
        if not self._options.single_port:
            for watcher in self._watchers:
                watcher.stop()  # what comes now waits in an inherited socket for the next process
        self._pool.join(timeout=drain_s)
        while len(self._sessions) and time.monotonic() < deadline:
            gevent.sleep(0.02)
        self._pool.kill()
        self._sessions.close()
        for watcher in self._watchers:
            watcher.stop()
            watcher.close()
        self._rest.stop()
        self._rest.close()
        for listener in self._listeners:
            listener.close()

    @property
    def addresses(self) -> list[SocketAddress]:
        """Where the door listens."""
        return [listener.getsockname() for listener in self._listeners]

    @property
    def transfers(self) -> int:
        """How many transfers are running."""
        return len(self._sessions)

    # --- datagrams in

    def _readable(self, listener: socket.socket) -> None:
        """Empty the kernel's buffer before any work is done, so that a boot storm fits into it."""
        for _ in range(_DRAINED_AT_ONCE):
            try:
                datagram = receive(listener)
            except OSError as error:
                log.debug("receiving failed: error=%s", error)
                break
            if datagram is None:
                break
            try:
                self._sort(listener, datagram)
            except Exception:
                log.exception("a TFTP datagram failed: peer=%s", datagram.peer[0])
        self._work()

    def _sort(self, listener: socket.socket, datagram: Datagram) -> None:
        """Put a request into the queue; hand anything else to the transfer it belongs to, if there is one."""
        try:
            packet = parse_request(datagram.content)
        except MalformedPacketError as error:
            self.counters["malformed"] += 1
            log.debug("malformed TFTP request: peer=%s error=%s", datagram.peer[0], error)
            return
        if packet is None:
            session = self._sessions.of_peer(datagram.peer) if self._options.single_port else None
            if session is not None:
                self._sessions.on_packet(session, datagram.content)
            else:
                self.counters["stray"] += 1
        elif len(self._queue) < _MAX_QUEUED and not self._draining:
            self._queue.append(_Asked(listener, datagram, packet))
        else:
            self.counters["dropped"] += 1

    def _work(self) -> None:
        """Answer some of the queue; the rest waits until the running transfers have had their turn."""
        self._rest_waits = False
        for _ in range(min(_ANSWERED_AT_ONCE, len(self._queue))):
            asked = self._queue.popleft()
            try:
                self._on_request(asked)
            except Exception:
                log.exception("a TFTP request failed: peer=%s name=%r", asked.peer[0], asked.packet.name)
        if self._queue and not self._rest_waits:
            self._rest_waits = True
            self._rest.start(self._work)

    # --- requests

    def _on_request(self, asked: _Asked) -> None:
        if asked.packet.is_write:
            self.counters["probes" if asked.packet.name == PROBE_NAME else "refused"] += 1
            self._refuse(asked, ErrorCode.ACCESS_VIOLATION, "files can only be read")
        elif asked.packet.mode not in ("octet", "netascii"):
            self.counters["refused"] += 1
            self._refuse(asked, ErrorCode.ILLEGAL_OPERATION, "the mode must be octet or netascii")
        elif self._is_repeated(asked):
            self.counters["repeated"] += 1
        else:
            self._identify(asked)

    def _is_repeated(self, asked: _Asked) -> bool:
        """Tell whether the client only asks again for what is being answered; otherwise it has given that up."""
        session = self._sessions.of_peer(asked.peer)
        if session is not None:
            if session.is_repeated_by(asked.packet):
                return True
            self._sessions.end(session, "given up for a new request")
        return asked.peer in self._identifying

    def _identify(self, asked: _Asked) -> None:
        self.counters["requests"] += 1
        address = normalize_address(str(asked.peer[0]))
        if self._is_busy_with(address):
            self.counters["dropped"] += 1
            log.debug("too many TFTP transfers: address=%s", address)
            return
        packet = asked.packet
        request = TftpRequest(address, packet.name.lstrip("/"), packet.mode, packet.options)
        reply = self._desk.quick(request)
        if reply is not None:
            self._answer(asked, address, reply)
        elif self._pool.full():
            self.counters["dropped"] += 1
        else:
            self._identifying[asked.peer] = address
            self._identifying_per_address[address] += 1
            self._pool.spawn(self._identify_slowly, asked, request)

    def _is_busy_with(self, address: str) -> bool:
        count = self._sessions.count_of(address) + self._identifying_per_address[address]
        return count >= self._options.max_transfers_per_address

    def _identify_slowly(self, asked: _Asked, request: TftpRequest) -> None:
        try:
            self._answer(asked, request.address, self._desk.handle(request))
        except Exception:
            log.exception("a TFTP request failed: address=%s path=%r", request.address, request.path)
        finally:
            del self._identifying[asked.peer]
            self._identifying_per_address[request.address] -= 1
            if not self._identifying_per_address[request.address]:
                del self._identifying_per_address[request.address]

    # --- answers

    def _answer(self, asked: _Asked, address: str, reply: Reply) -> None:
        if isinstance(reply, Problem):
            self.counters["refused"] += 1
            self._refuse(asked, *_ERRORS[reply])
            return
        try:
            source, file = _source_of(reply, asked.packet.mode)
        except OSError as error:
            reply.close()
            log.error("a file cannot be sent: path=%r error=%s", reply.path, error)
            self._refuse(asked, ErrorCode.UNDEFINED, "the file cannot be sent")
            return
        options = negotiate(asked.packet.options, source.size, *self._largest())
        session = Session(asked.peer, address, asked.packet, Transfer(source, options), file)
        self._sessions.begin(asked.listener, asked.peer, asked.datagram.asked, session)

    def _largest(self) -> tuple[int, int]:
        """The largest block and window: small ones on the shared port, where acknowledgements can be forged blindly."""
        if self._options.single_port:
            return min(self._options.max_blksize, _SINGLE_PORT_BLKSIZE), 1
        return self._options.max_blksize, self._options.max_windowsize

    def _refuse(self, asked: _Asked, code: ErrorCode, message: str) -> None:
        try:
            send_from_asked(asked.listener, encode_error(code, message), asked.peer, asked.datagram.asked)
        except OSError as error:
            log.debug("sending failed: peer=%s error=%s", asked.peer[0], error)


def _source_of(file: OpenFile, mode: str) -> tuple[Source, OpenFile | None]:
    """The bytes to send, and the file if it has to stay open for them.

    Raises:
        OSError: the file cannot be read.
    """
    if mode == "netascii":
        if file.size > _MAX_NETASCII_BYTES:
            raise OSError("too large for netascii")
        content = to_netascii(file.read_all())
    elif file.size <= _MAX_IN_MEMORY_BYTES:
        content = file.read_all()
    else:
        return file, file
    file.close()
    return BytesSource(content), None
