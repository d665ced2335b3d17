"""The last decision traces, to answer why a phone got what it got."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from itertools import islice
from operator import itemgetter
from typing import Any

from provd.model.decision import Decision, Record, address_of, as_data, device_of

MAX_OF_DEVICES = 10_000
"""Traces of requests by known devices that are kept in all; of more, the oldest are forgotten."""
MAX_PER_DEVICE = 30
"""Traces that are kept of one device, so that one that asks without pause leaves those of the others alone."""
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
        self._number = 0
        self._of_devices: OrderedDict[int, Record] = OrderedDict()
        self._by_device: dict[str, deque[int]] = {}
        self._of_nobody: deque[Record] = deque(maxlen=max_of_nobody)

    def __len__(self) -> int:
        return len(self._of_devices) + len(self._of_nobody)

    def begin(self, protocol: str, address: str, path: str, agent: str = "") -> Decision:
        """A trace for a request that has come; it is remembered when it ends."""
        return Decision(protocol, address, path, agent, self.add)

    def add(self, record: Record) -> None:
        """Remember the record of a request that has ended."""
        device_id = device_of(record)
        if device_id is None:
            self._of_nobody.append(record)
            return
        own = self._by_device.get(device_id)
        if own is not None and len(own) >= self._max_per_device:
            self._forget_oldest_of(device_id)
        elif len(self._of_devices) >= self._max_of_devices:
            self._forget_oldest_of(str(device_of(next(iter(self._of_devices.values())))))
        self._number += 1
        self._of_devices[self._number] = record
        self._by_device.setdefault(device_id, deque()).append(self._number)

    def of_device(self, device_id: str) -> list[dict[str, Any]]:
        """What was decided about a device's requests, the newest first."""
        return [as_data(self._of_devices[number]) for number in reversed(self._by_device.get(device_id, ()))]

    def of_nobody(self, address: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """What was decided about requests that belong to no device, the newest first; also those of one address."""
        found = (each for each in reversed(self._of_nobody) if address in (None, address_of(each)))
        return [as_data(record) for record, _ in zip(found, range(limit), strict=False)]

    def latest(self, limit: int = 100) -> list[dict[str, Any]]:
        """The last decisions of all, the newest first."""
        kinds: tuple[Iterable[Record], ...] = (reversed(self._of_devices.values()), reversed(self._of_nobody))
        candidates = [record for kind in kinds for record in islice(kind, limit)]
        return [as_data(record) for record in sorted(candidates, key=itemgetter(0), reverse=True)[:limit]]

    def _forget_oldest_of(self, device_id: str) -> None:
        own = self._by_device[device_id]
        del self._of_devices[own.popleft()]
        if not own:
            del self._by_device[device_id]
