"""A limit on the time and memory that a template takes, looked at again and again while it runs.

It ends what grows or goes on bit by bit. One operation of Python's that fills the memory ends before it is noticed;
see `provd.plugins.bounds` for those.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERVAL_S = 0.01
_ENDING_S = 0.05

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class LimitExceededError(BaseException):
    """A template has used up its time or memory. No `except Exception` in Jinja2 or a filter may keep this back."""


@contextmanager
def limits(seconds: float, size_bytes: int) -> Iterator[None]:
    """End what takes more than `seconds` of this thread's own time, or has the process grow by `size_bytes`.

    Signals reach the main thread only; elsewhere there is no limit.

    Raises:
        LimitExceededError: it did; the text says what is too much.
    """
    if threading.get_native_id() != os.getpid():
        yield
        return
    if signal.getsignal(signal.SIGPROF) is not _look:
        signal.signal(signal.SIGPROF, _look)
        signal.siginterrupt(signal.SIGPROF, False)
    try:
        try:
            _Watch.current = _Watch(seconds, size_bytes)
            signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)
            yield
        finally:
            _Watch.current = None  # a signal may come just before this; the next one comes after what follows
    finally:
        _Watch.current = None
        signal.setitimer(signal.ITIMER_PROF, 0)


class _Watch:
    """What a template has taken so far."""

    current: _Watch | None = None

    def __init__(self, seconds: float, size_bytes: int) -> None:
        self._seconds = seconds
        self._size = size_bytes
        self._begun = time.thread_time()
        self._quiet_until = 0.0
        self._size_before = _resident_bytes()

    def complaint(self) -> str | None:
        """What is too much by now, if anything; it is said again only after a while, in which the template may end."""
        now, complaint = time.thread_time(), None
        if now < self._quiet_until:
            return None
        if now - self._begun > self._seconds:
            complaint = f"takes more than {self._seconds} seconds"
        elif _resident_bytes() - self._size_before > self._size:
            complaint = f"takes more than {self._size >> 20} MiB of memory"
        if complaint is not None:
            self._quiet_until = now + _ENDING_S
        return complaint


def _look(number: int, frame: FrameType | None) -> None:
    """The signal's handler. It stays for good: a signal that comes late must not find the default, which kills.

    It raises again if the template goes on: Python drops what is raised while it calls a finalizer or a weak reference.
    """
    complaint = _Watch.current.complaint() if _Watch.current is not None else None
    if complaint is not None:
        raise LimitExceededError(complaint)


def _resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * _PAGE_BYTES
