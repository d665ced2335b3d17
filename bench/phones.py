"""The phones of the benchmark: number N always has the same MAC address, network address, file and User-Agent."""

from __future__ import annotations

from pathlib import Path

PLUGIN = "xivo-aastra-3.3.1-SP2"
FOLDER = "Aastra"
MODEL = "6731i"
VERSION = "3.3.1.4365"

FILE_BYTES = 4096
"""The size of every phone's file: the template is padded to it."""

FIRMWARE_NAME = f"{MODEL}.st"
FIRMWARE_BYTES = 4 * 1024 * 1024

FIRST_NEW = 1 << 20
"""Phones from this number on are in no store when the benchmark begins."""
FIRST_FREE_ADDRESS = 1 << 21
"""The addresses of phones from this number on are nobody's when the benchmark begins: known phones move there."""
VENDOR_CLASS = f"AastraIPPhone{MODEL}"
"""What the phone calls itself by DHCP, in option 60."""


def mac(number: int) -> str:
    """The phone's MAC address as provd stores it."""
    return f"00:08:5d:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"


def plain_mac(number: int) -> str:
    """The phone's MAC address as its file's name and its file's first line have it."""
    return mac(number).replace(":", "").upper()


def address(number: int) -> str:
    """The phone's own address, in 127.0.0.0/8 but not where the servers are."""
    return f"127.{1 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def user_agent(number: int) -> str:
    """What the phone calls itself by HTTP."""
    return f"Aastra{MODEL} MAC:{mac(number).replace(':', '-').upper()} V:{VERSION}-SIP"


def own_file(number: int) -> str:
    """The path of the phone's own file."""
    return f"{FOLDER}/{plain_mac(number)}.cfg"


def boot_line(number: int, protocol: str, place: int | None = None) -> str:
    """The phone as phonestorm reads it, fetching its own file; its MAC address must be found in it.

    `place` is the number of the phone from whose address it asks; its own without.
    """
    source = address(number if place is None else place)
    fields = (source, protocol, f"{own_file(number)}#{FILE_BYTES}", user_agent(number), plain_mac(number))
    return "\t".join(fields)


def firmware_line(number: int, protocol: str) -> str:
    """The phone as phonestorm reads it, fetching its firmware."""
    path = f"{FOLDER}/{FIRMWARE_NAME}#{FIRMWARE_BYTES}"
    return "\t".join((address(number), protocol, path, user_agent(number)))


def lease(number: int, place: int) -> str:
    """The DHCP server's message, but for its time, that the phone was given the address of the phone `place`."""
    option = f"060{VENDOR_CLASS.encode().hex('.')}"
    return "\n".join(("commit", address(place), mac(number), option))


def write_lines(target: Path, lines: list[str]) -> Path:
    """Write a request file for phonestorm; returns its path."""
    target.write_text("\n".join(lines) + "\n", encoding="ascii")
    return target
