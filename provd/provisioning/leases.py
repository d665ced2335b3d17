"""What happens when the DHCP server tells of a lease: the device is made, follows, or loses its address."""

from __future__ import annotations

import logging
import time
from collections import Counter, OrderedDict

from provd.errors import StoreError
from provd.model.decision import Decision
from provd.model.dhcp_event import COMMIT, DhcpEvent
from provd.model.request import DhcpLease
from provd.plugins.files import Problem
from provd.provisioning.addresses import Addresses, tell_lost
from provd.provisioning.decisions import Decisions
from provd.provisioning.locks import KeyedLocks, of_phone
from provd.provisioning.recognition import Recogniser, Unrecognised
from provd.provisioning.settling import Settler
from provd.store.schema import DEVICES
from provd.store.store import Store

log = logging.getLogger(__name__)

MAX_REMEMBERED = 10_000
"""MAC and IP addresses whose last event is remembered; of more, the oldest are forgotten."""


Order = tuple[int, int]
"""When an event happened, and its number among all that have come."""


class LastEvents:
    """The last event of each address: hooks that run at the same time overtake each other, and so do greenlets."""

    def __init__(self, max_remembered: int = MAX_REMEMBERED) -> None:
        self._max_remembered = max_remembered
        self._last: OrderedDict[str, Order] = OrderedDict()
        self._count = 0

    def order_of(self, event: DhcpEvent) -> Order:
        """Where an event belongs that has come just now.

        Of those of the same time, as the events of one message are, the last to come is the newest. Nothing happens
        later than now; that is also when something happened whose time nobody noted.
        """
        self._count += 1
        now = time.monotonic_ns()
        return (now if event.time_ns is None else min(event.time_ns, now), self._count)

    def is_late(self, event: DhcpEvent, order: Order) -> bool:
        """Tell whether something that happened later has been heard of already; if not, note this event."""
        keys = [key for key in (event.ip, event.mac) if key is not None]
        if any(key in self._last and self._last[key] > order for key in keys):
            return True
        for key in keys:
            self._last.pop(key, None)
            self._last[key] = order
        while len(self._last) > self._max_remembered:
            self._last.popitem(last=False)
        return False


class LeaseDesk:
    """Takes events of the DHCP server; those of one machine, or one address, one after the other."""

    def __init__(
        self,
        store: Store,
        recogniser: Recogniser,
        settler: Settler,
        addresses: Addresses,
        locks: KeyedLocks,
        decisions: Decisions,
    ) -> None:
        self._devices = store.collection(DEVICES)
        self._recogniser = recogniser
        self._settler = settler
        self._addresses = addresses
        self._locks = locks
        self._decisions = decisions
        self._last = LastEvents()
        self.counters: Counter[str] = Counter()

    def handle(self, event: DhcpEvent) -> None:
        """Do what an event asks for; may wait for the store. What fails is logged: no DHCP server waits for it."""
        self.counters[event.op] += 1
        decision = self._decisions.begin("dhcp", event.ip, event.op)
        order = self._last.order_of(event)
        keys = [of_phone("lease", key) for key in (event.ip, event.mac) if key is not None]
        with self._locks.hold(*keys):
            try:
                result = self._done(event, order, decision)
            except StoreError as error:
                self.counters["failed"] += 1
                result = f"the store fails: {error}"
                log.error("lease not noted: op=%s ip=%s mac=%s error=%s", event.op, event.ip, event.mac, error)
            except BaseException as error:
                decision.fail(error)
                raise
        decision.end(result)
        log.debug(
            "lease: op=%s ip=%s mac=%s device=%s result=%r", event.op, event.ip, event.mac, decision.device_id, result
        )

    def _done(self, event: DhcpEvent, order: Order, decision: Decision) -> str:
        """Do it, and say what came of it.

        Raises:
            StoreError: nothing was changed.
        """
        if self._last.is_late(event, order):
            self.counters["late"] += 1
            return "came late: newer events are known"
        if event.op == COMMIT and event.mac is not None:
            return self._commit(event, event.mac, decision)
        forgotten = self._addresses.lease_ended(event.ip, event.mac)
        if not forgotten:
            return "nobody has this address"
        decision.device_id = forgotten[0]
        tell_lost(forgotten, event.ip, event.op)
        return "address forgotten"

    def _commit(self, event: DhcpEvent, mac: str, decision: Decision) -> str:
        caller = self._recogniser.caller(DhcpLease(event.ip, mac, event.options), decision)
        device_id = self._recogniser.find(caller)
        device = self._devices.get(device_id) if device_id is not None else None
        if device is not None and self._settler.is_settled(device, caller):
            return "known"
        try:
            device = self._settler.settle(caller)
        except Unrecognised as obstacle:
            tell_lost(self._addresses.leased_to_another(event.ip, mac), event.ip, event.op, mac)
            self.counters["failed"] += obstacle.problem is Problem.UNAVAILABLE
            return str(obstacle)
        if device.get("ip") != event.ip:
            raise StoreError("the device stays as it was")
        return "noted"
