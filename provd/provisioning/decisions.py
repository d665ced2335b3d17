"""The last decision traces, to answer why a phone got what it got."""

from __future__ import annotations

from collections import deque
from operator import itemgetter
from typing import Any

from provd.model.decision import Decision, Record, address_of, as_data, device_of

MAX_OF_DEVICES = 20_000
"""Traces of requests by known devices that are kept in all; of more, the oldest are forgotten."""
MAX_PER_DEVICE = 30
"""Traces that are kept of one device."""
MAX_OF_NOBODY = 2_000
"""Traces of requests by nobody known; they have a place of their own, so that a flood leaves the others alone."""


class Decisions:
    """Remembers traces, in constant time and bounded memory."""

    def __init__(
        self,
        max_of_devices: int = MAX_OF_DEVICES,
        max_per_device: int = MAX_PER_DEVICE,
        max_of_nobody: int = MAX_OF_NOBODY,
    ) -> None:
        self._max_of_devices = max_of_devices
        self._max_per_device = max_per_device
        self._all: deque[Record] = deque()
        self._by_device: dict[str, deque[Record]] = {}
        self._of_nobody: deque[Record] = deque(maxlen=max_of_nobody)

    def __len__(self) -> int:
        return len(self._all) + len(self._of_nobody)

    def begin(self, protocol: str, address: str, path: str, agent: str = "") -> Decision:
        """A trace for a request that has come; it is remembered when it ends."""
        return Decision(protocol, address, path, agent, self.add)

    def add(self, record: Record) -> None:
        """Remember the record of a request that has ended."""
        device_id = device_of(record)
        if device_id is None:
            self._of_nobody.append(record)
            return
        if len(self._all) >= self._max_of_devices:
            self._forget_oldest()
        self._all.append(record)
        own = self._by_device.get(device_id)
        if own is None:
            own = self._by_device[device_id] = deque(maxlen=self._max_per_device)
        own.append(record)

    def of_device(self, device_id: str) -> list[dict[str, Any]]:
        """What was decided about a device's requests, the newest first."""
        return [as_data(record) for record in reversed(self._by_device.get(device_id, ()))]

    def of_nobody(self, address: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """What was decided about requests that belong to no device, the newest first; also those of one address."""
        found = (each for each in reversed(self._of_nobody) if address in (None, address_of(each)))
        return [as_data(record) for record, _ in zip(found, range(limit), strict=False)]

    def latest(self, limit: int = 100) -> list[dict[str, Any]]:
        """The last decisions of all, the newest first."""
        candidates = [*_last(self._all, limit), *_last(self._of_nobody, limit)]
        return [as_data(record) for record in sorted(candidates, key=itemgetter(0), reverse=True)[:limit]]

    def _forget_oldest(self) -> None:
        """Forget the oldest record of a device; its own list may have forgotten it before."""
        oldest = self._all.popleft()
        device_id = str(device_of(oldest))
        own = self._by_device.get(device_id)
        if own and own[0] is oldest:
            own.popleft()
            if not own:
                del self._by_device[device_id]


def _last(records: deque[Record], limit: int) -> list[Record]:
    return [records[-1 - index] for index in range(min(limit, len(records)))]
