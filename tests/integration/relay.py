"""A bad network between a TFTP client and the server: it loses, doubles, reorders and delays datagrams.

Clients talk to the relay's port as to the server's. Each client has a socket of its own towards the server, and each
transfer of the server's (each of its ports) has a port of its own towards the client, so that the relay looks like
the server on another machine: nobody learns by ICMP that a port is closed.
"""

from __future__ import annotations

import heapq
import random
import selectors
import socket
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass

OPCODES = {1: "RRQ", 2: "WRQ", 3: "DATA", 4: "ACK", 5: "ERROR", 6: "OACK"}


@dataclass(frozen=True, slots=True)
class Weather:
    """What happens to a datagram, as shares of all: 0.2 is every fifth."""

    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    latency_s: float = 0.0
    late_requests: bool = False
    """Requests are doubled too, and the second comes when the transfer has begun."""

    @property
    def detour_s(self) -> float:
        """How much later a datagram comes that takes another way: those behind it overtake it."""
        return 0.02 + 2 * self.latency_s


class Relay:
    """Runs in a thread from entering to leaving; `sent` counts what the two sides sent, before anything happens to it.

    Its keys are the sender's side, `client` or `server`, and the kind of packet. `blocks` counts the server's DATA
    packets by block number. At most two datagrams in a row are lost in each direction, so that a client that tries
    a few times always succeeds.
    """

    def __init__(self, server_port: int, weather: Weather, seed: object, source: str = "127.0.0.1") -> None:
        self.sent: Counter[tuple[str, str]] = Counter()
        self.blocks: Counter[int] = Counter()
        self._server = ("127.0.0.1", server_port)
        self._source = source
        self._weather = weather
        self._random = random.Random(f"{seed}")
        self._lost_in_a_row: Counter[str] = Counter()
        self._selector = selectors.DefaultSelector()
        self._door = self._open("client", None)
        self.port: int = self._door.getsockname()[1]
        self._upstream: dict[tuple, socket.socket] = {}
        self._downstream: dict[tuple[tuple, tuple], socket.socket] = {}
        self._waiting: list[tuple[float, int, socket.socket, bytes, tuple]] = []
        self._number = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """The client has gone; the server is told so, that it need not wait for acknowledgements that were lost."""
        self._over.set()
        self._thread.join(10)
        for client, transfer in self._downstream:
            self._upstream[client].sendto(b"\0\5\0\0gone\0", transfer)
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._selector.close()

    def _open(self, side: str, data: object) -> socket.socket:
        """A socket that hears one side; `data` says whom it belongs to."""
        new = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        new.bind((self._source if side == "server" else "127.0.0.1", 0))
        new.setblocking(False)
        self._selector.register(new, selectors.EVENT_READ, (side, data))
        return new

    def _run(self) -> None:
        while not self._over.is_set():
            pause = self._waiting[0][0] - time.monotonic() if self._waiting else 0.05
            for key, _ in self._selector.select(max(0.0, min(pause, 0.05))):
                side, data = key.data
                packet, sender = key.fileobj.recvfrom(65536)
                if side == "client":
                    self._from_client(packet, sender, data)
                else:
                    self._from_server(packet, sender, data)
            while self._waiting and self._waiting[0][0] <= time.monotonic():
                _, _, out, packet, receiver = heapq.heappop(self._waiting)
                out.sendto(packet, receiver)

    def _from_client(self, packet: bytes, client: tuple, transfer: tuple | None) -> None:
        """To the transfer whose port it came to, or to the server's door."""
        self._count("client", packet)
        if client not in self._upstream:
            self._upstream[client] = self._open("server", client)
        is_request = transfer is None
        self._pass_on("client", packet, self._upstream[client], transfer or self._server, is_request=is_request)

    def _from_server(self, packet: bytes, transfer: tuple, client: tuple) -> None:
        self._count("server", packet)
        if (client, transfer) not in self._downstream:
            self._downstream[client, transfer] = self._open("client", transfer)
        self._pass_on("server", packet, self._downstream[client, transfer], client)

    def _count(self, side: str, packet: bytes) -> None:
        opcode, number = struct.unpack_from("!HH", packet)
        self.sent[side, OPCODES[opcode]] += 1
        if side == "server" and OPCODES[opcode] == "DATA":
            self.blocks[number] += 1

    def _pass_on(
        self, side: str, packet: bytes, out: socket.socket, receiver: tuple, *, is_request: bool = False
    ) -> None:
        weather, chance = self._weather, self._random.random
        lost, doubled, reordered = (
            chance() < share for share in (weather.loss, weather.duplication, weather.reordering)
        )
        if lost and self._lost_in_a_row[side] < 2:
            self._lost_in_a_row[side] += 1
            return
        self._lost_in_a_row[side] = 0
        self._send_in(weather.latency_s + weather.detour_s * reordered, out, packet, receiver)
        if doubled and (not is_request or weather.late_requests):
            later_s = weather.detour_s if is_request else self._random.choice((0.001, weather.detour_s))
            self._send_in(weather.latency_s + later_s, out, packet, receiver)

    def _send_in(self, delay_s: float, out: socket.socket, packet: bytes, receiver: tuple) -> None:
        self._number += 1
        heapq.heappush(self._waiting, (time.monotonic() + delay_s, self._number, out, packet, receiver))
