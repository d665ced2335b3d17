"""Asking the doors, from outside, whether they still answer: what the watchdog goes by."""

from __future__ import annotations

from typing import Any

from gevent import socket

from provd.serving.tftp import PROBE_NAME
from provd.wire.tftp_packets import HEADER, Opcode

_TFTP_QUESTION = b"\0\x02" + PROBE_NAME.encode() + b"\0octet\0"
_HTTP_QUESTION = b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_LOOPBACK = {"0.0.0.0": ("127.0.0.1",), "::": ("::1", "127.0.0.1")}
"""Where a door on all addresses is asked; IPv6 may be switched off while a socket for all of it is open."""
_TFTP_TRIES = 2

Address = tuple[Any, ...]


def tftp_answers(door_address: Address, timeout_s: float) -> bool:
    """Tell whether the TFTP door answers a write request, with the error that says that it does not take it."""
    return any(_tftp_answers(address, share_s) for address, share_s in _ways_to(door_address, timeout_s))


def http_answers(door_address: Address, timeout_s: float) -> bool:
    """Tell whether the HTTP door answers `OPTIONS *`, be it only that it has too many connections."""
    return any(_http_answers(address, share_s) for address, share_s in _ways_to(door_address, timeout_s))


def _tftp_answers(address: Address, timeout_s: float) -> bool:
    try:
        with socket.socket(_family(address), socket.SOCK_DGRAM) as sock:
            sock.settimeout(timeout_s / _TFTP_TRIES)
            sock.connect(address)
            for _ in range(_TFTP_TRIES):  # in a storm the kernel drops datagrams
                sock.send(_TFTP_QUESTION)
                try:
                    answer = sock.recv(512)
                except TimeoutError:
                    continue
                return len(answer) >= HEADER.size and HEADER.unpack_from(answer)[0] == Opcode.ERROR
    except OSError:
        pass
    return False


def _http_answers(address: Address, timeout_s: float) -> bool:
    try:
        with socket.socket(_family(address), socket.SOCK_STREAM) as sock:
            sock.settimeout(timeout_s)
            sock.connect(address)
            sock.sendall(_HTTP_QUESTION)
            return bool(sock.recv(512).startswith(b"HTTP/1."))
    except OSError:
        return False


def _ways_to(door_address: Address, timeout_s: float) -> list[tuple[Address, float]]:
    """The addresses at which a door can be asked, each with its share of the time."""
    host, port = door_address[:2]
    hosts = _LOOPBACK.get(str(host))
    if hosts is None:
        return [(door_address, timeout_s)]
    return [((each, port), timeout_s / len(hosts)) for each in hosts]


def _family(address: Address) -> int:
    return int(socket.AF_INET6 if ":" in str(address[0]) else socket.AF_INET)
