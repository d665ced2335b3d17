"""Unpacking zip and tar archives and signed gzip files, whatever they hold.

A member's content is put into a file with a number for a name; its own name is only ever a key. So no name in an
archive can lead anywhere.
"""

from __future__ import annotations

import bz2
import gzip
import io
import logging
import lzma
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import IO

from provd.errors import PackageError
from provd.plugins.firmware.limits import CHUNK_BYTES, Budget
from provd.plugins.firmware.values import inner_path

log = logging.getLogger(__name__)

GZIP_MAGIC = b"\x1f\x8b\x08"
"""RFC 1952, 2.3.1: two bytes of identification, and the only method that there is."""

MAX_SIGNATURE_BYTES = 512
"""Where the gzip file begins at the latest in a file that Cisco signed."""

_MAX_HEADER_BYTES = 1024 * 1024
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, EOFError, ValueError, zlib.error, lzma.LZMAError, OSError)
_OPENERS = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ", lzma.open))


class Unpacked:
    """The files that came out of an archive, by name; their contents are below `folder`, which must exist."""

    def __init__(self, folder: Path, budget: Budget) -> None:
        self.files: dict[str, Path] = {}
        self._folder = folder
        self._budget = budget

    def add(self, name: str, content: IO[bytes]) -> None:
        """Keep a file; of two of one name the later counts, as for those who unpack archives by hand.

        Raises:
            PackageError: the name leads out of the archive, or there is too much.
        """
        key = member_name(name)
        if not key:
            raise PackageError(f"{name!r} is not allowed; allowed: the name of a file")
        path = self.files.setdefault(key, self._folder / str(len(self.files)))
        with path.open("wb") as file:
            self._budget.copy(content, file)


def unzip(archive: Path, folder: Path, budget: Budget) -> dict[str, Path]:
    """Unpack a zip archive; links in it are left out.

    Raises:
        PackageError: it is damaged, encrypted or hostile, or there is too much in it.
    """
    unpacked = Unpacked(folder, budget)
    try:
        with zipfile.ZipFile(archive) as file:
            for member in file.infolist():
                budget.spend(members=1)
                name = member.filename.replace("\\", "/")  # (as some programs on Windows write it)
                kind = stat.S_IFMT(member.external_attr >> 16)
                if kind == stat.S_IFLNK:
                    _leave_out(archive, name)
                elif name.endswith("/"):
                    member_name(name)
                elif kind not in (0, stat.S_IFREG):
                    raise PackageError(f"{name!r} is no plain file or folder")
                else:
                    with file.open(member) as content:
                        unpacked.add(name, content)
    except (*_DAMAGED, RuntimeError, NotImplementedError) as error:  # encrypted; a method that Python lacks
        raise PackageError(f"{archive.name}: cannot be unpacked: {error}") from error
    return unpacked.files


def untar(archive: Path, folder: Path, budget: Budget) -> dict[str, Path]:
    """Unpack a tar archive, compressed by gzip, bzip2, xz or not at all; links in it are left out.

    Raises:
        PackageError: as for `unzip`.
    """
    unpacked = Unpacked(folder, budget)
    try:
        with _decompressed(archive) as stream, tarfile.open(fileobj=_Patient(stream, budget), mode="r:") as tar:
            while member := tar.next():
                budget.spend(members=1)
                tar.members.clear()  # type: ignore[attr-defined]  # with all that their headers hold
                if member.issym() or member.islnk():
                    _leave_out(archive, member.name)
                elif member.isdir():
                    member_name(member.name)
                elif not member.isfile() or member.issparse():
                    raise PackageError(f"{member.name!r} is no plain file or folder")
                else:
                    content = tar.extractfile(member)
                    unpacked.add(member.name, content or io.BytesIO())
    except _DAMAGED as error:
        raise PackageError(f"{archive.name}: cannot be unpacked: {error}") from error
    return unpacked.files


def unsign(signed: Path, target: Path, budget: Budget) -> None:
    """Copy a gzip file without the signature before it.

    Raises:
        PackageError: no gzip file begins in the first 512 bytes.
    """
    with signed.open("rb") as source:
        head = source.read(MAX_SIGNATURE_BYTES + len(GZIP_MAGIC) - 1)
        start = head.find(GZIP_MAGIC)
        if start < 0:
            raise PackageError(f"{signed.name}: no gzip file begins in its first {MAX_SIGNATURE_BYTES} bytes")
        source.seek(start)
        budget.spend(members=1)
        with target.open("wb") as file:
            budget.copy(source, file)


def member_name(name: str) -> str:
    """A member's name as provd uses it; bytes that are no UTF-8 become replacement characters.

    Raises:
        PackageError: it leads out of the archive.
    """
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if len(text) > 1 and text[1] == ":":
        raise PackageError(f"{text!r} is not allowed; allowed: a path inside the folder, without a drive")
    return inner_path(text)


class _Patient(io.RawIOBase):
    """A decompressed tar to read from: each piece looks whether to stop, and no header may be huge."""

    def __init__(self, file: IO[bytes], budget: Budget) -> None:
        self._file = file
        self._budget = budget
        self._end = budget.bytes_left + budget.members_left * tarfile.RECORDSIZE

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_HEADER_BYTES or self._file.tell() + size > self._end:
            raise tarfile.ReadError("a header or the whole is too long")
        self._budget.operation.check()
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or offset > self._end:
            raise tarfile.ReadError("more is in it than may be")
        while self._file.tell() < offset:  # (what is skipped has to be decompressed, too)
            if not self.read(min(CHUNK_BYTES, offset - self._file.tell())):
                break
        return self._file.seek(offset)

    def tell(self) -> int:
        return self._file.tell()


def _decompressed(archive: Path) -> IO[bytes]:
    with archive.open("rb") as file:
        magic = file.read(8)
    for prefix, opener in _OPENERS:
        if magic.startswith(prefix):
            return opener(archive, "rb")  # type: ignore[return-value]
    return archive.open("rb")


def _leave_out(archive: Path, name: str) -> None:
    log.warning("link in an archive left out: archive=%s name=%r", archive.name, name)
