"""How much an installation may unpack, and counting it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from provd.errors import PackageError
from provd.model.operation import Operation

CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one installation: bytes and files unpacked in all steps; of one run of a foreign program: time and memory."""

    max_bytes: int = 2 * 1024**3
    max_members: int = 20_000
    timeout_s: float = 600
    memory_bytes: int = 1024**3


class Budget:
    """Counts what was unpacked, and stops a cancelled operation."""

    def __init__(self, limits: Limits, operation: Operation) -> None:
        self.limits = limits
        self.operation = operation
        self._bytes = 0
        self._members = 0

    @property
    def bytes_left(self) -> int:
        """How much more may be unpacked."""
        return self.limits.max_bytes - self._bytes

    @property
    def members_left(self) -> int:
        """How many more files and folders may be unpacked."""
        return self.limits.max_members - self._members

    def spend(self, size_bytes: int = 0, members: int = 0) -> None:
        """So much is about to be unpacked.

        Raises:
            OperationCancelledError: somebody wants the operation to stop.
            PackageError: it is too much.
        """
        self.operation.check()
        self._bytes += size_bytes
        self._members += members
        if self.bytes_left < 0:
            raise PackageError(f"more than {self.limits.max_bytes} bytes would be unpacked")
        if self.members_left < 0:
            raise PackageError(f"more than {self.limits.max_members} files would be unpacked")

    def copy(self, source: IO[bytes], target: IO[bytes]) -> None:
        """Copy all that is left of `source`, counting it."""
        for chunk in chunks(source):
            self.spend(len(chunk))
            target.write(chunk)


def chunks(file: IO[bytes]) -> Iterator[bytes]:
    """The rest of a file, piece by piece."""
    while chunk := file.read(CHUNK_BYTES):
        yield chunk
