"""A TFTP client and a network that loses, repeats and delays packets, in simulated time."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto

from provd.wire.tftp_packets import HEADER, Opcode
from provd.wire.tftp_transfer import Transfer

LATENCY_S = 0.01
_TO_SERVER, _TO_CLIENT = 0, 1
_MAX_EVENTS = 200_000


class Fate(Enum):
    """What the network does to a packet."""

    DELIVERED = auto()
    LOST = auto()
    DOUBLED = auto()
    DOUBLED_LATE = auto()
    OVERTAKEN = auto()
    VERY_LATE = auto()


DELAYS_S = {
    Fate.DELIVERED: [LATENCY_S],
    Fate.LOST: [],
    Fate.DOUBLED: [LATENCY_S, LATENCY_S],
    Fate.DOUBLED_LATE: [LATENCY_S, 0.9],
    Fate.OVERTAKEN: [LATENCY_S * 2.5],
    Fate.VERY_LATE: [2.5],
}
"""After which time each copy of a packet arrives."""


class Content:
    """A file in memory."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.size = len(content)

    def read(self, offset: int, size: int) -> bytes:
        return self.content[offset : offset + size]


class Client:
    """Receives a file as RFC 1350 and RFC 7440 say, and answers every packet that is not the one it waits for.

    RFC 1350 clients acknowledge a block again when it comes again; that is what made the Sorcerer's Apprentice.
    """

    def __init__(self, blksize: int, windowsize: int = 1) -> None:
        self.content = bytearray()
        self.finished = False
        self._blksize = blksize
        self._windowsize = windowsize
        self._block = 0
        self._unacknowledged = 0

    def on_packet(self, packet: bytes) -> list[bytes]:
        opcode, number = HEADER.unpack_from(packet)
        if opcode == Opcode.OACK:
            return [] if self._block else [ack(0)]
        assert opcode == Opcode.DATA
        if self.finished or number != (self._block + 1) & 0xFFFF:
            self._unacknowledged = 0
            return [ack(self._block)]
        self._block += 1
        self._unacknowledged += 1
        self.content += packet[HEADER.size :]
        self.finished = len(packet) - HEADER.size < self._blksize
        if self.finished or self._unacknowledged == self._windowsize:
            self._unacknowledged = 0
            return [ack(self._block)]
        return []


@dataclass
class Trace:
    """What happened: the packets that the server sent, how often a deadline passed, and when it ended."""

    sent: list[bytes] = field(default_factory=list)
    deadlines: int = 0
    ended_at: float = 0.0

    @property
    def data_packets(self) -> int:
        return sum(HEADER.unpack_from(packet)[0] == Opcode.DATA for packet in self.sent)


def run(transfer: Transfer, client: Client, fates: Iterable[Fate] = ()) -> Trace:
    """Let the two talk to the transfer's end; after the last of the `fates` the network is perfect."""
    coming = itertools.chain(fates, itertools.repeat(Fate.DELIVERED))
    order = itertools.count()
    flying: list[tuple[float, int, int, bytes]] = []
    trace = Trace()

    def put(packets: list[bytes], receiver: int, now: float) -> None:
        if receiver == _TO_CLIENT:
            trace.sent += packets
        for packet in packets:
            for delay in DELAYS_S[next(coming)]:
                heapq.heappush(flying, (now + delay, next(order), receiver, packet))

    put(transfer.start(0.0), _TO_CLIENT, 0.0)
    for _ in range(_MAX_EVENTS):
        if transfer.outcome is not None:
            return trace
        if flying and flying[0][0] <= transfer.deadline:
            trace.ended_at, _, receiver, packet = heapq.heappop(flying)
            if receiver == _TO_CLIENT:
                put(client.on_packet(packet), _TO_SERVER, trace.ended_at)
            else:
                put(transfer.on_packet(packet, trace.ended_at), _TO_CLIENT, trace.ended_at)
        else:
            trace.ended_at = transfer.deadline
            trace.deadlines += 1
            put(transfer.on_deadline(trace.ended_at), _TO_CLIENT, trace.ended_at)
    raise AssertionError("the transfer never ends")


def ack(block: int) -> bytes:
    """An acknowledgement; `block` is the absolute number."""
    return HEADER.pack(Opcode.ACK, block & 0xFFFF)


def blocks_of(packets: list[bytes]) -> list[int]:
    """The block numbers of DATA packets, as the wire has them."""
    headers = [HEADER.unpack_from(packet) for packet in packets]
    assert all(opcode == Opcode.DATA for opcode, _ in headers)
    return [number for _, number in headers]


def content_of(packets: list[bytes]) -> bytes:
    """The bytes that DATA packets carry."""
    return b"".join(packet[HEADER.size :] for packet in packets)
