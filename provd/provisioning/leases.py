"""What happens when the DHCP server tells of a lease: the device is made, follows, or loses its address."""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict

from provd.errors import StoreError
from provd.model.decision import Decision
from provd.model.dhcp_event import COMMIT, DhcpEvent
from provd.model.request import DhcpLease
from provd.provisioning.decisions import Decisions
from provd.provisioning.locks import KeyedLocks, of_phone
from provd.provisioning.recognition import Recogniser, Unrecognised
from provd.store.schema import DEVICES
from provd.store.store import Store

log = logging.getLogger(__name__)

MAX_REMEMBERED = 10_000
"""MAC and IP addresses whose last event is remembered; of more, the oldest are forgotten."""


class LastEvents:
    """When the last event of each address happened: hooks that run at the same time overtake each other."""

    def __init__(self, max_remembered: int = MAX_REMEMBERED) -> None:
        self._max_remembered = max_remembered
        self._times: OrderedDict[str, int] = OrderedDict()

    def is_late(self, event: DhcpEvent) -> bool:
        """Tell whether something that happened later has been heard of already; if not, note this event."""
        if event.time_ns is None:
            return False
        keys = [key for key in (event.ip, event.mac) if key is not None]
        if any(self._times.get(key, 0) > event.time_ns for key in keys):
            return True
        for key in keys:
            self._times.pop(key, None)
            self._times[key] = event.time_ns
        while len(self._times) > self._max_remembered:
            self._times.popitem(last=False)
        return False


class LeaseDesk:
    """Takes events of the DHCP server; those of one machine, or one address, one after the other."""

    def __init__(self, store: Store, recogniser: Recogniser, locks: KeyedLocks, decisions: Decisions) -> None:
        self._devices = store.collection(DEVICES)
        self._recogniser = recogniser
        self._locks = locks
        self._decisions = decisions
        self._last = LastEvents()
        self.counters: Counter[str] = Counter()

    def handle(self, event: DhcpEvent) -> None:
        """Do what an event asks for; may wait for the store. What fails is logged: no DHCP server waits for it."""
        self.counters[event.op] += 1
        decision = self._decisions.begin("dhcp", event.ip, event.op)
        keys = [of_phone("lease", key) for key in (event.ip, event.mac) if key is not None]
        with self._locks.hold(*keys):
            try:
                result = self._done(event, decision)
            except StoreError as error:
                self.counters["failed"] += 1
                result = f"the store fails: {error}"
                log.error("lease not noted: op=%s ip=%s mac=%s error=%s", event.op, event.ip, event.mac, error)
        decision.end(result)
        log.debug(
            "lease: op=%s ip=%s mac=%s device=%s result=%r", event.op, event.ip, event.mac, decision.device_id, result
        )

    def _done(self, event: DhcpEvent, decision: Decision) -> str:
        """Do it, and say what came of it."""
        if self._last.is_late(event):
            self.counters["late"] += 1
            return "came late: newer events are known"
        if event.op == COMMIT and event.mac is not None:
            return self._commit(event, event.mac, decision)
        forgotten = self._recogniser.lease_ended(event.ip, event.mac)
        if not forgotten:
            return "nobody has this address"
        decision.device_id = forgotten[0]
        log.info("device lost its address: device=%s ip=%s by=%s", forgotten[0], event.ip, event.op)
        return "address forgotten"

    def _commit(self, event: DhcpEvent, mac: str, decision: Decision) -> str:
        caller = self._recogniser.caller(DhcpLease(event.ip, mac, event.options), decision)
        device_id = self._recogniser.find(caller)
        device = self._devices.get(device_id) if device_id is not None else None
        if device is not None and self._recogniser.is_settled(device, caller):
            return "known"
        try:
            self._recogniser.settle(caller)
        except Unrecognised as obstacle:
            self._recogniser.leased_to_another(event.ip, mac)
            return str(obstacle)
        return "noted"
