"""What a request changes about its device."""

from __future__ import annotations

from typing import Any

import pytest

from provd.identify.update import with_identity, without_address
from provd.model.identity import IDENTITY_KEYS, Identity

MAC = "00:08:5d:2e:ec:fb"
ADDRESS = "192.0.2.7"


def test_nothing_new_gives_the_device_itself() -> None:
    device = {"id": "d", "ip": ADDRESS, "mac": MAC, "vendor": "Aastra", "version": "3.3.1", "X_room": 1}
    assert with_identity(device, Identity(), ADDRESS) is device
    assert with_identity(device, Identity("Aastra", version="3.3.1", mac=MAC), ADDRESS) is device


@pytest.mark.parametrize("key", IDENTITY_KEYS)
@pytest.mark.parametrize("empty", [None, ""])
def test_what_is_missing_is_added(key: str, empty: str | None) -> None:
    device = {"id": "d", "ip": ADDRESS}
    assert with_identity(device, Identity(**{key: "new"}), ADDRESS) == {**device, key: "new"}
    device[key] = empty
    changed = with_identity(device, Identity(**{key: "new"}), ADDRESS)
    assert changed == {"id": "d", "ip": ADDRESS, key: "new"}


@pytest.mark.parametrize("key", [key for key in IDENTITY_KEYS if key != "version"])
def test_what_is_set_stays(key: str) -> None:
    device = {"id": "d", "ip": ADDRESS, key: "old"}
    assert with_identity(device, Identity(**{key: "new"}), ADDRESS) is device


@pytest.mark.parametrize("key", ["mac", "sn", "uuid"])
def test_a_wrong_vendor_or_model_is_corrected_by_a_phone_that_introduces_itself(key: str) -> None:
    device = {"id": "d", "ip": ADDRESS, key: "it", "vendor": "Snom", "model": "370"}
    identity = Identity("Aastra", "6731i", **{key: "it"})
    assert with_identity(device, identity, ADDRESS) == {**device, "vendor": "Aastra", "model": "6731i"}


@pytest.mark.parametrize(
    "identity",
    [
        Identity("Aastra", mac=MAC),  # the name of a file: whose it is, and a guess who made the phone
        Identity("Aastra", "6731i"),  # nobody says that it is this phone
        Identity(model="6731i", mac=MAC),
    ],
)
def test_a_guess_corrects_nothing(identity: Identity) -> None:
    device = {"id": "d", "ip": ADDRESS, "mac": MAC, "vendor": "Snom", "model": "370"}
    assert with_identity(device, identity, ADDRESS) is device


def test_a_phone_found_by_its_serial_number_that_has_another_mac_corrects_nothing() -> None:
    device = {"id": "d", "ip": ADDRESS, "mac": "00:08:5d:00:00:01", "sn": "1", "vendor": "Snom", "model": "370"}
    assert with_identity(device, Identity("Aastra", "6731i", mac=MAC, sn="1"), ADDRESS) is device


def test_the_version_follows_the_phone() -> None:
    device = {"id": "d", "ip": ADDRESS, "version": "3.3.1"}
    assert with_identity(device, Identity(version="3.3.2"), ADDRESS)["version"] == "3.3.2"


def test_a_request_without_a_version_leaves_it() -> None:
    device = {"id": "d", "ip": ADDRESS, "version": "3.3.1"}
    assert with_identity(device, Identity("Aastra"), ADDRESS) == {**device, "vendor": "Aastra"}


@pytest.mark.parametrize("old", [{}, {"ip": None}, {"ip": ""}, {"ip": "192.0.2.8"}])
def test_the_ip_follows_the_phone(old: dict[str, Any]) -> None:
    assert with_identity({"id": "d", **old}, Identity(), ADDRESS) == {"id": "d", "ip": ADDRESS}


def test_the_device_that_was_given_is_not_changed() -> None:
    device: dict[str, Any] = {"id": "d", "options": {"switchboard": True}}
    changed = with_identity(device, Identity("Aastra"), ADDRESS)
    assert device == {"id": "d", "options": {"switchboard": True}}
    assert changed == {"id": "d", "options": {"switchboard": True}, "ip": ADDRESS, "vendor": "Aastra"}


def test_a_device_loses_its_address_to_another_one() -> None:
    device = {"id": "d", "ip": ADDRESS, "mac": MAC}
    assert without_address(device) == {"id": "d", "mac": MAC}
    assert device["ip"] == ADDRESS
    assert without_address({"id": "d"}) == {"id": "d"}
