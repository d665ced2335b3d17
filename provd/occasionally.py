"""Saying something now and then, where saying it every time would fill the disk."""

from __future__ import annotations

import time


class Occasionally:
    """`due()` is true at most once in `interval_s` seconds, and tells by `missed` how often it was not."""

    def __init__(self, interval_s: float = 10.0) -> None:
        self._interval_s = interval_s
        self._next = 0.0
        self._count = 0
        self.missed = 0

    def due(self) -> bool:
        """Tell whether it is time to say it again."""
        now = time.monotonic()
        if now < self._next:
            self._count += 1
            return False
        self._next = now + self._interval_s
        self.missed, self._count = self._count, 0
        return True


class OccasionallyForEach:
    """The same for each of many keys, such as addresses, and at most `per_second` times a second for all of them.

    The last `max_keys` keys are known; one that is forgotten, and what was not said of it, begins anew.
    """

    def __init__(self, interval_s: float = 60.0, *, per_second: int = 10, max_keys: int = 1024) -> None:
        self._interval_s = interval_s
        self._per_second = per_second
        self._max_keys = max_keys
        self._keys: dict[str, tuple[float, int]] = {}  # when it is due next, and how often it was not
        self._second = 0
        self._said = 0
        self.missed = 0

    def due(self, key: str) -> bool:
        """Tell whether it is time to say it again of `key`."""
        now = time.monotonic()
        due_at, count = self._keys.pop(key, (now, 0))
        if len(self._keys) >= self._max_keys:
            del self._keys[next(iter(self._keys))]
        is_due = now >= due_at and self._has_turn(int(now))
        self._keys[key] = (now + self._interval_s, 0) if is_due else (due_at, count + 1)
        self.missed = count
        return is_due

    def _has_turn(self, second: int) -> bool:
        if second != self._second:
            self._second, self._said = second, 0
        self._said += 1
        return self._said <= self._per_second
