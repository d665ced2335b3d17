"""UDP sockets where addresses are out of the ordinary: link-local, no longer there, taken, or IPv4 only."""

from __future__ import annotations

import errno
import select
import socket
import struct
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from provd.serving import udp
from provd.serving.plain import PlainSocket
from provd.serving.udp import open_transfer_socket, open_udp_socket, prepare_listener, send_from_asked

from .askers import WAIT_S, asked, asker_of, listener_on, needs_ipv6, received

IP_PKTINFO = 8
ELSEWHERE = (socket.IPPROTO_IP, IP_PKTINFO, struct.pack("=I4s4s", 1, socket.inet_aton("203.0.113.9"), bytes(4)))
"""What says that a datagram was sent to an address that this machine does not have."""


def link_local_address() -> tuple[str, int] | None:
    """A link-local address of the machine, with the index of its interface."""
    try:
        lines = Path("/proc/net/if_inet6").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        digits, index, _, scope, *_ = line.split()
        if scope == "20":
            return socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits)), int(index, 16)
    return None


# --- where an answer leaves


def asked_ipv6(address: str, interface: int) -> tuple[int, int, bytes]:
    packed = socket.inet_pton(socket.AF_INET6, address)
    return socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, struct.pack("=16sI", packed, interface)


@pytest.mark.parametrize(
    "address", ["2001:db8::1", "::1", "::ffff:192.0.2.10", "fec0::1", "fd00::1", "ff02::1", "3e80::1"]
)
def test_the_interface_of_an_answer_is_left_to_routing(address: str) -> None:
    assert udp._reply_info(asked_ipv6(address, 7)) == asked_ipv6(address, 0)


@pytest.mark.parametrize("address", ["fe80::1", "fe80::fc:ff:fe00:1", "fe90::1", "febf::1"])
def test_the_interface_is_kept_for_a_link_local_address(address: str) -> None:
    assert udp._reply_info(asked_ipv6(address, 7)) == asked_ipv6(address, 7)


def test_an_ipv4_answer_names_its_source_alone() -> None:
    packed = socket.inet_aton("192.0.2.10")
    asked_ipv4 = (socket.IPPROTO_IP, IP_PKTINFO, struct.pack("=I4s4s", 7, packed, socket.inet_aton("192.0.2.255")))
    assert udp._reply_info(asked_ipv4) == (socket.IPPROTO_IP, IP_PKTINFO, struct.pack("=I4s4s", 0, packed, bytes(4)))


@needs_ipv6
@pytest.mark.skipif(link_local_address() is None, reason="the machine has no link-local address")
def test_a_link_local_client_is_answered_and_heard(opened: ExitStack) -> None:
    address, index = link_local_address() or ("", 0)
    listener = listener_on(opened, "")
    client = opened.enter_context(closing(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)))
    client.settimeout(WAIT_S)
    client.bind((address, 0, 0, index))
    client.sendto(b"question", (address, listener.getsockname()[1], 0, index))
    datagram = received(listener)
    send_from_asked(listener, b"answer", datagram.peer, datagram.asked)
    assert client.recv(100) == b"answer"
    transfer = opened.enter_context(closing(open_transfer_socket(datagram.asked, datagram.peer, None)))
    transfer.send(b"data")
    content, sender = client.recvfrom(100)
    assert (content, sender[0].partition("%")[0]) == (b"data", address)
    client.sendto(b"ack", sender)
    select.select([transfer], [], [], WAIT_S)
    assert transfer.recv(100) == b"ack"


# --- addresses that the machine does not have


def test_an_answer_leaves_although_the_address_that_was_asked_is_gone(opened: ExitStack) -> None:
    listener, asker, datagram = asked(opened, "127.0.0.1", "0.0.0.0")
    send_from_asked(listener, b"answer", datagram.peer, ELSEWHERE)
    assert asker.answer()[0] == b"answer"


