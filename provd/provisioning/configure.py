"""Configuring a device: from its documents to its files."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provd.errors import ConflictError, InvalidValueError, PluginError, StoreError
from provd.identify.retrieve import preferred_device
from provd.model.config import RawConfig, flatten
from provd.model.device import Device
from provd.model.raw_config import prepare_raw_config
from provd.plugins.host import PluginHost
from provd.plugins.publish import publish, withdraw
from provd.plugins.rendering import RenderedFile
from provd.provisioning.locks import KeyedLocks, of_device
from provd.store.collection import Document
from provd.store.schema import CONFIGS, DEVICES, RENDERINGS, file_key
from provd.store.store import Store, Transaction

log = logging.getLogger(__name__)

_MAX_ATTEMPTS = 10

Record = list[dict[str, Any]]
"""Which files a device has: for each its plugin, its path, and what the plugin says of it."""


class NotConfigurableError(PluginError):
    """The device has no plugin, no config, or a MAC address of another device, so that it has no files."""


@dataclass(frozen=True, slots=True)
class _Rendered:
    """What rendering gave: files and their record, or why there are none. A `record` of None keeps the old files."""

    files: Sequence[RenderedFile]
    record: Record | None
    root: Path | None = None
    reason: str | None = None


class Configurer:
    """Renders the files of devices and keeps the record of which device has which files.

    The result is kept on the device: `configured`, and in `configure_error` the reason if it is false. When something
    fails, the last good files stay; when a device no longer has a plugin or a config, its files go.

    Every file on the disk stands in a record: a record names new files before they are written, and old ones until
    they are removed. A file that several devices have is removed with the last of them.

    `on_unfinished` is told the ids of devices that have to be configured again soon: because the store failed, or
    because a file of theirs holds what another device left there. `address_facing` gives for a phone's address the one
    that this server has for it; without it all phones are told the same.
    """

    def __init__(
        self,
        store: Store,
        host: PluginHost,
        base_raw_config: Mapping[str, Any],
        locks: KeyedLocks,
        on_unfinished: Callable[[Iterable[str]], None],
        address_facing: Callable[[str], str | None] | None = None,
    ) -> None:
        self._store = store
        self._devices = store.collection(DEVICES)
        self._configs = store.collection(CONFIGS)
        self._renderings = store.collection(RENDERINGS)
        self._host = host
        self._base = base_raw_config
        self._locks = locks
        self._on_unfinished = on_unfinished
        self._address_facing = address_facing

    def configure(self, device_id: str) -> str | None:
        """Make a device's files anew; returns why that failed, or None. A device that is gone is fine."""
        with self._locks.hold(of_device(device_id)):
            return self.configure_held(device_id)

    def configure_held(self, device_id: str) -> str | None:
        """The same as `configure` for a caller that holds the device's lock."""
        try:
            for _ in range(_MAX_ATTEMPTS):
                try:
                    return self._configure(device_id)
                except ConflictError:
                    continue  # a phone's request changed the device's address meanwhile
            reason = "the device is changed again and again"
        except StoreError as error:
            reason = f"the result cannot be kept: {error}"
        self._on_unfinished([device_id])
        return reason

    def trial(self, device: Device) -> str | None:
        """Render a device's files as this document says, but change nothing; returns why that fails, or None.

        A device that would have no files for want of a config or the like does not fail.
        """
        try:
            self._rendered_files(device)
        except NotConfigurableError:
            return None
        except (PluginError, InvalidValueError) as error:
            return str(error)
        return None

    def remove_files(self, device_id: str) -> None:
        """Remove the files of a device that is no longer in the store, and then their record.

        What fails is only logged: the record stays, and the next start tries again.
        """
        record = self._record_of(device_id)
        try:
            self._withdraw(device_id, record)
            self._store.commit(Transaction().delete(RENDERINGS, device_id))
        except (PluginError, StoreError, ConflictError) as error:
            log.error("files of a removed device stay: device=%s error=%s", device_id, error)

    def remove_orphans(self) -> None:
        """Remove the files whose devices are gone: what a crash or a failing disk left behind."""
        for device_id in self._renderings.ids():
            if device_id not in self._devices and not self._devices.is_unreadable(device_id):
                self.remove_files(device_id)

    def is_told_otherwise(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
        """Tell whether a device has moved to where it has to be told another address of this server."""
        return old.get("ip") != new.get("ip") and self._server_address(old) != self._server_address(new)

    def flattened(self, config_id: str, device: Mapping[str, Any] | None = None) -> RawConfig | None:
        """The raw config of a config with all that it inherits, for a device; or None if there is no such config.

        Raises:
            PluginError: it, or one that it inherits from, is damaged: leaving its values out would harm the phone.
        """
        return flatten(config_id, self._readable_config, {**self._base, "ip": self._server_address(device or {})})

    def _server_address(self, device: Mapping[str, Any]) -> str:
        """The address of this server that a device is told: the one that faces it, if that is how it is done."""
        ip = device.get("ip")
        facing = self._address_facing(ip) if self._address_facing is not None and ip else None
        return facing or str(self._base["ip"])

    def _readable_config(self, config_id: str) -> Document | None:
        if self._configs.is_unreadable(config_id):
            raise PluginError(f"the config {config_id!r} cannot be read: see `xivo-provd --check`")
        return self._configs.get(config_id)

    # --- one device

    def _configure(self, device_id: str) -> str | None:
        """Render, note what there will be, write it, remove what there was, and note that.

        Raises:
            ConflictError: the device was changed in between; nothing is lost by doing it all again.
            StoreError: the files on the disk are what the record says, or a part of it.
        """
        stored = self._devices.get_stored(device_id)
        if stored is None:
            return None
        rendered = self._render(device_id, stored.document)
        old = self._record_of(device_id)
        new = old if rendered.record is None else rendered.record
        gone = [entry for entry in old if _key(entry) not in {_key(each) for each in new}]
        self._keep(device_id, rendered.reason, [*new, *gone])
        reason = rendered.reason
        try:
            if rendered.root is not None:
                publish(rendered.root, rendered.files)
            self._withdraw(device_id, gone)
            self._keep(device_id, reason, new)
        except PluginError as error:
            reason = str(error)
            self._keep(device_id, reason, [*new, *gone])
        if reason is not None:
            mac = stored.document.get("mac")
            log.warning("device not configured: device=%s mac=%s reason=%s", device_id, mac, reason)
        return reason

    def _render(self, device_id: str, device: Device) -> _Rendered:
        try:
            files = self._rendered_files(device)
        except NotConfigurableError as error:
            return _Rendered([], [], reason=str(error))
        except (PluginError, InvalidValueError) as error:
            return _Rendered([], None, reason=str(error))
        except Exception as error:
            log.exception("rendering failed: device=%s", device_id)
            return _Rendered([], None, reason=f"internal error: {type(error).__name__}: {error}")
        plugin_id = str(device["plugin"])
        return _Rendered(files, [_entry(plugin_id, file) for file in files], Path(self._host.root_of(plugin_id) or ""))

    def _rendered_files(self, device: Device) -> list[RenderedFile]:
        plugin_id, config_id, mac = device.get("plugin"), device.get("config"), device.get("mac")
        if mac and (preferred := preferred_device(self._devices.find("mac", mac))) != device["id"]:
            raise NotConfigurableError(f"the device {preferred} has the same mac, {mac}, and comes first")
        if not plugin_id:
            raise NotConfigurableError("no plugin is chosen for this device")
        if not config_id:
            raise NotConfigurableError("the device has no config")
        raw_config = self.flattened(config_id, device)
        if raw_config is None:
            raise NotConfigurableError(f"the config {config_id!r} does not exist")
        return self._host.render_device(plugin_id, copy.deepcopy(device), prepare_raw_config(raw_config))

    def _keep(self, device_id: str, reason: str | None, record: Record) -> None:
        """Store the result on the device, and the record of its files, where they differ from what is stored."""
        transaction = Transaction()
        stored = self._devices.get_stored(device_id)
        if stored is not None:
            result = _with_result(stored.document, reason)
            if result != stored.document:
                transaction.put(DEVICES, device_id, result, stored.revision)
        if record != self._record_of(device_id):
            if record:
                transaction.put(RENDERINGS, device_id, {"files": record})
            else:
                transaction.delete(RENDERINGS, device_id)
        self._store.commit(transaction)

    def _withdraw(self, device_id: str, record: Record) -> None:
        """Remove files, but those that a device has too that is still there; its content goes into those.

        Raises:
            PluginError: the disk refuses.
        """
        for entry in record:
            owners = [each for each in self._owners(entry) if each != device_id and each in self._devices]
            root = self._host.root_of(entry["plugin"])
            if owners:
                self._on_unfinished([min(owners)])
            elif root is not None:
                withdraw(Path(root), entry["path"])

    def _owners(self, entry: Mapping[str, Any]) -> tuple[str, ...]:
        return self._renderings.find("file", _key(entry))

    def _record_of(self, device_id: str) -> Record:
        document: Document | None = self._renderings.get(device_id)
        return list(document["files"]) if document is not None else []


def _with_result(device: Device, reason: str | None) -> Device:
    """The device with the result of configuring it."""
    result = {**device, "configured": reason is None}
    if reason is None:
        result.pop("configure_error", None)
    else:
        result["configure_error"] = reason
    return result


def _entry(plugin_id: str, file: RenderedFile) -> dict[str, Any]:
    """What the store keeps of a file."""
    return {"plugin": plugin_id, "path": file.path, "sensitive": file.sensitive, "proves_sync": file.proves_sync}


def _key(entry: Mapping[str, Any]) -> str:
    return file_key(entry["plugin"], entry["path"])
