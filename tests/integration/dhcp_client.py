"""DHCP clients behind a relay, run as a script: reads what to ask from stdin, writes what was answered to stdout.

    dhcp_client.py OWN-ADDRESS SERVER

Each client is `{"mac": …, "vendor_class": hex or null, "asks_for": [codes] or null}`; its answer is the options of the
server's DHCPACK, hex by code. A relay's packets are plain UDP, so nothing here needs a raw socket.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
from typing import Any

DISCOVER, REQUEST = 1, 3
TRIES, PATIENCE_S = 5, 2.0
FIXED_PART = 240
"""Bytes in front of the options (RFC 2131 section 2), the magic cookie included."""


def main() -> None:
    relay, server = sys.argv[1:]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.bind((relay, 67))
        answers = [lease(door, relay, server, number, client) for number, client in enumerate(json.load(sys.stdin))]
    json.dump([{str(code): value.hex() for code, value in answer.items()} for answer in answers], sys.stdout)


def lease(door: socket.socket, relay: str, server: str, number: int, client: dict[str, Any]) -> dict[int, bytes]:
    """The options that a client gets with its lease."""
    own: dict[int, bytes] = {}
    if client["vendor_class"] is not None:
        own[60] = bytes.fromhex(client["vendor_class"])
    if client["asks_for"] is not None:
        own[55] = bytes(client["asks_for"])
    address, offer = exchange(door, server, packet(relay, 2 * number, client["mac"], {53: bytes([DISCOVER]), **own}))
    chosen = {53: bytes([REQUEST]), 50: address, 54: offer[54], **own}
    return exchange(door, server, packet(relay, 2 * number + 1, client["mac"], chosen))[1]


def packet(relay: str, transaction: int, mac: str, options: dict[int, bytes]) -> bytes:
    head = struct.pack("!BBBBIHH12x4s", 1, 1, 6, 1, transaction, 0, 0, socket.inet_aton(relay))
    head += bytes.fromhex(mac.replace(":", "")).ljust(16, b"\0") + bytes(192) + b"\x63\x82\x53\x63"
    return head + b"".join(bytes([code, len(value)]) + value for code, value in options.items()) + b"\xff"


def exchange(door: socket.socket, server: str, question: bytes) -> tuple[bytes, dict[int, bytes]]:
    """The address and the options of the answer; the server may have to start first."""
    for _ in range(TRIES):
        door.sendto(question, (server, 67))
        deadline = time.monotonic() + PATIENCE_S
        while (rest := deadline - time.monotonic()) > 0:
            door.settimeout(rest)
            try:
                answer = door.recv(4096)
            except TimeoutError:
                break
            if answer[0] == 2 and answer[4:8] == question[4:8]:
                return answer[16:20], options_of(answer)
    raise SystemExit("no answer")


def options_of(answer: bytes) -> dict[int, bytes]:
    options: dict[int, bytes] = {}
    place = FIXED_PART
    while place < len(answer) and answer[place] != 255:
        code = answer[place]
        if code:
            options[code] = options.get(code, b"") + answer[place + 2 : place + 2 + answer[place + 1]]
            place += 1 + answer[place + 1]
        place += 1
    return options


if __name__ == "__main__":
    main()
