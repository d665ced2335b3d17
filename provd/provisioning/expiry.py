"""Expiry: devices that nobody has claimed since they came to be by themselves go after a time without contact."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import gevent
from gevent.event import Event

from provd.errors import ConflictError, NotFoundError, StoreError
from provd.provisioning.devices import DeviceVerbs
from provd.store.collection import Collection

log = logging.getLogger(__name__)

_INTERVAL_S = 3600.0


class Expiry:
    """Looks once an hour, and when it is told to. What it looks at grows with the days, not with the devices."""

    def __init__(self, devices: Collection, verbs: DeviceVerbs) -> None:
        self._devices = devices
        self._verbs = verbs
        self._days = 0
        self._look = Event()
        self._worker: gevent.Greenlet[[float], None] | None = None

    def use(self, days: int, *, begin_after_s: float = 0.0) -> None:
        """Remove devices after so many days from now on, 0 for never.

        It looks at once, or for the first time after a while, in which a server that was off for long hears of phones.
        """
        if days == self._days:
            return
        self._days = days
        self._look.set()
        if days and not self._worker:
            self._worker = gevent.spawn(self._work, begin_after_s)

    def stop(self) -> None:
        """Look no more; a device that is being removed is removed with all that it has."""
        self.use(0)
        if self._worker:
            self._worker.join()

    def remove_expired(self, now: datetime) -> int:
        """Remove what has expired at a time; returns how many devices that were. Phones have their turn in between."""
        days, removed = self._days, 0
        for device_id, day in self._expired(now, days):
            if self._days != days:
                break  # the setting was changed, or the server stops
            removed += self._remove(device_id, day)
            gevent.sleep(0)
        if removed:
            log.info("devices expired: removed=%d without_contact_for_days=%d", removed, days)
        return removed

    def _expired(self, now: datetime, days: int) -> list[tuple[str, str]]:
        """The devices that have expired, each with the day of its last contact."""
        if not days:
            return []
        last_kept_day = (now - timedelta(days=days)).date().isoformat()
        past = [day for day in self._devices.keys("contact") if day < last_kept_day]
        return [(device_id, day) for day in past for device_id in self._devices.find("contact", day)]

    def _remove(self, device_id: str, day: str) -> bool:
        try:
            self._verbs.remove(device_id, last_contact=day)
        except (NotFoundError, ConflictError):
            return False  # it was removed, heard of, or claimed, a moment ago
        except StoreError as error:
            log.error("a device that has expired stays: device=%s error=%s", device_id, error)
            return False
        return True

    def _work(self, begin_after_s: float) -> None:
        if begin_after_s:
            self._look.clear()
            self._look.wait(begin_after_s)
        while self._days:
            self._look.clear()
            try:
                self.remove_expired(datetime.now(UTC))
            except Exception:
                log.exception("looking for expired devices failed")
            self._look.wait(_INTERVAL_S)
