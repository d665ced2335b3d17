"""Many requests at once: one device for each phone, and everybody gets his file."""

from __future__ import annotations

import gevent

from provd.model.request import HttpRequest, TftpRequest
from provd.provisioning import settling

from ..plugins.sample import write
from ..store.steered import all_done, wait_until
from .house import MAC, OTHER_MAC, OWN, House, own_config, phone, phone_number


def requests_of_one_phone(count: int) -> list[HttpRequest | TftpRequest]:
    kinds = [
        phone(),
        phone("Sample/common.cfg"),
        TftpRequest("192.0.2.101", OWN),
        phone(f"cfg/{OWN.lower()}", mac=None),
        phone(address="192.0.2.201"),
    ]
    return [kinds[number % len(kinds)] for number in range(count)]


def test_parallel_first_requests_of_one_phone_make_one_device(house: House) -> None:
    before = len(house.configs)
    greenlets = [gevent.spawn(house.ask, request) for request in requests_of_one_phone(50)]
    all_done(*greenlets)
    device = house.the_device()
    assert device["mac"] == MAC
    assert len(house.configs) == before + 1
    assert len(house.security_lines("New device")) == 1
    assert list(house.files()) == [OWN]
    answers = {greenlet.value for greenlet in greenlets}
    assert answers == {(house.root() / OWN).read_bytes(), b"server=192.0.2.10"}


def test_requests_that_come_while_the_device_is_stored_wait_for_it(house: House) -> None:
    house.backend.gate.shut()
    first = gevent.spawn(house.ask, phone())
    wait_until(lambda: house.backend.gate.waiting)
    others = [gevent.spawn(house.ask, request) for request in requests_of_one_phone(20)]
    gevent.sleep(0)
    assert not any(each.ready() for each in (first, *others))
    house.backend.gate.open()
    all_done(first, *others)
    assert len(house.devices) == 1


def test_a_boot_storm_makes_each_phone_one_device_in_few_transactions(house: House) -> None:
    count = 200
    before = len(house.backend.commits)
    greenlets = [gevent.spawn(house.ask, phone_number(number)) for number in range(count) for _ in range(3)]
    all_done(*greenlets)
    assert len(house.devices) == len(house.files()) == count
    assert all(isinstance(greenlet.value, bytes) for greenlet in greenlets)
    assert len(house.security_lines("New device")) == count
    together = 2 * count / settling._MADE_AT_ONCE  # a phone is stored, and then that its files are made
    assert len(house.backend.commits) - before <= together + count / 20
    configs = [house.configs.get(device["config"]) for device in house.devices.documents()]
    users = {config["raw_config"]["sip_lines"]["1"]["username"] for config in configs if config is not None}
    assert len(users) == count


def test_a_change_by_an_administrator_and_requests_at_the_same_time_lose_nothing(house: House) -> None:
    house.ask(phone())
    device_id = house.the_device()["id"]

    def describe(number: int) -> None:
        device = house.devices.get(device_id)
        assert device is not None
        house.app.devices.change(device_id, {**device, f"X_note{number}": number})

    greenlets = []
    for number in range(10):
        greenlets.append(gevent.spawn(house.ask, phone(address=f"192.0.2.{number + 1}", version=f"{number}")))
    all_done(*greenlets, gevent.spawn(describe, 1))
    device = house.the_device()
    assert device["X_note1"] == 1
    assert device["mac"] == MAC
    assert isinstance(house.ask(phone()), bytes)


def test_an_address_that_goes_to_another_phone_and_a_result_at_the_same_time_are_both_kept(house: House) -> None:
    house.ask(phone())
    device_id = house.the_device()["id"]
    write(house.root().parent / "templates/base.tpl", "{{ broken")
    house.backend.gate.shut()
    before = gevent.spawn(house.app.configs.add, own_config("c"))
    wait_until(lambda: house.backend.gate.waiting)
    other = gevent.spawn(house.ask, phone(mac=OTHER_MAC))
    reconfiguring = gevent.spawn(house.app.devices.reconfigure, device_id)
    wait_until(lambda: house.store.queued == 2)
    house.backend.gate.open()
    all_done(before, other, reconfiguring)
    device = house.devices.get(device_id)
    assert device is not None
    assert "ip" not in device
    assert device["configured"] is False
    assert reconfiguring.value == device["configure_error"]


def test_two_reconfigurations_of_one_device_wait_for_each_other(house: House) -> None:
    house.ask(phone())
    device_id = house.the_device()["id"]
    template = write(house.root().parent / "templates/base.tpl", "{{ broken")
    house.backend.gate.shut()
    first = gevent.spawn(house.app.devices.reconfigure, device_id)
    wait_until(lambda: house.backend.gate.waiting)
    write(template, "whole")
    second = gevent.spawn(house.app.devices.reconfigure, device_id)
    gevent.sleep(0)
    assert house.files()[OWN] != "whole"
    house.backend.gate.open()
    all_done(first, second)
    assert (house.files()[OWN], house.the_device()["configured"]) == ("whole", True)


def test_a_phone_that_asks_while_its_device_is_removed_is_a_new_device(house: House) -> None:
    house.ask(phone())
    old = house.the_device()["id"]
    removing = gevent.spawn(house.app.devices.remove, old)
    asking = gevent.spawn(house.ask, phone())
    all_done(removing, asking)
    assert house.the_device()["id"] != old
    assert asking.value == (house.root() / OWN).read_bytes()


def test_phones_that_exchange_their_addresses_keep_their_own(house: House) -> None:
    for _ in range(3):
        for shift in (0, 1):
            greenlets = []
            for number in range(10):
                request = phone_number(number)
                request.address = f"192.0.2.{(number + shift) % 10 + 1}"
                greenlets.append(gevent.spawn(house.ask, request))
            all_done(*greenlets)
            assert all(isinstance(greenlet.value, bytes) for greenlet in greenlets)
    assert len(house.devices) == 10
    for number in range(1, 11):
        assert len(house.devices.find("ip", f"192.0.2.{number}")) == 1


def test_no_lock_is_left(house: House) -> None:
    all_done(*[gevent.spawn(house.ask, phone_number(number % 7)) for number in range(50)])
    locks = house.app._locks
    assert locks._locks == {}
    assert locks._users == {}
