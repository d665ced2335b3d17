"""Phones behind one address: with general.nat they share it, without they take it from each other."""

from __future__ import annotations

import gevent
import pytest

from provd.model.request import HttpRequest, TftpRequest
from provd.plugins.files import Problem

from .house import MAC, OTHER_MAC, OTHERS, OWN, House, phone

NAT = "192.0.2.254"
COMMON = "Sample/common.cfg"


@pytest.fixture
def nat_house(house: House) -> House:
    """A house whose phones are behind NAT."""
    house.app.nat.set(True)
    return house


def first() -> HttpRequest:
    return phone(OWN, address=NAT, mac=MAC)


def second() -> HttpRequest:
    return phone(OTHERS, address=NAT, mac=OTHER_MAC)


def addresses(house: House) -> dict[str, str | None]:
    return {device["mac"]: device.get("ip") for device in house.devices.documents()}


def test_two_phones_keep_the_address_that_they_share(nat_house: House) -> None:
    for request in (first(), second(), first(), second()):
        assert isinstance(nat_house.ask(request), bytes)
    assert addresses(nat_house) == {MAC: NAT, OTHER_MAC: NAT}


def test_without_nat_the_last_one_has_it(house: House) -> None:
    for request in (first(), second(), first()):
        assert isinstance(house.ask(request), bytes)
    assert addresses(house) == {MAC: NAT, OTHER_MAC: None}


def test_once_known_nothing_is_written_however_the_phones_take_turns(nat_house: House) -> None:
    nat_house.ask(first())
    nat_house.ask(second())
    commits = len(nat_house.backend.commits)
    for _ in range(3):
        for request in (first(), second()):
            assert isinstance(nat_house.ask_quick(request), bytes), "no wait"
    assert len(nat_house.backend.commits) == commits


def test_a_phone_that_moves_keeps_following(nat_house: House) -> None:
    nat_house.ask(first())
    nat_house.ask(second())
    nat_house.ask(phone(OWN, address="192.0.2.253", mac=MAC))
    assert addresses(nat_house) == {MAC: "192.0.2.253", OTHER_MAC: NAT}


def test_a_phone_is_never_recognised_by_its_address_alone(nat_house: House) -> None:
    nat_house.ask(first())
    anybody = phone(COMMON, address=NAT, mac=None)
    assert nat_house.ask_quick(anybody) is Problem.NO_PLUGIN
    nat_house.app.nat.set(False)
    assert nat_house.ask_quick(anybody) == b"server=192.0.2.10"


def test_a_request_that_says_only_the_vendor_makes_no_device(nat_house: House) -> None:
    nameless = HttpRequest(NAT, COMMON, headers={"user-agent": "Sample S100"})
    for _ in range(3):
        assert nat_house.ask(nameless) is Problem.NO_PLUGIN
    assert not len(nat_house.devices)
    nat_house.app.nat.set(False)
    assert nat_house.ask(nameless) == b"server=192.0.2.10"


def test_by_tftp_phones_are_recognised_by_the_names_of_their_own_files(nat_house: House) -> None:
    for path, mac in ((OWN, MAC), (OTHERS, OTHER_MAC)):
        content = nat_house.ask(TftpRequest(NAT, path))
        assert isinstance(content, bytes)
        assert f"mac={mac}".encode() in content
    assert addresses(nat_house) == {MAC: NAT, OTHER_MAC: NAT}
    assert nat_house.ask(TftpRequest(NAT, COMMON)) is Problem.NO_PLUGIN


def test_phones_that_boot_together_become_one_device_each(nat_house: House) -> None:
    macs = [f"00:08:5d:00:01:{number:02x}" for number in range(20)]
    jobs = [
        gevent.spawn(nat_house.ask, phone(path, address=NAT, mac=mac))
        for mac in macs
        for path in (COMMON, f"Sample/{mac.replace(':', '').upper()}.cfg")
    ]
    gevent.joinall(jobs, raise_error=True)
    assert sorted(device["mac"] for device in nat_house.devices.documents()) == macs


def test_the_switch_counts_from_the_next_request_on(house: House) -> None:
    house.ask(first())
    house.ask(second())
    assert addresses(house) == {MAC: None, OTHER_MAC: NAT}
    house.app.nat.set(True)
    house.ask(first())
    assert addresses(house) == {MAC: NAT, OTHER_MAC: NAT}
    house.app.nat.set(False)
    house.ask(phone(OWN, address="192.0.2.253", mac=MAC))
    house.ask(first())
    assert addresses(house) == {MAC: NAT, OTHER_MAC: None}


def test_a_phones_boot_has_no_line_that_the_jails_for_nat_count(nat_house: House) -> None:
    for _ in range(2):
        for path in (COMMON, OWN, OWN.replace(".cfg", ".key")):
            nat_house.ask(phone(path, address=NAT, mac=MAC))
    lines = nat_house.security_lines()
    assert sum(line.startswith("New device") for line in lines) == 1
    assert all("owner=known" in line for line in lines[1:])


def test_a_thief_behind_the_same_address_is_told_apart(nat_house: House) -> None:
    nat_house.ask(first())
    nat_house.ask(second())
    (nat_house.folder / "security.log").write_bytes(b"")
    nat_house.ask(phone(OTHERS, address=NAT, mac=MAC))
    nat_house.ask(phone("Sample/00085D0000FF.cfg", address=NAT, mac=MAC))
    owners = [line.partition("owner=")[2].split()[0] for line in nat_house.security_lines()]
    assert owners == ["other", "none"]
