"""The TFTP door (RFC 1350, 2347, 2348, 2349, 7440): callbacks on the hub's watchers, no greenlet per transfer.

A request that needs the store is answered by a greenlet of a bounded pool; everything else happens in callbacks.
Whatever a datagram makes the code raise ends with that datagram.
"""

from __future__ import annotations

import logging
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import gevent
from gevent.pool import Pool

from provd.model.address import IPNetwork, is_ipv6, is_same_machine, normalize_address
from provd.model.decision import Decision
from provd.model.request import TftpRequest
from provd.occasionally import Occasionally
from provd.plugins.files import OpenFile, Problem
from provd.security.networks import PhoneNetworks
from provd.serving.desk import Desk, Reply
from provd.serving.plain import READ
from provd.serving.quota import Quota
from provd.serving.request_log import RequestLog
from provd.serving.tftp_queue import RequestQueue
from provd.serving.tftp_session import Session
from provd.serving.tftp_sessions import Sessions
from provd.serving.udp import Datagram, SocketAddress, prepare_listener, receive, send_from_asked
from provd.wire.netascii import to_netascii
from provd.wire.tftp_options import negotiate
from provd.wire.tftp_packets import (
    ErrorCode,
    MalformedPacketError,
    Request,
    encode_error,
    is_request,
    parse_request,
)
from provd.wire.tftp_transfer import Source, Transfer

log = logging.getLogger(__name__)

PROBE_NAME = "provd-watchdog-probe"
"""A write request for this name is the watchdog's question whether the door answers."""

_DRAINED_AT_ONCE = 1024
"""Datagrams that are read before any is answered, so that a boot storm does not overflow the kernel's buffer."""
_ANSWERED_AT_ONCE = 16
_FLOOD = 2048
"""When more requests wait, they are no boot storm: few are answered at once, so that running transfers go on."""
_ANSWERED_AT_ONCE_IN_FLOOD = 4
_MAX_IDENTIFYING = 1024
"""Requests that wait for the store; more are dropped, and the phones ask again."""
_MAX_IN_MEMORY_BYTES = 64 * 1024
_SINGLE_PORT_BLKSIZE = 1428
_IPV6_BLKSIZE = 1228
"""A block fits, with 52 bytes of headers, into what every IPv6 path lets through (RFC 8200 section 5).

No router makes fragments of larger ones, what routers say of them is often filtered, and so are the fragments that the
kernel makes. DNS servers have come to the same limit.
"""
_MAX_NETASCII_BYTES = 256 * 1024
"""Text is converted as a whole, and kept until the transfer ends; no phone's text is as long."""

