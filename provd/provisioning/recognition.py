"""From a request to the device behind it: known, changed by what the request says, or new.

The steps are those of `provd.identify`; here they meet the store, the plugins and the locks.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from gevent.lock import BoundedSemaphore

from provd.errors import ConflictError, StoreError
from provd.identify.admit import ADMITTED, objection
from provd.identify.associate import best_plugin, may_stay
from provd.identify.extract import combine
from provd.identify.retrieve import STRONG_KEYS, retrieve
from provd.identify.update import with_identity, without_address
from provd.model.config import Config
from provd.model.decision import Decision
from provd.model.device import LAST_CONTACT, Device, identity_of, needs_rendering
from provd.model.identity import Identity
from provd.model.request import DhcpLease, PhoneRequest
from provd.occasionally import Occasionally
from provd.plugins.files import Problem
from provd.plugins.host import PluginHost
from provd.provisioning.admission import REASONS, Admission
from provd.provisioning.autoprov import AutoprovConfigs
from provd.provisioning.configure import Configurer
from provd.provisioning.devices import new_id
from provd.provisioning.locks import KeyedLocks, of_device, of_phone
from provd.provisioning.nat_advice import nat_objection
from provd.provisioning.recheck import Recheck
from provd.provisioning.retries import Retries
from provd.security.log import SecurityLog
from provd.security.nat import NatSwitch
from provd.store.schema import CONFIGS, DEVICES, is_unfinished
from provd.store.store import Store, Transaction

log = logging.getLogger(__name__)

_MAX_ATTEMPTS = 10
_MADE_AT_ONCE = 16
"""New devices that are made at the same time: enough for one commit to hold many, and known phones have their turn."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request: what it says of the phone, its address, and where the conclusions are noted."""

    identity: Identity
    address: str
    decision: Decision
    is_lease: bool = False


class Unrecognised(Exception):
    """No device is behind a request. `problem` is the answer if there would be one, but for a limit or the store."""

    def __init__(self, reason: str, problem: Problem | None = None) -> None:
        super().__init__(reason)
        self.problem = problem


