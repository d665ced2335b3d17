"""Configuring a device: from its documents to its files."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import gevent

from provd.errors import ConflictError, InvalidValueError, PluginError
from provd.model.config import RawConfig, flatten
from provd.model.device import Device
from provd.model.raw_config import prepare_raw_config
from provd.plugins.host import PluginHost
from provd.plugins.publish import publish, withdraw
from provd.plugins.rendering import RenderedFile
from provd.provisioning.locks import KeyedLocks, of_device
from provd.store.collection import Document
from provd.store.schema import CONFIGS, DEVICES, RENDERINGS
from provd.store.store import Store, Transaction

log = logging.getLogger(__name__)

_MAX_ATTEMPTS = 10


class NotConfigurableError(PluginError):
    """The device has no plugin or no config, so that it has no files; the text says which."""


class Configurer:
    """Renders the files of devices and keeps the record of which device has which files.

    The result is kept on the device: `configured`, and in `configure_error` the reason if it is false. When something
    fails, the last good files stay; when a device no longer has a plugin or a config, its files go.
    """

    def __init__(
        self, store: Store, host: PluginHost, base_raw_config: Mapping[str, Any], locks: KeyedLocks
    ) -> None:
        self._store = store
        self._devices = store.collection(DEVICES)
        self._configs = store.collection(CONFIGS)
        self._renderings = store.collection(RENDERINGS)
        self._host = host
        self._base = base_raw_config
        self._locks = locks

    def configure(self, device_id: str) -> str | None:
        """Make a device's files anew; returns why that failed, or None. A device that is gone is fine.

        Raises:
            StoreError: the result could not be kept.
        """
        with self._locks.hold(of_device(device_id)):
            return self.configure_held(device_id)

    def configure_all(self, device_ids: Iterable[str]) -> dict[str, str]:
        """Configure many devices, giving way to phones between them; returns the failures by device id.

        Raises:
            StoreError: a result could not be kept; the devices after it were not configured.
        """
        failures = {}
        for device_id in device_ids:
            reason = self.configure(device_id)
            if reason is not None:
                failures[device_id] = reason
            gevent.sleep(0)
        return failures

    def configure_held(self, device_id: str) -> str | None:
        """The same as `configure` for a caller that holds the device's lock."""
        for _ in range(_MAX_ATTEMPTS):
            try:
                return self._configure(device_id)
            except ConflictError:
                continue  # a phone's request changed the device's address meanwhile
        raise ConflictError(f"devices {device_id!r} is changed again and again")

    def withdraw_held(self, device_id: str) -> None:
        """Remove a device's files, but those that another device has too.

        Raises:
            PluginError: the disk refuses.
        """
        record = self._renderings.get(device_id)
        if record is not None:
            self._withdraw(device_id, record["plugin"], _paths(record))

    def flattened(self, config_id: str) -> RawConfig | None:
        """The raw config of a config with all that it inherits, or None if there is no such config."""
        return flatten(config_id, self._configs.get, self._base)

    def _configure(self, device_id: str) -> str | None:
        stored = self._devices.get_stored(device_id)
        if stored is None:
            return None
        device, old = stored.document, self._renderings.get(device_id)
        record, reason = self._render_and_publish(device, old)
        self._withdraw_obsolete(device_id, old, record)
        transaction = Transaction()
        result = _with_result(device, reason)
        if result != device:
            transaction.put(DEVICES, device_id, result, stored.revision)
        if record != old:
            if record is None:
                transaction.delete(RENDERINGS, device_id)
            else:
                transaction.put(RENDERINGS, device_id, record)
        self._store.commit(transaction)
        if reason is not None:
            log.warning("device not configured: device=%s mac=%s reason=%s", device_id, device.get("mac"), reason)
        return reason

    def _render_and_publish(self, device: Device, old: Document | None) -> tuple[Document | None, str | None]:
        """The record of the device's files as they are now, and why they are not as they should be."""
        try:
            files = self._render(device)
            plugin_id = str(device["plugin"])
            publish(Path(self._host.root_of(plugin_id) or ""), files)
        except NotConfigurableError as error:
            return None, str(error)
        except (PluginError, InvalidValueError) as error:
            return old, str(error)
        return _record(plugin_id, files), None

    def _render(self, device: Device) -> list[RenderedFile]:
        plugin_id, config_id = device.get("plugin"), device.get("config")
        if not plugin_id:
            raise NotConfigurableError("no plugin is chosen for this device")
        if not config_id:
            raise NotConfigurableError("the device has no config")
        raw_config = self.flattened(config_id)
        if raw_config is None:
            raise NotConfigurableError(f"the config {config_id!r} does not exist")
        return self._host.render_device(plugin_id, device.copy(), prepare_raw_config(raw_config))

    def _withdraw_obsolete(self, device_id: str, old: Document | None, new: Document | None) -> None:
        if old is None or old == new:
            return
        kept = _paths(new) if new is not None and new["plugin"] == old["plugin"] else set()
        try:
            self._withdraw(device_id, old["plugin"], _paths(old) - kept)
        except PluginError as error:
            log.error("old files stay: device=%s error=%s", device_id, error)

    def _withdraw(self, device_id: str, plugin_id: str, paths: Iterable[str]) -> None:
        root = self._host.root_of(plugin_id)
        if root is not None:
            own = [path for path in paths if self._renderings.find("file", f"{plugin_id}/{path}") == (device_id,)]
            withdraw(Path(root), own)


def _with_result(device: Device, reason: str | None) -> Device:
    """The device with the result of configuring it."""
    result = {**device, "configured": reason is None}
    if reason is None:
        result.pop("configure_error", None)
    else:
        result["configure_error"] = reason
    return result


def _record(plugin_id: str, files: Iterable[RenderedFile]) -> Document:
    """What the store keeps of a device's files."""
    return {
        "plugin": plugin_id,
        "files": [
            {"path": file.path, "sensitive": file.sensitive, "proves_sync": file.proves_sync} for file in files
        ],
    }


def _paths(record: Mapping[str, Any]) -> set[str]:
    return {file["path"] for file in record["files"]}
