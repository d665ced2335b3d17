"""What the DHCP server tells of leases: devices are made, follow, and lose their addresses."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Sequence

import gevent
import pytest

from provd.identify.admit import UNKNOWN_VENDOR
from provd.model.dhcp_event import EXPIRY, RELEASE, DhcpEvent
from provd.plugins.files import Problem
from provd.provisioning.admission import REASONS, AdmissionLimits
from provd.provisioning.leases import LastEvents
from provd.provisioning.recognition import today

from ..plugins.sample import PLUGIN_ID
from ..store.steered import all_done, always, wait_until
from .house import MAC, OTHER_MAC, OTHERS, OWN, House, lease, phone

A, B = "192.0.2.101", "192.0.2.102"
LATE = "came late: newer events are known"
NOBODY = "nobody has this address"


def handled_together(house: House, events: Sequence[DhcpEvent]) -> None:
    all_done(*[gevent.spawn(house.app.leases.handle, event) for event in events])


# --- commits


def test_a_lease_makes_a_phone_a_device_before_it_asks_for_anything(house: House) -> None:
    assert house.told(lease()) == "noted"
    device = house.the_device()
    assert device == {
        "id": device["id"], "added": "auto", "ip": A, "mac": MAC, "vendor": "Sample", "model": "S100",
        "plugin": PLUGIN_ID, "config": device["config"], "configured": True, "last_contact": today(),
    }  # fmt: skip
    assert list(house.files()) == [OWN]
    assert house.security_lines() == [f"New device created automatically from {A}: {device['id']}"]


def test_the_phone_then_is_that_device(house: House) -> None:
    house.told(lease())
    device_id = house.the_device()["id"]
    assert isinstance(house.ask_quick(phone("Sample/common.cfg", mac=None)), bytes), "known by its address"
    house.ask(phone())
    assert (house.the_device()["id"], house.the_device()["version"]) == (device_id, "1.0")


@pytest.mark.parametrize("vendor_class", [None, "MSFT 5.0", "Sampler S100"])
def test_a_machine_that_no_plugin_recognises_makes_no_device(house: House, vendor_class: str | None) -> None:
    assert house.told(lease(vendor_class=vendor_class)) == UNKNOWN_VENDOR
    assert (len(house.devices), house.security_lines()) == (0, [])


def test_it_does_if_the_settings_say_so(house: House) -> None:
    house.app.admission.use(AdmissionLimits(unknown_leases=True))
    assert house.told(lease(vendor_class=None)) == "noted"
    device = house.the_device()
    assert (device["mac"], device["ip"], device.get("vendor"), device.get("plugin")) == (MAC, A, None, None)


def test_a_renewal_writes_nothing(house: House) -> None:
    house.told(lease())
    before = len(house.backend.commits)
    assert house.told(lease(), lease(vendor_class="Sample")) == "known"
    assert len(house.backend.commits) == before


def test_a_phone_that_was_given_another_address_is_followed(house: House) -> None:
    house.ask(phone(address=A))
    assert house.told(lease(B)) == "noted"
    assert house.addresses() == {MAC: B}
    assert isinstance(house.ask_quick(phone("Sample/common.cfg", mac=None, address=B)), bytes)


def test_a_known_phone_is_followed_also_if_its_lease_says_nothing_of_it(house: House) -> None:
    house.ask(phone(address=A))
    assert house.told(lease(B, vendor_class=None)) == "noted"
    assert house.addresses() == {MAC: B}


def test_a_phone_that_was_given_anothers_address_takes_it_in_one_commit(house: House) -> None:
    house.told(lease(A), lease(B, OTHER_MAC))
    before = len(house.backend.commits)
    house.told(lease(B))
    assert house.addresses() == {MAC: B, OTHER_MAC: None}
    assert [len(changes) for changes in house.backend.commits[before:]] == [2]


def test_an_unknown_machine_at_a_phones_old_address_takes_it_from_the_phone(house: House) -> None:
    house.told(lease(A))
    assert house.told(lease(A, OTHER_MAC, vendor_class="MSFT 5.0")) == UNKNOWN_VENDOR
    assert house.addresses() == {MAC: None}
    assert house.ask(phone("Sample/common.cfg", mac=None, address=A)) is Problem.NO_PLUGIN


def test_a_phone_that_is_refused_takes_the_address_too(house: House) -> None:
    house.told(lease(A))
    house.app.admission.use(AdmissionLimits(max_unclaimed=0))
    assert house.told(lease(A, OTHER_MAC)) == REASONS["full"]
    assert house.addresses() == {MAC: None}
    assert house.security_lines("New device refused") == [f"New device refused from {A}: full"]


def test_a_device_whose_mac_is_not_known_is_the_one_that_was_given_its_address(house: House) -> None:
    house.app.devices.add({"id": "d", "ip": A, "vendor": "Sample"})
    house.told(lease(A))
    assert (house.the_device()["id"], house.the_device()["mac"]) == ("d", MAC)


def test_a_computer_at_the_address_of_a_device_without_mac_is_not_that_device(house: House) -> None:
    house.app.devices.add({"id": "d", "ip": A, "vendor": "Sample"})
    before = house.the_device()
    house.told(lease(A, vendor_class=None))
    assert house.the_device() == before


# --- release and expiry


@pytest.mark.parametrize("op", [RELEASE, EXPIRY])
@pytest.mark.parametrize("mac", [MAC, None])
def test_a_lease_that_has_ended_takes_the_address_from_the_device(house: House, op: str, mac: str | None) -> None:
    house.ask(phone(address=A))
    assert house.told(lease(A, mac, op=op)) == "address forgotten"
    assert house.addresses() == {MAC: None}
    assert house.ask(phone("Sample/common.cfg", mac=None, address=A)) is Problem.NO_PLUGIN
    assert isinstance(house.ask(phone(address=A)), bytes)
    assert house.addresses() == {MAC: A}


@pytest.mark.parametrize("op", [RELEASE, EXPIRY])
def test_the_end_of_another_machines_lease_changes_nothing(house: House, op: str) -> None:
    house.ask(phone(address=A))
    before = len(house.backend.commits)
    assert house.told(lease(B, MAC, op=op), lease(A, OTHER_MAC, op=op)) == NOBODY
    assert (house.addresses(), len(house.backend.commits)) == ({MAC: A}, before)


def test_the_end_of_a_lease_makes_no_file_anew(house: House) -> None:
    house.ask(phone(address=A))
    file = (house.root() / OWN).stat()
    house.told(lease(A, op=RELEASE), lease(A))
    assert (house.root() / OWN).stat().st_ino == file.st_ino


# --- NAT


def test_behind_nat_leases_take_no_address_from_anybody(house: House) -> None:
    house.app.nat.set(True)
    house.told(lease(A), lease(A, OTHER_MAC), lease(A, "00:00:5e:00:53:01", vendor_class=None))
    assert house.addresses() == {MAC: A, OTHER_MAC: A}
    assert house.told(lease(A, None, op=EXPIRY)) == NOBODY, "which of them is not known"
    assert house.told(lease(A, MAC, op=EXPIRY)) == "address forgotten"
    assert house.addresses() == {MAC: None, OTHER_MAC: A}
    assert house.told(lease(A, None, op=EXPIRY)) == "address forgotten"


# --- late events


@pytest.mark.parametrize(
    "late",
    [lease(B, time_ns=1), lease(A, op=RELEASE, time_ns=1), lease(A, None, op=EXPIRY, time_ns=1),
     lease(A, OTHER_MAC, time_ns=1), lease(A, OTHER_MAC, vendor_class=None, time_ns=1)],
)  # fmt: skip
def test_an_event_that_comes_late_changes_nothing(house: House, late: DhcpEvent) -> None:
    house.told(lease(A, time_ns=2))
    before = len(house.backend.commits)
    assert house.told(late) == LATE
    assert (house.addresses(), len(house.backend.commits)) == ({MAC: A}, before)
    assert house.app.leases.counters["late"] == 1


def test_an_event_that_came_late_does_not_make_others_late(house: House) -> None:
    house.told(lease(A, time_ns=5), lease(B, time_ns=3))
    assert house.told(lease(B, OTHER_MAC, time_ns=4)) == "noted"


def test_a_release_that_is_told_before_its_commit_wins(house: House) -> None:
    assert house.told(lease(A, op=RELEASE, time_ns=2)) == NOBODY
    assert house.told(lease(A, time_ns=1)) == LATE
    assert len(house.devices) == 0


@pytest.mark.parametrize("timed", [True, False])
def test_events_of_one_machine_in_any_order_end_with_the_newest(house: House, timed: bool) -> None:
    """Without times the order in which they came counts."""
    events = [lease(f"192.0.2.{number}", time_ns=number if timed else None) for number in range(1, 31)]
    if timed:
        random.Random(7).shuffle(events)
    handled_together(house, events)
    assert house.addresses() == {MAC: "192.0.2.30"}
    assert len(house.devices) == 1


@pytest.mark.parametrize("mac", ["0a:00:00:00:00:01", "aa:00:00:00:00:01"])
@pytest.mark.parametrize("time_ns", [None, 7])
def test_events_of_one_machine_keep_their_order_whoever_else_waits_for_their_addresses(
    house: House, mac: str, time_ns: int | None
) -> None:
    """The first of two has to wait for an address, and the second, of the same message, has not."""
    house.backend.gate.shut()
    elsewhere = gevent.spawn(house.app.leases.handle, lease(A, OTHER_MAC, time_ns=time_ns and time_ns - 1))
    wait_until(lambda: house.backend.gate.waiting)
    first = gevent.spawn(house.app.leases.handle, lease(A, mac, time_ns=time_ns))
    second = gevent.spawn(house.app.leases.handle, lease(B, mac, time_ns=time_ns))
    gevent.sleep(0)
    house.backend.gate.open()
    all_done(elsewhere, first, second)
    assert house.addresses()[mac] == B


def test_machines_that_are_given_addresses_in_turn_end_with_one_each(house: House) -> None:
    macs = [f"00:08:5d:00:00:{number:02x}" for number in range(10)]
    events = [
        lease(f"192.0.2.{(number + turn) % 10 + 1}", mac, time_ns=turn * 10 + number)
        for turn in range(3)
        for number, mac in enumerate(macs)
    ]
    handled_together(house, events)
    for number, mac in enumerate(macs):
        assert house.addresses()[mac] in (f"192.0.2.{(number + 2) % 10 + 1}", None)
    taken = [address for address in house.addresses().values() if address]
    assert len(taken) == len(set(taken))


def test_a_time_in_the_future_counts_as_now(house: House) -> None:
    """Or nothing would be believed of that machine any more."""
    house.told(lease(A, time_ns=2**63 - 1))
    assert house.told(lease(B, time_ns=time.monotonic_ns())) == "noted"


def test_only_some_addresses_are_remembered() -> None:
    last = LastEvents(max_remembered=4)
    events = [lease(f"192.0.2.{number}", f"00:08:5d:00:00:{number:02x}", time_ns=5) for number in range(4)]
    for event in events:
        assert not last.is_late(event, last.order_of(event))
    assert len(last._last) == 4
    old = lease("192.0.2.3", time_ns=1)
    assert last.is_late(old, last.order_of(old))
    forgotten = lease("192.0.2.0", time_ns=1)
    assert not last.is_late(forgotten, last.order_of(forgotten))


def test_the_address_that_was_heard_of_longest_ago_is_forgotten_first() -> None:
    last = LastEvents(max_remembered=4)
    for number in (0, 1, 0, 2):
        event = lease(f"192.0.2.{number}", f"00:08:5d:00:00:{number:02x}", time_ns=5)
        assert not last.is_late(event, last.order_of(event))
    late = [lease(f"192.0.2.{number}", time_ns=1) for number in (0, 1)]
    assert [last.is_late(event, last.order_of(event)) for event in late] == [True, False]


# --- failures


@pytest.mark.parametrize("event", [lease(B), lease(A, op=RELEASE), lease(A, OTHER_MAC, vendor_class=None)])
def test_what_the_store_refuses_is_told_as_failed(
    house: House, caplog: pytest.LogCaptureFixture, event: DhcpEvent
) -> None:
    house.told(lease(A))
    house.backend.refuses = always
    assert house.told(event).startswith("the store fails: ")
    assert house.app.leases.counters["failed"] == 1
    assert f"lease not noted: op={event.op} ip={event.ip} mac={event.mac}" in caplog.text
    house.backend.refuses = lambda changes: False
    assert house.addresses() == {MAC: A}
    assert house.told(event) in ("noted", "address forgotten", UNKNOWN_VENDOR)


def test_a_new_phone_that_the_store_refuses_is_no_device(house: House) -> None:
    house.backend.refuses = always
    assert "the store fails" in house.told(lease())
    assert house.app.leases.counters["failed"] == 1
    house.backend.refuses = lambda changes: False
    assert house.told(lease()) == "noted"


def test_what_happens_is_counted_and_told(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    house.told(lease(A), lease(B), lease(B, op=RELEASE), lease(B, op=EXPIRY))
    assert {op: house.app.leases.counters[op] for op in ("commit", "release", "expiry", "late", "failed")} == {
        "commit": 2, "release": 1, "expiry": 1, "late": 0, "failed": 0,
    }  # fmt: skip
    messages = [record.getMessage() for record in caplog.records]
    device_id = house.the_device()["id"]
    assert any(each.startswith(f"new device: device={device_id} ip={A} mac={MAC} ") for each in messages)
    assert f"device moved: device={device_id} ip={B} before={A} by=dhcp unreported=0" in messages
    assert messages[-1] == f"device lost its address: device={device_id} ip={B} by=release now_of=None"


@pytest.mark.parametrize("by_lease", [True, False])
def test_who_loses_an_address_to_another_phone_is_told(
    house: House, caplog: pytest.LogCaptureFixture, by_lease: bool
) -> None:
    caplog.set_level(logging.INFO)
    house.ask(phone(address=A))
    loser = house.the_device()["id"]
    if by_lease:
        house.told(lease(A, OTHER_MAC))
    else:
        house.ask(phone(OTHERS, mac=OTHER_MAC, address=A))
    (other,) = house.devices.find("mac", OTHER_MAC)
    by = "dhcp" if by_lease else "http"
    assert caplog.text.count("lost its address") == 1
    assert f"device lost its address: device={loser} ip={A} by={by} now_of={other}" in caplog.text


def test_who_loses_an_address_to_a_machine_that_is_no_phone_is_told(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    house.ask(phone(address=A))
    house.told(lease(A, OTHER_MAC, vendor_class=None))
    device_id = house.the_device()["id"]
    assert f"device lost its address: device={device_id} ip={A} by=commit now_of={OTHER_MAC}" in caplog.text


def test_no_lock_is_left(house: House) -> None:
    handled_together(house, [lease(f"192.0.2.{number % 7}", time_ns=number) for number in range(50)])
    assert house.app._locks._locks == {}


# --- an address belongs to one device


@pytest.mark.parametrize("by_lease", [True, False])
def test_an_address_that_several_devices_have_goes_to_the_one_that_is_there(house: House, by_lease: bool) -> None:
    """An administrator gave it to the other one."""
    house.ask(phone(address=A))
    house.ask(phone(OTHERS, mac=OTHER_MAC, address=B))
    other = house.device_of(OTHER_MAC)
    assert other is not None
    house.app.devices.change(other["id"], {**other, "ip": A})
    assert house.addresses() == {MAC: A, OTHER_MAC: A}
    if by_lease:
        house.told(lease(A))
    else:
        assert isinstance(house.ask(phone(address=A)), bytes)
    assert house.addresses() == {MAC: A, OTHER_MAC: None}


def test_addresses_that_were_shared_while_nat_was_on_are_sorted_out_when_it_is_off(house: House) -> None:
    house.app.nat.set(True)
    house.ask(phone(address=A))
    house.ask(phone(OTHERS, mac=OTHER_MAC, address=A))
    house.app.nat.set(False)
    house.ask(phone(address=A))
    assert house.addresses() == {MAC: A, OTHER_MAC: None}
    assert isinstance(house.ask_quick(phone(address=A)), bytes), "and then nothing has to be written"
