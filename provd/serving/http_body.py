"""The bytes of an HTTP answer: small ones read at once, large ones sent from the kernel's cache."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import socket
import struct
import termios

from provd.plugins.files import OpenFile
from provd.serving.http_response import Answer

log = logging.getLogger(__name__)

_SENDFILE_BYTES = 256 * 1024
_SENT_BEFORE_OTHERS = 1024 * 1024
_INT = struct.Struct("i")


class Body:
    """The file of an answer, and which part of it has still to be sent from the kernel's cache."""

    __slots__ = ("end", "file", "offset")

    def __init__(self, file: OpenFile) -> None:
        self.file = file
        self.offset = self.end = 0

    def send(self, plain: socket.socket) -> bool:
        """Send what the client takes now, but no more than others may have to wait for; True if that was all.

        Raises:
            OSError: the client has gone, or the file became shorter.
        """
        pause = self.offset + _SENT_BEFORE_OTHERS
        while self.offset < self.end:
            if self.offset >= pause:
                return False
            try:
                wanted = min(self.end - self.offset, _SENDFILE_BYTES)
                sent = os.sendfile(plain.fileno(), self.file.descriptor, self.offset, wanted)
            except BlockingIOError:
                return False
            if sent == 0:
                raise OSError(errno.EIO, "the file became shorter while it was sent", self.file.path)
            self.offset += sent
        return True


def small_content(file: OpenFile, answer: Answer) -> bytes:
    """The bytes of a small answer.

    Raises:
        OSError: the file became shorter since it was opened.
    """
    content = file.read(answer.start, answer.length)
    if len(content) != answer.length:
        log.error("a file became shorter while it was sent: path=%r", file.path)
        raise OSError(errno.EIO, "the file became shorter while it was sent", file.path)
    return content


def unacknowledged_bytes(plain: socket.socket) -> int:
    """How many bytes the kernel holds that the client has not acknowledged (SIOCOUTQ in tcp(7))."""
    count: int = _INT.unpack(fcntl.ioctl(plain.fileno(), termios.TIOCOUTQ, bytes(_INT.size)))[0]
    return count
