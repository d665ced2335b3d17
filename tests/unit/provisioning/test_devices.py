"""What can be done with devices, and what becomes of their files."""

from __future__ import annotations

import pytest

from provd.errors import AlreadyExistsError, ConflictError, InvalidValueError, NotFoundError

from ..plugins.sample import PLUGIN_ID, write, write_plugin
from .house import MAC, OTHER_MAC, OTHERS, OWN, House, own_config

DEVICE = {"id": "d", "mac": MAC, "model": "S100", "plugin": PLUGIN_ID, "config": "c"}


@pytest.fixture(autouse=True)
def _config(house: House) -> None:
    house.app.configs.add(own_config("c"))


def test_a_new_device_gets_its_file(house: House) -> None:
    assert house.app.devices.add(DEVICE) == "d"
    assert house.devices.get("d") == {**DEVICE, "configured": True}
    assert house.files() == {OWN: f"mac={MAC} model=base user=u1 at=192.0.2.10"}


def test_a_device_without_an_id_is_given_one(house: House) -> None:
    ids = {house.app.devices.add({"description": "x"}) for _ in range(3)}
    assert len(ids) == 3
    assert all(len(device_id) == 32 and int(device_id, 16) >= 0 for device_id in ids)


def test_values_are_stored_in_their_stored_form(house: House) -> None:
    house.app.devices.add({"id": "d", "mac": "00-08-5D-00-00-01", "ip": "::ffff:192.0.2.7", "X_own": {"k": [None]}})
    device = house.devices.get("d")
    assert device is not None
    assert (device["mac"], device["ip"], device["X_own"]) == (MAC, "192.0.2.7", {"k": [None]})
    assert house.devices.find("mac", MAC) == house.devices.find("ip", "192.0.2.7") == ("d",)


def test_a_second_device_of_one_id_is_refused_and_the_first_kept(house: House) -> None:
    house.app.devices.add(DEVICE)
    with pytest.raises(AlreadyExistsError, match="a device with the id 'd' already"):
        house.app.devices.add({"id": "d"})
    assert house.devices.get("d") == {**DEVICE, "configured": True}


@pytest.mark.parametrize(
    "wrong", [{"mac": "00:08"}, {"ip": "01.2.3.4"}, {"id": ""}, {"model": "a\nb"}, {"options": []}]
)
def test_wrong_values_are_refused_and_nothing_is_stored(house: House, wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidValueError):
        house.app.devices.add(wrong)
    assert len(house.devices) == 0


@pytest.mark.parametrize("device_id", ["../../etc/x", "a/b", "ünï ☎", ".", "..", "x" * 200])
def test_an_id_is_a_key_and_never_a_path(house: House, device_id: str) -> None:
    house.app.devices.add({**DEVICE, "id": device_id})
    assert list(house.files()) == [OWN]
    house.app.devices.remove(device_id)
    assert house.files() == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"plugin": None}, "no plugin is chosen for this device"),
        ({"plugin": ""}, "no plugin is chosen for this device"),
        ({"plugin": "gone-1.0"}, "the plugin gone-1.0 is not installed"),
        ({"config": None}, "the device has no config"),
        ({"config": "gone"}, "the config 'gone' does not exist"),
        ({"mac": None}, "the MAC address is not known"),
    ],
)
def test_a_device_that_cannot_be_configured_is_stored_with_the_reason(
    house: House, change: dict[str, object], reason: str
) -> None:
    house.app.devices.add({**DEVICE, **change})
    device = house.devices.get("d")
    assert device is not None
    assert (device["configured"], device["configure_error"]) == (False, reason)
    assert house.files() == {}


def test_what_a_caller_says_of_the_result_is_ignored(house: House) -> None:
    house.app.devices.add({"id": "d", "configured": True})
    device = house.devices.get("d")
    assert device is not None
    assert device["configured"] is False
    house.app.devices.change("d", {**DEVICE, "configured": False, "configure_error": "a lie"})
    assert house.devices.get("d") == {**DEVICE, "configured": True}


def test_a_change_that_matters_makes_the_files_anew(house: House) -> None:
    house.app.devices.add(DEVICE)
    house.app.devices.change("d", {**DEVICE, "mac": OTHER_MAC})
    assert list(house.files()) == [OTHERS]
    house.app.configs.add(own_config("c2", "u2"))
    house.app.devices.change("d", {**DEVICE, "mac": OTHER_MAC, "config": "c2"})
    assert "user=u2" in house.files()[OTHERS]


def test_a_change_that_does_not_matter_renders_nothing(house: House) -> None:
    house.app.devices.add(DEVICE)
    (house.root() / OWN).unlink()
    house.app.devices.change("d", {**DEVICE, "ip": "192.0.2.7", "description": "x", "sn": "1"})
    assert house.files() == {}


def test_a_change_to_the_same_writes_nothing(house: House) -> None:
    house.app.devices.add(DEVICE)
    before = len(house.backend.commits)
    house.app.devices.change("d", {**DEVICE, "mac": "00085D000001"})
    assert len(house.backend.commits) == before


