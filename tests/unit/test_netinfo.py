"""Which of the machine's addresses phones are told."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import netifaces
import pytest

from provd import netinfo
from provd.netinfo import server_address

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
