"""Putting rendered files below a plugin's `var/tftpboot`, and taking them away again."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path

import gevent

from provd.atomicfile import sync_folder, write_file
from provd.errors import PluginError
from provd.plugins.rendering import RenderedFile, check_file_path

FILE_MODE = 0o600
"""Rendered files hold SIP passwords: nobody but the server may read them."""


def publish(root: Path, files: Iterable[RenderedFile]) -> int:
    """Write the files that differ from what is there; return how many were written.

    Rendered files can be made again, so they are not flushed to the disk.

    Raises:
        PluginError: the disk refuses; each file is either the old or the new one.
    """
    written = 0
    for file in files:
        target = root / file.path
        try:
            if not _holds(target, file.content):
                target.parent.mkdir(parents=True, exist_ok=True)
                write_file(target, file.content, mode=FILE_MODE, durable=False)
                written += 1
        except OSError as error:
            raise PluginError(f"cannot write {target}: {error.strerror}") from error
    return written


def withdraw(root: Path, path: str) -> None:
    """Remove a file that no device has any more; one that is gone already is fine.

    It does not come back: whoever forgets that the file was there would leave a secret behind. So this waits for the
    disk, without stopping the hub.

    Raises:
        PluginError: the disk refuses.
    """
    target = root / check_file_path(path)
    try:
        target.unlink()
        gevent.get_hub().threadpool.apply(sync_folder, (target.parent,))
    except (FileNotFoundError, NotADirectoryError):
        return  # NotADirectoryError: a file stands where its folder was
    except OSError as error:
        raise PluginError(f"cannot remove {target}: {error.strerror}") from error


def _holds(target: Path, content: bytes) -> bool:
    """The file is there with this content, and for nobody else to read."""
    try:
        return stat.S_IMODE(target.stat().st_mode) == FILE_MODE and target.read_bytes() == content
    except FileNotFoundError:
        return False
