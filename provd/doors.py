"""Opening the sockets of the doors: those that systemd hands over, and those that are missing."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provd.errors import SettingsError
from provd.model.address import url_host
from provd.serving.dhcp import open_dhcp_socket
from provd.serving.http import BACKLOG
from provd.serving.plain import PlainSocket, adopt_socket
from provd.serving.udp import open_udp_socket
from provd.settings import Settings

_DOORS = ("tftp", "http", "admin", "dhcp")


@dataclass(slots=True)
class DoorSockets:
    """The sockets of each door: gevent's (by monkey patching) for the admin door, plain ones for the others."""

    tftp: list[socket.socket] = field(default_factory=list)
    http: list[socket.socket] = field(default_factory=list)
    admin: list[socket.socket] = field(default_factory=list)
    dhcp: list[socket.socket] = field(default_factory=list)

    def close(self) -> None:
        """Close them all."""
        for each in (*self.tftp, *self.http, *self.admin, *self.dhcp):
            each.close()


def open_door_sockets(settings: Settings, inherited: Sequence[tuple[str, int]]) -> DoorSockets:
    """Sort the inherited sockets to their doors, and open one for each door that got none.

    Raises:
        SettingsError: an address or port cannot be had, or an inherited socket is nobody's.
    """
    doors = DoorSockets()
    try:
        for name, descriptor in inherited:
            _adopt(doors, name, descriptor, settings)
        if not doors.tftp:
            doors.tftp.append(_opened("tftp", settings["general.bind"], settings["tftp.port"]))
        if not doors.http:
            doors.http.append(_opened("http", settings["general.bind"], settings["http.port"]))
        if not doors.admin:
            plain = _opened("admin", settings["admin.address"], settings["admin.port"])
            doors.admin.append(socket.socket(fileno=plain.detach()))
        if not doors.dhcp and settings["dhcp.socket"] is not None:
            doors.dhcp.append(_opened_dhcp(settings["dhcp.socket"]))
    except SettingsError:
        doors.close()
        raise
    return doors


def describe_address(address: Any) -> str:
    """A socket's address as text, such as `[::]:6969`."""
    return f"{url_host(str(address[0]))}:{address[1]}" if isinstance(address, tuple) else str(address)


def _adopt(doors: DoorSockets, name: str, descriptor: int, settings: Settings) -> None:
    """Give an inherited socket to its door: by its name if that is a door's, else by its kind and port."""
    try:
        plain = adopt_socket(descriptor)
        kind, address = plain.type, plain.getsockname()
    except OSError as error:
        raise SettingsError(f"inherited socket {name!r}: descriptor {descriptor}: {error.strerror}") from error
    port = address[1] if isinstance(address, tuple) else None
    door = name if name in _DOORS else _door_of(kind, port, settings)
    if door == "tftp" and kind == socket.SOCK_DGRAM and port is not None:
        doors.tftp.append(plain)
    elif door == "http" and kind == socket.SOCK_STREAM and port is not None:
        doors.http.append(plain)
    elif door == "admin" and kind == socket.SOCK_STREAM:
        doors.admin.append(socket.socket(fileno=plain.detach()))
    elif door == "dhcp" and kind == socket.SOCK_DGRAM and port is None:
        doors.dhcp.append(plain)
    else:
        plain.close()
        shown = describe_address(address)
        raise SettingsError(f"inherited socket {name!r} ({shown}): fits no door; name it {', '.join(_DOORS)}")


def _door_of(kind: int, port: int | None, settings: Settings) -> str:
    if kind == socket.SOCK_DGRAM:
        return "dhcp" if port is None else "tftp"
    return "admin" if port is None or port == settings["admin.port"] else "http"


def _opened(door: str, address: str, port: int) -> socket.socket:
    try:
        return open_udp_socket(address, port) if door == "tftp" else _open_tcp_socket(address, port)
    except OSError as error:
        where = f"{address or 'all addresses'} port {port}"
        raise SettingsError(f"{door} door: {where}: {error.strerror}{_advice(door, error.errno)}") from error


def _opened_dhcp(path: Path) -> socket.socket:
    try:
        return open_dhcp_socket(str(path))
    except OSError as error:
        raise SettingsError(f"dhcp.socket: {path}: {error.strerror or error}") from error


def _advice(door: str, error_number: int | None) -> str:
    """What to do when a door's address and port cannot be had."""
    if error_number == errno.EACCES:
        return "; ports below 1024 need systemd's sockets, root, or CAP_NET_BIND_SERVICE"
    if error_number == errno.EADDRINUSE:
        return f"; another program has it, choose another {door}.port"
    if error_number == errno.EADDRNOTAVAIL:
        setting = "admin.address" if door == "admin" else "general.bind"
        return f"; no interface has this address, see {setting}"
    return ""


def _open_tcp_socket(address: str, port: int) -> socket.socket:
    """A plain listening socket; the empty address means all, IPv6 and IPv4 where there is IPv6."""
    if not address:
        try:
            return _listening(socket.AF_INET6, "::", port)
        except OSError as error:
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                raise
            return _listening(socket.AF_INET, "0.0.0.0", port)
    return _listening(socket.AF_INET6 if ":" in address else socket.AF_INET, address, port)


def _listening(family: int, address: str, port: int) -> socket.socket:
    listener: socket.socket = PlainSocket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address != "::"))
        listener.bind((address, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
