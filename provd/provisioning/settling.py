"""Settling: the device behind a request is made if it is new, stored if it changed, and configured if that matters."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import nullcontext

from gevent.lock import BoundedSemaphore

from provd.errors import ConflictError, StoreError
from provd.identify.admit import ADMITTED
from provd.identify.retrieve import STRONG_KEYS
from provd.model.config import Config
from provd.model.device import LAST_CONTACT, Device, needs_rendering
from provd.occasionally import Occasionally, OccasionallyForEach
from provd.plugins.files import Problem
from provd.plugins.host import PluginHost
from provd.provisioning.addresses import put_without_address, tell_lost
from provd.provisioning.admission import Admission
from provd.provisioning.autoprov import AutoprovConfigs
from provd.provisioning.configure import Configurer
from provd.provisioning.devices import new_id
from provd.provisioning.locks import KeyedLocks, of_device, of_phone
from provd.provisioning.nat_advice import nat_objection
from provd.provisioning.recheck import Recheck
from provd.provisioning.recognition import Caller, Recogniser, Unrecognised, today
from provd.provisioning.retries import Retries
from provd.security.log import SecurityLog
from provd.security.nat import NatSwitch
from provd.store.schema import CONFIGS, DEVICES, is_unfinished
from provd.store.store import Store, Transaction

log = logging.getLogger(__name__)

_MAX_ATTEMPTS = 10
_STORED_AT_ONCE = 32
"""New devices that are stored at the same time, so that one commit holds many of them, however slow the disk is."""
_MADE_AT_ONCE = 2
"""New devices whose files are made at the same time: few, since known phones wait meanwhile."""


class Settler:
    """Makes and changes the devices behind requests. One writer for each device and each phone at a time."""

    def __init__(
        self,
        store: Store,
        host: PluginHost,
        recogniser: Recogniser,
        configurer: Configurer,
        recheck: Recheck,
        locks: KeyedLocks,
        security_log: SecurityLog,
        nat: NatSwitch,
        admission: Admission,
    ) -> None:
        self._store = store
        self._devices = store.collection(DEVICES)
        self._host = host
        self._recogniser = recogniser
        self._configurer = configurer
        self._autoprov = AutoprovConfigs(store.collection(CONFIGS))
        self._recheck = recheck
        self._locks = locks
        self._security_log = security_log
        self._nat = nat
        self._admission = admission
        self.counters: Counter[str] = Counter()
        self.retries = Retries()
        self._storing, self._making = BoundedSemaphore(_STORED_AT_ONCE), BoundedSemaphore(_MADE_AT_ONCE)
        self._complaint = Occasionally()
        self._moves = OccasionallyForEach(10.0, per_second=50)

    def is_settled(self, device: Device, caller: Caller) -> bool:
        """Tell whether nothing has to be stored or rendered for a caller whose device this is."""
        device_id = device["id"]
        return not (
            (is_unfinished(device) and self.retries.may(device_id))
            or self._locks.is_held(of_device(device_id))
            or self._recheck.is_waiting(device_id)
            or self._recogniser.wanted(device, caller) is not device
            or self._recogniser.is_shared(caller.address)
            or (not device.get("config") and self._autoprov.available)
        )

    def settle(self, caller: Caller) -> Device:
        """The device of a caller, stored and configured; its state of before if the store fails.

        Raises:
            Unrecognised: there is none.
        """
        with self._locks.hold(*self._phone_keys(caller)):
            for _ in range(_MAX_ATTEMPTS):
                device_id = self._recogniser.find(caller)
                try:
                    return self._settle(device_id, caller)
                except ConflictError:
                    continue  # an administrator or another phone was faster: look again
                except StoreError as error:
                    return self._known(device_id, caller, error)
        log.error("a phone's device is changed again and again: address=%s", caller.address)
        raise Unrecognised("the device is changed again and again", Problem.UNAVAILABLE)

    def _phone_keys(self, caller: Caller) -> Iterable[str]:
        if not self._nat.is_on:
            yield of_phone("ip", caller.address)
        for key in STRONG_KEYS:
            value = getattr(caller.identity, key)
            if value is not None:
                yield of_phone(key, value)

    def _known(self, device_id: str | None, caller: Caller, error: StoreError) -> Device:
        """The device as it was before the store failed; its files are as they were then, too."""
        self.counters["store_failures"] += 1
        if self._complaint.due():
            how = "a new phone is turned away" if device_id is None else "a phone is served from what is known"
            log.error("%s: address=%s error=%s", how, caller.address, error)
        device = None
        if device_id is not None:
            with self._locks.hold(of_device(device_id)):  # whoever is making its files is waited for
                with self._recheck.turn(device_id) as is_unchecked:
                    if is_unchecked:
                        self._configurer.configure_held(device_id)
                device = self._devices.get(device_id)
        if device is None:
            raise Unrecognised(f"the store fails: {error}", Problem.UNAVAILABLE)
        return device

    def _settle(self, device_id: str | None, caller: Caller) -> Device:
        """Store and configure what a request changes.

        Raises:
            ConflictError: a document was changed in between; nothing was stored.
            StoreError: nothing was stored.
            Unrecognised: the phone is not known and not admitted.
        """
        if device_id is not None:
            return self._settle_one(device_id, caller, is_new=False)
        obstacle = self._recogniser.why_not_admitted(caller)
        if obstacle is not None:
            raise obstacle
        with self._admission.place(caller.address):
            return self._settle_one(new_id(), caller, is_new=True)

    def _settle_one(self, device_id: str, caller: Caller, *, is_new: bool) -> Device:
        """The same for a device that is known, or is to be made with this id."""
        with self._locks.hold(of_device(device_id)):
            stored = self._devices.get_stored(device_id)
            if not is_new and (stored is None or self._recogniser.find(caller) != device_id):
                raise ConflictError(f"devices {device_id!r} was removed, or is another phone's now")
            old = stored.document if stored else {"id": device_id, "added": "auto", LAST_CONTACT: today()}
            new = self._recogniser.wanted(old, caller)
            config = None if new.get("config") else self._autoprov.derive()
            if config is not None:
                new = {**new, "config": config["id"]}
            needs_files = is_new or needs_rendering(old, new) or self._configurer.is_told_otherwise(old, new)
            needs_files = needs_files or (is_unfinished(new) and self.retries.take(device_id))
            with self._recheck.turn(device_id, needed=needs_files) as is_due:
                if new is not old or self._recogniser.is_shared(caller.address):
                    with self._storing if is_new else nullcontext():
                        losers = self._commit(new, config, stored.revision if stored else 0)
                    tell_lost(losers, caller.address, caller.decision.protocol, device_id)
                self._tell(caller, old, new, is_new=is_new)
                if is_due:
                    caller.decision.rendered = True
                    with self._making if is_new else nullcontext():
                        self._configurer.configure_held(device_id)
            return self._devices.get(device_id) or new

    def _commit(self, new: Device, config: Config | None, revision: int) -> Sequence[str]:
        """Store a device, and what goes with it: the config made for it, and its address that others lose.

        Returns who loses it; behind NAT nobody does.
        """
        transaction = Transaction().put(DEVICES, new["id"], new, revision)
        if config is not None:
            transaction.put(CONFIGS, config["id"], config, 0)
        others: list[str] = []
        if not self._nat.is_on:
            others = [each for each in self._devices.find("ip", new["ip"]) if each != new["id"]]
            put_without_address(transaction, self._devices, others)
        self._store.commit(transaction)
        return others

    def _tell(self, caller: Caller, old: Device, device: Device, *, is_new: bool) -> None:
        """Log what an administrator wants to know: a new device, or one that has moved or is another model."""
        decision = caller.decision
        decision.device_id = device["id"]
        if self._nat.is_on and needs_rendering(old, device):
            reason = nat_objection(device, self._host)
            if reason is not None:
                shown = (device["id"], device.get("mac"), reason)
                log.warning("a device cannot be relied on behind NAT: device=%s mac=%s reason=%r", *shown)
        decision.note_changes(old, device)
        if is_new:
            decision.admission = ADMITTED
            self.counters["new_devices"] += 1
            self._security_log.new_device_created(caller.address, device["id"])
            known = [device.get(key) for key in ("mac", "vendor", "model", "version", "plugin")]
            log.info(
                "new device: device=%s ip=%s mac=%s vendor=%r model=%r version=%r plugin=%s by=%s",
                device["id"], caller.address, *known, decision.protocol,
            )  # fmt: skip
            return
        for key, before, now in decision.changes:
            if key == "ip":
                # Phones that share an address, where NAT is off, take it from each other with each request.
                level = logging.INFO if self._moves.due(str(now)) else logging.DEBUG
                log.log(
                    level, "device moved: device=%s ip=%s before=%s by=%s unreported=%d",
                    device["id"], now, before, decision.protocol, self._moves.missed,
                )  # fmt: skip
            elif before:
                log.info("device corrected: device=%s %s=%r before=%r", device["id"], key, now, before)
