"""The netascii transfer mode of TFTP (RFC 764): lines end with CR LF, a lone CR is CR NUL."""

from __future__ import annotations


def to_netascii(content: bytes) -> bytes:
    """`content` of this system, where lines end with LF, as netascii."""
    return content.replace(b"\r", b"\r\0").replace(b"\n", b"\r\n")  # in this order: the second makes new CRs
