"""All running TFTP transfers: who may have one, who gets the packets, who is given up."""

from __future__ import annotations

import errno
import logging
import socket
import time
from collections import Counter

import gevent

from provd.occasionally import Occasionally
from provd.serving.quota import Quota
from provd.serving.tftp_session import Endpoint, OwnPort, Session, SharedPort
from provd.serving.udp import Ancillary, SocketAddress
from provd.wire.tftp_transfer import Outcome

log = logging.getLogger(__name__)

_SWEEP_SECONDS = 0.25
COMPLETE = Outcome.COMPLETE.name.lower()


class Sessions:
    """The table of transfers, by client socket address.

    When it is full, the oldest transfer that its client never acknowledged gives way, because such a client's
    address may be forged; if there is none, no further transfer begins. One sweep looks at all deadlines.
    """

    def __init__(
        self,
        *,
        max_transfers: int,
        port_range: tuple[int, int] | None,
        single_port: bool,
        counters: Counter[str],
        quota: Quota,
    ) -> None:
        self._port_range = port_range
        self._single_port = single_port
        self._counters = counters
        self._sessions: dict[SocketAddress, Session] = {}
        self._unanswered: dict[SocketAddress, None] = {}
        self._quota = quota
        self.limit(max_transfers)
        self._sweeper = gevent.get_hub().loop.timer(_SWEEP_SECONDS, repeat=_SWEEP_SECONDS)
        self._complaint = Occasionally()

    def __len__(self) -> int:
        return len(self._sessions)

    def limit(self, max_transfers: int) -> None:
        """Allow so many transfers from now on; those that run are not cut off."""
        self._max_transfers = max_transfers
        if self._port_range is not None and not self._single_port:  # where a port is wanting, one must give way, too
            self._max_transfers = min(max_transfers, self._port_range[1] - self._port_range[0] + 1)

    def start(self) -> None:
        """Begin to look at deadlines."""
        self._sweeper.start(self._sweep)

    def close(self) -> None:
        """Cut off what is still running."""
        for session in list(self._sessions.values()):
            self.end(session, "cut off")
        self._sweeper.stop()
        self._sweeper.close()

    def of_peer(self, peer: SocketAddress) -> Session | None:
        """The transfer of a client's socket address."""
        return self._sessions.get(peer)

    def begin(self, listener: socket.socket, asked: Ancillary | None, session: Session) -> bool:
        """Start a transfer; False if there is no room or no socket for it, and then it is closed."""
        if not (self._make_room() and self._open(session, listener, asked)):
            session.close()
            return False
        self._sessions[session.peer] = session
        self._unanswered[session.peer] = None
        self._quota.take(session.address)
        self._after(session, session.transfer.start(session.started))
        return True

    def on_packet(self, session: Session, packet: bytes) -> None:
        """Hand a client's packet to its transfer."""
        try:
            session.heard = now = time.monotonic()
            self._after(session, session.transfer.on_packet(packet, now))
        except Exception:
            log.exception("a TFTP transfer failed: address=%s path=%r", session.address, session.request.name)
            self.end(session, "failed")

    def end(self, session: Session, how: str) -> None:
        """End a transfer, whatever its state."""
        if self._sessions.get(session.peer) is session:
            del self._sessions[session.peer]
            self._unanswered.pop(session.peer, None)
            self._quota.give_back(session.address)
        session.close()
        if session.decision is not None:
            session.decision.end(how)
        self._counters["complete" if how == COMPLETE else "incomplete"] += 1
        log.debug(
            "TFTP transfer ended: address=%s path=%r how=%s seconds=%.3f packets=%d",
            session.address, session.request.name, how, time.monotonic() - session.started, session.packets_sent,
        )  # fmt: skip

    def _make_room(self) -> bool:
        return len(self._sessions) < self._max_transfers or self._end_unanswered()

    def _end_unanswered(self) -> bool:
        """End the oldest transfer that was never acknowledged; False if there is none."""
        oldest = next(iter(self._unanswered), None)
        if oldest is None:
            return False
        self.end(self._sessions[oldest], "gave way to a new request")
        return True

    def _open(self, session: Session, listener: socket.socket, asked: Ancillary | None) -> bool:
        try:
            try:
                session.endpoint = self._endpoint(session, listener, asked)
            except OSError as error:
                if error.errno != errno.EADDRINUSE or not self._end_unanswered():
                    raise
                session.endpoint = self._endpoint(session, listener, asked)  # others have ports of the range, too
        except OSError as error:
            if self._complaint.due():
                log.warning("no socket for a TFTP transfer: address=%s error=%s", session.address, error)
            return False
        return True

    def _endpoint(self, session: Session, listener: socket.socket, asked: Ancillary | None) -> Endpoint:
        if self._single_port:
            return SharedPort(listener, session.peer, asked)
        return OwnPort(
            asked,
            session.peer,
            self._port_range,
            lambda packet: self.on_packet(session, packet),
            lambda: self._end_gone(session),
        )

    def _after(self, session: Session, packets: list[bytes]) -> None:
        """Send what the state machine wants sent, and end the session if it is over."""
        reached = session.send(packets)
        outcome = session.transfer.outcome
        if session.transfer.answered:
            self._unanswered.pop(session.peer, None)
        if outcome is not None:
            self.end(session, outcome.name.lower())
        elif not reached:
            self._end_gone(session)

    def _end_gone(self, session: Session) -> None:
        """End a transfer whose client does not listen any more: after the last block that is no failure."""
        self.end(session, COMPLETE if session.transfer.sent_everything else "client gone")

    def _sweep(self) -> None:
        now = time.monotonic()
        for session in [each for each in self._sessions.values() if each.transfer.deadline <= now]:
            try:
                self._after(session, session.transfer.on_deadline(now))
            except Exception:
                log.exception("a TFTP transfer failed: address=%s path=%r", session.address, session.request.name)
                self.end(session, "failed")
