"""The one way in which provd puts a file down: nobody ever sees half of it."""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
from pathlib import Path

import gevent

TEMPORARY_PREFIX = ".provd-"
"""Temporary files begin with this; one that is left over was left by a crash and may be removed."""

COPY_BYTES = 256 * 1024
"""How much of a file is held in memory while it is copied."""


def write_file(path: Path, content: bytes, *, mode: int = 0o600, durable: bool = True) -> None:
    """Put `content` at `path` whole or not at all.

    A temporary file in the same folder is renamed over the target. With `durable` the file and the folder are
    flushed to the disk before this returns; without, a power failure may lose the file or leave it empty, so use it
    only for what can be made again.

    Raises:
        OSError: the file is the old one, or the new one if only its folder could not be flushed; no temporary file
            is left.
    """
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(descriptor)
        os.rename(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def copy_file(source: Path, path: Path, *, mode: int, label: str = "") -> None:
    """Put a copy of `source` at `path` whole or not at all, and flush it to the disk; it may be of any size.

    `label` becomes part of the temporary file's name, so that whoever uses this can tell its own after a crash.

    Raises:
        OSError: as `write_file`.
    """
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{label}{secrets.token_hex(8)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(descriptor, "wb") as file, source.open("rb") as content:
            shutil.copyfileobj(content, file, COPY_BYTES)
            file.flush()
            os.fsync(descriptor)
        os.rename(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk, so that a rename or removal in it survives a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_filesystem(folder: Path) -> None:
    """Flush everything on the file system that holds `folder` to the disk, without stopping the hub (syncfs(2)).

    Raises:
        OSError: the disk reports an error.
    """
    gevent.get_hub().threadpool.apply(_sync_filesystem, (folder,))


def _sync_filesystem(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), "cannot flush", str(folder))
    finally:
        os.close(descriptor)
