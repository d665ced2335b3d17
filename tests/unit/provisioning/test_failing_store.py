"""When the store cannot write: known phones are served, nothing is half done, and all is well when it can again."""

from __future__ import annotations

from contextlib import suppress

import gevent
import pytest

from provd.errors import StoreError
from provd.plugins.files import Problem
from provd.store.schema import CONFIGS, RENDERINGS

from ..plugins.sample import PLUGIN_ID
from ..store.steered import Changes, all_done, always, wait_until
from .house import MAC, OTHER_MAC, OTHERS, OWN, House, own_config, phone, phone_number

DEVICE = {"id": "d", "mac": MAC, "model": "S100", "plugin": PLUGIN_ID, "config": "c"}
OTHER = {**DEVICE, "id": "e", "mac": OTHER_MAC}


def never(changes: Changes) -> bool:
    return False


def records(changes: Changes) -> bool:
    """Refuses what comes after the document itself: the record of its files."""
    return any(change.collection == RENDERINGS for change in changes)


@pytest.fixture(autouse=True)
def _config(house: House) -> None:
    house.app.configs.add(own_config("c"))


# --- phones


def test_a_known_phone_is_served_and_its_news_wait(house: House) -> None:
    expected = house.ask(phone())
    before = house.the_device()
    house.backend.refuses = always
    assert house.ask(phone(version="2.0")) == house.ask(phone(address="192.0.2.77")) == expected
    assert house.the_device() == before
    assert house.app.phones.counters["store_failures"] == 2
    house.backend.refuses = never
    house.ask(phone(version="2.0"))
    assert house.the_device()["version"] == "2.0"


def test_a_known_phone_without_news_needs_no_store(house: House) -> None:
    expected = house.ask(phone())
    house.backend.refuses = always
    assert house.ask_quick(phone()) == expected
    assert house.app.phones.counters["store_failures"] == 0


def test_a_new_phone_is_told_to_come_again_and_leaves_no_trace(house: House) -> None:
    before = house.configs.ids()
    house.backend.refuses = always
    assert house.ask(phone()) is Problem.UNAVAILABLE
    assert (len(house.devices), house.configs.ids(), house.files(), house.security_lines()) == (0, before, {}, [])
    house.backend.refuses = never
    assert isinstance(house.ask(phone()), bytes)
    assert len(house.devices) == 1


def test_a_commit_that_takes_long_holds_up_no_known_phone(house: House) -> None:
    expected = house.ask(phone_number(1))
    house.backend.gate.shut()
    new = gevent.spawn(house.ask, phone_number(2))
    wait_until(lambda: house.backend.gate.waiting)
    assert house.ask_quick(phone_number(1)) == expected
    assert not new.ready()
    house.backend.gate.open()
    all_done(new)
    assert isinstance(new.value, bytes)


def test_a_new_phone_is_not_answered_before_it_is_stored(house: House) -> None:
    house.backend.gate.shut()
    new = gevent.spawn(house.ask, phone())
    wait_until(lambda: house.backend.gate.waiting)
    assert (len(house.devices), house.files(), house.security_lines()) == (0, {}, [])
    house.backend.gate.open()
    all_done(new)
    assert list(house.files()) == [OWN]


def test_a_phone_whose_result_could_not_be_stored_is_completed_later(house: House) -> None:
    house.backend.refuses = records
    assert house.ask(phone()) is Problem.UNAVAILABLE
    assert house.files() == {}, "no file without a record"
    house.backend.refuses = never
    assert isinstance(house.ask(phone()), bytes)
    house.wait_for_recheck()
    assert house.the_device().get("configured") is True
    assert len(house.renderings) == 1


# --- verbs


def test_a_device_that_cannot_be_stored_is_not_there(house: House) -> None:
    house.backend.refuses = always
    with pytest.raises(StoreError):
        house.app.devices.add(DEVICE)
    assert (len(house.devices), house.files()) == (0, {})


def test_a_change_that_cannot_be_stored_changes_no_file(house: House) -> None:
    house.app.devices.add(DEVICE)
    before = house.files()
    house.backend.refuses = always
    with pytest.raises(StoreError):
        house.app.devices.change("d", {**DEVICE, "mac": OTHER_MAC})
    with pytest.raises(StoreError):
        house.app.configs.change("c", own_config("c", "changed"))
    with pytest.raises(StoreError):
        house.app.configs.remove("c")
    assert house.files() == before
    assert house.devices.get("d") == {**DEVICE, "configured": True}


def test_a_device_that_cannot_be_removed_keeps_its_file(house: House) -> None:
    house.app.devices.add(DEVICE)
    before = house.files()
    house.backend.refuses = always
    with pytest.raises(StoreError):
        house.app.devices.remove("d")
    assert "d" in house.devices
    assert house.files() == before


def test_a_device_whose_result_cannot_be_stored_is_there_or_not_as_the_answer_says(house: House) -> None:
    house.backend.refuses = records
    try:
        house.app.devices.add(DEVICE)
    except StoreError:
        assert "d" not in house.devices
    else:
        assert "d" in house.devices


def test_a_change_whose_result_could_not_be_stored_can_be_made_again(house: House) -> None:
    house.app.devices.add(DEVICE)
    house.backend.refuses = records
    with suppress(StoreError):
        house.app.devices.change("d", {**DEVICE, "mac": OTHER_MAC})
    house.backend.refuses = never
    house.app.devices.change("d", {**DEVICE, "mac": OTHER_MAC})
    house.wait_for_recheck()
    assert list(house.files()) == [OTHERS]
    house.app.devices.remove("d")
    assert house.files() == {}


def test_a_change_of_a_config_that_broke_off_in_the_middle_can_be_made_again(house: House) -> None:
    incomplete = {**own_config("c"), "raw_config": {"sip_lines": {"1": {"username": "u", "proxy_ip": "192.0.2.10"}}}}
    house.app.configs.change("c", incomplete)
    house.app.devices.add(DEVICE)
    house.app.devices.add(OTHER)
    assert house.files() == {}
    house.backend.refuses = lambda changes: all(change.collection != CONFIGS for change in changes)
    with suppress(StoreError):
        house.app.configs.change("c", own_config("c"))
    house.backend.refuses = never
    house.app.configs.change("c", own_config("c"))
    house.wait_for_recheck()
    assert sorted(house.files()) == [OWN, OTHERS]
    assert all(device["configured"] for device in house.devices.documents())
