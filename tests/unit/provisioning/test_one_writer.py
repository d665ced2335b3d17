"""Phones, leases and administrators change one device at the same time, and no change is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import pytest

from provd.errors import ConflictError
from provd.model.request import TftpRequest

from ..store.steered import all_done, wait_until
from .house import MAC, OTHER_MAC, OWN, House, lease, own_config, phone, phone_number

A, B = "192.0.2.101", "192.0.2.102"
Jobs = dict[str, Callable[[], object]]


def jobs_of(house: House) -> Jobs:
    """What may happen to one device: each changes something else."""
    device = house.the_device()

    def described() -> None:
        while True:
            stored = house.devices.get_stored(device["id"])
            assert stored is not None
            try:
                return house.app.devices.change(
                    device["id"], {**stored.document, "description": "the boss"}, stored.revision
                )
            except ConflictError:
                gevent.sleep(0)

    return {
        "phone": lambda: house.ask(phone(version="2.0")),
        "tftp": lambda: house.ask(TftpRequest(A, OWN)),
        "lease": lambda: house.app.leases.handle(lease(B, time_ns=5)),
        "late lease": lambda: house.app.leases.handle(lease(A, time_ns=4)),
        "administrator": described,
        "config": lambda: house.app.configs.change(device["config"], own_config(device["config"], "changed")),
        "reconfigure": lambda: house.app.devices.reconfigure(device["id"]),
    }


def run(jobs: Jobs) -> None:
    all_done(*[gevent.spawn(job) for job in jobs.values()])


@pytest.mark.parametrize("turn", range(7))
def test_everybody_at_once(house: House, turn: int) -> None:
    house.ask(phone())
    jobs = jobs_of(house)
    names = list(jobs)
    run({name: jobs[name] for name in names[turn:] + names[:turn]})
    device = house.the_device()
    assert (device["version"], device["description"]) == ("2.0", "the boss")
    assert "last_contact" not in device, "claimed"
    assert "user=changed" in house.files()[OWN]
    house.ask(phone(address=B, version="2.0"))
    assert house.the_device()["ip"] == B


@pytest.mark.parametrize("second", ["phone", "lease", "administrator", "reconfigure"])
@pytest.mark.parametrize("first", ["phone", "lease", "administrator", "config"])
def test_two_of_them_one_in_the_middle_of_the_others_commit(house: House, first: str, second: str) -> None:
    house.ask(phone())
    jobs = jobs_of(house)
    house.backend.gate.shut()
    one = gevent.spawn(jobs[first])
    wait_until(lambda: house.backend.gate.waiting)
    other = gevent.spawn(jobs[second])
    gevent.sleep(0)
    house.backend.gate.open()
    all_done(one, other)
    device = house.the_device()
    done = {first, second}
    assert device.get("description") == ("the boss" if "administrator" in done else None)
    assert ("user=changed" in house.files()[OWN]) is ("config" in done)
    if "phone" in done:
        assert device["version"] == "2.0"
    if "lease" in done and "phone" not in done:
        assert device["ip"] == B
    assert device["configured"] is True


def test_first_requests_and_leases_of_one_phone_make_one_device(house: House) -> None:
    kinds: list[Callable[[], Any]] = [
        lambda: house.ask(phone()),
        lambda: house.ask(TftpRequest(A, OWN)),
        lambda: house.app.leases.handle(lease(A)),
        lambda: house.ask(phone("Sample/common.cfg", mac=None)),
        lambda: house.app.leases.handle(lease(B)),
    ]
    all_done(*[gevent.spawn(kinds[number % len(kinds)]) for number in range(40)])
    device = house.the_device()
    assert (device["mac"], device["configured"], device["ip"] in (A, B)) == (MAC, True, True)
    assert len(house.security_lines("New device")) == 1
    assert sum(config_id.startswith("autoprov1") for config_id in house.configs.ids()) == 1


@pytest.mark.parametrize("by", ["phone", "lease"])
def test_a_phone_that_comes_while_somebody_adds_it_is_that_device(house: House, by: str) -> None:
    house.app.configs.add(own_config("mine"))
    house.backend.gate.shut()
    adding = gevent.spawn(house.app.devices.add, {"id": "d", "mac": MAC, "config": "mine"})
    wait_until(lambda: house.backend.gate.waiting)
    coming = gevent.spawn(house.ask, phone()) if by == "phone" else gevent.spawn(house.app.leases.handle, lease())
    gevent.sleep(0)
    house.backend.gate.open()
    all_done(adding, coming)
    assert house.the_device()["id"] == "d"
    assert (house.the_device()["config"], house.the_device()["ip"]) == ("mine", A)


def test_a_device_that_is_removed_while_its_phone_is_leased_an_address_comes_back_whole(house: House) -> None:
    house.ask(phone())
    old = house.the_device()["id"]
    house.backend.gate.shut()
    removing = gevent.spawn(house.app.devices.remove, old)
    wait_until(lambda: house.backend.gate.waiting)
    leasing = gevent.spawn(house.app.leases.handle, lease(B))
    gevent.sleep(0)
    house.backend.gate.open()
    all_done(removing, leasing)
    device = house.the_device()
    assert device["id"] != old
    assert (device["ip"], device["configured"]) == (B, True)
    assert list(house.files()) == [OWN]
    assert len(house.renderings) == 1


def test_a_change_of_an_old_revision_is_refused_after_a_lease(house: House) -> None:
    house.ask(phone())
    stored = house.devices.get_stored(house.the_device()["id"])
    assert stored is not None
    house.told(lease(B))
    with pytest.raises(ConflictError):
        house.app.devices.change(stored.document["id"], {**stored.document, "description": "x"}, stored.revision)
    assert house.the_device()["ip"] == B


def test_phones_and_leases_that_exchange_addresses_leave_each_with_one(house: House) -> None:
    count = 8
    for shift in range(3):
        jobs = []
        for number in range(count):
            request = phone_number(number)
            mac = f"00:08:5d:00:00:{number:02x}"
            request.address = address = f"192.0.2.{(number + shift) % count + 1}"
            jobs += [gevent.spawn(house.app.leases.handle, lease(address, mac)), gevent.spawn(house.ask, request)]
        all_done(*jobs)
    addresses = [address for address in house.addresses().values() if address]
    assert len(house.devices) == count
    assert len(addresses) == len(set(addresses))
    assert house.app._locks._locks == {}


def test_a_device_loses_its_address_to_a_lease_while_it_is_changed(house: House) -> None:
    house.ask(phone(address=A))
    house.ask(phone_number(2))
    device = house.device_of(MAC)
    assert device is not None
    house.backend.gate.shut()
    changing = gevent.spawn(house.app.devices.change, device["id"], {**device, "version": "9"}, None)
    wait_until(lambda: house.backend.gate.waiting)
    leasing = gevent.spawn(house.app.leases.handle, lease(A, OTHER_MAC))
    gevent.sleep(0)
    house.backend.gate.open()
    all_done(changing, leasing)
    assert house.addresses() == {MAC: None, OTHER_MAC: A}
    changed = house.device_of(MAC)
    assert changed is not None
    assert changed["version"] == "9"
