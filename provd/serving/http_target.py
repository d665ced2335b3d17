"""From the target of an HTTP request to the path of a file."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from provd.model.address import InvalidAddressError, normalize_address


def split_target(target: bytes) -> tuple[str, str] | None:
    """The decoded path, without leading slashes, and the raw query of a request target; None if it is malformed.

    Percent-encoding is undone once. Origin form and absolute form (RFC 9112 section 3.2) are understood.
    """
    if not target.startswith(b"/"):
        scheme, separator, rest = target.partition(b"://")
        if not separator or scheme.lower() not in (b"http", b"https"):
            return None
        target = b"/" + re.sub(rb"^[^/?]*/?", b"", rest)
    path, _, query = target.partition(b"?")
    try:
        decoded = unquote_to_bytes(path).decode("utf-8") if b"%" in path else path.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return decoded.lstrip("/"), query.decode("latin-1")


def client_address(peer: str, forwarded_for: str | None, trusted_proxies: int) -> str:
    """The client's address in stored form.

    That is the TCP peer or, behind `trusted_proxies` proxies, the so-manieth entry of X-Forwarded-For from the
    right: what stands further left was written by the client. A header that is missing, too short or no address
    leaves the peer.
    """
    address = normalize_address(peer)
    if not trusted_proxies or forwarded_for is None:
        return address
    entries = [entry.strip() for entry in forwarded_for.split(",")]
    if len(entries) < trusted_proxies:
        return address
    try:
        return normalize_address(entries[-trusted_proxies])
    except InvalidAddressError:
        return address
