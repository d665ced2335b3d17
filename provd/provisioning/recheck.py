"""Devices whose files may not be what the store says.

That is so after an unclean stop, when the server's address or a template changed, and while a change of a device or
config is stored but the files are not made yet.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import gevent

log = logging.getLogger(__name__)

_MAX_PAUSE_SECONDS = 0.01
"""How long phones can hold up the next device's turn: so a storm of them does not stop the work altogether."""
_PAUSE_AFTER_FAILURE_SECONDS = 1.0


class Recheck:
    """Makes the files of devices anew in the background; a phone that asks before its turn comes is taken first.

    `configure` makes the files of one device in its turn and returns why that failed, or None; it puts back what it
    could not finish. `on_empty` is called when nothing waits any more.
    """

    def __init__(self, configure: Callable[[str], str | None], on_empty: Callable[[], None]) -> None:
        self._configure = configure
        self._on_empty = on_empty
        self._waiting: dict[str, object] = {}  # another object each time that a device is put in
        self._worker: gevent.Greenlet[[], None] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def is_waiting(self, device_id: str) -> bool:
        """The device's files have not been looked at yet, or are being made."""
        return device_id in self._waiting

    def add(self, device_ids: Iterable[str]) -> None:
        """Put devices into the queue, and begin to work on it."""
        for device_id in device_ids:
            self._waiting.pop(device_id, None)
            self._waiting[device_id] = object()
        if self._waiting and not self._worker:
            self._worker = gevent.spawn(self._work)

    @contextmanager
    def turn(self, device_id: str, *, needed: bool = False) -> Iterator[bool]:
        """The turn of a device: True if it waits or `needed`, and then its files are made before it leaves the queue.

        Whoever does that holds the device's lock. A change that needs new files is stored within the turn, so that
        the device is known to lack them if the process ends in between. A device that was put in again meanwhile
        stays, as does one that waited before and whose turn failed.
        """
        with self.expected([device_id] if needed else []):
            ticket = self._waiting.get(device_id)
            yield ticket is not None
        if ticket is not None and self._waiting.get(device_id) is ticket:
            del self._waiting[device_id]

    @contextmanager
    def expected(self, device_ids: Iterable[str]) -> Iterator[None]:
        """A change that makes the files of devices wrong is stored: they wait from before that on.

        If it fails, those that had not waited before do so no longer. Whoever makes the change also works it off.
        """
        new = {device_id: object() for device_id in device_ids if device_id not in self._waiting}
        self._waiting.update(new)
        try:
            yield
        except Exception:
            for device_id, ticket in new.items():
                if self._waiting.get(device_id) is ticket:
                    del self._waiting[device_id]
            raise

    def work_off(self, device_ids: Iterable[str]) -> dict[str, str]:
        """Make the files of devices now, giving way to phones between them; returns the failures by device id."""
        failures = {}
        for device_id in device_ids:
            self._waiting.setdefault(device_id, object())
            reason = self._configure(device_id)
            if reason is not None:
                failures[device_id] = reason
            give_way()
        return failures

    def stop(self) -> None:
        """Stop; what is not finished stays in the queue."""
        if self._worker is not None:
            self._worker.kill()
            self._worker = None

    def _work(self) -> None:
        count, failed = 0, 0
        log.info("checking files: devices=%d", len(self._waiting))
        while self._waiting:
            device_id = next(iter(self._waiting))
            count += 1
            failed += not self._is_configured(device_id)
            if self.is_waiting(device_id):
                gevent.sleep(_PAUSE_AFTER_FAILURE_SECONDS)
            else:
                give_way()
        log.info("files checked: devices=%d failed=%d", count, failed)
        self._worker = None
        self._on_empty()

    def _is_configured(self, device_id: str) -> bool:
        try:
            return self._configure(device_id) is None
        except Exception:
            log.exception("files not checked: device=%s", device_id)
            self._waiting.pop(device_id, None)
            return False


def give_way() -> None:
    """Let phones have their turn: whatever has come for a socket is handled first.

    Where nothing has, this takes no time, unlike a short sleep, which is a millisecond at least.
    """
    gevent.with_timeout(_MAX_PAUSE_SECONDS, gevent.idle, timeout_value=None)
