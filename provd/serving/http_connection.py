"""One HTTP connection: requests in, files out, until one of the two sides has enough.

All of it happens in callbacks of the hub, so that a known phone costs no greenlet. Only a request for which something
has to be stored gets one, because it waits for the store.
"""

from __future__ import annotations

import logging
import socket
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Protocol

import gevent

from provd.model.address import is_same_machine
from provd.model.decision import Decision
from provd.model.request import HttpRequest
from provd.plugins.files import OpenFile, Problem
from provd.security.networks import PhoneNetworks
from provd.serving.desk import Desk
from provd.serving.http_body import Body, small_content, unacknowledged_bytes
from provd.serving.http_parser import READ_METHODS, Head, HttpError, RequestParser
from provd.serving.http_response import file_answer, head_bytes, text_answer
from provd.serving.http_target import client_address, split_target
from provd.serving.plain import READ, WRITE
from provd.serving.request_log import RequestLog

log = logging.getLogger(__name__)

_READ_BYTES = 4096
_MAX_IN_MEMORY_BYTES = 64 * 1024
_ANSWERED_AT_ONCE = 16
_SEND_TIMEOUT_S = 30.0
"""How long a client may take nothing of an answer."""
_SLOWEST_BYTES_PER_S = 4096
"""How fast it has to take the whole."""
_STORE_TIMEOUT_S = 60.0
_HELD_BACK_S = 1.0
"""How long a phone waits for the answer that there are too many new ones: whoever makes phones up is slowed down."""
_HELD = -1
"""Waiting for that time to pass, and not for the client."""
_LINGER_SECONDS = 1.0
_HURRY_SECONDS = 1.0
"""How long a stopping server waits for a request that a client has begun, or has connected for."""
_LINGER_BYTES = 64 * 1024

TOO_MANY = "Too many connections."

_PROBLEMS = {
    Problem.NOT_FOUND: (404, "No such file for this phone."),
    Problem.NOT_CONFIGURED: (404, "This phone could not be configured; the server's log says why."),
    Problem.NO_PLUGIN: (404, "No plugin serves this phone."),
    Problem.DIRECTORY: (403, "This is a directory."),
    Problem.BAD_NAME: (400, "This is no file name."),
    Problem.NAME_TOO_LONG: (414, "The file name is too long."),
    Problem.REFUSED: (503, "Too many phones that were never seen before; this one may ask again later."),
    Problem.UNAVAILABLE: (503, "The server cannot answer now, try again."),
}


class Keeper(Protocol):
    """The door, as a connection sees it."""

    @property
    def draining(self) -> bool:
        """The server is stopping: no further request is read."""

    @property
    def desk(self) -> Desk:
        """Who answers requests."""

    @property
    def counters(self) -> Counter[str]:
        """What happened how often."""

    @property
    def idle_timeout_s(self) -> float:
        """How long a connection may wait for its next request."""

    @property
    def trusted_proxies(self) -> int:
        """How many proxies stand between the phones and this server."""

    @property
    def networks(self) -> PhoneNetworks:
        """Where phones may come from."""

    @property
    def request_log(self) -> RequestLog:
        """Where requests leave their trace."""

    def not_trusted(self, peer: str) -> None:
        """A request says that it came through a proxy, but there should be none."""

    def busy(self, connection: Connection) -> None:
        """A request is being answered: the connection does not give way to others."""

    def waits(self, connection: Connection) -> None:
        """The next request is awaited: the connection may give way to others."""

    def ended(self, connection: Connection) -> None:
        """The connection is closed."""


