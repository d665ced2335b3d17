"""From a request to the device behind it, by looking alone: nothing is stored, and nobody is waited for.

The steps are those of `provd.identify`; here they meet the store, the plugins and the limits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from provd.identify.admit import objection
from provd.identify.associate import best_plugin, may_stay
from provd.identify.extract import combine
from provd.identify.retrieve import retrieve
from provd.identify.update import with_identity
from provd.model.decision import Decision
from provd.model.device import LAST_CONTACT, Device, identity_of
from provd.model.identity import Identity
from provd.model.request import DhcpLease, PhoneRequest
from provd.plugins.files import Problem
from provd.plugins.host import PluginHost
from provd.provisioning.admission import REASONS, Admission
from provd.security.nat import NatSwitch
from provd.store.schema import DEVICES
from provd.store.store import Store


@dataclass(slots=True)
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
    """Finds the devices behind requests, and says what the requests change about them."""

    def __init__(self, store: Store, host: PluginHost, nat: NatSwitch, admission: Admission) -> None:
        self._devices = store.collection(DEVICES)
        self._host = host
        self._nat = nat
        self._admission = admission

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

    def wanted(self, device: Device, caller: Caller) -> Device:
        """The device as it should be after this request; `device` itself if nothing changes."""
        wanted = with_identity(device, caller.identity, caller.address)
        if LAST_CONTACT in device and device[LAST_CONTACT] != today():  # later, if the clock was wrong
            wanted = {**wanted, LAST_CONTACT: today()}
        plugin_id = wanted.get("plugin") or ""
        if plugin_id in self._host.installed and not _is_better_known(device, wanted):
            return wanted
        caller.decision.levels = levels = self._host.support(identity_of(wanted))
        if plugin_id in self._host.installed and may_stay(plugin_id, levels, is_claimed=LAST_CONTACT not in device):
            return wanted
        best = best_plugin(levels)
        return wanted if best is None or best == plugin_id else {**wanted, "plugin": best}

    def is_shared(self, address: str) -> bool:
        """Tell whether several devices have an address that only one may have.

        An administrator gave it to another one, or general.nat was on.
        """
        return not self._nat.is_on and self._devices.count("ip", address) > 1

    def _support_by(self, plugin_id: str, identity: Identity) -> int:
        return dict(self._host.support(identity)).get(plugin_id, 0)


def _is_better_known(old: Device, new: Device) -> bool:
    """Tell whether more is known of a phone than when its plugin was chosen.

    That its firmware is another one now does not count: it may be what the plugin gave it.
    """
    is_corrected = any(new.get(key) != old.get(key) for key in ("vendor", "model"))
    return is_corrected or bool(new.get("version") and not old.get("version"))


def today() -> str:
    """The day, by UTC, as devices that nobody has claimed keep it."""
    return datetime.now(UTC).date().isoformat()
