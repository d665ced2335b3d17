"""One HTTP connection: requests in, files out, until one of the two sides has enough."""

from __future__ import annotations

import errno
import logging
import os
import socket
import time
from collections import Counter
from typing import Any, Protocol

import gevent
from gevent.socket import wait_write

from provd.model.request import HttpRequest
from provd.plugins.files import OpenFile, Problem
from provd.serving.desk import Desk
from provd.serving.http_parser import READ_METHODS, Head, HttpError, RequestParser
from provd.serving.http_response import Answer, file_answer, head_bytes, text_answer
from provd.serving.http_target import client_address, split_target

log = logging.getLogger(__name__)

_READ_BYTES = 4096
_MAX_IN_MEMORY_BYTES = 64 * 1024
_SENDFILE_BYTES = 256 * 1024
_SENT_BEFORE_OTHERS = 1024 * 1024
_SLOWEST_BYTES_PER_S = 1024
_SEND_TIMEOUT_S = 30.0
_STORE_TIMEOUT_S = 60.0
_LINGER_SECONDS = 1.0
_LINGER_BYTES = 64 * 1024

_PROBLEMS = {
    Problem.NOT_FOUND: (404, "No such file for this phone."),
    Problem.NO_PLUGIN: (404, "No plugin serves this phone."),
    Problem.DIRECTORY: (403, "This is a directory."),
    Problem.BAD_NAME: (400, "This is no file name."),
    Problem.NAME_TOO_LONG: (414, "The file name is too long."),
    Problem.UNAVAILABLE: (503, "The server cannot answer now, try again."),
}


