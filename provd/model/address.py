"""Internet addresses as provd stores them: the shortest text form, IPv4-mapped IPv6 addresses as IPv4."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from provd.errors import InvalidValueError

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"(?:::ffff:)?({_OCTET}(?:[.]{_OCTET}){{3}})")
"""What a socket says of an IPv4 client: nearly all addresses, and ipaddress takes several microseconds for each."""
_SCOPE = re.compile(r"[A-Za-z0-9_.@-]{1,15}")
"""A name of an interface, or its index (IFNAMSIZ)."""


class InvalidAddressError(InvalidValueError):
    """The text is not an IPv4 or IPv6 address."""

    def __init__(self, value: object, field: str = "ip") -> None:
        super().__init__(field, value, "an IPv4 or IPv6 address, such as 192.0.2.7 or 2001:db8::7")


@lru_cache(maxsize=4096)
def normalize_address(text: str) -> str:
    """Return the address `text` in stored form.

    A dual-stack socket reports an IPv4 client as `::ffff:192.0.2.7`; the stored form is `192.0.2.7`. A scope
    (`fe80::1%eth0`) is kept, because a link-local address means nothing without it.

    Raises:
        InvalidAddressError: `text` is not an address.
    """
    if match := _IPV4.fullmatch(text):
        return match[1]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise InvalidAddressError(text) from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None and not _SCOPE.fullmatch(address.scope_id):
            raise InvalidAddressError(text)
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
    return str(address)


def is_ipv6(address: str) -> bool:
    """Tell whether the stored-form `address` is an IPv6 address."""
    return ":" in address


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """What one machine has: of IPv6 the /64, as its last 64 bits are its own (RFC 4291 section 2.5.1).

    Link-local addresses are in one network for all interfaces.
    """
    if not is_ipv6(address):
        return address
    return str(ipaddress.ip_network((address.partition("%")[0], 64), strict=False))


def is_loopback(address: str) -> bool:
    """Tell whether an address, or a name as good as one, is this machine's own, which no other machine reaches."""
    try:
        return ipaddress.ip_address(normalize_address(address)).is_loopback
    except InvalidAddressError:
        return address == "localhost"


def is_same_machine(address: str, own_address: str) -> bool:
    """Tell whether who asks from `address`, in stored form, asks itself at `own_address`, as a socket says it."""
    return is_loopback(address) or address == normalize_address(own_address)


def is_unspecified(address: str) -> bool:
    """Tell whether the address stands for all addresses of the machine, and so for none."""
    try:
        return ipaddress.ip_address(address).is_unspecified
    except ValueError:
        return False


def url_host(host: str) -> str:
    """Return `host` as it stands in a URL: an IPv6 address needs brackets (RFC 3986 section 3.2.2)."""
    return f"[{host}]" if is_ipv6(host) else host