def test_a_change_replaces_the_whole_document(house: House) -> None:
    house.app.devices.add({**DEVICE, "description": "old", "ip": "192.0.2.7"})
    house.app.devices.change("d", {**DEVICE, "id": "another"})
    assert house.devices.get("d") == {**DEVICE, "configured": True}
    assert "another" not in house.devices


def test_a_change_on_an_old_revision_is_refused(house: House) -> None:
    house.app.devices.add(DEVICE)
    old = house.devices.revision("d")
    house.app.devices.change("d", {**DEVICE, "description": "first"})
    with pytest.raises(ConflictError):
        house.app.devices.change("d", {**DEVICE, "description": "second"}, old)
    house.app.devices.change("d", {**DEVICE, "description": "third"}, house.devices.revision("d"))


def test_a_change_that_expects_nothing_there_is_refused(house: House) -> None:
    house.app.devices.add(DEVICE)
    with pytest.raises(ConflictError):
        house.app.devices.change("d", {**DEVICE, "description": "new"}, 0)


def test_unknown_devices_are_not_found(house: House) -> None:
    for verb in (
        house.app.devices.remove,
        house.app.devices.reconfigure,
        lambda each: house.app.devices.change(each, {}),
    ):
        with pytest.raises(NotFoundError, match="there is no device 'nobody'"):
            verb("nobody")


def test_a_removed_device_takes_its_file_and_its_record_along(house: House) -> None:
    house.app.devices.add(DEVICE)
    house.app.devices.remove("d")
    assert house.files() == {}
    assert len(house.devices) == len(house.renderings) == 0
    assert "c" in house.configs


def test_a_device_whose_plugin_is_gone_can_be_removed(house: House) -> None:
    house.app.devices.add({**DEVICE, "plugin": "gone-1.0"})
    house.app.devices.remove("d")
    assert len(house.devices) == 0


def test_a_file_that_cannot_be_removed_is_removed_at_the_next_start(house: House) -> None:
    house.app.devices.add(DEVICE)
    content = (house.root() / OWN).read_bytes()
    (house.root() / OWN).unlink()
    (house.root() / OWN).mkdir()
    house.app.devices.remove("d")
    assert "d" not in house.devices
    assert len(house.renderings) == 1
    house.close()
    (house.root() / OWN).rmdir()
    (house.root() / OWN).write_bytes(content)
    house.open()
    assert house.files() == {}
    assert len(house.renderings) == 0


def test_a_new_plugin_makes_its_files_and_the_old_ones_go(house: House) -> None:
    write_plugin(house.plugins_folder, "xivo-sample-2.0", files={"templates/base.tpl": "second {{ XX_mac }}"})
    house.host.load(house.plugins_folder / "xivo-sample-2.0", {"ip": "192.0.2.10"})
    house.app.devices.add(DEVICE)
    house.app.devices.change("d", {**DEVICE, "plugin": "xivo-sample-2.0"})
    assert house.files() == {}
    assert house.files("xivo-sample-2.0") == {OWN: f"second {MAC}"}


def test_a_device_that_loses_its_plugin_loses_its_files(house: House) -> None:
    house.app.devices.add(DEVICE)
    house.app.devices.change("d", {key: value for key, value in DEVICE.items() if key != "plugin"})
    assert house.files() == {}


def test_what_a_plugin_changes_in_its_copy_of_the_device_is_not_stored(house: House) -> None:
    house.app.devices.add({**DEVICE, "options": {"switchboard": True}})
    entry = house.plugins_folder / PLUGIN_ID / "entry.py"
    changing = 'device["model"] = "changed"\n        name = format_mac'
    write(entry, entry.read_text(encoding="utf-8").replace("name = format_mac", changing))
    house.host.load(entry.parent, {"ip": "192.0.2.10"})
    house.app.devices.reconfigure("d")
    assert house.devices.get("d") == {**DEVICE, "options": {"switchboard": True}, "configured": True}


def test_what_a_plugin_changes_deep_in_its_copy_is_not_stored_either(house: House) -> None:
    entry = house.plugins_folder / PLUGIN_ID / "entry.py"
    changing = 'device["options"].clear()\n        name = format_mac'
    write(entry, entry.read_text(encoding="utf-8").replace("name = format_mac", changing))
    house.host.load(entry.parent, {"ip": "192.0.2.10"})
    house.app.devices.add({**DEVICE, "options": {"switchboard": True}})
    device = house.devices.get("d")
    assert device is not None
    assert device["options"] == {"switchboard": True}


# --- transient configs


def test_a_transient_config_goes_with_its_last_device(house: House) -> None:
    house.app.configs.add(own_config("t", transient=True))
    house.app.devices.add({**DEVICE, "config": "t"})
    house.app.devices.add({**DEVICE, "id": "e", "mac": OTHER_MAC, "config": "t"})
    house.app.devices.change("d", DEVICE)
    assert "t" in house.configs
    house.app.devices.remove("e")
    assert "t" not in house.configs


def test_a_config_that_is_not_transient_stays(house: House) -> None:
    house.app.devices.add(DEVICE)
    house.app.devices.remove("d")
    assert "c" in house.configs
