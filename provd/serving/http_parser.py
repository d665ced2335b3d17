"""Reading HTTP requests from a connection's bytes, within bounds.

The grammar is httptools' (llhttp, or http-parser in its older versions); the rules of this server come on top:
a phone's request has no body, and a head of bounded size.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import httptools

MAX_HEAD_BYTES = 8192
MAX_TARGET_BYTES = 2048
MAX_HEADERS = 64
READ_METHODS = ("GET", "HEAD")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2; http-parser also takes "Name : value"


class HttpError(Exception):
    """A request that is answered with an error status, after which the connection is closed."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        self.text = text
        super().__init__(text)


@dataclass(slots=True)
class Head:
    """A request's head: `target` as it was sent, `headers` with lower-case names, doubles joined by commas."""

    method: str = ""
    target: bytes = b""
    version: str = "1.1"
    headers: dict[str, str] = field(default_factory=dict)
    keep_alive: bool = False


class RequestParser:
    """Turns the bytes of one connection into heads."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._head = Head()
        self._headers = 0
        self._fed = 0
        self._size = 0
        self._ready: list[Head] = []
        self._error: HttpError | None = None

    def feed(self, data: bytes) -> list[Head]:
        """Read on; return the heads that are complete now.

        Heads that were complete before an error are lost with it: whoever sends rubbish behind a request is no phone.
        What comes behind a request that ends the connection does not count (RFC 9112 section 9.6).

        Raises:
            HttpError: the bytes are no request, or one that this server does not take.
        """
        self._fed += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._close_after_upgrade()
        except httptools.HttpParserError:
            self._error = self._error or HttpError(400, "this is no HTTP request")
        if self._fed > MAX_HEAD_BYTES:
            self._error = self._error or HttpError(431, "the head of the request is too large")
        ready, self._ready = self._ready, []
        if self._error is not None and (not ready or ready[-1].keep_alive):
            raise self._error
        return ready

    # --- httptools' callbacks

    def on_message_begin(self) -> None:
        """A request begins."""
        self._head, self._headers, self._size = Head(), 0, 0

    def on_url(self, target: bytes) -> None:
        """A piece of the request's target."""
        self._head.target += target
        if len(self._head.target) > MAX_TARGET_BYTES:
            self._refuse(414, "the target of the request is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field."""
        self._headers += 1
        self._size += len(name) + len(value)
        if self._size > MAX_HEAD_BYTES:
            self._refuse(431, "the head of the request is too large")
        if not _TOKEN.fullmatch(name):
            self._refuse(400, "this is no HTTP request")
        if self._headers > MAX_HEADERS:
            self._refuse(431, "the request has too many header fields")
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers = self._head.headers
        if key == "host" and key in headers:
            self._refuse(400, "the request has more than one Host field")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text

    def on_headers_complete(self) -> None:
        """The head is complete."""
        head = self._head
        head.method = self._parser.get_method().decode("ascii")
        head.version = self._parser.get_http_version()
        head.keep_alive = self._parser.should_keep_alive()
        if head.version not in ("1.0", "1.1"):
            self._refuse(505, "HTTP/1.0 and HTTP/1.1 are spoken here")
        if head.version == "1.1" and "host" not in head.headers:
            self._refuse(400, "the request has no Host field")
        if "transfer-encoding" in head.headers or head.headers.get("content-length", "0").strip("0"):
            if head.method in READ_METHODS:
                self._refuse(400, "a request for a file has no body")
            self._refuse(405, "files can only be read")

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._ready.append(self._head)
        self._fed = 0

    def _close_after_upgrade(self) -> None:
        """Answer a request that asks for another protocol in this one, and end the connection with it."""
        if self._ready:
            self._ready[-1].keep_alive = False
        else:
            self._error = HttpError(400, "this is no HTTP request")

    def _refuse(self, status: int, text: str) -> None:
        if self._error is None:
            self._error = HttpError(status, text)
        raise self._error
