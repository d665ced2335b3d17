"""A real SQLite backend that counts, waits and fails when a test tells it to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import gevent
from gevent.monkey import get_original

from provd.errors import StoreError
from provd.store.backend import Removal, Row
from provd.store.sqlite import SqliteBackend

Changes = Sequence[Row | Removal]

# Real locks also if another test has patched the standard library: they stop the writer's thread, not the hub.
_allocate_lock = get_original("_thread", "allocate_lock")


class Gate:
    """Stops every thread that comes through while it is shut."""

    def __init__(self) -> None:
        self._lock = _allocate_lock()
        self.waiting = 0

    def shut(self) -> None:
        self._lock.acquire()

    def open(self) -> None:
        if self._lock.locked():
            self._lock.release()

    def go_through(self) -> None:
        self.waiting += 1
        with self._lock:
            self.waiting -= 1


class SteeredBackend:
    """Commits to a real file; `refuses` says which transactions fail as they do on a full disk."""

    def __init__(self, path: Path) -> None:
        self._inner = SqliteBackend(path)
        self.gate = Gate()
        self.commits: list[Changes] = []
        self.refuses: Callable[[Changes], bool] = lambda changes: False
        self.only_stop: tuple[int, str] | None = None
        """Which commit alone the gate stops, by its number from 1, and whether `before` or `after` it is on disk."""

    @property
    def was_clean(self) -> bool:
        return self._inner.was_clean

    @property
    def last_revision(self) -> int:
        return self._inner.last_revision

    def load(self) -> Iterator[Row]:
        return self._inner.load()

    def commit(self, changes: Changes) -> None:
        self.commits.append(changes)
        self._stop("before")
        if self.refuses(changes):
            raise StoreError("database or disk is full")
        self._inner.commit(changes)
        self._stop("after")

    def _stop(self, point: str) -> None:
        stopped = (len(self.commits), "before") if self.only_stop is None else self.only_stop
        if stopped == (len(self.commits), point):
            self.gate.go_through()

    def verify(self) -> list[str]:
        return self._inner.verify()

    def close(self, *, as_found: bool = False) -> None:
        self._inner.close(as_found=as_found)


def always(changes: Changes) -> bool:
    """Every transaction fails."""
    return True


def wait_until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Let others run until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        gevent.sleep(0.001)


def all_done(*greenlets: gevent.Greenlet, seconds: float = 10.0) -> None:
    """Wait for greenlets; what one of them raised is raised."""
    gevent.joinall(greenlets, timeout=seconds, raise_error=True)
    assert all(each.ready() for each in greenlets), "they did not end in time"
