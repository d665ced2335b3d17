"""Plain non-blocking UDP sockets that know which of the machine's addresses a datagram was sent to."""

from __future__ import annotations

import errno
import random
import socket
import struct
from dataclasses import dataclass

from provd.model.address import is_ipv6, normalize_address
from provd.serving.plain import PlainSocket

RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
"""Room for a boot storm: the kernel's default of 208 KiB holds about 200 requests."""
MAX_DATAGRAM_BYTES = 1024
"""Twice what a request may have (RFC 2347 section 2): each byte costs time, and a flood must not stop the server."""

_SO_RCVBUFFORCE = 33
_IP_PKTINFO = 8
_IP_MTU_DISCOVER, _IP_PMTUDISC_DONT = 10, 0
_PKTINFO4 = struct.Struct("=I4s4s")
"""Interface, local address, destination address (ip(7)); they differ for a broadcast."""
_PKTINFO6 = struct.Struct("=16sI")
"""Destination address, interface (RFC 3542 section 6.1)."""
_ANCILLARY_BYTES = socket.CMSG_SPACE(_PKTINFO6.size) + socket.CMSG_SPACE(_PKTINFO4.size)

Ancillary = tuple[int, int, bytes]
SocketAddress = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Datagram:
    """A datagram: its bytes, the sender's socket address, and the ancillary data that names the address asked."""

    content: bytes
    peer: SocketAddress
    asked: Ancillary | None


def open_udp_socket(address: str, port: int) -> socket.socket:
    """A plain UDP socket bound to an address; the empty address means all, IPv6 and IPv4 where there is IPv6.

    Raises:
        OSError: the address or port cannot be had.
    """
    if address:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return _bound(family, address, port)
    try:
        return _bound(socket.AF_INET6, "::", port)
    except OSError as error:
        if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            raise
        return _bound(socket.AF_INET, "0.0.0.0", port)


def prepare_listener(plain: socket.socket) -> None:
    """Make a socket, also an inherited one, ready to hold a boot storm and to tell the address that was asked."""
    plain.setblocking(False)
    for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):
        try:
            plain.setsockopt(socket.SOL_SOCKET, option, RECEIVE_BUFFER_BYTES)
            break
        except OSError:
            continue  # forcing is root's; the plain option is cut to net.core.rmem_max without an error
    if plain.family == socket.AF_INET6:
        plain.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        plain.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    else:
        plain.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    _let_routers_fragment(plain)


def _let_routers_fragment(plain: socket.socket) -> None:
    """Send IPv4 packets without "don't fragment" (ip(7)), also through an IPv6 socket for both.

    Otherwise a block that is larger than the path's MTU never arrives where a firewall drops what routers say of it.
    """
    plain.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DONT)


def receive(plain: socket.socket) -> Datagram | None:
    """The next datagram, or None when there is none now. One that is too long comes as an empty one.

    Raises:
        OSError: the socket reports an error; the next call may work.
    """
    try:
        content, ancillary, flags, peer = plain.recvmsg(MAX_DATAGRAM_BYTES, _ANCILLARY_BYTES)
    except BlockingIOError:
        return None
    if flags & socket.MSG_TRUNC:
        content = b""
    return Datagram(content, peer, ancillary[-1] if ancillary else None)


def send_from_asked(plain: socket.socket, packet: bytes, peer: SocketAddress, asked: Ancillary | None) -> None:
    """Send a packet from the address that the datagram with `asked` was sent to.

    Raises:
        OSError: it could not be sent.
    """
    ancillary = [_reply_info(asked)] if asked is not None else []
    try:
        plain.sendmsg([packet], ancillary, 0, peer)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EADDRNOTAVAIL, errno.ENETUNREACH) or not ancillary:
            raise
        plain.sendmsg([packet], [], 0, peer)  # asked by broadcast: the kernel chooses


def asked_address(asked: Ancillary | None) -> str:
    """The address that a datagram was sent to, or an empty text if that is not known."""
    if asked is None:
        return ""
    if asked[1] == _IP_PKTINFO:
        return socket.inet_ntop(socket.AF_INET, _PKTINFO4.unpack(asked[2])[1])
    return normalize_address(socket.inet_ntop(socket.AF_INET6, asked[2][:16]))


def _reply_info(asked: Ancillary) -> Ancillary:
    """Ancillary data for an answer: the source address is the one asked; the interface is left to routing.

    A link-local address means nothing without its interface, so that is kept for those.
    """
    level, kind, data = asked
    if kind == _IP_PKTINFO:
        return level, kind, _PKTINFO4.pack(0, _PKTINFO4.unpack(data)[1], b"\0\0\0\0")
    address, interface = _PKTINFO6.unpack(data)
    is_link_local = address[0] == 0xFE and address[1] & 0xC0 == 0x80
    return level, socket.IPV6_PKTINFO, _PKTINFO6.pack(address, interface if is_link_local else 0)


def open_transfer_socket(asked: Ancillary | None, peer: SocketAddress, ports: tuple[int, int] | None) -> socket.socket:
    """A plain socket for one transfer: it sends from the address asked, and hears the peer alone.

    `ports` is the range to take a port from; None leaves the choice to the kernel.

    Raises:
        OSError: no port is free, or the peer cannot be reached.
    """
    local, remote = asked_address(asked), normalize_address(str(peer[0]))
    scope = peer[3] if len(peer) == 4 else 0
    is_v6 = is_ipv6(remote)
    plain: socket.socket = PlainSocket(socket.AF_INET6 if is_v6 else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        plain.setblocking(False)
        if not is_v6:
            _let_routers_fragment(plain)
        _bind_in_range(plain, local, ports, scope if is_v6 else None)
        plain.connect((remote.partition("%")[0], peer[1], 0, scope) if is_v6 else (remote, peer[1]))
    except OSError:
        plain.close()
        raise
    return plain


def _bind_in_range(plain: socket.socket, address: str, ports: tuple[int, int] | None, scope: str | int | None) -> None:
    """Bind to a free port of the range, beginning at a random one so that numbers are hard to guess."""
    low, high = ports or (0, 0)
    count = high - low + 1
    start = random.randrange(count)  # noqa: S311  (no secret: it only spreads the ports)
    for step in range(count):
        port = low + (start + step) % count
        try:
            plain.bind((address, port) if scope is None else (address, port, 0, scope))
            return
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL and address:
                return _bind_in_range(plain, "", ports, scope)  # asked by broadcast
            if error.errno != errno.EADDRINUSE:
                raise
    raise OSError(errno.EADDRINUSE, f"no free port from {low} to {high}")


def _bound(family: int, address: str, port: int) -> socket.socket:
    plain: socket.socket = PlainSocket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            plain.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address != "::"))
        plain.bind((address, port))
    except OSError:
        plain.close()
        raise
    return plain
