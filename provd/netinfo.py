"""The machine's own addresses. The only module that imports netifaces.

The Debian package uses netifaces, a virtual environment netifaces2, which has wheels; both are `netifaces` to Python,
and this module keeps to what they have in common.
"""

from __future__ import annotations

import logging
import socket
from typing import Any

import netifaces
from gevent.monkey import get_original

from provd.model.address import InvalidAddressError, network_of, normalize_address

PlainSocket = get_original("socket", "socket")
log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"

_ANY_PORT = 9
_IPV6_ADDR_PREFERENCES = 72  # linux/in6.h
_IPV6_PREFER_SRC_PUBLIC = 0x0002  # not a temporary address (RFC 5014), which is gone tomorrow


def server_address() -> str:
    """The address that phones most likely reach this server at.

    That of the interface with the default route, otherwise the first that is not loopback, otherwise loopback. IPv4
    is preferred, because every phone speaks it.
    """
    for family in (netifaces.AF_INET, netifaces.AF_INET6):
        interfaces = [*_default_interfaces(family), *netifaces.interfaces()]
        for interface in interfaces:
            for address in _addresses(interface, family):
                if not _is_local_only(address):
                    return address
    return LOOPBACK


def address_facing(address: str) -> str | None:
    """The machine's own address on the interface that faces a phone at `address`; None if there is no way to it.

    The kernel is asked, because it knows all routes, also those to phones behind a router: connecting a datagram socket
    sends nothing, and chooses the address. A link-local one means nothing to a phone in a URL: then another one of that
    interface is taken.
    """
    is_v6 = ":" in address
    family = socket.AF_INET6 if is_v6 else socket.AF_INET
    try:
        normalize_address(address)  # no name, which would be looked up
        with PlainSocket(family, socket.SOCK_DGRAM) as plain:
            if is_v6:
                plain.setsockopt(socket.IPPROTO_IPV6, _IPV6_ADDR_PREFERENCES, _IPV6_PREFER_SRC_PUBLIC)
            plain.connect((address, _ANY_PORT))
            own = str(plain.getsockname()[0])
    except (OSError, InvalidAddressError):
        return None
    if _is_link_local(own):
        return _address_beside(own, netifaces.AF_INET6 if is_v6 else netifaces.AF_INET)
    return own


def local_addresses() -> list[str]:
    """What `address_facing` depends on, sorted: the machine's IPv4 addresses, and the networks of its IPv6 addresses.

    Its IPv6 addresses themselves may change every day.
    """
    found = {
        network_of(address)
        for interface in netifaces.interfaces()
        for family in (netifaces.AF_INET, netifaces.AF_INET6)
        for address in _addresses(interface, family)
        if not _is_local_only(address)
    }
    return sorted(found)


def _address_beside(link_local: str, family: int) -> str | None:
    """Another address of the interface that has a link-local one."""
    for interface in netifaces.interfaces():
        own = _addresses(interface, family)
        if link_local in (each.partition("%")[0] for each in own):
            return next((each for each in own if not _is_link_local(each)), None)
    return None


def _default_interfaces(family: int) -> list[str]:
    """The interfaces with a default route.

    netifaces2 reads the routes with the program `ip` or from /proc, has no `gateways` where it finds neither, and
    marks only default routes.
    """
    try:
        gateways: Any = netifaces.gateways()
    except (AttributeError, RuntimeError, ValueError, OSError) as error:
        log.debug("no routes known: error=%s", error)
        return []
    return [str(route[1]) for route in gateways.get(family, []) if len(route) > 2 and route[2]]


def _addresses(interface: str, family: int) -> list[str]:
    try:
        addresses: Any = netifaces.ifaddresses(interface)
    except (ValueError, OSError):
        return []
    return [str(entry["addr"]) for entry in addresses.get(family, []) if "addr" in entry]


def _is_link_local(address: str) -> bool:
    return address.startswith(("169.254.", "fe80:"))


def _is_local_only(address: str) -> bool:
    """Loopback, or link-local, which means nothing to a phone in a URL."""
    return address.startswith(("127.", "169.254.", "fe80:")) or address == "::1"
