"""What is measured. Each function lets phones boot against the servers in turns, and returns a row for each server.

What identification costs is in `identification.py`, the flood in `flood.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import phones
from field import Field, Row
from servers import Server, tftpboot
from storm import Storm

BURST = 500
_FIRMWARE_AT_ONCE = 16
_GROWTH_AT_ONCE = 64

BURST_WAYS: Sequence[tuple[str, str, Sequence[str]]] = (
    ("http", "", ()),
    ("tftp", "asks once", ("--retries", "0", "--timeout-ms", "10000")),
    ("tftp", "asks again after 30 ms", ("--retries", "100", "--timeout-ms", "30")),
)
"""Protocol, name and phonestorm's options of each kind of burst.

Who asks once loses a file with each datagram. Who asks again before the answer can come must not lose the transfer
that its first request began.
"""
_PATIENT = ("--retries", "20", "--http-timeout-ms", "20000")

FIRMWARE_WAYS: Sequence[tuple[str, str, int, Sequence[str]]] = (
    ("http", "", 16, ()),
    ("tftp", "blksize 512", 1, ()),
    ("tftp", "blksize 1428", 1, ("--blksize", "1428")),
    ("tftp", "blksize 1428, windowsize 16", 1, ("--blksize", "1428", "--windowsize", "16")),
)
"""The ways in which phones fetch their firmware: protocol, name, how often each phone does, phonestorm's options."""


def known(field: Field, protocol: str, at_once: int) -> list[Row]:
    """Phones of which nothing changed fetch their own file of 4 KiB, each from its own address."""

    def storm_of(server: Server) -> Storm:
        return field.known_phones(server, protocol, at_once, boots=max(field.size.boots, at_once))

    return field.in_turns("known", protocol, field.speaking(protocol, field.provds), storm_of)


def growth(field: Field, protocol: str) -> list[Row]:
    """The same phones ask servers with stores of all sizes: what is left is what the size of the store costs."""

    def storm_of(server: Server) -> Storm:
        return field.known_phones(server, protocol, _GROWTH_AT_ONCE, boots=field.size.boots, most=field.same_phones)

    return field.in_turns("growth", protocol, field.provds, storm_of, documents=0)


def burst(field: Field, protocol: str, way: str, options: Sequence[str]) -> list[Row]:
    """Known phones all start at the same moment."""

    def storm_of(server: Server) -> Storm:
        storm = field.known_phones(server, protocol, BURST, boots=BURST, most=BURST)
        return replace(storm, options=options)

    return field.in_turns("burst", protocol, field.speaking(protocol, [field.usual]), storm_of, way=way)


def new(field: Field, protocol: str) -> list[Row]:
    """Phones that nobody knows all start at the same moment."""

    def storm_of(server: Server) -> Storm:
        return replace(field.new_phones(server, protocol), options=_PATIENT)

    return field.in_turns("new", protocol, field.provds, storm_of)


def firmware(field: Field, protocol: str, way: str, repeat: int, options: Sequence[str]) -> list[Row]:
    """Phones fetch 4 MiB each; every byte is compared."""
    lines = [phones.firmware_line(number, protocol) for number in range(field.size.firmware_files)]
    verify = ("--verify", str(tftpboot(field.usual.folder)))

    def storm_of(server: Server) -> Storm:
        return replace(field.storm(server, protocol, lines, _FIRMWARE_AT_ONCE, repeat), options=(*options, *verify))

    return field.in_turns("firmware", protocol, field.speaking(protocol, [field.usual]), storm_of, way=way)
