"""Devices: the documents that say what is known of a phone and how it is to be configured.

A device stays a plain dict, because keys that provd does not know must survive.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provd.errors import InvalidValueError
from provd.model.address import InvalidAddressError, normalize_address
from provd.model.document import check_document, check_id, without_control_characters
from provd.model.identity import IDENTITY_KEYS, Identity
from provd.model.mac import InvalidMacError, normalize_mac

Device = dict[str, Any]

TRIGGER_KEYS = ("plugin", "config", "mac", "uuid", "vendor", "model", "version", "options")
"""A change of one of these renders the device's files again; a change of `ip`, `sn` or `description` does not."""

RESULT_KEYS = ("configured", "configure_error")
"""Written by provd alone: what a caller sends in them is ignored."""

LAST_CONTACT = "last_contact"
"""The day (UTC, such as 2026-11-22) on which a device that nobody has claimed was last heard of.

Only a device that came to be by itself has it, until somebody changes the device: then it is claimed, and stays.
"""

_TEXT_KEYS = ("sn", "vendor", "model", "version", "plugin", "config", "description", "added",
              "remote_state_sip_username")  # fmt: skip


def check_device(device: Mapping[str, Any]) -> Device:
    """Return a copy of `device` with its known keys in stored form.

    `mac`, `ip` and `uuid` are normalised; null and unknown keys are kept as they are.

    Raises:
        InvalidValueError: a known key has a value that is not allowed; the message names it.
    """
    check_document("device", device)
    checked = dict(device)
    if "id" in checked:
        check_id(checked["id"])
    for key in _TEXT_KEYS:
        if checked.get(key) is not None:
            checked[key] = without_control_characters(key, checked[key])
    if checked.get("mac") is not None:
        checked["mac"] = _normalized_text(checked["mac"], InvalidMacError, normalize_mac)
    if checked.get("ip") not in (None, ""):
        checked["ip"] = _normalized_text(checked["ip"], InvalidAddressError, normalize_address)
    if checked.get("uuid") is not None:
        checked["uuid"] = without_control_characters("uuid", checked["uuid"]).lower()
    if not isinstance(checked.get("options", {}), dict | None):
        raise InvalidValueError("options", checked["options"], "an object")
    return checked


def identity_of(device: Mapping[str, Any]) -> Identity:
    """Everything that the document says of the phone itself."""
    return Identity(**{key: device.get(key) or None for key in IDENTITY_KEYS})


def needs_rendering(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Tell whether going from `old` to `new` changes what the phone's files may contain."""
    return any(old.get(key) != new.get(key) for key in TRIGGER_KEYS)


def keep_results(new: Device, old: Mapping[str, Any]) -> Device:
    """Put the results that provd wrote in `old` in place of what a caller sent in `new`, which claims the device."""
    new.pop(LAST_CONTACT, None)
    for key in RESULT_KEYS:
        if key in old:
            new[key] = old[key]
        else:
            new.pop(key, None)
    return new


def _normalized_text(value: object, error: Any, normalize: Any) -> str:
    if not isinstance(value, str):
        raise error(value)
    return str(normalize(value))