_ERRORS = {
    Problem.NOT_FOUND: (ErrorCode.FILE_NOT_FOUND, "no such file for this phone"),
    Problem.NOT_CONFIGURED: (ErrorCode.FILE_NOT_FOUND, "this phone could not be configured"),
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
    networks: Sequence[IPNetwork] = ()


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
    """A request, where it came from (`address` in stored form), and which socket it came to."""

    listener: socket.socket
    datagram: Datagram
    address: str
    packet: Request

    @property
    def peer(self) -> SocketAddress:
        return self.datagram.peer

    @property
    def is_from_here(self) -> bool:
        """It comes from this machine, as the watchdog's questions do."""
        return is_same_machine(self.address, self.listener.getsockname()[0])


class TftpDoor:
    """Serves files by TFTP on the given sockets, which it owns from now on."""

    def __init__(self, listeners: Sequence[socket.socket], desk: Desk, options: TftpOptions) -> None:
        self._listeners = list(listeners)
        self._desk = desk
        self._options = options
        self.counters: Counter[str] = Counter()
        self.addresses: list[SocketAddress] = [listener.getsockname() for listener in listeners]
        self._quota = Quota(options.max_transfers_per_address, options.max_transfers)
        self._sessions = Sessions(
            max_transfers=options.max_transfers,
            port_range=options.port_range,
            single_port=options.single_port,
            counters=self.counters,
            quota=self._quota,
        )
        self._networks = PhoneNetworks(options.networks)
        self._request_log = RequestLog("tftp", "mode")
        self._complaint = Occasionally()
        self._queue: RequestQueue[tuple[socket.socket, Datagram]] = RequestQueue()
        self._identifying: set[SocketAddress] = set()
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
        """Take no new requests, give those that were taken up to `drain_s` seconds to end, then close everything."""
        deadline = time.monotonic() + drain_s
        self._draining = True
        if not self._options.single_port:
            for watcher in self._watchers:
                watcher.stop()  # what comes now waits in an inherited socket for the next process
        while (self._queue or len(self._pool) or len(self._sessions)) and time.monotonic() < deadline:
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

    def use(self, options: TftpOptions) -> None:
        """Keep to other limits from now on; what is running goes on as it began.

        The ports of transfers stay what they were when the door was made.
        """
        self._options = replace(options, port_range=self._options.port_range, single_port=self._options.single_port)
        self._quota.limit(options.max_transfers_per_address, options.max_transfers)
        self._sessions.limit(options.max_transfers)
        self._networks = PhoneNetworks(options.networks)

    @property
    def transfers(self) -> int:
        """How many transfers are running."""
        return len(self._sessions)

    # --- datagrams in

    def _readable(self, listener: socket.socket) -> None:
        """Take what has come; whatever goes wrong, the door stays open: the hub drops a watcher that raises."""
        try:
            self._drain(listener)
        except Exception:
            if self._complaint.due():
                log.exception("receiving TFTP datagrams failed")
        self._work()

    def _drain(self, listener: socket.socket) -> None:
        """Empty the kernel's buffer before any work is done, so that a boot storm fits into it."""
        for _ in range(_DRAINED_AT_ONCE):
            try:
                datagram = receive(listener)
            except OSError as error:
                log.debug("receiving failed: error=%s", error)
                return
            if datagram is None:
                return
            self._sort(listener, datagram)

    def _sort(self, listener: socket.socket, datagram: Datagram) -> None:
        """Put a request into the queue; hand anything else to the transfer it belongs to, if there is one."""
        if not is_request(datagram.content):
            session = self._sessions.of_peer(datagram.peer) if self._options.single_port else None
            if session is not None:
                self._sessions.on_packet(session, datagram.content)
            else:
                self.counters["stray"] += 1
            return
        is_known = self._desk.knows(normalize_address(str(datagram.peer[0])))
        if self._draining or not self._queue.put((listener, datagram), is_known=is_known):
            self.counters["dropped"] += 1

    def _work(self) -> None:
        """Read and answer some of the queue; the rest waits until the running transfers have had their turn."""
        self._rest_waits = False
        at_once = _ANSWERED_AT_ONCE if len(self._queue) < _FLOOD else _ANSWERED_AT_ONCE_IN_FLOOD
        for _ in range(min(at_once, len(self._queue))):
            listener, datagram = self._queue.take()
            try:
                self._read(listener, datagram)
            except Exception:
                log.exception("a TFTP request failed: peer=%s datagram=%r", datagram.peer[0], datagram.content[:100])
        if self._queue and not self._rest_waits:
            self._rest_waits = True
            self._rest.start(self._work)

    # --- requests

    def _read(self, listener: socket.socket, datagram: Datagram) -> None:
        try:
            packet = parse_request(datagram.content)
        except MalformedPacketError as error:
            self.counters["malformed"] += 1
            log.debug("malformed TFTP request: peer=%s error=%s", datagram.peer[0], error)
            return
        if packet is not None:
            self._on_request(_Asked(listener, datagram, normalize_address(str(datagram.peer[0])), packet))

    def _on_request(self, asked: _Asked) -> None:
        is_probe = asked.packet.is_write and asked.packet.name == PROBE_NAME and asked.is_from_here
        if not is_probe and not self._networks.allows(asked.address):
            self._turn_away(asked, "phones may not come from this address")
        elif asked.packet.is_write:
            self.counters["probes" if is_probe else "refused"] += 1
            self._refuse(asked, ErrorCode.ACCESS_VIOLATION, "files can only be read", is_told=not is_probe)
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
        if not self._quota.has_room(asked.address):
            self._turn_away(asked, "too many transfers of this address")
            return
        request = _phone_request(asked)
        reply = self._desk.quick(request)
        if reply is not None:
            self._answer(asked, reply, request.decision)
        elif self._pool.full():
            _end(request.decision, "no answer: too many requests wait for the store")
            self._drop(asked, "too many requests wait for the store")
        else:
            self._identifying.add(asked.peer)
            self._quota.take(asked.address)
            self._pool.spawn(self._identify_slowly, asked, request)

    def _identify_slowly(self, asked: _Asked, request: TftpRequest) -> None:
        try:
            self._answer(asked, self._desk.handle(request), request.decision)
        except Exception:
            log.exception("a TFTP request failed: address=%s path=%r", request.address, request.path)
        finally:
            self._identifying.discard(asked.peer)
            self._quota.give_back(asked.address)

    # --- answers

    def _answer(self, asked: _Asked, reply: Reply, decision: Decision | None) -> None:
        if reply is Problem.REFUSED:
            _end(decision, "no answer")
            self._drop(asked, "too many phones that were never seen before")
            return
        if isinstance(reply, Problem):
            self._refuse_reply(asked, *_ERRORS[reply], decision)
            return
        if asked.packet.mode == "netascii" and reply.size > _MAX_NETASCII_BYTES:
            reply.close()
            self._refuse_reply(asked, ErrorCode.UNDEFINED, "the file is too large for netascii", decision)
            return
        try:
            source, file = _source_of(reply, asked.packet.mode)
        except OSError as error:
            reply.close()
            log.error("a file cannot be sent: path=%r error=%s", reply.path, error)
            self._refuse_reply(asked, ErrorCode.UNDEFINED, "the file cannot be sent", decision)
            return
        self._begin(asked, source, file, decision)

    def _refuse_reply(self, asked: _Asked, code: ErrorCode, message: str, decision: Decision | None) -> None:
        """Answer a request that was identified with an error."""
        self.counters["refused"] += 1
        _end(decision, f"error {code.value}: {message}")
        self._refuse(asked, code, message)

    def _begin(self, asked: _Asked, source: Source, file: OpenFile | None, decision: Decision | None) -> None:
        packet = asked.packet
        options = negotiate(packet.options, source.size, *self._largest(asked.address))
        session = Session(asked.peer, asked.address, packet, Transfer(source, options), file, decision)
        if decision is not None:
            decision.size_bytes = source.size
        if not self._sessions.begin(asked.listener, asked.datagram.asked, session):
            _end(decision, "no answer: no room for one more transfer")
            self._drop(asked, "no room for one more transfer")
        elif self._request_log.is_detailed:
            self._request_log.answered(asked.address, packet.name, packet.mode, "answer=file", source.size)

    def _largest(self, address: str) -> tuple[int, int]:
        """The largest block and window: small ones on the shared port, where acknowledgements can be forged blindly."""
        blksize = min(self._options.max_blksize, _IPV6_BLKSIZE) if is_ipv6(address) else self._options.max_blksize
        if self._options.single_port:
            return min(blksize, _SINGLE_PORT_BLKSIZE), 1
        return blksize, self._options.max_windowsize

    def _refuse(self, asked: _Asked, code: ErrorCode, message: str, *, is_told: bool = True) -> None:
        """Answer with an error; `is_told` says whether the log tells of it."""
        if is_told:
            self._tell_refused(asked, f"error={code.value}", message)
        try:
            send_from_asked(asked.listener, encode_error(code, message), asked.peer, asked.datagram.asked)
        except OSError as error:
            log.debug("sending failed: peer=%s error=%s", asked.peer[0], error)

    def _turn_away(self, asked: _Asked, reason: str) -> None:
        """Answer nothing to a phone that nobody has looked for yet."""
        self._desk.turned_away(_phone_request(asked), reason)
        self._drop(asked, reason)

    def _drop(self, asked: _Asked, reason: str) -> None:
        """Answer nothing; the phone will ask again."""
        self.counters["dropped"] += 1
        self._tell_refused(asked, "answer=none", reason)

    def _tell_refused(self, asked: _Asked, answer: str, reason: str) -> None:
        self._request_log.refused(asked.address, asked.packet.name, asked.packet.mode, answer, reason)


def _phone_request(asked: _Asked) -> TftpRequest:
    """The request as plugins see it."""
    packet = asked.packet
    return TftpRequest(asked.address, packet.name.lstrip("/"), packet.mode, packet.options)


def _end(decision: Decision | None, result: str) -> None:
    """Note in a request's trace that nothing was sent, and why."""
    if decision is not None:
        decision.end(result)


def _source_of(file: OpenFile, mode: str) -> tuple[Source, OpenFile | None]:
    """The bytes to send, and the file if it has to stay open for them.

    Raises:
        OSError: the file cannot be read.
    """
    if mode == "netascii":
        content = to_netascii(file.read_all())
    elif file.size <= _MAX_IN_MEMORY_BYTES:
        content = file.read_all()
    else:
        return file, file
    file.close()
    return BytesSource(content), None
