"""UDP sockets on a machine with several addresses: answers leave from the address that was asked."""

from __future__ import annotations

import errno
import os
import select
import socket
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from provd.serving.plain import adopt_socket
from provd.serving.udp import (
    MAX_DATAGRAM_BYTES,
    RECEIVE_BUFFER_BYTES,
    asked_address,
    open_transfer_socket,
    open_udp_socket,
    prepare_listener,
    receive,
    send_from_asked,
)

from .askers import LISTENERS, WAIT_S, asked, asker_of, listener_on, needs_ipv6, received

# --- the address that was asked


@pytest.mark.parametrize("listener_address", LISTENERS)
@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.7"])
def test_an_answer_leaves_from_the_address_that_was_asked(
    opened: ExitStack, listener_address: str, address: str
) -> None:
    listener, asker, datagram = asked(opened, address, listener_address)
    assert asked_address(datagram.asked) == address
    send_from_asked(listener, b"answer", datagram.peer, datagram.asked)
    assert asker.answer() == (b"answer", (address, listener.getsockname()[1]))


@needs_ipv6
@pytest.mark.parametrize("listener_address", ["", "::1"])
def test_an_answer_leaves_from_the_ipv6_address_that_was_asked(opened: ExitStack, listener_address: str) -> None:
    listener, asker, datagram = asked(opened, "::1", listener_address)
    assert asked_address(datagram.asked) == "::1"
    send_from_asked(listener, b"answer", datagram.peer, datagram.asked)
    assert asker.answer() == (b"answer", ("::1", listener.getsockname()[1]))


def test_a_listener_on_one_address_answers_from_it(opened: ExitStack) -> None:
    listener, asker, datagram = asked(opened, "127.0.0.7", "127.0.0.7")
    send_from_asked(listener, b"answer", datagram.peer, datagram.asked)
    assert asker.answer() == (b"answer", ("127.0.0.7", listener.getsockname()[1]))


def test_an_answer_can_leave_where_nobody_knows_what_was_asked(opened: ExitStack) -> None:
    listener, asker, datagram = asked(opened, "127.0.0.1", "0.0.0.0")
    send_from_asked(listener, b"answer", datagram.peer, None)
    assert asker.answer()[0] == b"answer"
    assert asked_address(None) == ""


@pytest.mark.parametrize("listener_address", LISTENERS)
def test_a_broadcast_is_answered_from_an_address_of_the_machine(opened: ExitStack, listener_address: str) -> None:
    listener, asker, datagram = asked(opened, "127.255.255.255", listener_address)
    send_from_asked(listener, b"answer", datagram.peer, datagram.asked)
    assert asker.answer() == (b"answer", ("127.0.0.1", listener.getsockname()[1]))


# --- sockets of transfers


@pytest.mark.parametrize(
    ("listener_address", "address"),
    [
        ("0.0.0.0", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.7"),
        pytest.param("", "127.0.0.7", marks=needs_ipv6),
        pytest.param("", "::1", marks=needs_ipv6),
        pytest.param("::1", "::1", marks=needs_ipv6),
    ],
)
def test_a_transfer_goes_on_from_the_address_that_was_asked(
    opened: ExitStack, listener_address: str, address: str
) -> None:
    listener, asker, datagram = asked(opened, address, listener_address)
    transfer = opened.enter_context(closing(open_transfer_socket(datagram.asked, datagram.peer, None)))
    transfer.send(b"data")
    content, sender = asker.answer()
    assert (content, sender[0]) == (b"data", address)
    assert sender[1] != listener.getsockname()[1]
    asker.socket.sendto(b"ack", sender)
    select.select([transfer], [], [], WAIT_S)
    assert transfer.recv(100) == b"ack"


@pytest.mark.parametrize(
    "listener_address",
    [
        pytest.param(
            "",
            marks=[
                needs_ipv6,
            ],
            id="all",
        ),
        pytest.param("0.0.0.0", id="all IPv4"),
    ],
)
def test_a_transfer_that_was_asked_by_broadcast_hears_its_client(opened: ExitStack, listener_address: str) -> None:
    _, asker, datagram = asked(opened, "127.255.255.255", listener_address)
    transfer = opened.enter_context(closing(open_transfer_socket(datagram.asked, datagram.peer, None)))
    transfer.send(b"data")
    asker.socket.sendto(b"ack", asker.answer()[1])
    readable, _, _ = select.select([transfer], [], [], 0.2)
    assert readable


def test_a_transfer_hears_nobody_else(opened: ExitStack) -> None:
    _, asker, datagram = asked(opened, "127.0.0.1", "0.0.0.0")
    transfer = opened.enter_context(closing(open_transfer_socket(datagram.asked, datagram.peer, None)))
    stranger = opened.enter_context(closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)))
    stranger.sendto(b"ack of a stranger", transfer.getsockname())
    asker.socket.sendto(b"ack", transfer.getsockname())
    select.select([transfer], [], [], WAIT_S)
    assert transfer.recv(100) == b"ack"
    with pytest.raises(BlockingIOError):
        transfer.recv(100)


# --- the range of ports


