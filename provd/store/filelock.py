"""Keeping a second server out of a store."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from provd.errors import StoreError


def exclusive_lock(path: Path) -> int:
    """A descriptor that holds the lock of the database at `path` until it is closed.

    Raises:
        StoreError: another process has it, or the lock's file cannot be made.
    """
    lock_path = path.with_name(f"{path.name}.lock")
    try:
        descriptor = os.open(lock_path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{lock_path}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise StoreError(f"{path}: another xivo-provd is using this store") from None
    return descriptor
