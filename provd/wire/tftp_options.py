"""Negotiating a transfer's options (RFC 2347, 2348, 2349, 7440).

An option with a value that cannot be understood is left out of the answer, as RFC 2347 says of options that a
server does not support: the transfer goes on without it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_BLKSIZE = 512
MIN_BLKSIZE, MAX_BLKSIZE = 8, 65464
MAX_TIMEOUT_S = 255
MAX_WINDOWSIZE = 65535


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What a transfer uses, and `answer`, the options that the client is told in an OACK.

    `timeout_s` is None when the client did not ask for one.
    """

    blksize: int = DEFAULT_BLKSIZE
    windowsize: int = 1
    timeout_s: int | None = None
    answer: dict[str, str] = field(default_factory=dict)


def negotiate(options: Mapping[str, str], size_bytes: int, max_blksize: int, max_windowsize: int) -> Negotiated:
    """Agree on the options that a client asks for.

    `max_blksize` and `max_windowsize` are the server's limits; both RFCs let it answer with less than was asked.
    """
    answer: dict[str, str] = {}
    blksize, windowsize, timeout_s = DEFAULT_BLKSIZE, 1, None
    asked = _number(options.get("blksize"), MIN_BLKSIZE, None)
    if asked is not None:
        blksize = min(asked, max_blksize)
        answer["blksize"] = str(blksize)
    timeout_s = _number(options.get("timeout"), 1, MAX_TIMEOUT_S)
    if timeout_s is not None:
        answer["timeout"] = str(timeout_s)
    if _number(options.get("tsize"), 0, None) is not None:
        answer["tsize"] = str(size_bytes)
    asked = _number(options.get("windowsize"), 1, MAX_WINDOWSIZE)
    if asked is not None:
        windowsize = min(asked, max_windowsize)
        answer["windowsize"] = str(windowsize)
    return Negotiated(blksize, windowsize, timeout_s, answer)


def _number(text: str | None, low: int, high: int | None) -> int | None:
    if text is None or not re.fullmatch(r"[0-9]{1,18}", text):
        return None
    value = int(text)
    return value if value >= low and (high is None or value <= high) else None