@pytest.fixture
def free_ports(opened: ExitStack) -> tuple[int, int]:
    """A range of three ports that are free on 127.0.0.1."""
    for low in range(40_000, 60_000, 3):
        with ExitStack() as tried:
            try:
                for port in range(low, low + 3):
                    tried.enter_context(closing(open_udp_socket("127.0.0.1", port)))
            except OSError:
                continue
        return low, low + 2
    raise AssertionError("no three free ports")


def test_transfers_take_the_ports_of_the_range_until_it_is_exhausted(
    opened: ExitStack, free_ports: tuple[int, int]
) -> None:
    _, _, datagram = asked(opened, "127.0.0.1", "0.0.0.0")
    transfers = [open_transfer_socket(datagram.asked, datagram.peer, free_ports) for _ in range(3)]
    opened.callback(lambda: [each.close() for each in transfers])
    assert sorted(each.getsockname()[1] for each in transfers) == list(range(free_ports[0], free_ports[1] + 1))
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match=f"no free port from {free_ports[0]} to {free_ports[1]}") as caught:
        open_transfer_socket(datagram.asked, datagram.peer, free_ports)
    assert caught.value.errno == errno.EADDRINUSE
    assert len(os.listdir("/proc/self/fd")) == before
    freed = transfers[1].getsockname()[1]
    transfers[1].close()
    with closing(open_transfer_socket(datagram.asked, datagram.peer, free_ports)) as again:
        assert again.getsockname()[1] == freed


# --- listeners


def test_without_a_datagram_there_is_none(opened: ExitStack) -> None:
    assert receive(listener_on(opened, "0.0.0.0")) is None


def test_a_datagram_has_its_bytes_and_its_sender(opened: ExitStack) -> None:
    _, asker, datagram = asked(opened, "127.0.0.1", "0.0.0.0")
    assert (datagram.content, datagram.peer) == (b"question", asker.socket.getsockname())


@needs_ipv6
def test_the_sender_of_an_ipv4_datagram_is_mapped_on_a_dual_stack_socket(opened: ExitStack) -> None:
    _, asker, datagram = asked(opened, "127.0.0.1", "")
    assert datagram.peer[:2] == ("::ffff:127.0.0.1", asker.socket.getsockname()[1])


@pytest.mark.parametrize("size", [0, 1, 512, MAX_DATAGRAM_BYTES])
def test_a_datagram_comes_whole_up_to_the_limit(opened: ExitStack, size: int) -> None:
    listener = listener_on(opened, "0.0.0.0")
    asker_of(opened, listener, "127.0.0.1").ask(b"x" * size)
    assert received(listener).content == b"x" * size


@pytest.mark.parametrize("size", [MAX_DATAGRAM_BYTES + 1, 60_000])
def test_a_datagram_that_is_too_long_comes_empty_and_does_not_disturb_the_next(opened: ExitStack, size: int) -> None:
    listener = listener_on(opened, "0.0.0.0")
    asker = asker_of(opened, listener, "127.0.0.1")
    asker.ask(b"\0\1" + b"x" * (size - 2))
    asker.ask(b"next")
    too_long = received(listener)
    assert (too_long.content, too_long.peer) == (b"", asker.socket.getsockname())
    assert received(listener).content == b"next"


def may_force_buffers() -> bool:
    """Whether the test may do what root may: more than net.core.rmem_max (SO_RCVBUFFORCE, socket(7))."""
    so_rcvbufforce = 33
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.setsockopt(socket.SOL_SOCKET, so_rcvbufforce, RECEIVE_BUFFER_BYTES)
        except PermissionError:
            return False
    return True


IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 10, 0


@pytest.mark.parametrize("address", LISTENERS)
def test_ipv4_packets_may_be_fragmented_on_their_way(opened: ExitStack, address: str) -> None:
    """In single-port mode the listener sends the blocks."""
    listener, _, datagram = asked(opened, "127.0.0.1", address)
    transfer = opened.enter_context(closing(open_transfer_socket(datagram.asked, datagram.peer, None)))
    for plain in (listener, transfer):
        assert plain.getsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER) == IP_PMTUDISC_DONT


@pytest.mark.parametrize("address", LISTENERS)
def test_the_receive_buffer_is_as_large_as_the_machine_allows(opened: ExitStack, address: str) -> None:
    listener = listener_on(opened, address)
    limit = int(Path("/proc/sys/net/core/rmem_max").read_text())
    allowed = RECEIVE_BUFFER_BYTES if may_force_buffers() else min(RECEIVE_BUFFER_BYTES, limit)
    assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 2 * allowed  # the kernel doubles it
    assert not listener.getblocking()


def test_a_port_that_is_taken_is_an_error_and_leaves_no_socket(opened: ExitStack) -> None:
    port = listener_on(opened, "127.0.0.1").getsockname()[1]
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="in use"):
        open_udp_socket("127.0.0.1", port)
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_inherited_socket_becomes_a_listener(opened: ExitStack) -> None:
    theirs = opened.enter_context(closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)))
    theirs.bind(("127.0.0.7", 0))
    listener = opened.enter_context(closing(adopt_socket(os.dup(theirs.fileno()))))
    prepare_listener(listener)
    asker_of(opened, listener, "127.0.0.7").ask()
    assert asked_address(received(listener).asked) == "127.0.0.7"
