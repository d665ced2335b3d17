"""Expiry: devices that nobody has claimed since they came to be by themselves go after a time without contact."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import gevent

from provd.errors import NotFoundError, StoreError
from provd.model.device import LAST_CONTACT
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
        self._worker: gevent.Greenlet[[], None] | None = None

    def use(self, days: int) -> None:
        """Remove devices after so many days from now on, 0 for never; begins to look."""
        self._days = days
        self.stop()
        if days:
            self._worker = gevent.spawn(self._work)

    def stop(self) -> None:
        """Look no more."""
        if self._worker is not None:
            self._worker.kill()
            self._worker = None

    def remove_expired(self, now: datetime) -> int:
        """Remove what has expired at a time; returns how many devices that were. Phones have their turn in between."""
        last_kept_day = (now - timedelta(days=self._days)).date().isoformat()
        removed = 0
        for day in [day for day in self._devices.keys("contact") if day < last_kept_day]:
            for device_id in self._devices.find("contact", day):
                removed += self._remove(device_id, day)
                gevent.sleep(0)
        if removed:
            log.info("devices expired: removed=%d without_contact_for_days=%d", removed, self._days)
        return removed

    def _remove(self, device_id: str, day: str) -> bool:
        device = self._devices.get(device_id)
        if device is None or device.get(LAST_CONTACT) != day:
            return False  # it was heard of, or claimed, a moment ago
        try:
            self._verbs.remove(device_id)
        except NotFoundError:
            return False
        except StoreError as error:
            log.error("a device that has expired stays: device=%s error=%s", device_id, error)
            return False
        return True

    def _work(self) -> None:
        while True:
            try:
                self.remove_expired(datetime.now(UTC))
            except Exception:
                log.exception("looking for expired devices failed")
            gevent.sleep(_INTERVAL_S)
