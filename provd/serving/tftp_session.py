"""A running TFTP transfer: its state machine, and the socket that it goes through."""

from __future__ import annotations

import errno
import logging
import socket
import time
from collections.abc import Callable
from typing import Protocol

import gevent

from provd.model.decision import Decision
from provd.plugins.files import OpenFile
from provd.serving.plain import READ
from provd.serving.udp import (
    MAX_DATAGRAM_BYTES,
    Ancillary,
    SocketAddress,
    open_transfer_socket,
    send_from_asked,
)
from provd.wire.tftp_packets import Request
from provd.wire.tftp_transfer import Transfer

log = logging.getLogger(__name__)

GIVEN_UP_AFTER_S = 3.0


class Endpoint(Protocol):
    """How a transfer's packets leave."""

    def send(self, packet: bytes) -> None:
        """Send one packet.

        Raises:
            OSError: it could not be sent, or the client's machine said that nobody listens.
        """

    def close(self) -> None:
        """Let go of the socket."""


class OwnPort:
    """A port of its own for each transfer, as RFC 1350 wants it; datagrams of others never reach it."""

    __slots__ = ("_socket", "_watcher")

    def __init__(
        self,
        asked: Ancillary | None,
        peer: SocketAddress,
        ports: tuple[int, int] | None,
        on_packet: Callable[[bytes], None],
        on_gone: Callable[[], None],
    ) -> None:
        self._socket = open_transfer_socket(asked, peer, ports)
        self._watcher = gevent.get_hub().loop.io(self._socket.fileno(), READ)
        self._watcher.start(self._readable, on_packet, on_gone)

    def send(self, packet: bytes) -> None:
        """Send one packet; one that the kernel has no room for is lost, as on any wire."""
        try:
            self._socket.send(packet)
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Stop listening and close the port."""
        self._watcher.stop()
        self._watcher.close()
        self._socket.close()

    def _readable(self, on_packet: Callable[[bytes], None], on_gone: Callable[[], None]) -> None:
        try:
            packet = self._socket.recv(MAX_DATAGRAM_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno == errno.ECONNREFUSED:  # the client's machine says that nobody listens there
                on_gone()
            else:
                log.debug("receiving failed: error=%s", error)
            return
        on_packet(packet)


class SharedPort:
    """The server's own port for all transfers, for phones behind a NAT that knows only that port."""

    __slots__ = ("_asked", "_listener", "_peer")

    def __init__(self, listener: socket.socket, peer: SocketAddress, asked: Ancillary | None) -> None:
        self._listener, self._peer, self._asked = listener, peer, asked

    def send(self, packet: bytes) -> None:
        """Send one packet; one that the kernel has no room for is lost, as on any wire."""
        try:
            send_from_asked(self._listener, packet, self._peer, self._asked)
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Nothing to do: the port stays the server's."""


class Session:
    """One transfer to one client: what it asked, and when it was last heard of."""

    __slots__ = (
        "address", "decision", "endpoint", "file", "heard", "packets_sent", "peer", "request", "started", "transfer",
    )  # fmt: skip

    def __init__(
        self,
        peer: SocketAddress,
        address: str,
        request: Request,
        transfer: Transfer,
        file: OpenFile | None,
        decision: Decision | None = None,
    ) -> None:
        self.peer = peer
        self.address = address
        self.request = request
        self.transfer = transfer
        self.file = file
        self.decision = decision
        self.started = self.heard = time.monotonic()
        self.endpoint: Endpoint | None = None
        self.packets_sent = 0

    def is_repeated_by(self, request: Request) -> bool:
        """Tell whether a request is the one that is being answered: doubled on its way, or sent again.

        A client that was silent for a while has given up and begins anew, from the same port.
        """
        return request == self.request and time.monotonic() - self.heard < GIVEN_UP_AFTER_S

    def send(self, packets: list[bytes]) -> bool:
        """Send packets; False if the client can no longer be reached."""
        if self.endpoint is None:
            return False
        try:
            for packet in packets:
                self.endpoint.send(packet)
        except OSError as error:
            log.debug("TFTP client gone: address=%s path=%r error=%s", self.address, self.request.name, error)
            return False
        self.packets_sent += len(packets)
        return True

    def close(self) -> None:
        """Let go of the socket and the file."""
        if self.endpoint is not None:
            self.endpoint.close()
        if self.file is not None:
            self.file.close()
