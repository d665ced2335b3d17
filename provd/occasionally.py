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
