"""Addresses that devices lose, because a lease has ended or another machine has them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from provd.errors import ConflictError
from provd.identify.update import without_address
from provd.provisioning.locks import KeyedLocks, of_phone
from provd.security.nat import NatSwitch
from provd.store.collection import Collection
from provd.store.schema import DEVICES
from provd.store.store import Store, Transaction

log = logging.getLogger(__name__)

_MAX_ATTEMPTS = 10


class Addresses:
    """Takes addresses away from devices."""

    def __init__(self, store: Store, locks: KeyedLocks, nat: NatSwitch) -> None:
        self._store = store
        self._devices = store.collection(DEVICES)
        self._locks = locks
        self._nat = nat

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
                    self._store.commit(put_without_address(Transaction(), self._devices, found))
                    return found
                except ConflictError:
                    continue
        return []


def tell_lost(device_ids: Iterable[str], address: str, by: str, now_of: str | None = None) -> None:
    """Log that devices have lost an address, by what, and whose it is now, if anybody's: an id or a MAC address."""
    for device_id in device_ids:
        log.info("device lost its address: device=%s ip=%s by=%s now_of=%s", device_id, address, by, now_of)


def put_without_address(transaction: Transaction, devices: Collection, device_ids: Iterable[str]) -> Transaction:
    """Add to a transaction that devices have no address any more."""
    for device_id in device_ids:
        stored = devices.get_stored(device_id)
        if stored is not None:
            transaction.put(devices.name, device_id, without_address(stored.document), stored.revision)
    return transaction