class Connection:
    """Answers the requests of one client, one after the other.

    It reads, waits for the store, or writes, never two of these at a time: a client that sends requests without
    taking the answers is not read any further. The door closes it when its `deadline` has passed and it `is_overdue`.
    """

    __slots__ = (
        "_body", "_decision", "_ends", "_events", "_heads", "_is_closed", "_is_idle", "_keep_alive", "_keeper",
        "_linger_bytes", "_out", "_parser", "_socket", "_status", "_unacknowledged", "_watcher", "address", "deadline",
    )  # fmt: skip

    def __init__(self, plain: socket.socket, address: str, keeper: Keeper, deadline: float) -> None:
        self.address = address
        self.deadline = self._ends = deadline
        self._unacknowledged = 0
        self._socket = plain
        self._keeper = keeper
        self._parser = RequestParser()
        self._heads: deque[Head] = deque()
        self._out = b""
        self._body: Body | None = None
        self._decision: Decision | None = None
        self._status = 0
        self._keep_alive = True
        self._linger_bytes = 0
        self._watcher: Any = None
        self._events = 0
        self._is_closed = False
        self._is_idle = False

    def begin(self) -> None:
        """Read what has come: with a busy server, a phone's request is there before its connection is accepted."""
        self._guarded(self._read)

    def is_overdue(self, now: float) -> bool:
        """The deadline has passed: tell whether the time is over; a client that took something since gets more.

        What the client acknowledges is asked of the kernel, because that holds megabytes and takes the next ones only
        when much of them has gone: minutes later on a slow line.
        """
        if self._events != WRITE or now >= self._ends:
            return True
        unacknowledged, before = unacknowledged_bytes(self._socket), self._unacknowledged
        self._put_off(now, unacknowledged)
        return unacknowledged >= before

    def hurry(self) -> None:
        """The server stops while this waits for a request: answer what has come, and end when there is nothing."""
        if self._events == _HELD:
            self.close()
            return
        self._allow(min(_HURRY_SECONDS, self.deadline - time.monotonic()))
        self._guarded(self._read)
        if self._is_idle:
            self.close()

    def close(self) -> None:
        """End the connection, whatever it is doing."""
        if self._is_closed:
            return
        self._is_closed = True
        self._watch(0)
        self._drop_body("cut off")
        self._socket.close()
        self._keeper.ended(self)

    # --- events

    def _guarded(self, step: Callable[..., None], *args: Any) -> None:
        """Whatever goes wrong ends this connection, and nothing else."""
        try:
            step(*args)
        except OSError as error:
            log.debug("HTTP connection lost: address=%s error=%s", self.address, error)
            self.close()
        except Exception:
            log.exception("an HTTP connection failed: address=%s", self.address)
            self.close()

    def _watch(self, events: int) -> None:
        """Wait for the client: until something can be read or written, or for nothing."""
        if events == self._events:
            return
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
        self._events = events
        if events:
            self._watcher = gevent.get_hub().loop.io(self._socket.fileno(), events)
            self._watcher.start(self._guarded, self._read if events == READ else self._write)

    def _read(self) -> None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            self._watch(READ)
            return
        if not data:
            self.close()
        elif self._linger_bytes:
            self._discard(len(data))
        else:
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        self._is_idle = False
        try:
            self._heads.extend(self._parser.feed(data))
        except HttpError as error:
            self._keeper.counters["malformed"] += 1
            self._refuse(error)
            return
        if self._heads:
            self._keeper.busy(self)
            self._go_on()
        else:
            self._watch(READ)

    def _write(self) -> None:
        if self._flush():
            self._go_on()

    def _go_on(self) -> None:
        """Answer the requests that have come, as far as that needs no waiting; then wait for the next one."""
        for _ in range(min(_ANSWERED_AT_ONCE, len(self._heads))):
            if not self._respond(self._heads.popleft()):
                return
        if self._heads:
            self._watch(WRITE)  # others have their turn before the rest
            return
        self._is_idle = True
        self._keeper.waits(self)
        self._allow(self._keeper.idle_timeout_s)
        self._watch(READ)

    # --- requests; each method tells whether the answer has gone and the connection goes on at once

    def _respond(self, head: Head) -> bool:
        counters = self._keeper.counters
        target = split_target(head.target)
        path, query = target or (head.target.decode("latin-1"), "")
        forwarded_for = head.headers.get("x-forwarded-for")
        address = client_address(self.address, forwarded_for, self._keeper.trusted_proxies)
        if forwarded_for is not None and not self._keeper.trusted_proxies:
            self._keeper.not_trusted(self.address)
        request = HttpRequest(address, path, query, head.headers)
        is_probe = head.method == "OPTIONS" and head.target == b"*"
        if not self._keeper.networks.allows(address) and not (is_probe and self._is_from_here()):
            error = HttpError(403, "phones may not come from this address")
            self._keeper.desk.turned_away(request, error.text)
            self._refuse(error, request, with_body=head.method != "HEAD")
            return False
        if head.method == "OPTIONS":
            counters["probes" if is_probe else "refused"] += 1
            return self._send_text(200, "", keep_alive=head.keep_alive, extra=(("Allow", "GET, HEAD"),))
        if head.method not in READ_METHODS:
            self._refuse(HttpError(405, "files can only be read"), request)
            return False
        counters["requests"] += 1
        reply = self._keeper.desk.quick(request) if target is not None else Problem.BAD_NAME
        if reply is not None:
            return self._answer(head, request, reply)
        self._allow(_STORE_TIMEOUT_S)
        self._watch(0)
        gevent.spawn(self._guarded, self._handle, head, request)
        return False

    def _is_from_here(self) -> bool:
        """The client is on this machine, as the watchdog is."""
        return is_same_machine(self.address, self._socket.getsockname()[0])

    def _handle(self, head: Head, request: HttpRequest) -> None:
        """Answer a request for which something has to be stored; this runs in a greenlet."""
        reply = self._keeper.desk.handle(request)
        if not self._is_closed:
            if self._answer(head, request, reply):
                self._go_on()
            return
        if isinstance(reply, OpenFile):
            reply.close()
        if request.decision is not None:
            request.decision.end("client gone")

    def _answer(self, head: Head, request: HttpRequest, reply: OpenFile | Problem) -> bool:
        if isinstance(reply, OpenFile):
            return self._send_file(head, request, reply)
        if reply is Problem.REFUSED:
            return self._hold_back(head, request)
        return self._answer_problem(head, request, reply)

    def _hold_back(self, head: Head, request: HttpRequest) -> bool:
        """Answer in a while; until then the connection may give way to others."""
        self._watch(0)
        self._allow(2 * _HELD_BACK_S)
        self._keeper.waits(self)
        self._decision, self._status = request.decision, _PROBLEMS[Problem.REFUSED][0]
        self._events = _HELD
        self._watcher = gevent.get_hub().loop.timer(_HELD_BACK_S)
        self._watcher.start(self._guarded, self._answer_late, head, request)
        return False

    def _answer_late(self, head: Head, request: HttpRequest) -> None:
        self._watch(0)
        self._decision = None
        self._keeper.busy(self)
        if self._answer_problem(head, request, Problem.REFUSED):
            self._go_on()

    def _answer_problem(self, head: Head, request: HttpRequest, reply: Problem) -> bool:
        self._keeper.counters["refused"] += 1
        status, text = _PROBLEMS[reply]
        if request.decision is not None:
            request.decision.end(f"{status} {text}")
        self._keeper.request_log.refused(request.address, request.path, request.user_agent, f"status={status}", text)
        extra = (("Retry-After", "5"),) if status == 503 else ()
        return self._send_text(status, text, keep_alive=head.keep_alive, extra=extra, with_body=head.method == "GET")

    def _refuse(self, error: HttpError, request: HttpRequest | None = None, *, with_body: bool = True) -> None:
        """Answer what is no request of a phone, and let the client read that before the connection ends.

        Closing with unread input makes the kernel send a reset, which can overtake the answer.
        """
        text = f"{error.text[:1].upper()}{error.text[1:]}."
        asked = request or HttpRequest(self.address, "")
        self._keeper.request_log.refused(asked.address, asked.path, asked.user_agent, f"status={error.status}", text)
        self._keeper.counters["refused"] += 1
        extra = (("Allow", "GET, HEAD"),) if error.status == 405 else ()
        self._heads.clear()
        self._linger_bytes = _LINGER_BYTES
        self._send_text(error.status, text, keep_alive=False, extra=extra, with_body=with_body)

    # --- answers

    def _send_text(
        self,
        status: int,
        text: str,
        *,
        keep_alive: bool,
        extra: tuple[tuple[str, str], ...] = (),
        with_body: bool = True,
    ) -> bool:
        answer, body = text_answer(status, text, extra)
        self._keep_alive = keep_alive and not self._keeper.draining
        self._out = head_bytes(answer, connection="keep-alive" if self._keep_alive else "close")
        if with_body:
            self._out += body
        self._allow(_SEND_TIMEOUT_S)
        return self._flush()

    def _send_file(self, head: Head, request: HttpRequest, file: OpenFile) -> bool:
        self._body, self._decision = Body(file), request.decision
        answer = file_answer(file, head.headers, with_body=head.method == "GET")
        if self._decision is not None:
            self._decision.size_bytes = answer.length
        self._status = answer.status
        if self._keeper.request_log.is_detailed:
            told = (request.address, request.path, request.user_agent, f"status={answer.status}", answer.length)
            self._keeper.request_log.answered(*told)
        self._keep_alive = head.keep_alive and not self._keeper.draining
        self._out = head_bytes(answer, connection=_connection_field(head.version, self._keep_alive))
        self._allow(_SEND_TIMEOUT_S, answer.length / _SLOWEST_BYTES_PER_S)
        if answer.length > _MAX_IN_MEMORY_BYTES:
            self._body.offset, self._body.end = answer.start, answer.start + answer.length
        elif answer.length:
            self._out += small_content(file, answer)
        return self._flush()

    def _flush(self) -> bool:
        """Send what the client takes now; if that is not all, the rest follows when it takes more."""
        if self._out:
            try:
                self._out = self._out[self._socket.send(self._out) :]
            except BlockingIOError:
                pass
        if self._out or (self._body is not None and not self._body.send(self._socket)):
            self._watch(WRITE)
            self._put_off(time.monotonic(), unacknowledged_bytes(self._socket))
            return False
        if self._body is not None:
            self._drop_body("complete")
            self._keeper.counters["complete"] += 1
        if self._linger_bytes:
            self._linger()
        elif not self._keep_alive:
            self.close()
        else:
            return True
        return False

    def _drop_body(self, how: str) -> None:
        if self._body is not None:
            self._body.file.close()
            self._body = None
        if self._decision is not None:
            self._decision.end(f"{self._status} {how}")
            self._decision = None

    def _linger(self) -> None:
        """The last answer has gone: read on for a moment, but only to throw it away."""
        self._allow(_LINGER_SECONDS)
        self._socket.shutdown(socket.SHUT_WR)
        self._watch(READ)

    def _discard(self, size: int) -> None:
        self._linger_bytes -= size
        if self._linger_bytes <= 0:
            self.close()

    def _allow(self, seconds: float, more_when_sending: float = 0.0) -> None:
        self.deadline = time.monotonic() + seconds
        self._ends = self.deadline + more_when_sending

    def _put_off(self, now: float, unacknowledged: int) -> None:
        self._unacknowledged = unacknowledged
        self.deadline = min(now + _SEND_TIMEOUT_S, self._ends)


def turn_away(plain: socket.socket) -> None:
    """Tell a client that there is no room for its connection, and close that."""
    answer, body = text_answer(503, TOO_MANY)
    try:
        plain.send(head_bytes(answer, connection="close") + body)
    except OSError:
        pass  # it has gone already
    plain.close()


def _connection_field(version: str, keep_alive: bool) -> str | None:
    """The Connection field where the version's default does not say it (RFC 9112 section 9.3)."""
    if keep_alive:
        return "keep-alive" if version == "1.0" else None
    return "close"
