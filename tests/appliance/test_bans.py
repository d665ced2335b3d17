"""fail2ban bans who harvests and who makes phones up, from provd and from nothing else; and follows the NAT setting."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.appliance.bed import HERE, SERVER, SERVER_IPV6, Bed, wait_until

JAILS = ("xivo-provd", "xivo-provd-enumeration", "xivo-provd-new-devices")
FAIL2BAN = "fail2ban.service"
PROFILE = "/etc/fail2ban/jail.d/xivo-nat.local"
STATE = "/var/lib/xivo-provd/nat"
NOBODYS = "AABBCC0000%02X.cfg"
"""Names of no phone: no plugin says whose they are."""
NEW = "00085D9{:03X}%02X.cfg"
"""Names of phones that are not known: by TFTP each makes a device."""

_numbers = itertools.count(100)


class Address:
    """A new address of client 1, of which fail2ban knows nothing yet."""

    def __init__(self, bed: Bed, *, ipv6: bool = False) -> None:
        self.bed = bed
        self.number = next(_numbers)
        self.server = SERVER_IPV6 if ipv6 else SERVER
        self.text = f"fd55::{self.number:x}" if ipv6 else f"10.55.0.{self.number}"
        more = ["nodad"] if ipv6 else []
        bed.client("ip", "address", "add", f"{self.text}/{64 if ipv6 else 24}", "dev", "eth0", *more)

    def does(self, verb: str, *arguments: object) -> dict[str, Any]:
        """Be `asker.py`."""
        command = [sys.executable, HERE / "asker.py", self.server, self.text, verb, *map(str, arguments)]
        out, err = self.bed.in_clients_network(*command).communicate(timeout=120)
        assert out, err
        return json.loads(out)

    def is_served(self, protocol: str) -> bool:
        """Whether one request, of a file that counts nothing, is answered."""
        return self.does("once", protocol, "aastra.cfg")["status"] is not None

    def banned_by(self) -> set[str]:
        """The jails that say they have banned it."""
        banned = self.bed.exec("fail2ban-client", "banned").replace("'", '"')
        return {name for jail in json.loads(banned) for name, addresses in jail.items() if self.text in addresses}

    def is_in_nftables(self) -> bool:
        """Whether nftables drops what it sends."""
        return f" {self.text} " in self.bed.exec("nft", "list", "ruleset").replace(",", " ")


def jails_run(bed: Bed) -> bool:
    return all(bed.succeeds("fail2ban-client", "status", jail) for jail in JAILS)


def get(bed: Bed, jail: str, option: str) -> int:
    """A number that a jail works with."""
    return int(bed.exec("fail2ban-client", "get", jail, option).split()[-1])


@pytest.fixture(scope="module")
def guarded(appliance: Bed) -> Bed:
    """The appliance, as soon as fail2ban guards it."""
    wait_until(lambda: jails_run(appliance), 20, "the jails")
    appliance.exec("rm", "-f", "/etc/fail2ban/jail.d/xivo.local")  # other tests exempt their clients
    appliance.exec("fail2ban-client", "reload")
    return appliance


@pytest.fixture
def address(guarded: Bed) -> Address:
    return Address(guarded)


@pytest.fixture(scope="module")
def telephony(guarded: Bed) -> Iterator[str]:
    """Another service of the same machine, at SIP's port."""
    unit = ["--unit=other-service", "python3", "-m", "http.server", "5060", "--directory", "/usr/share/doc"]
    guarded.exec("systemd-run", "--quiet", *unit)
    yield f"http://{SERVER}:5060/"
    guarded.exec("systemctl", "stop", "other-service", check=False)  # a reboot ends it too


def switch_nat(bed: Bed, nat: bool) -> float:
    """Change the setting, as an administrator would; the seconds until fail2ban works accordingly."""
    bed.write("/etc/xivo-provd/conf.d/nat.toml", f"[general]\nnat = {str(nat).lower()}\n")
    bed.exec("systemctl", "reload", "xivo-provd.service")
    return wait_until(lambda: get(bed, JAILS[2], "maxretry") == (600 if nat else 5), 20, "the other limits")


# --- it runs


def test_fail2ban_runs_on_a_debian_as_it_is_installed(guarded: Bed) -> None:
    assert not guarded.succeeds("test", "-e", "/var/log/auth.log"), "nobody writes the log of sshd"
    assert guarded.is_active(FAIL2BAN)
    assert guarded.exec("xivo-provd-fail2ban-check", "-q") == ""


def test_the_service_has_no_power_over_fail2ban(guarded: Bed) -> None:
    as_provd = ["runuser", "-u", "xivo-provd", "--"]
    for command in (["touch", PROFILE], ["touch", "/etc/fail2ban/jail.d/x.local"], ["fail2ban-client", "ping"]):
        assert not guarded.succeeds(*as_provd, *command), command


# --- who is banned, and from what


