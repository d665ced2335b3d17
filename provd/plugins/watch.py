"""Watching a transfer: one that is too slow or too large is given up, and it stops when somebody wants that."""

from __future__ import annotations

import io
import socket
import time
from http.client import HTTPResponse
from typing import Any

from provd.errors import RepositoryError
from provd.model.operation import Operation

TIMEOUT_S = 15.0
"""How long connecting may take, and how long a server may be silent."""
MIN_RATE = 4096
"""Bytes a second that a server has to send at least, over each of the following times."""
WINDOW_S = 30.0
_POLL_S = 0.5
"""How often it is looked whether somebody wants a silent transfer to stop."""
_OVERHEAD_BYTES = 1024 * 1024


class TransferError(RepositoryError):
    """One URL does not give its file; the message says why, but not which URL."""


class UnreachableError(TransferError):
    """The server cannot be reached, or does not answer."""


class NoSuchFileError(TransferError):
    """The server says that there is no such file."""


class BrokenOffError(TransferError):
    """The transfer ended before the file did."""


class Watch:
    """What one transfer of a file of up to `max_bytes` may take, from the connection to the last byte.

    `deadline_s` is for the whole of it; None: it may take as long as it goes on well.
    """

    def __init__(self, operation: Operation, max_bytes: int, deadline_s: float | None = None) -> None:
        self._operation = operation
        # Headers count too, and chunks may be small.
        self._bytes_left = 2 * max_bytes + _OVERHEAD_BYTES
        self._end = None if deadline_s is None else time.monotonic() + deadline_s
        self._window_begin = time.monotonic()
        self._window_bytes = 0

    def check(self) -> None:
        """Go on only if all is well.

        Raises:
            OperationCancelledError: somebody wants the transfer to stop.
            TransferError: it is too slow.
        """
        self._operation.check()
        now = time.monotonic()
        if self._end is not None and now > self._end:
            raise TransferError("takes too long")
        if now - self._window_begin >= WINDOW_S:
            if self._window_bytes < MIN_RATE * WINDOW_S:
                raise TransferError(f"sends less than {MIN_RATE} bytes a second")
            self._window_begin, self._window_bytes = now, 0

    def received(self, size: int) -> None:
        """So many bytes came, of whatever kind.

        Raises:
            TransferError: those are too many.
        """
        self._window_bytes += size
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise TransferError("sends much more than the file")


class WatchedResponse(HTTPResponse):
    """An answer whose every byte, those of its head too, goes past a watch."""

    def __init__(self, connection: socket.socket, *args: Any, watch: Watch, **options: Any) -> None:
        super().__init__(_WatchedSocket(connection, watch), *args, **options)  # type: ignore[arg-type]


class _WatchedSocket:
    """As much of a socket as an answer needs."""

    def __init__(self, connection: socket.socket, watch: Watch) -> None:
        self._connection = connection
        self._watch = watch

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_WatchedFile(self._connection, self._watch), 65536)


class _WatchedFile(io.RawIOBase):
    """Reads from a socket, and looks up now and then while nothing comes."""

    def __init__(self, connection: socket.socket, watch: Watch) -> None:
        self._connection = connection
        self._keeps_open = connection.makefile("rb", buffering=0)
        self._watch = watch

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        silent_since = time.monotonic()
        timeout = self._connection.gettimeout()
        self._connection.settimeout(_POLL_S)
        try:
            while True:
                self._watch.check()
                try:
                    size = self._connection.recv_into(buffer)
                except TimeoutError:
                    if time.monotonic() - silent_since > TIMEOUT_S:
                        raise TimeoutError("timed out") from None
                    continue
                self._watch.received(size)
                return size
        finally:
            self._connection.settimeout(timeout)

    def close(self) -> None:
        self._keeps_open.close()
        super().close()