class Connection:
    """A client's connection, and the time at which it is cut."""

    __slots__ = ("address", "deadline", "socket")

    def __init__(self, sock: Any, address: str, deadline: float) -> None:
        self.socket = sock
        self.address = address
        self.deadline = deadline

    def cut(self) -> None:
        """End both directions; the connection's greenlet then sees the end of its input."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the client was faster


class Keeper(Protocol):
    """What a conversation tells the door about its connection."""

    @property
    def draining(self) -> bool:
        """The server is stopping: no further request is read."""

    def busy(self, connection: Connection) -> None:
        """A request is being answered."""

    def waits(self, connection: Connection) -> None:
        """The next request is awaited."""


class Conversation:
    """Answers the requests of one connection."""

    def __init__(
        self,
        connection: Connection,
        keeper: Keeper,
        desk: Desk,
        counters: Counter[str],
        *,
        idle_timeout_s: float,
        trusted_proxies: int,
    ) -> None:
        self._connection = connection
        self._socket = connection.socket
        self._keeper = keeper
        self._desk = desk
        self._counters = counters
        self._idle_timeout_s = idle_timeout_s
        self._trusted_proxies = trusted_proxies

    def run(self) -> None:
        """Read requests and answer them until the connection ends.

        Raises:
            OSError: the client has gone, or was cut.
        """
        parser = RequestParser()
        while data := self._socket.recv(_READ_BYTES):
            try:
                heads = parser.feed(data)
            except HttpError as error:
                self._counters["malformed"] += 1
                self._refuse(error)
                return
            if not heads:
                continue
            self._keeper.busy(self._connection)
            for head in heads:
                if not self._respond(head) or self._keeper.draining:
                    return
            self._keeper.waits(self._connection)
            self._allow(self._idle_timeout_s)

    def turn_away(self) -> None:
        """Say that there is no room, instead of `run`."""
        self._send_text(503, "Too many connections.", keep_alive=False)

    def _respond(self, head: Head) -> bool:
        """Answer one request; True if the connection goes on."""
        if head.method == "OPTIONS":
            self._counters["probes" if head.target == b"*" else "refused"] += 1
            return self._send_text(200, "", keep_alive=head.keep_alive, extra=(("Allow", "GET, HEAD"),))
        if head.method not in READ_METHODS:
            self._refuse(HttpError(405, "files can only be read"))
            return False
        self._counters["requests"] += 1
        reply = self._reply_to(head)
        if isinstance(reply, Problem):
            self._counters["refused"] += 1
            status, text = _PROBLEMS[reply]
            extra = (("Retry-After", "5"),) if status == 503 else ()
            return self._send_text(
                status, text, keep_alive=head.keep_alive, extra=extra, with_body=head.method == "GET"
            )
        try:
            return self._send_file(head, reply)
        finally:
            reply.close()

    def _reply_to(self, head: Head) -> OpenFile | Problem:
        target = split_target(head.target)
        if target is None:
            return Problem.BAD_NAME
        address = client_address(
            self._connection.address, head.headers.get("x-forwarded-for"), self._trusted_proxies
        )
        request = HttpRequest(address, target[0], target[1], head.headers)
        reply = self._desk.quick(request)
        if reply is not None:
            return reply
        self._allow(_STORE_TIMEOUT_S)
        return self._desk.handle(request)

    def _send_file(self, head: Head, file: OpenFile) -> bool:
        answer = file_answer(file, head.headers, with_body=head.method == "GET")
        keep_alive = head.keep_alive and not self._keeper.draining
        start_of_answer = head_bytes(answer, connection=_connection_field(head.version, keep_alive))
        self._allow(_SEND_TIMEOUT_S + answer.length / _SLOWEST_BYTES_PER_S)
        if answer.length <= _MAX_IN_MEMORY_BYTES:
            body = file.read(answer.start, answer.length) if answer.length else b""
            if len(body) != answer.length:
                log.error("a file became shorter while it was sent: path=%r", file.path)
                return False
            self._socket.sendall(start_of_answer + body)
        else:
            self._socket.sendall(start_of_answer)
            _send_large(self._socket, file, answer)
        self._counters["complete"] += 1
        return keep_alive

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
        self._allow(_SEND_TIMEOUT_S)
        head = head_bytes(answer, connection="keep-alive" if keep_alive else "close")
        try:
            self._socket.sendall(head + body if with_body else head)
        except OSError:
            return False
        return keep_alive

    def _refuse(self, error: HttpError) -> None:
        """Answer what is no request of a phone, and let the client read that before the connection ends.

        Closing with unread input makes the kernel send a reset, which can overtake the answer.
        """
        address, text = self._connection.address, f"{error.text[:1].upper()}{error.text[1:]}."
        log.debug("HTTP request refused: address=%s status=%d reason=%s", address, error.status, error.text)
        self._counters["refused"] += 1
        extra = (("Allow", "GET, HEAD"),) if error.status == 405 else ()
        self._send_text(error.status, text, keep_alive=False, extra=extra)
        self._allow(_LINGER_SECONDS)
        read = 0
        try:
            self._socket.shutdown(socket.SHUT_WR)
            while read < _LINGER_BYTES:
                data = self._socket.recv(_READ_BYTES)
                if not data:
                    return
                read += len(data)
        except OSError:
            pass

    def _allow(self, seconds: float) -> None:
        self._connection.deadline = time.monotonic() + seconds


def _connection_field(version: str, keep_alive: bool) -> str | None:
    """The Connection field where the version's default does not say it (RFC 9112 section 9.3)."""
    if keep_alive:
        return "keep-alive" if version == "1.0" else None
    return "close"


def _send_large(sock: Any, file: OpenFile, answer: Answer) -> None:
    """Send a range of a file from the kernel's cache, letting others have their turn.

    Raises:
        OSError: the client has gone or was cut, or the file became shorter.
    """
    offset, end, since_turn = answer.start, answer.start + answer.length, 0
    while offset < end:
        try:
            sent = os.sendfile(sock.fileno(), file.descriptor, offset, min(end - offset, _SENDFILE_BYTES))
        except BlockingIOError:
            wait_write(sock.fileno())
            continue
        if sent == 0:
            raise OSError(errno.EIO, "the file became shorter while it was sent", file.path)
        offset += sent
        since_turn += sent
        if since_turn >= _SENT_BEFORE_OTHERS:
            since_turn = 0
            gevent.sleep(0)
