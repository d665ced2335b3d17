"""What happens when a phone asks for a file: it is recognised, made a device if it is new, and answered."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass

from provd.errors import ConflictError, StoreError
from provd.identify.admit import is_admissible
from provd.identify.associate import best_plugin
from provd.identify.extract import combine
from provd.identify.retrieve import STRONG_KEYS, retrieve
from provd.identify.update import with_identity, without_address
from provd.model.config import Config
from provd.model.device import Device, identity_of, needs_rendering
from provd.model.identity import Identity
from provd.model.request import PhoneRequest
from provd.occasionally import Occasionally
from provd.plugins.files import OpenFile, Problem
from provd.plugins.host import PluginHost
from provd.provisioning.autoprov import AutoprovConfigs
from provd.provisioning.configure import Configurer
from provd.provisioning.devices import new_id
from provd.provisioning.fileservice import FileService
from provd.provisioning.locks import KeyedLocks, of_device, of_phone
from provd.provisioning.recheck import Recheck
from provd.provisioning.retries import Retries
from provd.security.log import SecurityLog
from provd.security.nat import NatSwitch
from provd.store.schema import CONFIGS, DEVICES, is_unfinished
from provd.store.store import Store, Transaction

log = logging.getLogger(__name__)

_MAX_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Collaborators:
    """What the desk works with."""

    store: Store
    host: PluginHost
    configurer: Configurer
    autoprov: AutoprovConfigs
    files: FileService
    recheck: Recheck
    locks: KeyedLocks
    security_log: SecurityLog
    nat: NatSwitch


class PhoneDesk:
    """Answers phones' requests. A known phone of which nothing changed costs no write, no lock and no wait."""

    def __init__(self, parts: Collaborators) -> None:
        self._parts = parts
        self._devices = parts.store.collection(DEVICES)
        self.counters: Counter[str] = Counter()
        self._retries = Retries()
        self._complaint = Occasionally()

    def quick(self, request: PhoneRequest) -> OpenFile | Problem | None:
        """The answer, if nothing has to be stored or rendered for it; otherwise None, and `handle` is needed."""
        identity = self._extract(request)
        device_id = self._retrieve(identity, request)
        if device_id is None:
            return None if self._is_admissible(identity) else self._parts.files.serve_nobody(request)
        device = self._devices.get(device_id)
        if (
            device is None
            or (is_unfinished(device) and self._retries.may(device_id))
            or self._parts.locks.is_held(of_device(device_id))
            or self._parts.recheck.is_waiting(device_id)
            or self._wanted(device, identity, request.address) is not device
            or self._lacks_config(device)
        ):
            return None
        reply = self._parts.files.serve(request, device)
        return None if reply is Problem.MISSING else _explained(reply, device)

    def handle(self, request: PhoneRequest) -> OpenFile | Problem:
        """The answer to any request; may wait for the store and for other requests of the same phone."""
        identity = self._extract(request)
        keys = [] if self._parts.nat.is_on else [of_phone("ip", request.address)]
        keys += [of_phone(key, value) for key in STRONG_KEYS if (value := getattr(identity, key)) is not None]
        with self._parts.locks.hold(*keys):
            device = self._settled(request, identity)
        if isinstance(device, Problem):
            return device
        reply = self._parts.files.serve(request, device)
        if reply is Problem.MISSING:
            reply = self._made_again(request, device)
        if reply is Problem.NOT_FOUND and self._parts.recheck.is_waiting(device["id"]):
            return Problem.UNAVAILABLE  # its files could not be made now, but they will be
        return _explained(reply, device)

    def _made_again(self, request: PhoneRequest, device: Device) -> OpenFile | Problem:
        """The file that the device should have, and that somebody has removed."""
        with self._parts.locks.hold(of_device(device["id"])):
            if self._retries.take(device["id"]):
                log.warning("a file is gone and is made again: device=%s path=%r", device["id"], request.path)
                self._parts.configurer.configure_held(device["id"])
        reply = self._parts.files.serve(request, device)
        return Problem.NOT_FOUND if reply is Problem.MISSING else reply

    def _settled(self, request: PhoneRequest, identity: Identity) -> Device | Problem:
        """The device that asks, stored and configured; its state of before if the store fails."""
        for _ in range(_MAX_ATTEMPTS):
            device_id = self._retrieve(identity, request)
            try:
                return self._settle(device_id, request, identity)
            except ConflictError:
                continue  # an administrator or another phone was faster: look again
            except StoreError as error:
                return self._known(device_id, request, error)
        log.error("a phone's device is changed again and again: address=%s", request.address)
        return Problem.UNAVAILABLE

    def _known(self, device_id: str | None, request: PhoneRequest, error: StoreError) -> Device | Problem:
        """The device as it was before the store failed; its files are as they were then, too."""
        self.counters["store_failures"] += 1
        if self._complaint.due():
            how = "a new phone is turned away" if device_id is None else "a phone is served from what is known"
            log.error("%s: address=%s error=%s", how, request.address, error)
        if device_id is None:
            return Problem.UNAVAILABLE
        with self._parts.locks.hold(of_device(device_id)):  # whoever is making its files is waited for
            with self._parts.recheck.turn(device_id) as is_unchecked:
                if is_unchecked:
                    self._parts.configurer.configure_held(device_id)
            return self._devices.get(device_id) or Problem.UNAVAILABLE

    def _settle(self, device_id: str | None, request: PhoneRequest, identity: Identity) -> Device | Problem:
        """Store and configure what the request changes.

        Raises:
            ConflictError: a document was changed in between; nothing was stored.
            StoreError: nothing was stored.
        """
        is_new = device_id is None
        if device_id is None:
            if not self._is_admissible(identity):
                return self._parts.files.serve_nobody(request)
            device_id = new_id()
        with self._parts.locks.hold(of_device(device_id)):
            stored = self._devices.get_stored(device_id)
            if stored is None and not is_new:
                raise ConflictError(f"devices {device_id!r} was removed")
            old = stored.document if stored else {"id": device_id, "added": "auto"}
            if not is_new and self._retrieve(identity, request) != device_id:
                raise ConflictError(f"devices {device_id!r} is another phone's now")
            new = self._wanted(old, identity, request.address)
            config = None if new.get("config") else self._parts.autoprov.derive()
            if config is not None:
                new = {**new, "config": config["id"]}
            is_changed = is_new or needs_rendering(old, new)
            needs_files = is_changed or (is_unfinished(new) and self._retries.take(device_id))
            with self._parts.recheck.turn(device_id, needed=needs_files) as is_due:
                if new is not old:
                    self._commit(old, new, config, stored.revision if stored else 0)
                self._tell(request, old, new, is_new=is_new)
                if is_due:
                    self._parts.configurer.configure_held(device_id)
            return self._devices.get(device_id) or new

    def _commit(self, old: Device, new: Device, config: Config | None, revision: int) -> None:
        """Store a device, and what goes with it: the config made for it, and its address that others lose.

        Behind NAT nobody loses an address.
        """
        transaction = Transaction().put(DEVICES, new["id"], new, revision)
        if config is not None:
            transaction.put(CONFIGS, config["id"], config, 0)
        if new.get("ip") != old.get("ip") and not self._parts.nat.is_on:
            for other_id in self._devices.find("ip", new["ip"]):
                other = self._devices.get_stored(other_id)
                if other is not None and other_id != new["id"]:
                    transaction.put(DEVICES, other_id, without_address(other.document), other.revision)
        self._parts.store.commit(transaction)

    def _tell(self, request: PhoneRequest, old: Device, device: Device, *, is_new: bool) -> None:
        """Log what an administrator wants to know: a new device, or one that has moved."""
        if not is_new:
            if device.get("ip") != old.get("ip"):
                log.info("device moved: device=%s ip=%s before=%s", device["id"], device.get("ip"), old.get("ip"))
            return
        self.counters["new_devices"] += 1
        self._parts.security_log.new_device_created(request.address, device["id"])
        shown = [device.get(key) for key in ("mac", "vendor", "model", "version", "plugin")]
        log.info(
            "new device: device=%s ip=%s mac=%s vendor=%r model=%r version=%r plugin=%s",
            device["id"], request.address, *shown,
        )  # fmt: skip

    def _extract(self, request: PhoneRequest) -> Identity:
        answers = self._parts.host.identify(request)
        return combine(answers, lambda plugin_id, identity: dict(self._parts.host.support(identity)).get(plugin_id, 0))

    def _retrieve(self, identity: Identity, request: PhoneRequest) -> str | None:
        """The device that asks, if it is known."""
        return retrieve(identity, None if self._parts.nat.is_on else request.address, self._devices)

    def _is_admissible(self, identity: Identity) -> bool:
        """Whether a phone that is not known becomes a device."""
        return is_admissible(identity, nat=self._parts.nat.is_on)

    def _wanted(self, device: Device, identity: Identity, address: str) -> Device:
        """The device as it should be after this request; `device` itself if nothing changes."""
        wanted = with_identity(device, identity, address)
        plugin_id = wanted.get("plugin")
        if not plugin_id or plugin_id not in self._parts.host.installed:
            best = best_plugin(self._parts.host.support(identity_of(wanted)))
            if best is not None and best != plugin_id:
                wanted = {**wanted, "plugin": best}
        return wanted

    def _lacks_config(self, device: Device) -> bool:
        """The device has no config, and one can be made for it."""
        return not device.get("config") and self._parts.autoprov.available


def _explained(reply: OpenFile | Problem, device: Device) -> OpenFile | Problem:
    """The reply, with the better reason if the device has no files because they could not be made."""
    return Problem.NOT_CONFIGURED if reply is Problem.NOT_FOUND and is_unfinished(device) else reply
