"""How many phones that were never seen before may become devices: by address, in all, and at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gevent
import pytest

from provd.model.request import TftpRequest
from provd.plugins.files import Problem
from provd.provisioning import admission
from provd.provisioning.admission import ADDRESS_LIMIT, FULL, REASONS, TOTAL_LIMIT, Admission, AdmissionLimits
from provd.security.log import SecurityLog
from provd.security.nat import NatSwitch

from ..store.steered import all_done, always
from .house import OWN, House, own_config, phone, phone_number

ADDRESS = "192.0.2.7"
OTHER_ADDRESS = "192.0.2.8"
PLENTY = 1000


class Gatekeeper:
    """Admission with a clock and a number of unclaimed devices that the test moves."""

    def __init__(self, folder: Path, **limits: int) -> None:
        self.now = 1000.0
        self.unclaimed = 0
        self.nat = NatSwitch()
        self.log = SecurityLog(folder / "security.log")
        self.admission = Admission(self.nat, self.log, lambda: self.unclaimed, lambda: self.now)
        self.use(**limits)

    def use(self, **limits: Any) -> None:
        self.admission.use(AdmissionLimits(**{"burst": PLENTY, "address_burst": PLENTY, **limits}))

    def admits(self, address: str = ADDRESS) -> bool:
        """Let a phone in if there is no limit."""
        if self.admission.limit_reached(address) is not None:
            return False
        with self.admission.place(address):
            return True

    def admitted(self, tries: int, address: str = ADDRESS) -> int:
        return sum(self.admits(address) for _ in range(tries))


@pytest.fixture
def keeper(tmp_path: Path) -> Gatekeeper:
    return Gatekeeper(tmp_path)


# --- the buckets


def test_an_address_has_its_burst_and_then_so_many_a_minute(keeper: Gatekeeper) -> None:
    keeper.use(address_burst=3, address_per_minute=6)
    assert keeper.admitted(10) == 3
    assert keeper.admission.limit_reached(ADDRESS) == ADDRESS_LIMIT
    keeper.now += 9.9
    assert keeper.admitted(10) == 0
    keeper.now += 0.2
    assert keeper.admitted(10) == 1
    keeper.now += 20
    assert keeper.admitted(10) == 2


def test_a_quiet_address_has_no_more_than_its_burst(keeper: Gatekeeper) -> None:
    keeper.use(address_burst=3, address_per_minute=6)
    keeper.admits()
    keeper.now += 1_000_000
    assert keeper.admitted(10) == 3


def test_one_address_costs_the_others_nothing(keeper: Gatekeeper) -> None:
    keeper.use(address_burst=3)
    assert keeper.admitted(10) == keeper.admitted(10, OTHER_ADDRESS) == 3


def test_all_addresses_together_have_a_limit(keeper: Gatekeeper) -> None:
    keeper.use(burst=5, per_minute=60)
    assert sum(keeper.admits(f"192.0.2.{number}") for number in range(20)) == 5
    assert keeper.admission.limit_reached("198.51.100.1") == TOTAL_LIMIT
    keeper.now += 2.1
    assert sum(keeper.admits(f"198.51.100.{number}") for number in range(20)) == 2


def test_whoever_is_refused_takes_nothing_from_the_others(keeper: Gatekeeper) -> None:
    keeper.use(burst=5, address_burst=2)
    assert keeper.admitted(100) == 2
    assert sum(keeper.admits(f"198.51.100.{number}") for number in range(20)) == 3


@pytest.mark.parametrize(
    ("others", "shares"),
    [(["2001:db8::8", "2001:db8:0:0:ffff::1"], True), (["2001:db8:0:1::7", "192.0.2.7"], False)],
)
def test_an_ipv6_network_is_one_address(keeper: Gatekeeper, others: list[str], shares: bool) -> None:
    keeper.use(address_burst=1, nat_address_burst=1)
    assert keeper.admits("2001:db8::7")
    assert [keeper.admits(other) for other in others] == [not shares] * len(others)


def test_an_ipv6_network_may_be_a_whole_site_of_phones(keeper: Gatekeeper) -> None:
    """Its phones are not to be refused, and then banned, because they share a network, as all of a site do."""
    keeper.use(address_burst=1, nat_address_burst=5, nat_address_per_minute=60)
    assert [keeper.admits(f"2001:db8::{number}") for number in range(1, 7)] == [True] * 5 + [False]
    keeper.now += 1.1
    assert keeper.admitted(2, "2001:db8::99") == 1
    assert keeper.admitted(2, ADDRESS) == 1


def test_behind_nat_an_address_has_other_limits(keeper: Gatekeeper) -> None:
    keeper.use(address_burst=1, nat_address_burst=5, nat_address_per_minute=60)
    keeper.nat.set(True)
    assert keeper.admitted(10) == 5
    keeper.now += 1.1
    assert keeper.admitted(10) == 1
    keeper.nat.set(False)
    assert keeper.admitted(10, OTHER_ADDRESS) == 1


def test_so_many_devices_may_be_unclaimed(keeper: Gatekeeper) -> None:
    keeper.use(max_unclaimed=5)
    keeper.unclaimed = 4
    assert keeper.admits()
    keeper.unclaimed = 5
    assert keeper.admission.limit_reached(ADDRESS) == FULL
    keeper.unclaimed = 4
    assert keeper.admits()


def test_devices_that_are_being_made_count_too(keeper: Gatekeeper) -> None:
    keeper.use(max_unclaimed=2)
    with keeper.admission.place(ADDRESS), keeper.admission.place(OTHER_ADDRESS):
        assert keeper.admission.limit_reached("192.0.2.9") == FULL
    assert keeper.admission.limit_reached("192.0.2.9") is None


def test_a_device_that_could_not_be_made_has_taken_nothing(keeper: Gatekeeper) -> None:
    keeper.use(burst=2, address_burst=2, max_unclaimed=1)
    for _ in range(5):
        assert keeper.admission.limit_reached(ADDRESS) is None
        with pytest.raises(OSError, match="full"), keeper.admission.place(ADDRESS):
            raise OSError("disk full")
    assert keeper.admitted(5) == 2


def test_changed_limits_count_at_once(keeper: Gatekeeper) -> None:
    keeper.use(burst=1, address_burst=1)
    assert keeper.admitted(5) == 1
    keeper.use(burst=3, address_burst=2)
    assert (keeper.admitted(5), keeper.admitted(5, OTHER_ADDRESS)) == (2, 1)


def test_only_so_many_addresses_are_remembered(keeper: Gatekeeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MAX_ADDRESSES", 3)
    keeper.use(address_burst=2)
    for number in (1, 1, 2, 2, 3, 3, 4, 4):
        assert keeper.admits(f"192.0.2.{number}")
    assert len(keeper.admission._by_address) == 3
    assert [keeper.admission.limit_reached(f"192.0.2.{number}") for number in (1, 2, 4)] == [
        None, ADDRESS_LIMIT, ADDRESS_LIMIT,
    ]  # fmt: skip


def test_the_address_that_made_a_device_longest_ago_is_forgotten_first(
    keeper: Gatekeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "MAX_ADDRESSES", 2)
    keeper.use(address_burst=2)
    for number in (1, 2, 2, 1, 3):
        assert keeper.admits(f"192.0.2.{number}")
    assert [keeper.admission.limit_reached(f"192.0.2.{number}") for number in (1, 2)] == [ADDRESS_LIMIT, None]


def test_a_refusal_is_counted_and_told_once_a_second_for_each_address(
    keeper: Gatekeeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("provd.occasionally.time.monotonic", lambda: now[0])
    for _ in range(10):
        for limit in (ADDRESS_LIMIT, TOTAL_LIMIT):
            keeper.admission.refuse(ADDRESS, limit)
        keeper.admission.refuse(OTHER_ADDRESS, FULL)
    now[0] += 1.0
    keeper.admission.refuse(ADDRESS, TOTAL_LIMIT)
    assert keeper.admission.refused == {ADDRESS_LIMIT: 10, TOTAL_LIMIT: 11, FULL: 10}
    lines = [line.partition("] ")[2] for line in (tmp_path / "security.log").read_text().splitlines()]
    assert lines == [
        f"New device refused from {ADDRESS}: address",
        f"New device refused from {OTHER_ADDRESS}: full",
        f"New device refused from {ADDRESS}: total",
    ]


def test_many_addresses_that_are_refused_do_not_fill_the_disk(
    keeper: Gatekeeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provd.occasionally.time.monotonic", lambda: 1000.0)
    for number in range(1000):
        keeper.admission.refuse(f"198.51.{number // 250}.{number % 250}", TOTAL_LIMIT)
    assert keeper.admission.refused[TOTAL_LIMIT] == 1000
    assert len((tmp_path / "security.log").read_text().splitlines()) == 100


@pytest.mark.parametrize(
    ("address", "limit", "nat", "option"),
    [
        (ADDRESS, ADDRESS_LIMIT, False, "address_burst"),
        (ADDRESS, ADDRESS_LIMIT, True, "nat_address_burst"),
        ("2001:db8::7", ADDRESS_LIMIT, False, "nat_address_burst"),
        (ADDRESS, TOTAL_LIMIT, False, "burst"),
        (ADDRESS, FULL, False, "max_unclaimed"),
    ],
)
def test_the_administrator_is_told_now_and_then_which_setting_refuses_phones(
    keeper: Gatekeeper, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    address: str, limit: str, nat: bool, option: str,
) -> None:  # fmt: skip
    now = [1000.0]
    monkeypatch.setattr("provd.occasionally.time.monotonic", lambda: now[0])
    keeper.nat.set(nat)
    for _ in range(5):
        keeper.admission.refuse(address, limit)
    now[0] += 61
    keeper.admission.refuse(address, limit)
    advice = f"'if these are your phones, raise admission.{option}'"
    assert [record.getMessage() for record in caplog.records] == [
        f"new phones are refused: limit={limit} address={address} advice={advice} unreported=0",
        f"new phones are refused: limit={limit} address={address} advice={advice} unreported=4",
    ]


# --- phones


def limited(house: House, **limits: Any) -> None:
    house.app.admission.use(AdmissionLimits(**limits))


def test_a_refused_phone_makes_no_device_but_a_line_a_counter_and_a_trace(house: House) -> None:
    limited(house, address_burst=1)
    house.ask(phone())
    before = len(house.backend.commits)
    assert house.ask_quick(phone(address="192.0.2.101", mac="00:08:5d:00:00:ff")) is Problem.REFUSED, "without waiting"
    assert (len(house.devices), len(house.backend.commits)) == (1, before)
    assert house.security_lines("New device refused") == ["New device refused from 192.0.2.101: address"]
    assert house.app.admission.refused == {ADDRESS_LIMIT: 1}
    (trace,) = house.app.decisions.of_nobody()
    assert (trace["admission"], trace["device"]) == (REASONS[ADDRESS_LIMIT], None)


@pytest.mark.parametrize(
    "limits", [{"max_unclaimed": 0}, {"burst": 1, "per_minute": 1}, {"address_burst": 1, "address_per_minute": 1}]
)
@pytest.mark.parametrize("nat", [False, True])
def test_a_known_phone_is_never_refused(house: House, limits: dict[str, int], nat: bool) -> None:
    house.app.nat.set(nat)
    house.ask(phone())
    limited(house, nat_address_burst=1, nat_address_per_minute=1, **limits)
    house.ask(phone_number(2))
    for request in (phone(), phone(version="2.0"), phone(address="192.0.2.250"), TftpRequest("192.0.2.7", OWN)):
        assert isinstance(house.ask(request), bytes)


def test_somebody_who_tells_nothing_of_a_phone_is_not_told_of_limits(house: House) -> None:
    limited(house, max_unclaimed=0)
    assert house.ask(phone("favicon.ico", mac=None)) is Problem.NO_PLUGIN
    assert house.security_lines("New device refused") == []
    assert not house.app.admission.refused


@pytest.mark.parametrize("most", [3, 17])
@pytest.mark.parametrize(
    ("setting", "limit"), [("nat_address_burst", ADDRESS_LIMIT), ("burst", TOTAL_LIMIT), ("max_unclaimed", FULL)]
)
def test_phones_that_come_at_the_same_time_do_not_get_past_a_limit(
    house: House, setting: str, limit: str, most: int
) -> None:
    """Also if they have to wait for each other, because only some devices are made at the same time."""
    house.app.nat.set(True)
    limited(house, **{setting: most})
    requests = [phone(f"Sample/00085D0000{number:02X}.cfg", mac=f"00:08:5d:00:00:{number:02x}") for number in range(40)]
    greenlets = [gevent.spawn(house.ask, request) for request in requests]
    all_done(*greenlets)
    assert len(house.devices) == most
    assert sum(each.value is Problem.REFUSED for each in greenlets) == house.app.admission.refused[limit] == 40 - most


def test_who_finds_no_place_does_not_wait_for_those_that_are_being_made(house: House) -> None:
    limited(house, burst=17)
    greenlets = [gevent.spawn(house.ask, phone_number(number)) for number in range(40)]
    gevent.sleep(0)
    assert sum(each.ready() for each in greenlets) == house.app.admission.refused[TOTAL_LIMIT] == 40 - 17
    all_done(*greenlets)
    assert len(house.devices) == 17


def test_parallel_requests_of_one_phone_take_one_place(house: House) -> None:
    limited(house, address_burst=2, burst=2, max_unclaimed=2)
    all_done(*[gevent.spawn(house.ask, phone()) for _ in range(20)])
    assert not house.app.admission.refused
    assert isinstance(house.ask(phone_number(2)), bytes)


def test_a_device_that_somebody_claims_or_removes_makes_room(house: House) -> None:
    limited(house, max_unclaimed=1)
    house.ask(phone_number(1))
    assert house.ask(phone_number(2)) is Problem.REFUSED
    house.app.devices.change(house.the_device()["id"], {**house.the_device(), "description": "mine"})
    assert isinstance(house.ask(phone_number(2)), bytes)
    assert house.ask(phone_number(3)) is Problem.REFUSED
    (second,) = house.devices.find("mac", "00:08:5d:00:00:02")
    house.app.devices.remove(second)
    assert isinstance(house.ask(phone_number(3)), bytes)


def test_phones_that_ask_again_while_the_store_fails_are_not_refused_for_it(house: House) -> None:
    limited(house, address_burst=2, burst=2, max_unclaimed=2)
    house.backend.refuses = always
    for _ in range(5):
        assert house.ask(phone()) is Problem.UNAVAILABLE
    house.backend.refuses = lambda changes: False
    assert isinstance(house.ask(phone()), bytes)
    assert house.security_lines("New device refused") == [], "fail2ban counts these"


def test_a_phone_that_lost_a_race_takes_one_place(house: House) -> None:
    """Its config's id was taken by somebody else in between, so it is stored in a second attempt."""
    limited(house, address_burst=2, burst=2)
    number = house.app.phones._settler._autoprov._number
    house.backend.gate.shut()
    adding = gevent.spawn(house.app.configs.add, own_config(f"autoprov{number}"))
    asking = gevent.spawn(house.ask, phone())
    gevent.sleep(0)
    house.backend.gate.open()
    all_done(adding, asking)
    assert house.the_device()["config"] == f"autoprov{number + 1}"
    assert isinstance(house.ask(phone("Sample/00085D0000FF.cfg", mac="00:08:5d:00:00:ff")), bytes)
