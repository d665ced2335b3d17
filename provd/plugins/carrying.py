"""What an upgrade keeps: everything below a plugin's `var` that did not come with the old version.

Files are linked, not copied: there may be gigabytes of firmware. It is done while the old version serves phones, and
again, for what has changed meanwhile, just before and just after the new version takes its place; of a file that was
changed on both sides, the new version's is the later one and stays.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from provd.atomicfile import TEMPORARY_PREFIX
from provd.plugins.shipped import is_as_shipped, read_manifest

log = logging.getLogger(__name__)

SERVED = "var/tftpboot/"
_NO_LINK = (errno.EPERM, errno.EACCES, errno.EMLINK, errno.EXDEV, errno.ENOTSUP)
"""Among others: the kernel refuses links to files of another user, such as root."""


@dataclass(frozen=True, slots=True)
class _Carried:
    """A file as it was when it was carried over, and the new one's inode."""

    inode: int
    size: int
    mtime_ns: int
    new_inode: int


class Carrier:
    """Carries over what is kept of the `old` version's folder into the `new` version's."""

    def __init__(self, old: Path, new: Path, shipped: Mapping[str, str]) -> None:
        self._old = old
        self._new = new
        self._shipped = shipped
        self._carried: dict[str, _Carried] = {}
        self._unreadable: set[str] = set()

    def carry(self) -> None:
        """Make the new version's files what they should be now, before it is in place.

        Raises:
            OSError: the disk refuses, or something is in the way.
        """
        for folder in empty_folders(self._old):
            Path(self._new, folder).mkdir(parents=True, exist_ok=True)
        there = set()
        for path, status in kept_files(self._old, self._shipped):
            there.add(path)
            if self._is_changed(path, status):
                self._put(path, status)
        self._forget_others(there)

    def carry_rest(self, old: Path, new: Path) -> None:
        """The same, after the new version has come in place, for what changed at the last moment.

        Raises:
            OSError: the disk refuses.
        """
        self._old, self._new = old, new
        there = set()
        for path, status in kept_files(old, self._shipped):
            there.add(path)
            if path in self._unreadable:
                move(old, new, path)
            elif self._is_changed(path, status) and self._is_own(path):
                self._put(path, status)
        self._forget_others(there)

    def _is_changed(self, path: str, status: os.stat_result) -> bool:
        known = self._carried.get(path)
        return known is None or (known.inode, known.size, known.mtime_ns) != (
            status.st_ino, status.st_size, status.st_mtime_ns,
        )  # fmt: skip

    def _is_own(self, path: str) -> bool:
        """Nobody has written the new file since it was carried over; or there is none."""
        known = self._carried.get(path)
        try:
            inode = os.lstat(self._new / path).st_ino
        except FileNotFoundError:
            return known is None
        return known is not None and inode == known.new_inode

    def _put(self, path: str, status: os.stat_result) -> None:
        target = self._new / path
        make_parents(self._old, self._new, path)
        temporary = target.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}")
        try:
            _duplicate(self._old / path, temporary, status)
            _make_room(target, status)
            new_inode = os.lstat(temporary).st_ino
            temporary.rename(target)
        except FileNotFoundError:
            return  # it went away in between
        except PermissionError:
            self._unreadable.add(path)
            return
        finally:
            temporary.unlink(missing_ok=True)  # two names of one file: the rename has left both
        self._carried[path] = _Carried(status.st_ino, status.st_size, status.st_mtime_ns, new_inode)

    def _forget_others(self, there: set[str]) -> None:
        """Remove from the new version what is not in the old one any more."""
        for path in self._carried.keys() - there:
            if self._is_own(path):
                Path(self._new, path).unlink()
            del self._carried[path]


def kept_files(old: Path, shipped: Mapping[str, str]) -> Iterator[tuple[str, os.stat_result]]:
    """The files that an upgrade keeps, by path; `shipped` come with the new version. Symbolic links are not followed.

    Raises:
        OSError: a folder cannot be read, or is another file system.
    """
    before = read_manifest(old)
    top = os.lstat(old)
    if not os.path.lexists(old / "var"):
        return
    if stat.S_ISLNK(os.lstat(old / "var").st_mode):
        raise OSError(errno.ELOOP, "is a symbolic link", str(old / "var"))
    for folder, folders, names in os.walk(old / "var", onerror=_complain):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in folders:
            if name not in links and os.lstat(os.path.join(folder, name)).st_dev != top.st_dev:
                raise OSError(errno.EXDEV, "is another file system", os.path.join(folder, name))
        for name in (*names, *links):
            path = os.path.relpath(os.path.join(folder, name), old)
            if name.startswith(TEMPORARY_PREFIX) or (path.startswith(SERVED) and path in shipped):
                continue
            if is_as_shipped(old, path, before):
                continue
            try:
                yield path, os.lstat(old / path)
            except FileNotFoundError:
                pass


def empty_folders(old: Path) -> list[str]:
    """The folders below `var` that hold nothing."""
    return [os.path.relpath(parent, old) for parent, folders, names in os.walk(old / "var") if not folders + names]


def move(old: Path, new: Path, path: str) -> None:
    """Move a file, unless there is another one in the new place.

    Raises:
        OSError: the disk refuses.
    """
    if not os.path.lexists(new / path):
        make_parents(old, new, path)
        os.rename(old / path, new / path)


def make_parents(old: Path, new: Path, path: str) -> None:
    """Make the folders above a file, with the modes that they had.

    Raises:
        OSError: the disk refuses, or something is in the way.
    """
    for parent in reversed(Path(path).parents):
        if not (new / parent).is_dir():
            (new / parent).mkdir()
            (new / parent).chmod(stat.S_IMODE((old / parent).stat().st_mode) | stat.S_IRWXU)


def _duplicate(source: Path, target: Path, status: os.stat_result) -> None:
    """Make a second name of a file, or a copy where that is not possible."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISLNK(status.st_mode):
            raise
        shutil.copy2(source, target, follow_symlinks=False)


def _make_room(target: Path, status: os.stat_result) -> None:
    """A link that takes the place of a folder, as an administrator may have made, needs that it is empty."""
    if stat.S_ISLNK(status.st_mode) and target.is_dir() and not target.is_symlink():
        target.rmdir()


def _complain(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
