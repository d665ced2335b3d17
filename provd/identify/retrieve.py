"""Retrieve: which device is asking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from provd.model.identity import Identity

STRONG_KEYS = ("mac", "sn", "uuid")
"""Keys that name one phone, the most trusted first."""
_CONTRADICTING_KEYS = ("mac", "vendor", "model", "sn", "uuid")


class Devices(Protocol):
    """What retrieval needs of the device collection."""

    def find(self, index: str, key: str) -> tuple[str, ...]:
        """Ids of the devices with this value."""

    def get(self, document_id: str) -> dict[str, Any] | None:
        """A device by id."""


class Retrieval(NamedTuple):
    """The device that a request comes from, None for a phone that is not known, and the rule that says so."""

    device_id: str | None
    rule: str


BY_ADDRESS = "ip"
NO_ADDRESS = Retrieval(None, "no device has this address")
ANOTHER = Retrieval(None, "the device at this address is another one")
SEVERAL = Retrieval(None, "several devices could be the one at this address")
NOT_BY_ADDRESS = Retrieval(None, "no device has what names the phone, and its address does not tell")


def retrieve(identity: Identity, address: str | None, devices: Devices) -> Retrieval:
    """The device that a request comes from.

    By MAC address, serial number, UUID, then by the address if exactly one device there does not contradict what
    the request says. Without `address` (phones behind NAT share theirs) only by what names the phone.
    """
    for key in STRONG_KEYS:
        value = getattr(identity, key)
        if value is not None:
            found = devices.find(key, value)
            if key != "mac":
                found = tuple(each for each in found if _may_have_mac(devices, each, identity))
            if found:
                return Retrieval(preferred_device(found), key)
    return NOT_BY_ADDRESS if address is None else _retrieve_by_address(identity, address, devices)


def _retrieve_by_address(identity: Identity, address: str, devices: Devices) -> Retrieval:
    there = devices.find("ip", address)
    candidates = [
        device_id for device_id in there if not contradicts(devices.get(device_id) or {}, identity)
    ]
    if len(candidates) == 1:
        return Retrieval(candidates[0], BY_ADDRESS)
    if not there:
        return NO_ADDRESS
    return SEVERAL if candidates else ANOTHER


def preferred_device(device_ids: Sequence[str]) -> str:
    """Of several devices of one phone, the one that it is taken for: the same one each time, whatever their order."""
    return min(device_ids)


def contradicts(device: Mapping[str, Any], identity: Identity) -> bool:
    """Tell whether a key is known on both sides and differs."""
    for key in _CONTRADICTING_KEYS:
        ours, theirs = device.get(key), getattr(identity, key)
        if ours and theirs is not None and ours != theirs:
            return True
    return False


def _may_have_mac(devices: Devices, device_id: str, identity: Identity) -> bool:
    """Tell whether the device's MAC address, if both are known, is the one of the request."""
    mac = (devices.get(device_id) or {}).get("mac")
    return not mac or identity.mac is None or mac == identity.mac
