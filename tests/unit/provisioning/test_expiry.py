"""Devices that nobody has claimed go after days without contact; all others stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import gevent
import pytest

from provd.plugins.files import Problem
from provd.provisioning import expiry, recognition
from provd.provisioning.recognition import today
from provd.store.schema import DEVICES
from provd.store.store import Transaction

from ..store.steered import all_done, always, wait_until
from .house import OTHER_MAC, OWN, House, own_config, phone, phone_number

NOW = datetime.now(UTC)
DAYS = 30


def day(days_ago: int) -> str:
    return (NOW - timedelta(days=days_ago)).date().isoformat()


def last_heard(house: House, device_id: str, days_ago: int) -> None:
    """Make it so that a device was last heard of so many days ago."""
    device = house.devices.get(device_id)
    assert device is not None
    house.store.commit(Transaction().put(DEVICES, device_id, {**device, "last_contact": day(days_ago)}))


def silent_device(house: House, number: int = 1, days_ago: int = DAYS + 1) -> str:
    """A device that came by itself and is silent since."""
    house.ask(phone_number(number))
    (device_id,) = house.devices.find("mac", f"00:08:5d:00:00:{number:02x}")
    last_heard(house, device_id, days_ago)
    return device_id


def expired(house: House) -> int:
    """Look for expired devices once; returns how many were removed."""
    house.app.expiry._days = DAYS
    return house.app.expiry.remove_expired(NOW)


def test_a_silent_device_goes_with_its_files_and_its_config(house: House) -> None:
    device = house.devices.get(silent_device(house))
    assert device is not None
    assert expired(house) == 1
    assert (len(house.devices), house.files(), len(house.renderings)) == (0, {}, 0)
    assert device["config"] not in house.configs


def test_the_day_decides(house: House) -> None:
    kept = silent_device(house, 1, DAYS)
    silent_device(house, 2, DAYS + 1)
    assert expired(house) == 1
    assert house.devices.ids() == [kept]


def test_a_config_that_an_administrator_made_stays(house: House) -> None:
    device_id = silent_device(house)
    house.app.configs.add(own_config("mine"))
    device = house.devices.get(device_id)
    assert device is not None
    house.store.commit(Transaction().put(DEVICES, device_id, {**device, "config": "mine"}))
    assert expired(house) == 1
    assert "mine" in house.configs


def test_devices_that_somebody_added_or_changed_never_expire(house: House) -> None:
    house.app.devices.add({"id": "added", "mac": OTHER_MAC, "last_contact": day(1000)})
    changed = silent_device(house)
    device = house.devices.get(changed)
    assert device is not None
    house.app.devices.change(changed, device)
    assert expired(house) == 0
    assert all("last_contact" not in device for device in house.devices.documents())


def test_a_silent_phone_that_asks_is_kept(house: House) -> None:
    device_id = silent_device(house)
    assert isinstance(house.ask(phone()), bytes)
    device = house.devices.get(device_id)
    assert device is not None
    assert device["last_contact"] == today()
    assert house.app.expiry.remove_expired(NOW) == 0


def test_a_phone_that_comes_back_after_its_device_expired_is_a_new_one(house: House) -> None:
    old = silent_device(house)
    expired(house)
    assert isinstance(house.ask(phone()), bytes)
    assert house.the_device()["id"] != old


def test_last_contact_is_written_at_most_once_a_day(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.ask(phone())
    for date in ("2099-11-23", "2099-11-24"):
        monkeypatch.setattr(recognition, "today", lambda date=date: date)
        before = len(house.backend.commits)
        assert house.ask_quick(phone()) is None, "the day has to be noted"
        house.ask(phone())
        for _ in range(3):
            assert isinstance(house.ask_quick(phone()), bytes)
        assert len(house.backend.commits) - before == 1
        assert house.the_device()["last_contact"] == date


def test_a_day_that_a_wrong_clock_noted_does_not_stay(house: House) -> None:
    """Or a device that came while the clock was years ahead would be kept for as long."""
    silent_device(house, days_ago=-3650)
    house.ask(phone_number(1))
    assert house.the_device()["last_contact"] == today()


def test_of_a_claimed_device_no_contact_is_noted(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.ask(phone())
    house.app.devices.change(house.the_device()["id"], house.the_device())
    monkeypatch.setattr(recognition, "today", lambda: "2099-11-23")
    assert isinstance(house.ask_quick(phone()), bytes)
    assert "last_contact" not in house.the_device()


def test_a_phone_that_asks_while_its_device_is_to_expire_keeps_it(house: House) -> None:
    device_id = silent_device(house)
    house.backend.gate.shut()
    asking = gevent.spawn(house.ask, phone())
    wait_until(lambda: house.backend.gate.waiting)
    expiring = gevent.spawn(expired, house)
    gevent.sleep(0)
    house.backend.gate.open()
    all_done(asking, expiring)
    assert (expiring.value, house.the_device()["id"]) == (0, device_id)
    assert asking.value == (house.root() / OWN).read_bytes()


def test_a_device_that_is_claimed_while_it_is_to_expire_stays(house: House) -> None:
    device_id = silent_device(house)
    house.backend.gate.shut()
    changing = gevent.spawn(house.app.devices.change, device_id, {**house.the_device(), "description": "the boss"})
    wait_until(lambda: house.backend.gate.waiting)
    expiring = gevent.spawn(expired, house)
    gevent.sleep(0)
    house.backend.gate.open()
    all_done(changing, expiring)
    assert (expiring.value, house.the_device()["description"]) == (0, "the boss")


def test_phones_have_their_turn_between_the_devices_that_are_removed(house: House) -> None:
    for number in range(5):
        silent_device(house, number)
    expiring = gevent.spawn(expired, house)
    seen = set()
    while not expiring.ready():
        seen.add(len(house.devices))
        gevent.sleep(0.001)
    assert len(seen) > 2


def test_a_failing_store_keeps_the_device_and_does_not_end_the_looking(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    silent_device(house)
    house.backend.refuses = always
    assert expired(house) == 0
    assert "a device that has expired stays" in caplog.text
    assert isinstance(house.ask_quick(phone()), bytes | Problem | None)
    house.backend.refuses = lambda changes: False
    assert expired(house) == 1


# --- the worker


def test_it_looks_at_once_when_it_is_told_the_days(house: House) -> None:
    silent_device(house, days_ago=1000)
    house.app.expiry.use(DAYS)
    wait_until(lambda: not len(house.devices))


def test_with_0_days_nothing_expires(house: House) -> None:
    silent_device(house, days_ago=1000)
    house.app.expiry.use(DAYS)
    house.app.expiry.use(0)
    assert house.app.expiry.remove_expired(NOW) == 0
    house.app.expiry.stop()
    assert len(house.devices) == 1


def test_it_looks_again_and_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "_INTERVAL_S", 0.01)
    house.app.expiry.use(DAYS)
    for number in range(2):
        silent_device(house, number, days_ago=1000)
        wait_until(lambda: not len(house.devices))


def test_what_goes_wrong_does_not_end_the_looking(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(now: datetime) -> int:
        monkeypatch.undo()
        raise RuntimeError("unforeseen")

    silent_device(house, days_ago=1000)
    monkeypatch.setattr(house.app.expiry, "remove_expired", fails)
    house.app.expiry.use(DAYS)
    wait_until(lambda: "unforeseen" in caplog.text)
    house.app.expiry.use(DAYS + 1)
    wait_until(lambda: not len(house.devices))


@pytest.mark.parametrize("how", ["stop", "use"])
def test_what_is_told_meanwhile_leaves_no_files_of_a_removed_device(house: House, how: str) -> None:
    for number in range(3):
        silent_device(house, number, days_ago=1000)
    house.backend.gate.shut()
    house.app.expiry.use(DAYS)
    wait_until(lambda: house.backend.gate.waiting)
    told = gevent.spawn(house.app.expiry.stop) if how == "stop" else gevent.spawn(house.app.expiry.use, 0)
    gevent.sleep(0)
    house.backend.gate.open()
    all_done(told)
    house.app.expiry.stop()
    assert len(house.devices) == len(house.files()) == len(house.renderings) == 2


def test_unclaimed_devices_are_counted(house: House) -> None:
    silent_device(house)
    house.app.devices.add({"id": "added"})
    house.ask(phone_number(2))
    assert house.app.unclaimed() == 2
    expired(house)
    assert house.app.unclaimed() == 1
