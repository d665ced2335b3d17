"""Update: what a request changes about the device that it comes from."""

from __future__ import annotations

from typing import Any

from provd.model.identity import Identity

_FOLLOWED_KEYS = ("version",)
"""Keys that follow the phone; the others, once set, stay."""


def with_identity(device: dict[str, Any], identity: Identity, address: str) -> dict[str, Any]:
    """The device with what the request says: missing keys are added, `ip` and `version` follow the phone.

    Returns `device` itself if nothing changes, otherwise a changed copy.
    """
    changes: dict[str, Any] = {}
    if device.get("ip") != address:
        changes["ip"] = address
    for key, value in identity.known().items():
        if device.get(key) != value and (key in _FOLLOWED_KEYS or not device.get(key)):
            changes[key] = value
    return {**device, **changes} if changes else device


def without_address(device: dict[str, Any]) -> dict[str, Any]:
    """The device after another one was seen at its address."""
    return {key: value for key, value in device.items() if key != "ip"}
