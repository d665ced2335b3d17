"""One TFTP read transfer as a state machine: packets and time in, packets and a deadline out. No socket, no clock."""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol

from provd.wire.tftp_options import Negotiated
from provd.wire.tftp_packets import HEADER, ErrorCode, Opcode, encode_data, encode_error, encode_oack

FIRST_TIMEOUT_S = 1.0
MAX_TIMEOUT_S = 8.0
MAX_SENDS = 6
"""How often a packet is sent before the client is given up: about half a minute."""
MAX_UNANSWERED_SENDS = 3
"""The same for a client that never acknowledged anything: its address may be forged, so it gets little."""
MAX_UNANSWERED_TIMEOUT_S = 5.0
"""The longest pause for such a client, whatever time-out it asked for: it holds its place for 15 seconds at most."""
MAX_SILENCE_S = 120.0
"""How long a client may be silent; if it asked for a long time-out, two of these."""


class Outcome(Enum):
    """How a transfer ended."""

    COMPLETE = auto()
    """The client acknowledged the last block."""
    ABORTED = auto()
    """The client sent an error packet."""
    TIMED_OUT = auto()
    """The client stopped answering."""
    READ_ERROR = auto()
    """The file could not be read to its end; the client was told."""


class Source(Protocol):
    """Where the bytes come from."""

    @property
    def size(self) -> int:
        """How many bytes there are."""

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes at `offset`; fewer only at the end."""


class Transfer:
    """Sends `source` in blocks. Every method takes the time in seconds and returns the packets to send.

    Duplicate acknowledgements cause no duplicate data (the Sorcerer's Apprentice of RFC 1123, section 4.2.3.1):
    lost packets are sent again when `deadline` passes, with doubling pauses unless the client chose the time-out.
    With a window (RFC 7440) an acknowledgement below the window's end says what was lost, and the window starts
    again behind it, once for each such block. Clients also acknowledge what they get twice, once for each window or
    for each block of it; such echoes say nothing of the next window, and start none.
    """

    __slots__ = (
        "_acked",
        "_answer",
        "_blksize",
        "_echoes",
        "_last",
        "_patience_ends",
        "_repeated",
        "_sends",
        "_sent",
        "_source",
        "_timeout_s",
        "_windowsize",
        "answered",
        "deadline",
        "fixed_timeout",
        "outcome",
    )

    def __init__(self, source: Source, options: Negotiated) -> None:
        self._source = source
        self._answer = options.answer
        self._blksize = options.blksize
        self._windowsize = options.windowsize
        self._last = source.size // options.blksize + 1  # a file of whole blocks ends with an empty one
        self._acked = -1 if options.answer else 0  # an OACK is acknowledged as block 0
        self._sent = 0
        self._sends = 0
        self._echoes = 0
        self._repeated = False
        self._timeout_s = float(options.timeout_s or FIRST_TIMEOUT_S)
        self.fixed_timeout = options.timeout_s is not None
        self.answered = False
        self.deadline = 0.0
        self._patience_ends = 0.0
        self.outcome: Outcome | None = None

    def start(self, now: float) -> list[bytes]:
        """The first packet: the OACK if options were agreed, else the first block."""
        self._patience_ends = now + self._patience_s()
        return self._send(now)

    def on_packet(self, packet: bytes, now: float) -> list[bytes]:
        """Take a datagram from the client. What is no acknowledgement of this transfer changes nothing."""
        if len(packet) < HEADER.size or self.outcome is not None:
            return []
        opcode, number = HEADER.unpack_from(packet)
        if opcode == Opcode.ACK:
            return self._on_ack(number, now)
        if opcode == Opcode.ERROR:
            self.outcome = Outcome.ABORTED
        return []

    def on_deadline(self, now: float) -> list[bytes]:
        """The deadline has passed: send again, or give up."""
        sends = MAX_SENDS if self.answered else MAX_UNANSWERED_SENDS
        if self._sends >= sends or now >= self._patience_ends:
            self.outcome = Outcome.TIMED_OUT
            return []
        if not self.fixed_timeout:
            self._timeout_s = min(self._timeout_s * 2, MAX_TIMEOUT_S)
        return self._send(now)

    @property
    def sent_everything(self) -> bool:
        """The last block has been sent at least once."""
        return self._sent == self._last

    def _on_ack(self, number: int, now: float) -> list[bytes]:
        if self._acked < 0:
            progress = 1 if number == 0 else 0
        else:
            progress = (number - self._acked) & 0xFFFF
            if progress > self._sent - self._acked:
                return []
        if progress == 0 and not self._asks_again():
            return []
        self.answered = True
        self._repeated = progress == 0
        if progress:
            self._advance(progress, now)
        return self._send(now) if self.outcome is None else []

    def _advance(self, progress: int, now: float) -> None:
        """The client has got `progress` more blocks."""
        sent_again = (self._sends - 1) * (self._windowsize if self._acked >= 0 else 1)
        self._acked += progress
        if self._acked == self._last:
            self.outcome = Outcome.COMPLETE
        self._echoes = sent_again + max(self._sent - self._acked - 1, 0)  # behind a lost block, some are on their way
        self._sends = 0
        self._patience_ends = now + self._patience_s()
        if not self.fixed_timeout:
            self._timeout_s = FIRST_TIMEOUT_S

    def _asks_again(self) -> bool:
        """Tell whether an acknowledgement without progress says that a window was lost; else it is a duplicate."""
        if self._windowsize == 1 or self._repeated or self._acked < 0:
            return False
        if self._echoes:
            self._echoes -= 1
            return False
        return True

    def _send(self, now: float) -> list[bytes]:
        self._sends += 1
        pause_s = self._timeout_s if self.answered else min(self._timeout_s, MAX_UNANSWERED_TIMEOUT_S)
        self.deadline = min(now + pause_s, self._patience_ends)
        if self._acked < 0:
            return [encode_oack(self._answer)]
        try:
            return self._window()
        except OSError:
            self.outcome = Outcome.READ_ERROR
            return [encode_error(ErrorCode.UNDEFINED, "the file cannot be read")]

    def _patience_s(self) -> float:
        return max(MAX_SILENCE_S, 2 * self._timeout_s)

    def _window(self) -> list[bytes]:
        first = self._acked + 1
        last = min(self._acked + self._windowsize, self._last)
        packets = [encode_data(block, self._block(block)) for block in range(first, last + 1)]
        self._sent = max(self._sent, last)
        return packets

    def _block(self, block: int) -> bytes:
        offset = (block - 1) * self._blksize
        wanted = min(self._blksize, self._source.size - offset)
        content = self._source.read(offset, wanted)
        if len(content) != wanted:
            raise OSError("the file became shorter while it was sent")
        return content
