"""Asking the doors, from outside, whether they still answer: what the watchdog goes by."""

from __future__ import annotations

from typing import Any

from gevent import socket

from provd.serving.tftp import PROBE_NAME
from provd.wire.tftp_packets import HEADER, Opcode

_TFTP_QUESTION = b"\0\x02" + PROBE_NAME.encode() + b"\0octet\0"
_HTTP_QUESTION = b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def tftp_answers(door_address: tuple[Any, ...], timeout_s: float) -> bool:
    """Tell whether the TFTP door answers a write request, with the error that says that it does not take it."""
    try:
        with socket.socket(_family(door_address), socket.SOCK_DGRAM) as sock:
            sock.settimeout(timeout_s)
            sock.connect(_reachable(door_address))
            sock.send(_TFTP_QUESTION)
            answer = sock.recv(512)
            return len(answer) >= HEADER.size and HEADER.unpack_from(answer)[0] == Opcode.ERROR
    except OSError:
        return False


def http_answers(door_address: tuple[Any, ...], timeout_s: float) -> bool:
    """Tell whether the HTTP door answers `OPTIONS *`."""
    try:
        with socket.socket(_family(door_address), socket.SOCK_STREAM) as sock:
            sock.settimeout(timeout_s)
            sock.connect(_reachable(door_address))
            sock.sendall(_HTTP_QUESTION)
            return bool(sock.recv(512).startswith(b"HTTP/1.1 200"))
    except OSError:
        return False


def _family(address: tuple[Any, ...]) -> int:
    return int(socket.AF_INET6 if len(address) == 4 else socket.AF_INET)


def _reachable(address: tuple[Any, ...]) -> tuple[Any, ...]:
    """The address with loopback in the place of "all addresses"."""
    return (_WILDCARDS.get(str(address[0]), address[0]), *address[1:])