class Recogniser:
    """Finds, changes and makes the devices behind requests. One writer for each device and each phone at a time."""

    def __init__(
        self,
        store: Store,
        host: PluginHost,
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
        self._configurer = configurer
        self._autoprov = AutoprovConfigs(store.collection(CONFIGS))
        self._recheck = recheck
        self._locks = locks
        self._security_log = security_log
        self._nat = nat
        self._admission = admission
        self.counters: Counter[str] = Counter()
        self.retries = Retries()
        self._making = BoundedSemaphore(_MADE_AT_ONCE)
        self._complaint = Occasionally()

    # --- looking, which changes nothing

    def caller(self, request: PhoneRequest | DhcpLease, decision: Decision) -> Caller:
        """Who sends a request: the first step, extract. The transport's own addresses win."""
        decision.answers = answers = self._host.identify(request)
        identity = combine(answers, self._support_by)
        is_lease = isinstance(request, DhcpLease)
        if isinstance(request, DhcpLease):
            identity = replace(identity, mac=request.mac)
        decision.identity = identity
        return Caller(identity, request.address, decision, is_lease)

    def find(self, caller: Caller) -> str | None:
        """The device of a caller, if it is known."""
        address: str | None = caller.address
        if self._nat.is_on or (caller.is_lease and not caller.identity.vendor):
            address = None  # a computer that was given a phone's old address is not that phone
        found = retrieve(caller.identity, address, self._devices)
        caller.decision.device_id, caller.decision.rule = found
        return found.device_id

    def why_not_admitted(self, caller: Caller) -> Unrecognised | None:
        """Why the phone of a caller that is not known cannot become a device now, or None."""
        needs_vendor = caller.is_lease and not self._admission.limits.unknown_leases
        reason = objection(caller.identity, nat=self._nat.is_on, needs_vendor=needs_vendor)
        if reason is not None:
            caller.decision.admission = reason
            return Unrecognised(reason)
        limit = self._admission.limit_reached(caller.address)
        if limit is None:
            return None
        self._admission.refuse(caller.address, limit)
        caller.decision.admission = REASONS[limit]
        return Unrecognised(REASONS[limit], Problem.REFUSED)

    def is_settled(self, device: Device, caller: Caller) -> bool:
        """Tell whether nothing has to be stored or rendered for a caller whose device this is."""
        device_id = device["id"]
        return not (
            (is_unfinished(device) and self.retries.may(device_id))
            or self._locks.is_held(of_device(device_id))
            or self._recheck.is_waiting(device_id)
            or self._wanted(device, caller) is not device
            or self._is_shared(caller.address)
            or (not device.get("config") and self._autoprov.available)
        )

    # --- settling, which may wait for the store and for other requests of the same phone

    def settle(self, caller: Caller) -> Device:
        """The device of a caller, stored and configured; its state of before if the store fails.

        Raises:
            Unrecognised: there is none.
        """
        with self._locks.hold(*self._phone_keys(caller)):
            for _ in range(_MAX_ATTEMPTS):
                device_id = self.find(caller)
                try:
                    return self._settle(device_id, caller)
                except ConflictError:
                    continue  # an administrator or another phone was faster: look again
                except StoreError as error:
                    return self._known(device_id, caller, error)
        log.error("a phone's device is changed again and again: address=%s", caller.address)
        raise Unrecognised("the device is changed again and again", Problem.UNAVAILABLE)

    def lease_ended(self, address: str, mac: str | None) -> Sequence[str]:
        """The lease of an address has ended, that of `mac` if it is known; returns whose address it was.

        Behind NAT several devices may have the address: then only a single one can be meant.

        Raises:
            StoreError: nothing was changed.
        """

        def is_meant(known: str | None) -> bool:
            return not known or mac is None or known == mac

        return self._lose_address(address, is_meant, at_most=1 if self._nat.is_on else None)

    def leased_to_another(self, address: str, mac: str) -> Sequence[str]:
        """A machine that is no device was given an address: devices that are known to be others have it no more.

        Raises:
            StoreError: nothing was changed.
        """
        if self._nat.is_on:
            return []
        return self._lose_address(address, lambda known: known not in (None, "", mac), at_most=None)

    def _lose_address(self, address: str, is_meant: Callable[[str | None], bool], at_most: int | None) -> Sequence[str]:
        with self._locks.hold(of_phone("ip", address)):
            for _ in range(_MAX_ATTEMPTS):
                there = self._devices.find("ip", address)
                found = [each for each in there if is_meant((self._devices.get(each) or {}).get("mac"))]
                if not found or (at_most is not None and len(found) > at_most):
                    return []
                try:
                    self._store.commit(self._without_address(Transaction(), found))
                    return found
                except ConflictError:
                    continue
        return []

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
        obstacle = self.why_not_admitted(caller)
        if obstacle is None:
            with self._making:
                obstacle = self.why_not_admitted(caller)  # those that waited here, too, may have taken the last places
                if obstacle is None:
                    return self._settle_one(new_id(), caller, is_new=True)
        raise obstacle

    def _settle_one(self, device_id: str, caller: Caller, *, is_new: bool) -> Device:
        """The same for a device that is known, or is to be made with this id."""
        with self._locks.hold(of_device(device_id)):
            stored = self._devices.get_stored(device_id)
            if not is_new and (stored is None or self.find(caller) != device_id):
                raise ConflictError(f"devices {device_id!r} was removed, or is another phone's now")
            old = stored.document if stored else {"id": device_id, "added": "auto", LAST_CONTACT: today()}
            new = self._wanted(old, caller)
            config = None if new.get("config") else self._autoprov.derive()
            if config is not None:
                new = {**new, "config": config["id"]}
            needs_files = is_new or needs_rendering(old, new) or self._configurer.is_told_otherwise(old, new)
            needs_files = needs_files or (is_unfinished(new) and self.retries.take(device_id))
            with self._recheck.turn(device_id, needed=needs_files) as is_due:
                if new is not old or self._is_shared(caller.address):
                    with self._admission.place(caller.address) if is_new else nullcontext():
                        self._commit(new, config, stored.revision if stored else 0)
                self._tell(caller, old, new, is_new=is_new)
                if is_due:
                    caller.decision.rendered = True
                    self._configurer.configure_held(device_id)
            return self._devices.get(device_id) or new

    def _commit(self, new: Device, config: Config | None, revision: int) -> None:
        """Store a device, and what goes with it: the config made for it, and its address that others lose.

        Behind NAT nobody loses an address.
        """
        transaction = Transaction().put(DEVICES, new["id"], new, revision)
        if config is not None:
            transaction.put(CONFIGS, config["id"], config, 0)
        if not self._nat.is_on:
            others = [each for each in self._devices.find("ip", new["ip"]) if each != new["id"]]
            self._without_address(transaction, others)
        self._store.commit(transaction)

    def _is_shared(self, address: str) -> bool:
        """Tell whether several devices have an address that only one may have.

        An administrator gave it to another one, or general.nat was on.
        """
        return not self._nat.is_on and self._devices.count("ip", address) > 1

    def _without_address(self, transaction: Transaction, device_ids: Iterable[str]) -> Transaction:
        for device_id in device_ids:
            stored = self._devices.get_stored(device_id)
            if stored is not None:
                transaction.put(DEVICES, device_id, without_address(stored.document), stored.revision)
        return transaction

    def _tell(self, caller: Caller, old: Device, device: Device, *, is_new: bool) -> None:
        """Log what an administrator wants to know: a new device, or one that has moved or is another model."""
        decision = caller.decision
        decision.device_id = device["id"]
        if self._nat.is_on and needs_rendering(old, device):
            objection = nat_objection(device, self._host)
            if objection is not None:
                log.warning("a device cannot be relied on behind NAT: device=%s mac=%s reason=%r", device["id"],
                            device.get("mac"), objection)  # fmt: skip
        decision.note_changes(old, device)
        if is_new:
            decision.admission = ADMITTED
            self.counters["new_devices"] += 1
            self._security_log.new_device_created(caller.address, device["id"])
            shown = [device.get(key) for key in ("mac", "vendor", "model", "version", "plugin")]
            log.info(
                "new device: device=%s ip=%s mac=%s vendor=%r model=%r version=%r plugin=%s by=%s",
                device["id"], caller.address, *shown, decision.protocol,
            )  # fmt: skip
            return
        for key, before, now in decision.changes:
            if key == "ip":
                log.info("device moved: device=%s ip=%s before=%s by=%s", device["id"], now, before, decision.protocol)
            elif before:
                log.info("device corrected: device=%s %s=%r before=%r", device["id"], key, now, before)

    def _support_by(self, plugin_id: str, identity: Identity) -> int:
        return dict(self._host.support(identity)).get(plugin_id, 0)

    def _wanted(self, device: Device, caller: Caller) -> Device:
        """The device as it should be after this request; `device` itself if nothing changes."""
        wanted = with_identity(device, caller.identity, caller.address)
        if LAST_CONTACT in device and device[LAST_CONTACT] < today():
            wanted = {**wanted, LAST_CONTACT: today()}
        plugin_id = wanted.get("plugin") or ""
        is_better_known = any(wanted.get(key) != device.get(key) for key in ("vendor", "model"))
        if plugin_id in self._host.installed and not is_better_known:
            return wanted
        caller.decision.levels = levels = self._host.support(identity_of(wanted))
        if plugin_id in self._host.installed and may_stay(plugin_id, levels, is_claimed=LAST_CONTACT not in device):
            return wanted
        best = best_plugin(levels)
        return wanted if best is None or best == plugin_id else {**wanted, "plugin": best}


def today() -> str:
    """The day, by UTC, as devices that nobody has claimed keep it."""
    return datetime.now(UTC).date().isoformat()
