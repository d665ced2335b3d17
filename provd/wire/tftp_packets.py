"""TFTP packets (RFC 1350, 2347): requests in, everything else out.

tftpy's packet classes decode requests and encode options; they raise whatever the bytes make them raise, so that
all decoding happens in `parse_request`. Its error packets carry no text of one's own, so those are packed here.
"""

from __future__ import annotations

import logging
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from tftpy.TftpPacketFactory import TftpPacketFactory
from tftpy.TftpPacketTypes import TftpPacketOACK
from tftpy.TftpShared import TftpException

logging.getLogger("tftpy").setLevel(logging.WARNING)  # it logs each packet's bytes at DEBUG

HEADER = struct.Struct("!HH")
"""Opcode, and block number or error code."""


class Opcode(IntEnum):
    """The kinds of packets."""

    RRQ = 1
    WRQ = 2
    DATA = 3
    ACK = 4
    ERROR = 5
    OACK = 6


class ErrorCode(IntEnum):
    """The error codes of RFC 1350 and RFC 2347."""

    UNDEFINED = 0
    FILE_NOT_FOUND = 1
    ACCESS_VIOLATION = 2
    DISK_FULL = 3
    ILLEGAL_OPERATION = 4
    UNKNOWN_TID = 5
    FILE_EXISTS = 6
    NO_SUCH_USER = 7
    OPTION_REFUSED = 8


@dataclass(frozen=True, slots=True)
class Request:
    """A read or write request: `mode` is lower-case, `options` has lower-case names."""

    is_write: bool
    name: str
    mode: str
    options: Mapping[str, str]


class MalformedPacketError(ValueError):
    """The datagram is no request that can be understood."""


MAX_OPTIONS = 8
"""Options of a request that are read; the RFCs know five. tftpy looks at every byte of them, so more cost too much."""

_PRINTABLE = re.compile(rb"[\x20-\x7e]+")
_factory = TftpPacketFactory()


def is_request(datagram: bytes) -> bool:
    """Tell by its opcode whether a datagram is a read or write request."""
    return datagram[:2] in (b"\0\1", b"\0\2")


def parse_request(datagram: bytes) -> Request | None:
    """Decode a datagram that came to the server's well-known port; None if it is another kind of packet.

    Raises:
        MalformedPacketError: it claims to be a request, but cannot be read as one.
    """
    if not is_request(datagram):
        return None
    try:
        packet = _factory.parse(_with_readable_options(datagram))
        options = {name.lower(): value for name, value in packet.options.items()}
        return Request(datagram[1] == Opcode.WRQ, packet.filename, packet.mode, options)
    except (TftpException, ValueError, struct.error) as error:  # UnicodeError is a ValueError
        raise MalformedPacketError(str(error)) from error


def _with_readable_options(datagram: bytes) -> bytes:
    """The request with those options only that tftpy can read: a name and a value, both of printable ASCII.

    Old clients fill a packet of fixed length up with zeros or with whatever was there, and an option that a server
    does not understand is to be ignored (RFC 2347). So are those behind the first few.
    """
    *texts, _rest = datagram[2:].split(b"\0", 2 + 2 * MAX_OPTIONS)
    options = texts[2:]
    pairs = [pair for pair in zip(options[::2], options[1::2], strict=False) if all(map(_PRINTABLE.fullmatch, pair))]
    return datagram[:2] + b"\0".join([*texts[:2], *(text for pair in pairs for text in pair), b""])


def encode_error(code: ErrorCode, message: str) -> bytes:
    """An ERROR packet."""
    return HEADER.pack(Opcode.ERROR, code) + message.encode("ascii", "replace") + b"\0"


def encode_oack(options: Mapping[str, str]) -> bytes:
    """An OACK packet: the options that the server agrees to (RFC 2347)."""
    packet = TftpPacketOACK()
    packet.options = dict(options)
    buffer: bytes = packet.encode().buffer
    return buffer


def encode_data(block: int, content: bytes) -> bytes:
    """A DATA packet; `block` is the absolute number, which the wire cuts to 16 bits."""
    return HEADER.pack(Opcode.DATA, block & 0xFFFF) + content
