"""Phones under load: each asks for its file again and again, as a phone does, and says what it did not get.

    load.py SERVER STOP-FILE

A request that is refused, reset, cut short or not answered within 20 seconds is a failure; one that waits is none.
"""

from __future__ import annotations

import http.client
import json
import socket
import struct
import sys
import threading
import time
from pathlib import Path

PATIENCE_S = 20.0
RETRY_S = 1.0
SLOW_ACK_S = 0.02


class Phones:
    """What all the phones got, and what not."""

    def __init__(self, server: str, stop_file: Path) -> None:
        self.server = server
        self.stop_file = stop_file
        self.lock = threading.Lock()
        self.result = {"http": 0, "tftp": 0, "slow_tftp": 0, "slow_http": 0, "longest_s": 0.0, "failures": []}

    def run(self, kind: str, number: int) -> None:
        """Be one phone until the end."""
        ask = getattr(self, kind)
        while not self.stop_file.exists():
            start = time.monotonic()
            try:
                ask(f"00085D5500{number:02X}.cfg")
            except Exception as error:  # noqa: BLE001  (whatever it is, the phone got nothing)
                with self.lock:
                    self.result["failures"].append(f"{kind}: {error!r} after {time.monotonic() - start:.3f} s")
            else:
                took = time.monotonic() - start
                with self.lock:
                    self.result[kind] += 1
                    if not kind.startswith("slow"):
                        self.result["longest_s"] = max(self.result["longest_s"], took)

    def http(self, name: str) -> None:
        """A file by HTTP, with a connection of its own."""
        self.get(f"/Aastra/{name}", name)

    def slow_http(self, name: str) -> None:
        """A large file, taken slowly."""
        self.get("/Aastra/firmware.st", name, pause_s=0.02)

    def get(self, path: str, name: str, pause_s: float = 0.0) -> None:
        mac = "-".join(name[place : place + 2] for place in range(0, 12, 2))
        connection = http.client.HTTPConnection(self.server, 8667, timeout=PATIENCE_S)
        connection.connect()
        connection.request("GET", path, headers={"User-Agent": f"Aastra6731i MAC:{mac} V:3.3.1.4305-SIP"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise ValueError(answer.status)
        expected, received = int(answer.headers["Content-Length"]), 0
        while data := answer.read(32768):
            received += len(data)
            time.sleep(pause_s)
        if received != expected:
            raise ValueError(f"{received} of {expected} bytes")
        connection.close()

    def tftp(self, name: str) -> None:
        """A file by TFTP."""
        self.read(name, 0.0)

    def slow_tftp(self, name: str) -> None:
        """A file by TFTP from a phone that takes its time, so that it is at it for some seconds."""
        self.read("firmware.st", SLOW_ACK_S, blksize=8192)

    def read(self, name: str, pause_s: float, blksize: int = 512) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            phone.settimeout(RETRY_S)
            options = f"blksize\0{blksize}\0" if blksize != 512 else ""
            packet, peer = f"\0\1{name}\0octet\0{options}".encode(), (self.server, 69)
            expected, begun = 1, time.monotonic()
            while time.monotonic() - begun < PATIENCE_S:
                phone.sendto(packet, peer)
                try:
                    data, sender = phone.recvfrom(65536)
                except TimeoutError:
                    continue
                opcode, block = struct.unpack("!HH", data[:4])
                if opcode == 5:
                    raise ValueError(data[4:-1].decode())
                if peer[1] == 69:
                    peer = sender
                if opcode == 6:
                    packet = b"\0\4\0\0"
                elif block == expected & 0xFFFF:
                    packet, expected = b"\0\4" + data[2:4], expected + 1
                    time.sleep(pause_s)
                    begun = time.monotonic()
                    if len(data) < blksize + 4:
                        phone.sendto(packet, peer)
                        return
            raise TimeoutError(f"block {expected}")


def main() -> None:
    """Run all the phones, and print what they got as JSON."""
    phones = Phones(sys.argv[1], Path(sys.argv[2]))
    kinds = ["http"] * 4 + ["tftp"] * 4 + ["slow_tftp", "slow_http"]
    threads = [threading.Thread(target=phones.run, args=(kind, number)) for number, kind in enumerate(kinds, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(phones.result))


if __name__ == "__main__":
    main()
