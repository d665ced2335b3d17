"""Trying again what failed for a device, but not with each of its requests."""

from __future__ import annotations

import time
from collections import OrderedDict

INTERVAL_S = 60.0
MAX_REMEMBERED = 10_000
"""Devices of which the last attempt is remembered; of more, the oldest attempts are forgotten."""


class Retries:
    """When a device's files were last tried again because its phone asked for them."""

    def __init__(self, interval_s: float = INTERVAL_S) -> None:
        self._interval_s = interval_s
        self._last: OrderedDict[str, float] = OrderedDict()

    def may(self, device_id: str) -> bool:
        """Tell whether another attempt is due."""
        last = self._last.get(device_id)
        return last is None or time.monotonic() - last >= self._interval_s

    def take(self, device_id: str) -> bool:
        """Tell whether another attempt is due, and if so, note it: the caller makes it."""
        if not self.may(device_id):
            return False
        self._last[device_id] = time.monotonic()
        self._last.move_to_end(device_id)
        if len(self._last) > MAX_REMEMBERED:
            self._last.popitem(last=False)
        return True
