"""Devices that share a file or a config, and what happens to it when they change at the same time."""

from __future__ import annotations

import gevent
import pytest

from ..plugins.sample import PLUGIN_ID
from ..store.steered import all_done
from .house import MAC, OTHER_MAC, OTHERS, OWN, House, own_config, phone

THIRD_MAC = "00:08:5d:00:00:03"


def device(device_id: str, mac: str = MAC, config: str | None = None) -> dict[str, str]:
    return {"id": device_id, "mac": mac, "model": "S100", "plugin": PLUGIN_ID, "config": config or device_id}


@pytest.fixture(autouse=True)
def _configs(house: House) -> None:
    for each in ("a", "b"):
        house.app.configs.add(own_config(each, f"of {each}"))


def owner_of(house: House, path: str) -> str:
    """Whose content a file has."""
    return house.files()[path].partition("user=of ")[2][:1]


def test_removing_one_of_two_devices_of_one_phone_keeps_the_file(house: House) -> None:
    house.app.devices.add(device("a"))
    house.app.devices.add(device("b"))
    house.app.devices.remove("a")
    house.wait_for_recheck()
    assert owner_of(house, OWN) == "b"
    house.app.devices.remove("b")
    assert house.files() == {}


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_of_two_devices_of_one_phone_only_the_one_is_configured_that_the_phone_is_taken_for(
    house: House, order: str
) -> None:
    for each in order:
        house.app.devices.add(device(each))
    house.wait_for_recheck()
    house.app.configs.change("b", own_config("b", "of b, newer"))
    assert owner_of(house, OWN) == "a"
    first, second = house.devices.get("a"), house.devices.get("b")
    assert first is not None
    assert second is not None
    assert first["configured"] is True
    assert second["configure_error"] == f"the device a has the same mac, {MAC}, and comes first"


def test_a_phone_gets_its_file_at_once_when_its_other_device_is_removed(house: House) -> None:
    for each in "ab":
        house.app.devices.add(device(each))
    house.app.devices.remove("a")
    assert b"user=of b" in house.ask(phone())


def test_moving_one_of_two_devices_to_another_phone_keeps_the_file(house: House) -> None:
    house.app.devices.add(device("a"))
    house.app.devices.add(device("b"))
    house.app.devices.change("a", device("a", OTHER_MAC))
    house.wait_for_recheck()
    assert owner_of(house, OWN) == "b"
    assert owner_of(house, OTHERS) == "a"


def test_the_file_that_stays_is_the_one_of_the_device_that_stays(house: House) -> None:
    house.app.devices.add(device("a"))
    house.app.devices.add(device("b"))
    house.app.devices.remove("b")
    assert owner_of(house, OWN) == "a"


def test_the_file_that_stays_is_the_one_of_the_device_that_did_not_move(house: House) -> None:
    house.app.devices.add(device("a"))
    house.app.devices.add(device("b"))
    house.app.devices.change("b", device("b", OTHER_MAC))
    assert owner_of(house, OWN) == "a"


def test_two_devices_of_one_phone_that_go_together_leave_no_file(house: House) -> None:
    house.app.devices.add(device("a"))
    house.app.devices.add(device("b"))
    all_done(*[gevent.spawn(house.app.devices.remove, each) for each in ("a", "b")])
    assert house.files() == {}


def test_a_file_that_is_left_to_another_device_at_the_same_time_stays(house: House) -> None:
    house.app.devices.add(device("a"))
    coming = gevent.spawn(house.app.devices.add, device("b"))
    moving = gevent.spawn(house.app.devices.change, "a", device("a", OTHER_MAC))
    all_done(coming, moving)
    assert sorted(house.files()) == [OWN, OTHERS]
    assert (owner_of(house, OWN), owner_of(house, OTHERS)) == ("b", "a")


def test_two_devices_that_exchange_their_phones_both_have_files(house: House) -> None:
    house.app.devices.add(device("a"))
    house.app.devices.add(device("b", OTHER_MAC))
    first = gevent.spawn(house.app.devices.change, "a", device("a", OTHER_MAC))
    second = gevent.spawn(house.app.devices.change, "b", device("b", MAC))
    all_done(first, second)
    assert sorted(house.files()) == [OWN, OTHERS]
    assert (owner_of(house, OWN), owner_of(house, OTHERS)) == ("b", "a")


def test_of_two_devices_of_one_phone_the_same_one_answers_after_a_restart(house: House) -> None:
    house.app.devices.add(device("b"))
    house.app.devices.add(device("a"))
    house.ask(phone())
    house.close()
    house.open()
    house.ask(phone())
    before, after = (line.partition("device=")[2] for line in house.security_lines("Sensitive"))
    assert after == before


def test_changes_of_one_device_at_the_same_time_leave_one_file(house: House) -> None:
    house.app.devices.add(device("a"))
    macs = [MAC, OTHER_MAC, THIRD_MAC] * 5
    all_done(*[gevent.spawn(house.app.devices.change, "a", device("a", mac)) for mac in macs])
    assert house.files() == {"Sample/00085D000003.cfg": f"mac={THIRD_MAC} model=base user=of a at=192.0.2.10"}


def test_removing_one_device_twice_at_the_same_time_is_told_once(house: House) -> None:
    house.app.devices.add(device("a"))
    greenlets = [gevent.spawn(house.app.devices.remove, "a") for _ in range(2)]
    gevent.joinall(greenlets, timeout=5)
    assert sorted(type(each.exception).__name__ for each in greenlets) == ["NoneType", "NotFoundError"]
    assert house.files() == {}


def test_the_last_two_devices_of_a_transient_config_that_go_together_take_it_along(house: House) -> None:
    house.app.configs.add(own_config("t", "of t", transient=True))
    house.app.devices.add(device("a", config="t"))
    house.app.devices.add(device("b", OTHER_MAC, config="t"))
    all_done(*[gevent.spawn(house.app.devices.remove, each) for each in ("a", "b")])
    assert "t" not in house.configs


def test_a_transient_config_that_another_device_takes_at_the_same_time_stays(house: House) -> None:
    house.app.configs.add(own_config("t", "of t", transient=True))
    house.app.devices.add(device("a", config="t"))
    house.app.devices.add(device("b", OTHER_MAC))
    taking = gevent.spawn(house.app.devices.change, "b", device("b", OTHER_MAC, config="t"))
    leaving = gevent.spawn(house.app.devices.change, "a", device("a"))
    all_done(taking, leaving)
    assert "t" in house.configs


def test_a_config_and_its_device_that_change_at_the_same_time_end_in_the_newest_of_both(house: House) -> None:
    house.app.devices.add(device("a"))
    greenlets = []
    for number in range(10):
        greenlets.append(gevent.spawn(house.app.configs.change, "a", own_config("a", f"of {number}")))
        mac = MAC if number % 2 else OTHER_MAC
        greenlets.append(gevent.spawn(house.app.devices.change, "a", device("a", mac)))
    gevent.joinall(greenlets, timeout=10)
    config, stored = house.configs.get("a"), house.devices.get("a")
    assert config is not None
    assert stored is not None
    username = config["raw_config"]["sip_lines"]["1"]["username"]
    assert list(house.files().values()) == [f"mac={stored['mac']} model=base user={username} at=192.0.2.10"]
