"""What can be done with devices."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from provd.errors import AlreadyExistsError, ConflictError, NotFoundError
from provd.identify.retrieve import STRONG_KEYS
from provd.model.device import LAST_CONTACT, Device, check_device, keep_results, needs_rendering
from provd.provisioning.configure import Configurer
from provd.provisioning.locks import KeyedLocks, of_config, of_device, of_phone
from provd.provisioning.recheck import Recheck
from provd.store.collection import Document, Stored
from provd.store.schema import CONFIGS, DEVICES
from provd.store.store import Store, Transaction

log = logging.getLogger(__name__)

_MAX_ATTEMPTS = 10


def new_id() -> str:
    """An id for a new document: 32 hexadecimal digits."""
    return uuid.uuid4().hex


class DeviceVerbs:
    """Adds, changes and removes devices, and keeps their files as their documents say."""

    def __init__(self, store: Store, configurer: Configurer, recheck: Recheck, locks: KeyedLocks) -> None:
        self._store = store
        self._devices = store.collection(DEVICES)
        self._configurer = configurer
        self._recheck = recheck
        self._locks = locks

    def add(self, device: Mapping[str, Any]) -> str:
        """Store a new device and configure it; returns its id.

        Raises:
            AlreadyExistsError: there is a device with this id.
            InvalidValueError: a value is not allowed.
            StoreError: nothing was stored.
        """
        new = keep_results(check_device(device), {})
        device_id = str(new.setdefault("id", new_id()))
        with self._held(device_id, new), self._recheck.turn(device_id, needed=True):
            with self._locks.hold(*_config_keys(new)):
                try:
                    self._store.commit(Transaction().put(DEVICES, device_id, new, 0))
                except ConflictError:
                    raise AlreadyExistsError(f"there is a device with the id {device_id!r} already") from None
            self._configurer.configure_held(device_id)
            self._look_at_rivals(device_id, new)
        return device_id

    def change(self, device_id: str, device: Mapping[str, Any], revision: int | None = None) -> None:
        """Replace a device's document; its files are made anew if it matters to them.

        `revision` is what the change is based on; None replaces whatever is there.

        Raises:
            ConflictError: the device was changed since that revision.
            InvalidValueError: a value is not allowed.
            NotFoundError: there is no such device.
            StoreError: nothing was changed.
        """
        checked = check_device({**device, "id": device_id})
        with self._held(device_id, checked):
            for attempt in range(_MAX_ATTEMPTS):
                try:
                    return self._change(device_id, checked, revision)
                except ConflictError:
                    if revision is not None or attempt == _MAX_ATTEMPTS - 1:
                        raise
                    continue  # another phone took the device's address: that needs no lock of the device

    def _change(self, device_id: str, checked: Device, revision: int | None) -> None:
        old = self._existing(device_id)
        new = keep_results(dict(checked), old.document)
        if new == old.document:
            return
        needs_files = needs_rendering(old.document, new) or self._configurer.is_told_otherwise(old.document, new)
        with self._recheck.turn(device_id, needed=needs_files) as is_due:
            with self._locks.hold(*_config_keys(old.document, new)):
                transaction = Transaction().put(DEVICES, device_id, new, old.revision if revision is None else revision)
                self._drop_unused_config(transaction, old.document, new)
                self._store.commit(transaction)
            if is_due:
                self._configurer.configure_held(device_id)
        if old.document.get("mac") != new.get("mac"):
            self._look_at_rivals(device_id, old.document, new)

    def remove(self, device_id: str, last_contact: str | None = None) -> None:
        """Remove a device, its config if that is transient and nobody else has it, and then its files.

        With `last_contact`, only if the device was last heard of on that day, and nobody has claimed it.

        Raises:
            ConflictError: it has another `last_contact` now.
            NotFoundError: there is no such device.
            StoreError: the device stays, with its files.
        """
        with self._locks.hold(of_device(device_id)):
            device = self._existing(device_id).document
            if last_contact is not None and device.get(LAST_CONTACT) != last_contact:
                raise ConflictError(f"the device {device_id!r} was heard of, or claimed, in between")
            with self._locks.hold(*_config_keys(device)):
                transaction = Transaction().delete(DEVICES, device_id)
                self._drop_unused_config(transaction, device, {})
                self._store.commit(transaction)
            self._configurer.remove_files(device_id)
            self._look_at_rivals(device_id, device)
        log.info("device removed: device=%s mac=%s", device_id, device.get("mac"))

    def reconfigure(self, device_id: str) -> str | None:
        """Make a device's files anew; returns why that failed, or None.

        Raises:
            NotFoundError: there is no such device.
        """
        self._existing(device_id)
        return self._configurer.configure(device_id)

    @contextmanager
    def _held(self, device_id: str, device: Device) -> Iterator[None]:
        """Hold the locks of a device and of the phone that it is to be."""
        with self._locks.hold(*_phone_keys(device)), self._locks.hold(of_device(device_id)):
            yield

    def _look_at_rivals(self, device_id: str, *devices: Device) -> None:
        """Only one of several devices with one MAC address is configured: which one it is may have changed."""
        macs = {device["mac"] for device in devices if device.get("mac")}
        self._recheck.add(each for mac in macs for each in self._devices.find("mac", mac) if each != device_id)

    def _existing(self, device_id: str) -> Stored:
        stored = self._devices.get_stored(device_id)
        if stored is None:
            raise NotFoundError(f"there is no device {device_id!r}")
        return stored

    def _drop_unused_config(self, transaction: Transaction, old: Document, new: Document) -> None:
        """Add to a transaction that a device leaves its config: a transient one goes with its last device."""
        config_id = old.get("config")
        if not config_id or config_id == new.get("config"):
            return
        config = self._store.collection(CONFIGS).get(config_id)
        if config and config.get("transient") and self._devices.find("config", config_id) == (old["id"],):
            transaction.delete(CONFIGS, config_id)


def _phone_keys(device: Mapping[str, Any]) -> list[str]:
    """The keys under which a phone's request would look for this device, or make another one."""
    return [of_phone(key, device[key]) for key in STRONG_KEYS if device.get(key)]


def _config_keys(*devices: Mapping[str, Any]) -> list[str]:
    return [of_config(device["config"]) for device in devices if device.get("config")]
