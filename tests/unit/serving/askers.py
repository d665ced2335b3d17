"""Clients that ask a UDP listener by one of the machine's addresses."""

from __future__ import annotations

import select
import socket
from contextlib import ExitStack, closing

import pytest

from provd.serving.udp import Datagram, open_udp_socket, prepare_listener, receive

WAIT_S = 5.0


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="the machine has no IPv6")
LISTENERS = [pytest.param("", marks=needs_ipv6, id="all"), pytest.param("0.0.0.0", id="all IPv4")]


class Asker:
    """A client that asks a listener by one of its addresses."""

    def __init__(self, listener: socket.socket, address: str) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._server = (address, listener.getsockname()[1])
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self.socket.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        self.socket.settimeout(WAIT_S)

    def ask(self, content: bytes = b"question") -> None:
        self.socket.sendto(content, self._server)

    def answer(self) -> tuple[bytes, tuple[str, int]]:
        """An answer and where it comes from."""
        content, sender = self.socket.recvfrom(65536)
        return content, sender[:2]


def listener_on(opened: ExitStack, address: str) -> socket.socket:
    listener = opened.enter_context(closing(open_udp_socket(address, 0)))
    prepare_listener(listener)
    return listener


def asker_of(opened: ExitStack, listener: socket.socket, address: str) -> Asker:
    asker = Asker(listener, address)
    opened.enter_context(closing(asker.socket))
    return asker


def received(listener: socket.socket) -> Datagram:
    select.select([listener], [], [], WAIT_S)
    datagram = receive(listener)
    assert datagram is not None
    return datagram


def asked(opened: ExitStack, address: str, listener_address: str = "") -> tuple[socket.socket, Asker, Datagram]:
    """A listener, somebody who asked it by an address, and what arrived."""
    listener = listener_on(opened, listener_address)
    asker = asker_of(opened, listener, address)
    asker.ask()
    return listener, asker, received(listener)
