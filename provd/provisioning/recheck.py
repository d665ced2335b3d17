"""Devices whose files may not be what the store says: after an unclean stop, or when the server's address changed."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import gevent

from provd.errors import ProvdError
from provd.provisioning.configure import Configurer

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.001


class Recheck:
    """Makes the files of devices anew in the background; a phone that asks before its turn comes is taken first."""

    def __init__(self, configurer: Configurer) -> None:
        self._configurer = configurer
        self._waiting: dict[str, None] = {}
        self._worker: gevent.Greenlet[[], None] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def is_waiting(self, device_id: str) -> bool:
        """The device's files have not been looked at yet."""
        return device_id in self._waiting

    def add(self, device_ids: Iterable[str]) -> None:
        """Put devices into the queue, and begin to work on it."""
        self._waiting.update(dict.fromkeys(device_ids))
        if self._waiting and not self._worker:
            self._worker = gevent.spawn(self._work)

    def take(self, device_id: str) -> bool:
        """Take a device out of the queue; True if it was there, and then the caller configures it."""
        return self._waiting.pop(device_id, self) is None

    def stop(self) -> None:
        """Stop; what has not been looked at is looked at again after the next start only if that is told to."""
        if self._worker is not None:
            self._worker.kill()
            self._worker = None

    def _work(self) -> None:
        log.info("checking files: devices=%d", len(self._waiting))
        failed = 0
        while self._waiting:
            device_id = next(iter(self._waiting))
            self.take(device_id)
            try:
                failed += self._configurer.configure(device_id) is not None
            except ProvdError as error:
                failed += 1
                log.error("files not checked: device=%s error=%s", device_id, error)
            gevent.sleep(_PAUSE_SECONDS)
        log.info("files checked: failed=%d", failed)
        self._worker = None
