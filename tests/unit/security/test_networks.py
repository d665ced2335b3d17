"""Where phones may come from."""

from __future__ import annotations

import ipaddress

import pytest

from provd.security import networks
from provd.security.networks import PhoneNetworks


def only(*names: str) -> PhoneNetworks:
    return PhoneNetworks([ipaddress.ip_network(name) for name in names])


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7", "fe80::1%eth0", "127.0.0.1"])
def test_without_networks_phones_may_come_from_everywhere(address: str) -> None:
    assert PhoneNetworks().allows(address)


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [
        ("192.0.2.0", True),
        ("192.0.2.127", True),
        ("192.0.2.128", False),
        ("198.51.100.7", True),
        ("198.51.100.8", False),
        ("127.0.0.1", False),
        ("2001:db8:0:1:ffff::", True),
        ("2001:db8:0:2::", False),
        ("fe80::1%eth0", True),
        ("fe80:1::1", False),
    ],
)
def test_networks_of_both_kinds(address: str, is_allowed: bool) -> None:
    allowed = only("192.0.2.0/25", "198.51.100.7/32", "2001:db8:0:1::/64", "fe80::/64")
    assert [allowed.allows(address) for _ in range(3)] == [is_allowed] * 3


@pytest.mark.parametrize(("network", "address"), [("0.0.0.0/0", "2001:db8::7"), ("::/0", "192.0.2.7")])
def test_all_of_one_kind_is_none_of_the_other(network: str, address: str) -> None:
    assert not only(network).allows(address)


def test_only_some_addresses_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "_MAX_REMEMBERED", 10)
    allowed = only("192.0.2.0/28")
    for number in range(200):
        assert allowed.allows(f"192.0.2.{number}") is (number < 16)
        assert len(allowed._known) <= 10
