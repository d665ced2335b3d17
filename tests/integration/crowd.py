"""Many phones that boot at the same moment, each over a socket of its own, in one thread."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.integration.clients import tftp_ack, tftp_request

_TFTP_RETRY_S = 1.0
_DATA, _ERROR, _OACK = 3, 5, 6


@dataclass(slots=True, eq=False)
class Phone:
    """A phone that asks for one file, by HTTP if it has a User-Agent, else by TFTP; then what it got, and when."""

    source: str
    path: str
    agent: str = ""
    content: bytes | None = None
    seconds: float = 0.0
    _socket: socket.socket | None = None
    _received: bytearray = field(default_factory=bytearray)
    _block: int = 0
    _server: tuple = ()
    _asked_at: float = 0.0

    @property
    def is_http(self) -> bool:
        return bool(self.agent)

    def begin(self, http_port: int, tftp_port: int) -> socket.socket:
        kind = socket.SOCK_STREAM if self.is_http else socket.SOCK_DGRAM
        self._socket = socket.socket(socket.AF_INET, kind)
        self._socket.setblocking(False)
        self._socket.bind((self.source, 0))
        if self.is_http:
            self._socket.connect_ex(("127.0.0.1", http_port))
        else:
            self._server = ("127.0.0.1", tftp_port)
            self.ask_again(time.monotonic())
        return self._socket

    def ask_again(self, now: float) -> None:
        """Send the TFTP request, as long as nothing has come."""
        if not self._received and not self._block and now - self._asked_at > _TFTP_RETRY_S:
            self._asked_at = now
            self._socket.sendto(tftp_request(self.path, blksize=1428), self._server)

    def connected(self) -> None:
        """Send the HTTP request."""
        head = f"GET /{self.path} HTTP/1.1\r\nHost: provd\r\nUser-Agent: {self.agent}\r\nConnection: close\r\n\r\n"
        self._socket.send(head.encode())

    def readable(self) -> bool:
        """Take what has come; True when that is all."""
        return self._http_readable() if self.is_http else self._tftp_readable()

    def end(self, seconds: float) -> None:
        self.seconds = seconds
        self._socket.close()

    def _http_readable(self) -> bool:
        data = self._socket.recv(65536)
        self._received += data
        if data:
            return False
        head, _, body = bytes(self._received).partition(b"\r\n\r\n")
        if head.startswith(b"HTTP/1.1 200 "):
            self.content = body
        return True

    def _tftp_readable(self) -> bool:
        packet, peer = self._socket.recvfrom(65536)
        code, block = packet[1], int.from_bytes(packet[2:4], "big")
        if code == _ERROR:
            return True
        if code == _OACK:
            self._socket.sendto(tftp_ack(0), peer)
        elif code == _DATA:
            self._socket.sendto(tftp_ack(block), peer)
            if block == self._block + 1:
                self._block = block
                self._received += packet[4:]
                if len(packet) < 4 + 1428:
                    self.content = bytes(self._received)
                    return True
        return False


def boot_together(http_port: int, tftp_port: int, phones: Sequence[Phone], timeout_s: float) -> None:
    """Let all phones ask at once; those that have nothing after `timeout_s` have no content."""
    waiting: set[Phone] = set(phones)
    began = time.monotonic()
    with selectors.DefaultSelector() as selector:
        for phone in phones:
            events = selectors.EVENT_WRITE if phone.is_http else selectors.EVENT_READ
            selector.register(phone.begin(http_port, tftp_port), events, phone)
        while waiting and time.monotonic() - began < timeout_s:
            for key, events in selector.select(0.1):
                phone = key.data
                if events & selectors.EVENT_WRITE:
                    phone.connected()
                    selector.modify(key.fileobj, selectors.EVENT_READ, phone)
                elif phone.readable():
                    selector.unregister(key.fileobj)
                    phone.end(time.monotonic() - began)
                    waiting.discard(phone)
            now = time.monotonic()
            for phone in [each for each in waiting if not each.is_http]:
                phone.ask_again(now)
        for phone in waiting:
            phone.end(timeout_s)
