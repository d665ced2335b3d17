"""Folders beside the installed plugins, in which one is made ready, kept for a moment, or taken to pieces.

The name of such a folder says what it is for, so that after a crash it is known what to do with it:

    .provd-install-…/<plugin id>      a plugin that is being unpacked: of no use
    .provd-upgrade-…/<plugin id>      with the file `.provd-new`, a new version that was not put in place: of no use;
                                      without, the old version after the new one was put in place
    .provd-upgrade-…/.old/<plugin id> the same, where the file system cannot exchange two folders
    .provd-removing-…/<plugin id>     an uninstalled plugin whose templates may not be saved yet
    .provd-trash-…                    of no use
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import secrets
import shutil
from pathlib import Path

from provd.atomicfile import TEMPORARY_PREFIX, sync_folder

log = logging.getLogger(__name__)

INSTALL = f"{TEMPORARY_PREFIX}install-"
UPGRADE = f"{TEMPORARY_PREFIX}upgrade-"
REMOVING = f"{TEMPORARY_PREFIX}removing-"
TRASH = f"{TEMPORARY_PREFIX}trash-"
NEW_MARK = f"{TEMPORARY_PREFIX}new"
"""A file in a new version's folder until that is in place."""
ASIDE = ".old"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_CANNOT_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


def new_folder(plugins_folder: Path, kind: str) -> Path:
    """Make a folder of this kind.

    Raises:
        OSError: the disk refuses.
    """
    folder = plugins_folder / f"{kind}{secrets.token_hex(8)}"
    folder.mkdir(mode=0o750)
    return folder


def drop(folder: Path) -> None:
    """Remove such a folder; what cannot be removed is named in the log and tried again at the next start."""
    trash = folder
    try:
        if not folder.name.startswith(TRASH):
            trash = folder.rename(folder.with_name(f"{TRASH}{secrets.token_hex(8)}"))
    except OSError as error:
        log.warning("cannot be removed: folder=%s reason=%r", folder, str(error))
        return
    shutil.rmtree(trash, ignore_errors=True)
    if trash.exists():
        log.warning("not all of it can be removed, something belongs to another user: folder=%s", trash)


def swap(installed: Path, prepared: Path) -> None:
    """Put the prepared plugin in the place of the installed one, and that in its place, in one step.

    Where the file system cannot do that in one step, there is no plugin for some microseconds, and a crash in them is
    mended at the next start.

    Raises:
        OSError: nothing was changed.
    """
    if not _exchange(installed, prepared):
        aside = prepared.parent / ASIDE / installed.name
        aside.parent.mkdir()
        installed.rename(aside)
        try:
            prepared.rename(installed)
        except OSError:
            aside.rename(installed)
            raise
        aside.rename(prepared)
    for folder in (installed.parent, prepared.parent):
        sync_folder(folder)


def sync_tree(folder: Path) -> None:
    """Flush a folder's files and folders to the disk, so that a rename that follows moves something whole.

    Raises:
        OSError: the disk refuses.
    """
    for parent, _, names in os.walk(folder):
        for name in names:
            descriptor = os.open(Path(parent, name), os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(Path(parent))


def sync_folders(folder: Path) -> None:
    """Flush a folder's folders, but not the files in them.

    Raises:
        OSError: the disk refuses.
    """
    for parent, _, _ in os.walk(folder):
        sync_folder(Path(parent))


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change their names (renameat2(2)); False if this system cannot do that.

    Raises:
        OSError: it refuses.
    """
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(one))
