"""Locks that end with whoever holds them, between threads and between processes.

Waiting stops the native thread, not gevent's hub.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gevent.monkey import get_original

from provd.errors import PackageConflictError
from provd.model.operation import Operation

_LOOK_EVERY_S = 0.05

_sleep, _close = get_original("time", "sleep"), get_original("os", "close")


@contextmanager
def locked(
    path: Path, operation: Operation | None = None, *, busy: str | None = None, shared: bool = False
) -> Iterator[None]:
    """Hold the lock of the file at `path`, which is made if it is missing and never removed.

    Several may hold it at once if all want it `shared`.

    Raises:
        OperationCancelledError: somebody wants the operation to stop while this waits.
        PackageConflictError: somebody else holds it; only if there is a text `busy`, otherwise this waits.
    """
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        while not _try(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
            if busy is not None:
                raise PackageConflictError(busy)
            if operation is not None:
                operation.check()
            _sleep(_LOOK_EVERY_S)
        yield
    finally:
        _close(descriptor)


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
