"""Which device is asking: by what names the phone itself, then by its address."""

from __future__ import annotations

from typing import Any

import pytest

from provd.identify.retrieve import ANOTHER, NO_ADDRESS, NOT_BY_ADDRESS, SEVERAL, contradicts, retrieve
from provd.model.identity import Identity

MAC = "00:08:5d:2e:ec:fb"
OTHER_MAC = "00:08:5d:2e:ec:fc"
ADDRESS = "192.0.2.7"


class Devices:
    """A collection of devices."""

    def __init__(self, **devices: dict[str, Any]) -> None:
        self._devices = devices

    def find(self, index: str, key: str) -> tuple[str, ...]:
        return tuple(device_id for device_id, device in self._devices.items() if device.get(index) == key)

    def get(self, document_id: str) -> dict[str, Any] | None:
        return self._devices.get(document_id)


def found(identity: Identity, **devices: dict[str, Any]) -> str | None:
    return retrieve(identity, ADDRESS, Devices(**devices)).device_id


# --- by what names the phone


@pytest.mark.parametrize(("key", "value"), [("mac", MAC), ("sn", "88019FA42805"), ("uuid", "0f3a5a9c")])
def test_a_device_is_found_by_what_names_the_phone(key: str, value: str) -> None:
    assert found(Identity(**{key: value}), a={key: "another"}, b={key: value, "ip": "192.0.2.99"}) == "b"


def test_mac_beats_sn_beats_uuid_beats_ip() -> None:
    devices: dict[str, dict[str, Any]] = {
        "ip": {"ip": ADDRESS},
        "uuid": {"uuid": "u"},
        "sn": {"sn": "s"},
        "mac": {"mac": MAC},
    }
    identity = Identity(mac=MAC, sn="s", uuid="u")
    for winner in ("mac", "sn", "uuid", "ip"):
        assert found(identity, **devices) == winner
        del devices[winner]
    assert found(identity) is None


def test_a_key_that_no_device_has_leaves_the_choice_to_the_next() -> None:
    assert found(Identity(mac=OTHER_MAC, sn="s"), a={"sn": "s"}) == "a"


def test_a_device_found_by_mac_may_be_anywhere_and_say_anything() -> None:
    device = {"mac": MAC, "ip": "192.0.2.99", "vendor": "Snom", "model": "370"}
    assert found(Identity("Aastra", "6731i", mac=MAC), a=device) == "a"


@pytest.mark.parametrize("key", ["sn", "uuid"])
def test_a_serial_number_or_uuid_of_a_phone_with_another_mac_is_not_believed(key: str) -> None:
    identity = Identity(mac=MAC, **{key: "x"})
    assert found(identity, a={key: "x", "mac": OTHER_MAC}) is None
    assert found(identity, a={key: "x"}) == "a"
    assert found(Identity(**{key: "x"}), a={key: "x", "mac": OTHER_MAC}) == "a"


def test_several_devices_with_one_mac_give_the_same_one_whatever_their_order() -> None:
    device = {"mac": MAC}
    assert found(Identity(mac=MAC), a=device, b=device) == found(Identity(mac=MAC), b=device, a=device)


# --- by the address


def test_the_only_device_at_the_address_is_found() -> None:
    assert found(Identity(), a={"ip": "192.0.2.8"}, b={"ip": ADDRESS}) == "b"


def test_several_devices_at_the_address_give_none() -> None:
    assert found(Identity(), a={"ip": ADDRESS}, b={"ip": ADDRESS}) is None


def test_nobody_at_the_address_gives_none() -> None:
    assert found(Identity("Aastra"), a={"mac": MAC}) is None


@pytest.mark.parametrize(
    ("key", "ours", "theirs"),
    [
        ("mac", MAC, OTHER_MAC),
        ("vendor", "Aastra", "Snom"),
        ("model", "6731i", "6757i"),
        ("sn", "1", "2"),
        ("uuid", "u", "v"),
    ],
)
def test_a_device_at_the_address_that_is_another_phone_is_not_found(key: str, ours: str, theirs: str) -> None:
    assert found(Identity(**{key: theirs}), a={"ip": ADDRESS, key: ours}) is None
    assert found(Identity(**{key: theirs}), a={"ip": ADDRESS, key: ours}, b={"ip": ADDRESS}) == "b"


def test_of_several_devices_at_the_address_the_one_that_fits_is_found() -> None:
    devices = {"a": {"ip": ADDRESS, "vendor": "Aastra"}, "s": {"ip": ADDRESS, "vendor": "Snom"}}
    assert found(Identity("Snom"), **devices) == "s"
    assert found(Identity("Cisco"), **devices) is None


def test_a_new_version_is_no_contradiction() -> None:
    assert found(Identity("Aastra", version="3.3.2"), a={"ip": ADDRESS, "vendor": "Aastra", "version": "3.3.1"}) == "a"


@pytest.mark.parametrize("empty", [None, ""])
def test_what_only_one_side_knows_is_no_contradiction(empty: str | None) -> None:
    assert not contradicts({"mac": empty, "vendor": empty}, Identity("Aastra", mac=MAC))
    assert not contradicts({}, Identity("Aastra", mac=MAC))
    assert not contradicts({"mac": MAC, "vendor": "Aastra", "sn": "1"}, Identity())


def test_a_device_that_was_removed_in_between_does_not_fail() -> None:
    class Vanishing(Devices):
        def get(self, document_id: str) -> None:
            return None

    assert retrieve(Identity(), ADDRESS, Vanishing(a={"ip": ADDRESS})).device_id == "a"


# --- behind NAT: without an address


@pytest.mark.parametrize("identity", [Identity(), Identity("Aastra"), Identity("Aastra", "6731i", mac=OTHER_MAC)])
def test_without_an_address_a_phone_is_not_taken_for_the_only_one_there(identity: Identity) -> None:
    class NoAddresses(Devices):
        def find(self, index: str, key: str) -> tuple[str, ...]:
            assert index != "ip", "this takes as long as there are devices at the address"
            return super().find(index, key)

    devices = NoAddresses(a={"ip": ADDRESS, "vendor": "Aastra"}, b={"mac": MAC})
    assert retrieve(identity, None, devices) == NOT_BY_ADDRESS


@pytest.mark.parametrize(("key", "value"), [("mac", MAC), ("sn", "88019FA42805"), ("uuid", "0f3a5a9c")])
def test_without_an_address_a_phone_is_found_by_what_names_it(key: str, value: str) -> None:
    devices = Devices(a={"ip": ADDRESS, key: "another"}, b={"ip": ADDRESS, key: value})
    assert retrieve(Identity(**{key: value}), None, devices) == ("b", key)


# --- why


@pytest.mark.parametrize("key", ["mac", "sn", "uuid"])
def test_the_rule_is_the_key_that_the_device_was_found_by(key: str) -> None:
    value = MAC if key == "mac" else "x"
    assert retrieve(Identity(**{key: value}), ADDRESS, Devices(a={key: value})).rule == key


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        ({"a": {"ip": ADDRESS}}, ("a", "ip")),
        ({}, NO_ADDRESS),
        ({"a": {"ip": ADDRESS, "vendor": "Snom"}}, ANOTHER),
        ({"a": {"ip": ADDRESS}, "b": {"ip": ADDRESS, "vendor": "Aastra"}}, SEVERAL),
    ],
)
def test_the_rule_says_why_the_address_tells_or_does_not(devices: dict[str, Any], expected: object) -> None:
    assert retrieve(Identity("Aastra"), ADDRESS, Devices(**devices)) == expected
