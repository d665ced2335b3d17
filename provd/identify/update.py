"""Update: what a request changes about the device that it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provd.identify.retrieve import STRONG_KEYS
from provd.model.identity import Identity

_FOLLOWED_KEYS = ("version",)
"""Keys that follow the phone."""
_CORRECTED_KEYS = ("vendor", "model")
"""Keys that, once set, change only if the phone says so itself; the others, once set, stay."""


def with_identity(device: dict[str, Any], identity: Identity, address: str) -> dict[str, Any]:
    """The device with what the request says: missing keys are added, `ip` and `version` follow the phone.

    A wrong vendor or model is corrected by a trustworthy request. Returns `device` itself if nothing changes,
    otherwise a changed copy.
    """
    changes: dict[str, Any] = {}
    if device.get("ip") != address:
        changes["ip"] = address
    for key, value in identity.known().items():
        if device.get(key) != value and (
            not device.get(key)
            or key in _FOLLOWED_KEYS
            or (key in _CORRECTED_KEYS and is_trustworthy(identity, device))
        ):
            changes[key] = value
    return {**device, **changes} if changes else device


def is_trustworthy(identity: Identity, device: Mapping[str, Any]) -> bool:
    """Tell whether a request introduces the phone: it names vendor and model, and which phone it is.

    So do a User-Agent, and the vendor class of a lease. The name of a file alone does not: there the vendor is a guess.
    """
    named = [(value, device.get(key)) for key in STRONG_KEYS if (value := getattr(identity, key))]
    return bool(identity.vendor and identity.model and named) and all(ours in (None, "", it) for it, ours in named)


def without_address(device: dict[str, Any]) -> dict[str, Any]:
    """The device after another one was seen at its address."""
    return {key: value for key, value in device.items() if key != "ip"}
