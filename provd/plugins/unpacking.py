"""Unpacking a plugin's archive, of which nothing is believed."""

from __future__ import annotations

import bz2
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

from provd.atomicfile import write_file
from provd.errors import RepositoryError

MAX_UNPACKED_BYTES = 64 * 1024 * 1024
MAX_MEMBERS = 10_000


def unpack(plugin_id: str, archive: bytes, staging: Path) -> None:
    """Unpack the archive of a plugin below a folder.

    It must hold one folder named as the plugin, with plain files and folders only.

    Raises:
        OSError: its members contradict each other, or the disk refuses.
        RepositoryError: it is damaged or holds what it must not.
    """
    try:
        with bz2.open(io.BytesIO(archive)) as unpacked, tarfile.open(fileobj=_Bounded(unpacked), mode="r:") as tar:
            for member in _checked_members(plugin_id, tar):
                path = staging / member.name
                if member.isdir():
                    path.mkdir(parents=True, exist_ok=True)
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                content = tar.extractfile(member)
                write_file(path, content.read() if content else b"", mode=0o644, durable=False)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise RepositoryError(f"{plugin_id}: the archive is damaged: {error}") from error


class _Bounded(io.RawIOBase):
    """A file to read from that gives up when too much comes out of it: headers too count, before they are held."""

    def __init__(self, file: bz2.BZ2File) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if size < 0 or self._file.tell() + size > MAX_UNPACKED_BYTES + tarfile.RECORDSIZE:
            raise tarfile.ReadError(f"more than {MAX_UNPACKED_BYTES} bytes")
        try:
            return self._file.read(size)
        except OSError as error:  # so bz2 calls what it cannot unpack; the disk has no part in it
            raise tarfile.ReadError(str(error)) from error

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET and offset > MAX_UNPACKED_BYTES + tarfile.RECORDSIZE:
            raise tarfile.ReadError(f"more than {MAX_UNPACKED_BYTES} bytes")
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _checked_members(plugin_id: str, tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members one by one, each checked before it is used.

    Raises:
        RepositoryError: a member is a link or device, lies outside the plugin's folder, or there is too much.
    """
    total = 0
    for count, member in enumerate(tar, 1):
        parts = member.name.split("/")
        if not (member.isfile() or member.isdir()):
            raise RepositoryError(f"{plugin_id}: the archive holds {member.name!r}, which is no plain file or folder")
        if parts[0] != plugin_id or any(part in ("", ".", "..") for part in parts) or "\0" in member.name:
            raise RepositoryError(f"{plugin_id}: the archive holds {member.name!r}, outside the folder {plugin_id}")
        total += member.size
        if count > MAX_MEMBERS or total > MAX_UNPACKED_BYTES:
            raise RepositoryError(
                f"{plugin_id}: the archive holds more than {MAX_MEMBERS} files or {MAX_UNPACKED_BYTES} bytes"
            )
        yield member
