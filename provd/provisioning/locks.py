"""Locks by key, so that work on one device never waits for work on another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from gevent.lock import BoundedSemaphore


class KeyedLocks:
    """A lock for each key that is in use; keys that nobody holds or waits for take no memory.

    Locks are not re-entrant. Whoever needs several takes them in one call, or first those of phones, then that of a
    device, then those of configs: then nobody waits in a circle.
    """

    def __init__(self) -> None:
        self._locks: dict[str, BoundedSemaphore] = {}
        self._users: dict[str, int] = {}

    @contextmanager
    def hold(self, *keys: str) -> Iterator[None]:
        """Hold the locks of all keys; waits until they are free."""
        with ExitStack() as stack:
            for key in sorted(set(keys)):
                stack.enter_context(self._hold_one(key))
            yield

    def is_held(self, key: str) -> bool:
        """Tell whether somebody holds or waits for the lock of a key."""
        return key in self._locks

    @contextmanager
    def _hold_one(self, key: str) -> Iterator[None]:
        lock = self._locks.setdefault(key, BoundedSemaphore())
        self._users[key] = self._users.get(key, 0) + 1
        try:
            with lock:
                yield
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key], self._locks[key]


def of_device(device_id: str) -> str:
    """The key for changing and rendering a device."""
    return f"device {device_id}"


def of_config(config_id: str) -> str:
    """The key for taking or leaving a config that goes with its last device."""
    return f"config {config_id}"


def of_phone(kind: str, value: str) -> str:
    """The key for finding or making the device of a phone that has, for instance, this MAC address."""
    return f"{kind} {value}"
