"""What an interrupted download left: the first bytes of a file, and which version of the file they are of."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import BinaryIO

from provd.atomicfile import sync_folder, write_file


class PartialFile:
    """`<target>.part`, and `<target>.part.json` with what the server called the version that it is of."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self.path = target.with_name(f"{target.name}.part")
        self._notes = target.with_name(f"{target.name}.part.json")

    @property
    def size(self) -> int:
        """How many bytes are there."""
        try:
            return self.path.stat(follow_symlinks=False).st_size
        except FileNotFoundError:
            return 0

    def validator(self, url: str) -> str | None:
        """What the server at this URL called the version of the file (an ETag or a date), if it did."""
        try:
            notes = json.loads(self._notes.read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        found = notes.get("validator") if isinstance(notes, dict) and notes.get("url") == _digest(url) else None
        return found if isinstance(found, str) else None

    def open(self, url: str, validator: str | None, offset: int) -> BinaryIO:
        """Open it for writing at `offset`; what was there from then on is gone.

        Raises:
            OSError: the disk refuses.
        """
        self._target.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        if offset == 0:
            self.discard()
        if validator is not None:
            content = json.dumps({"url": _digest(url), "validator": validator}).encode()
            write_file(self._notes, content, durable=False)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        file = open(descriptor, "wb", buffering=0)  # noqa: SIM115  (the caller closes it)
        file.truncate(offset)
        file.seek(offset)
        return file

    def complete(self) -> None:
        """It is whole: put it at the target, where it survives a power failure.

        Raises:
            OSError: the disk refuses.
        """
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.path.rename(self._target)
        self._notes.unlink(missing_ok=True)
        sync_folder(self._target.parent)

    def discard(self) -> None:
        """It is of no use."""
        self.path.unlink(missing_ok=True)
        self._notes.unlink(missing_ok=True)


def _digest(url: str) -> str:
    """A URL may hold a password, so it is not written down."""
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()