@pytest.mark.parametrize("protocol", ["http", "tftp"])
def test_who_guesses_names_is_cut_off_from_both_doors_and_from_nothing_else(
    address: Address, telephony: str, protocol: str, figure: Callable[[str, str], None]
) -> None:
    bed, other = address.bed, Address(address.bed)
    result = address.does("guess", protocol, NOBODYS, 8)
    assert result["is_cut_off"], result
    figure(f"cut off after the last allowed guess, {protocol}", f"{result['cut_off_s']:.2f} s")
    assert result["cut_off_s"] < 3
    assert "xivo-provd-enumeration" in address.banned_by()
    assert address.is_in_nftables()
    assert not address.is_served("http")
    assert not address.is_served("tftp")
    assert bed.client("curl", "-sSf", "--max-time", "5", "--interface", address.text, telephony)
    bed.client("ping", "-c", "1", "-W", "1", "-I", address.text, SERVER)
    assert other.is_served("http")
    assert other.is_served("tftp")
    bed.exec("fail2ban-client", "unban", address.text)
    assert address.is_served("http")
    assert address.is_served("tftp")


@pytest.mark.parametrize("protocol", ["http", "tftp"])
def test_ipv6_is_banned_alike(guarded: Bed, protocol: str) -> None:
    address, other = Address(guarded, ipv6=True), Address(guarded, ipv6=True)
    assert address.does("guess", protocol, NOBODYS, 8)["is_cut_off"]
    assert address.is_in_nftables()
    assert not address.is_served("http")
    assert not address.is_served("tftp")
    assert other.is_served("http")


def test_who_makes_phones_up_is_banned(address: Address, figure: Callable[[str, str], None]) -> None:
    result = address.does("guess", "tftp", NEW.format(address.number), 5)
    assert result["is_cut_off"]
    figure("phones made up before the ban", f"{result['answered']}")
    wait_until(lambda: "xivo-provd-new-devices" in address.banned_by(), 5, "the ban")


def test_phones_with_addresses_of_their_own_boot_as_often_as_they_like(guarded: Bed) -> None:
    for number in range(3):
        address = Address(guarded)
        for _ in range(3):
            assert address.does("boot", 1, 0x1000 + number)["failed"] == []
        assert address.banned_by() == set()


# --- NAT


def test_forty_phones_behind_one_address_are_banned_without_nat(address: Address) -> None:
    address.does("boot", 40, 0x2000)
    wait_until(lambda: "xivo-provd" in address.banned_by(), 5, "the ban")


def test_with_nat_they_are_not_while_an_attacker_behind_the_same_address_is(
    address: Address, figure: Callable[[str, str], None]
) -> None:
    bed = address.bed
    pid = bed.show("MainPID", FAIL2BAN)
    figure("fail2ban follows the NAT setting within", f"{switch_nat(bed, True):.1f} s")
    assert bed.show("MainPID", FAIL2BAN) == pid, "without a restart"
    assert bed.exec("cat", PROFILE) == bed.exec("cat", "/usr/share/xivo-provd/fail2ban/nat-on.conf")
    for _ in range(3):
        assert address.does("boot", 40, 0x3000)["failed"] == []
    assert address.banned_by() == set()
    result = address.does("guess", "http", NOBODYS, 20)
    assert result["is_cut_off"]
    wait_until(lambda: address.banned_by() == {"xivo-provd", "xivo-provd-enumeration"}, 5, "the bans")
    bed.exec("fail2ban-client", "unban", address.text)
    assert address.does("boot", 40, 0x3000)["failed"] == []


def test_the_profile_survives_a_reboot_and_a_restart_of_fail2ban(guarded: Bed) -> None:
    switch_nat(guarded, True)
    guarded.exec("systemctl", "restart", FAIL2BAN)
    wait_until(lambda: jails_run(guarded), 20, "the jails")
    assert get(guarded, "xivo-provd", "maxretry") == 20
    guarded.stop()
    guarded.boot()
    wait_until(lambda: jails_run(guarded), 20, "the jails")
    assert get(guarded, "xivo-provd", "maxretry") == 20


def test_a_change_while_fail2ban_is_stopped_is_there_when_it_starts(guarded: Bed) -> None:
    switch_nat(guarded, True)
    guarded.exec("systemctl", "stop", FAIL2BAN, "xivo-provd-fail2ban.path")
    guarded.write("/etc/xivo-provd/conf.d/nat.toml", "")
    guarded.exec("systemctl", "restart", "xivo-provd.service")
    guarded.exec("systemctl", "start", FAIL2BAN)
    wait_until(lambda: jails_run(guarded), 20, "the jails")
    assert get(guarded, "xivo-provd", "maxretry") == 10
    guarded.exec("systemctl", "start", "xivo-provd-fail2ban.path")


@pytest.mark.parametrize("trick", ["ln -sfn /etc/shadow {0}", "rm {0}; mkfifo {0}", "rm {0}; mkdir {0}"])
def test_what_a_broken_in_service_puts_in_place_of_its_file_does_nothing(guarded: Bed, trick: str) -> None:
    switch_nat(guarded, True)
    as_provd = ["runuser", "-u", "xivo-provd", "--", "sh", "-c"]
    guarded.exec(*as_provd, trick.format(STATE))
    wait_until(lambda: get(guarded, JAILS[2], "maxretry") == 5, 20, "the usual limits")
    assert guarded.exec("cat", PROFILE) == guarded.exec("cat", "/usr/share/xivo-provd/fail2ban/nat-off.conf")
    guarded.exec(*as_provd, f"rm -rf {STATE}")
    switch_nat(guarded, False)
