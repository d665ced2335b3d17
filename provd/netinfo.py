"""The machine's own addresses. The only module that imports netifaces.

The Debian package uses netifaces, a virtual environment netifaces2, which has wheels; both are `netifaces` to Python,
and this module keeps to what they have in common.
"""

from __future__ import annotations

import logging
from typing import Any

import netifaces

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"


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


def _is_local_only(address: str) -> bool:
    """Loopback, or link-local, which means nothing to a phone in a URL."""
    return address.startswith(("127.", "169.254.", "fe80:")) or address == "::1"