def test_a_transfer_begins_although_the_address_that_was_asked_is_gone(opened: ExitStack) -> None:
    _, asker, datagram = asked(opened, "127.0.0.1", "0.0.0.0")
    transfer = opened.enter_context(closing(open_transfer_socket(ELSEWHERE, datagram.peer, None)))
    transfer.send(b"data")
    assert asker.answer()[0] == b"data"


class Refusing:
    """A socket that refuses every packet."""

    def __init__(self, error: int) -> None:
        self.attempts: list[bool] = []
        self._error = error

    def sendmsg(self, packets: list[bytes], ancillary: list[Any], flags: int, peer: Any) -> None:
        self.attempts.append(bool(ancillary))
        raise OSError(self._error, "refused")


@pytest.mark.parametrize(
    ("error", "asked_at", "attempts"),
    [
        (errno.EINVAL, ELSEWHERE, [True, False]),
        (errno.EADDRNOTAVAIL, ELSEWHERE, [True, False]),
        (errno.ENETUNREACH, ELSEWHERE, [True, False]),
        (errno.EAGAIN, ELSEWHERE, [True]),
        (errno.EPERM, ELSEWHERE, [True]),
        (errno.EINVAL, None, [False]),
    ],
)
def test_only_an_address_that_cannot_be_had_is_worth_a_second_attempt(
    error: int, asked_at: udp.Ancillary | None, attempts: list[bool]
) -> None:
    refusing: Any = Refusing(error)
    with pytest.raises(OSError, match="refused"):
        send_from_asked(refusing, b"answer", ("192.0.2.7", 69), asked_at)
    assert refusing.attempts == attempts


def test_a_packet_that_is_too_large_is_an_error(opened: ExitStack) -> None:
    listener, _, datagram = asked(opened, "127.0.0.1", "0.0.0.0")
    with pytest.raises(OSError, match="too long") as caught:
        send_from_asked(listener, b"x" * 70_000, datagram.peer, datagram.asked)
    assert caught.value.errno == errno.EMSGSIZE


class Forbidden:
    """A socket that may not be bound."""

    closed = False

    def __init__(self, *_: Any) -> None:
        Forbidden.closed = False

    def setblocking(self, flag: bool) -> None:
        pass

    def setsockopt(self, *_: Any) -> None:
        pass

    def bind(self, address: Any) -> None:
        raise OSError(errno.EACCES, "not allowed")

    def close(self) -> None:
        Forbidden.closed = True


def test_a_port_that_may_not_be_had_is_said_so_and_leaves_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "PlainSocket", Forbidden)
    with pytest.raises(PermissionError):
        open_transfer_socket(ELSEWHERE, ("192.0.2.7", 69), (20_000, 20_010))
    assert Forbidden.closed


# --- all addresses


@pytest.mark.parametrize("error", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
def test_a_machine_without_ipv6_listens_on_all_ipv4_addresses(
    opened: ExitStack, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def ipv4_only(family: int, *arguments: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(error, "no IPv6 here")
        plain: socket.socket = PlainSocket(family, *arguments)
        return plain

    monkeypatch.setattr(udp, "PlainSocket", ipv4_only)
    listener = opened.enter_context(closing(open_udp_socket("", 0)))
    prepare_listener(listener)
    asker_of(opened, listener, "127.0.0.7").ask()
    assert received(listener).content == b"question"
    assert listener.family == socket.AF_INET


@needs_ipv6
def test_a_port_that_is_taken_on_ipv6_is_not_served_on_ipv4_alone(opened: ExitStack) -> None:
    other = opened.enter_context(closing(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)))
    other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    other.bind(("::", 0))
    with pytest.raises(OSError, match="in use"):
        open_udp_socket("", other.getsockname()[1])


@needs_ipv6
@pytest.mark.parametrize(("address", "only_ipv6"), [("", 0), ("::", 0), ("::1", 1)])
def test_all_addresses_are_those_of_ipv4_too(opened: ExitStack, address: str, only_ipv6: int) -> None:
    listener = listener_on(opened, address)
    assert listener.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == only_ipv6
