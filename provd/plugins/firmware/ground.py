"""The folder that packages put files into, `var/tftpboot`: looking at it, and removing things from it with care."""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable, Iterable, Mapping, Set
from pathlib import Path

from provd.atomicfile import TEMPORARY_PREFIX, sync_folder
from provd.errors import PackageConflictError
from provd.plugins.firmware.cache import file_sum
from provd.plugins.firmware.fileset import parents

log = logging.getLogger(__name__)

LABEL = "package-"
"""In the names of temporary files: these may be removed while others are writing there, too."""


class Ground:
    """Everything below `root`; paths are relative to it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def look(self, path: str) -> str | None:
        """The SHA-256 sum of the file at `path`; None if there is none.

        Raises:
            OSError: it cannot be read.
            PackageConflictError: something else than a file is there, or than a folder where it would have to be.
        """
        for parent in reversed(parents(path)):
            if not self._is(parent, stat.S_ISDIR, "folder"):
                return None
        return file_sum(self.root / path, "sha256") if self._is(path, stat.S_ISREG, "file") else None

    def is_still(self, path: str, digest: str) -> bool:
        """The file at `path` is the one with this sum."""
        try:
            there = self.look(path)
        except PackageConflictError as error:
            log.warning("left where it is: %s", error)
            return False
        if there not in (None, digest):
            log.warning("left where it is, because it was changed: path=%r", path)
        return there == digest

    def is_free(self, path: str, digest: str | None) -> bool:
        """Nothing is at `path`, or the file with this sum."""
        try:
            return self.look(path) in (None, digest)
        except PackageConflictError as error:
            log.warning("not put back: %s", error)
            return False

    def folders_for(self, paths: Iterable[str], owned: Set[str]) -> tuple[str, ...]:
        """The folders that have to be made for files, and those that packages have made for others."""
        needed = {parent for path in paths for parent in parents(path)}
        return tuple(sorted(folder for folder in needed if folder in owned or not (self.root / folder).is_dir()))

    def make_folder_of(self, path: str) -> None:
        """Make the folder of a file, also on the disk."""
        for parent in reversed(parents(path)):
            folder = self.root / parent
            if not folder.is_dir():
                folder.mkdir(exist_ok=True)
                sync_folder(folder.parent)

    def remove(self, files: Mapping[str, str]) -> None:
        """Remove the files that still have these sums, also from the disk."""
        changed = set()
        for path, digest in files.items():
            if self.is_still(path, digest):
                (self.root / path).unlink()
                changed.add((self.root / path).parent)
        for folder in changed:
            sync_folder(folder)

    def remove_folders(self, folders: Iterable[str]) -> None:
        """Remove those of these folders that are empty."""
        for folder in sorted(folders, key=lambda folder: folder.count("/"), reverse=True):
            try:
                (self.root / folder).rmdir()
            except OSError:
                continue  # something is in it, or it has gone already

    def remove_leftovers(self, paths: Iterable[str]) -> None:
        """Remove the temporary files that a crash left beside these files."""
        for folder in {(self.root / path).parent for path in paths}:
            for leftover in folder.glob(f"{TEMPORARY_PREFIX}{LABEL}*"):
                leftover.unlink(missing_ok=True)

    def _is(self, path: str, right_kind: Callable[[int], bool], name: str) -> bool:
        """Something of the right kind is at `path`, or else nothing."""
        try:
            mode = (self.root / path).lstat().st_mode
        except FileNotFoundError:
            return False
        if not right_kind(mode):
            raise PackageConflictError(f"{path} is there, and no {name}")
        return True
