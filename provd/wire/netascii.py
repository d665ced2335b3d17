"""The netascii transfer mode of TFTP (RFC 764): lines end with CR LF, a lone CR is CR NUL."""

from __future__ import annotations

import re


def to_netascii(content: bytes) -> bytes:
    """`content` of this system, where lines end with LF, as netascii."""
    return re.sub(b"[\r\n]", lambda match: b"\r\n" if match[0] == b"\n" else b"\r\0", content)
