"""Which of the machine's addresses phones are told."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import netifaces
import pytest

from provd import netinfo
from provd.netinfo import address_facing, local_addresses, server_address

V4, V6 = int(netifaces.AF_INET), int(netifaces.AF_INET6)
Machine = Callable[..., None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Makes the machine one with the given interfaces: their addresses by family; `default` has the default route."""

    def make(default: str | None = None, **interfaces: dict[int, list[str]]) -> None:
        entries = {
            name: {family: [{"addr": address} for address in addresses] for family, addresses in by_family.items()}
            for name, by_family in interfaces.items()
        }
        routes = {family: [("192.0.2.1", default, True)] for family in (V4, V6)} if default else {}
        monkeypatch.setattr(netinfo.netifaces, "gateways", lambda: routes)
        monkeypatch.setattr(netinfo.netifaces, "interfaces", lambda: list(interfaces))
        monkeypatch.setattr(netinfo.netifaces, "ifaddresses", lambda name: entries[name])

    return make


def test_the_address_of_this_machine_can_be_bound() -> None:
    address = server_address()
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 0))


def test_the_interface_with_the_default_route_comes_first(machine: Machine) -> None:
    machine("eth1", lo={V4: ["127.0.0.1"]}, eth0={V4: ["198.51.100.1"]}, eth1={V4: ["192.0.2.10"]})
    assert server_address() == "192.0.2.10"


def test_a_route_that_is_no_default_route_does_not_count(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(None, eth0={V4: ["198.51.100.1"]}, eth1={V4: ["192.0.2.10"]})
    monkeypatch.setattr(netinfo.netifaces, "gateways", lambda: {V4: [("192.0.2.1", "eth1", False)]})
    assert server_address() == "198.51.100.1"


def test_a_route_that_does_not_say_whether_it_is_the_default_does_not_count(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(None, eth0={V4: ["198.51.100.1"]}, eth1={V4: ["192.0.2.10"]})
    monkeypatch.setattr(netinfo.netifaces, "gateways", lambda: {V4: [("192.0.2.1", "eth1")]})
    assert server_address() == "198.51.100.1"


def test_without_a_default_route_the_first_address_that_phones_can_reach(machine: Machine) -> None:
    machine(None, lo={V4: ["127.0.0.1"]}, usb0={V4: ["169.254.1.1"]}, eth0={V4: ["192.0.2.10", "192.0.2.11"]})
    assert server_address() == "192.0.2.10"


def test_ipv4_is_preferred(machine: Machine) -> None:
    machine("eth0", eth0={V6: ["2001:db8::1"]}, eth1={V4: ["192.0.2.10"]})
    assert server_address() == "192.0.2.10"


def test_a_machine_without_ipv4_has_its_ipv6_address(machine: Machine) -> None:
    machine("eth0", lo={V4: ["127.0.0.1"], V6: ["::1"]}, eth0={V6: ["fe80::1%eth0", "fe80::2", "2001:db8::1"]})
    assert server_address() == "2001:db8::1"


@pytest.mark.parametrize(
    "interfaces", [{}, {"lo": {V4: ["127.0.0.1"], V6: ["::1"]}}, {"eth0": {}}, {"eth0": {V6: ["fe80::1"]}}]
)
def test_a_machine_that_phones_cannot_reach_has_loopback(machine: Machine, interfaces: dict[str, Any]) -> None:
    machine(None, **interfaces)
    assert server_address() == "127.0.0.1"


def test_an_entry_without_an_address_is_passed_over(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine("ppp0", ppp0={})
    entries = {V4: [{"peer": "192.0.2.1"}, {"addr": "192.0.2.10"}]}
    monkeypatch.setattr(netinfo.netifaces, "ifaddresses", lambda _: entries)
    assert server_address() == "192.0.2.10"


@pytest.mark.parametrize("error", [AttributeError, RuntimeError, ValueError, OSError])
def test_routes_that_cannot_be_had_are_no_reason_to_fail(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail() -> None:
        raise error("no routes")

    machine("eth1", eth0={V4: ["192.0.2.10"]})
    monkeypatch.setattr(netinfo.netifaces, "gateways", fail)
    assert server_address() == "192.0.2.10"


def test_an_interface_that_vanishes_is_passed_over(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interfaces of containers and tunnels come and go, also between the list and the question."""
    machine(None, veth0={}, eth0={V4: ["192.0.2.10"]})

    def addresses(name: str) -> dict[int, list[dict[str, str]]]:
        if name == "veth0":
            raise ValueError("You must specify a valid interface name.")
        return {V4: [{"addr": "192.0.2.10"}]}

    monkeypatch.setattr(netinfo.netifaces, "ifaddresses", addresses)
    assert server_address() == "192.0.2.10"


# --- the address that faces a phone


def test_a_phone_on_this_machine_is_faced_by_its_loopback() -> None:
    assert address_facing("127.0.0.9") == "127.0.0.1"


@pytest.mark.parametrize("address", ["bogus", "", "fe80::1%nosuchinterface", "::1%x y"])
def test_nothing_faces_what_is_no_address(address: str) -> None:
    assert address_facing(address) is None


def test_this_machines_own_address_faces_itself() -> None:
    own = server_address()
    assert address_facing(own) == own


def test_local_addresses_are_what_is_not_loopback_nor_link_local(machine: Machine) -> None:
    machine(
        "eth0",
        lo={V4: ["127.0.0.1"], V6: ["::1"]},
        eth0={V4: ["192.0.2.10"], V6: ["2001:db8::7", "2001:db8::8", "fe80::1%eth0"]},
        eth1={V4: ["169.254.1.1"]},
    )
    assert local_addresses() == ["192.0.2.10", "2001:db8::/64"]


@pytest.mark.skipif(not shutil.which("unshare") or os.getuid() != 0, reason="needs root, and unshare of util-linux")
def test_on_a_machine_with_several_interfaces_the_routes_decide() -> None:
    """A network namespace of its own, with two interfaces, and a router to other networks behind the second."""
    set_up = """
        ip link set lo up
        for each in office workshop; do
            ip link add name $each type veth peer name far-$each
            ip link set far-$each up; ip link set $each up
        done
        ip addr add 10.1.0.1/24 dev office; ip addr add fd01::1/64 dev office nodad
        ip addr add 10.2.0.1/24 dev workshop; ip addr add fd02::1/64 dev workshop nodad
        ip route add 10.3.0.0/16 via 10.2.0.254
        exec "$0" -c "$PROGRAM" "$@"
    """
    program = "import sys; from provd.netinfo import address_facing; print(*map(address_facing, sys.argv[1:]))"
    phones = ["10.1.0.7", "10.2.0.7", "10.3.9.9", "fd01::7", "fd02::7", "192.0.2.1"]
    told = subprocess.run(
        ["unshare", "--net", "sh", "-ec", set_up, sys.executable, *phones],
        capture_output=True, text=True, check=True, timeout=30, env={**os.environ, "PROGRAM": program},
    )  # fmt: skip
    assert told.stdout.split() == ["10.1.0.1", "10.2.0.1", "10.2.0.1", "fd01::1", "fd02::1", "None"]
