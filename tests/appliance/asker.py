"""Somebody who asks the server for files, from one address, and says in JSON what came of it.

    asker.py SERVER SOURCE guess http|tftp NAMES COUNTED
        one name after the other (NAMES has a %X) until no answer comes; COUNTED is how many are allowed
    asker.py SERVER SOURCE boot PHONES FIRST
        so many Aastra phones boot at once: each takes aastra.cfg and its own file by HTTP, and its own file by TFTP
    asker.py SERVER SOURCE once http|tftp NAME
        one request
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
import time

PATIENCE_S = 1.0


class Asker:
    """Requests from one address."""

    def __init__(self, server: str, source: str) -> None:
        self.server, self.source = server, source
        self.family = socket.AF_INET6 if ":" in server else socket.AF_INET

    def ask(self, protocol: str, name: str, agent: str = "curl") -> str | None:
        """The status (TFTP: as HTTP would say it), or None if nothing came."""
        try:
            return self.tftp(name) if protocol == "tftp" else self.http(name, agent)
        except OSError:
            return None

    def http(self, name: str, agent: str) -> str:
        with socket.socket(self.family) as connection:
            connection.settimeout(PATIENCE_S)
            connection.bind((self.source, 0))
            connection.connect((self.server, 8667))
            head = f"GET /Aastra/{name} HTTP/1.1\r\nHost: x\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n"
            connection.sendall(head.encode())
            return connection.recv(4096)[9:12].decode()

    def tftp(self, name: str) -> str:
        with socket.socket(self.family, socket.SOCK_DGRAM) as door:
            door.settimeout(PATIENCE_S)
            door.bind((self.source, 0))
            door.sendto(b"\0\1" + name.encode() + b"\0octet\0", (self.server, 69))
            packet, transfer = door.recvfrom(600)
            if packet[1] != 3:
                return "404"
            door.sendto(struct.pack("!HH", 5, 0) + b"enough\0", transfer)
            return "200"


def guess(asker: Asker, protocol: str, names: str, counted: str) -> dict[str, object]:
    """How many were answered, and how long after the last one that is allowed nothing came any more."""
    statuses: list[str] = []
    reached = last = time.monotonic()
    for number in range(400):
        status = asker.ask(protocol, names % number)
        if status is None:
            break
        statuses.append(status)
        last = time.monotonic()
        if len(statuses) == int(counted):
            reached = last
        if len(statuses) >= int(counted):
            time.sleep(0.02)
    return {"answered": len(statuses), "cut_off_s": last - reached, "is_cut_off": len(statuses) < 400}


def boot(asker: Asker, phones: str, first: str) -> dict[str, object]:
    """How many requests were not answered with a file."""
    failed: list[str] = []

    def phone(number: int) -> None:
        mac = f"00085D{number:06X}"
        dashed = "-".join(mac[place : place + 2] for place in range(0, 12, 2))
        agent = f"Aastra6731i MAC:{dashed} V:3.3.1.4305-SIP"
        for protocol, name in (("http", "aastra.cfg"), ("http", f"{mac}.cfg"), ("tftp", f"{mac}.cfg")):
            status = asker.ask(protocol, name, agent)
            if status != "200":
                failed.append(f"{protocol} {name}: {status}")

    threads = [threading.Thread(target=phone, args=(int(first) + number,)) for number in range(int(phones))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"failed": failed}


def once(asker: Asker, protocol: str, name: str) -> dict[str, object]:
    """What comes of one request."""
    return {"status": asker.ask(protocol, name)}


if __name__ == "__main__":
    server, source, verb, *arguments = sys.argv[1:]
    print(json.dumps({"guess": guess, "boot": boot, "once": once}[verb](Asker(server, source), *arguments)))
