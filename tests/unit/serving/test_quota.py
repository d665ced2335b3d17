"""How many places a client may take."""

from __future__ import annotations

import pytest

from provd.serving.quota import Quota


def taken(quota: Quota, addresses: list[str]) -> int:
    """How many of the addresses, one after the other, found room."""
    count = 0
    for address in addresses:
        if quota.has_room(address):
            quota.take(address)
            count += 1
    return count


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7", "fe80::7%eth0"])
def test_an_address_has_no_more_places_than_allowed(address: str) -> None:
    quota = Quota(3, 100)
    assert taken(quota, [address] * 5) == 3
    quota.give_back(address)
    assert taken(quota, [address] * 5) == 1


def test_an_address_does_not_take_the_places_of_another() -> None:
    quota = Quota(3, 100)
    taken(quota, ["192.0.2.7"] * 5)
    assert taken(quota, ["192.0.2.8"] * 5) == 3


@pytest.mark.parametrize("prefix", ["2001:db8::", "2001:db8:0:1:", "fe80::"])
def test_a_host_with_as_many_ipv6_addresses_as_it_likes_gets_half_of_all_places(prefix: str) -> None:
    quota = Quota(3, 100)
    scope = "%eth0" if prefix == "fe80::" else ""
    hosts = [
        f"{prefix}{number:x}{scope}" if prefix.endswith("::") else f"{prefix}:{number:x}" for number in range(1, 80)
    ]
    assert taken(quota, hosts) == 50
    assert taken(quota, ["2001:db8:0:2::1", "192.0.2.7"]) == 2, "there is room for others"
    quota.give_back(hosts[0])
    assert taken(quota, hosts) == 1


def test_a_site_of_phones_in_one_ipv6_network_gets_more_than_one_address() -> None:
    assert taken(Quota(256, 4096), [f"2001:db8::{number:x}" for number in range(1, 1001)]) == 1000


def test_a_network_may_have_what_an_address_may_have() -> None:
    assert taken(Quota(80, 100), ["2001:db8::7"] * 90) == 80


def test_ipv4_networks_are_not_counted() -> None:
    assert taken(Quota(3, 10), [f"192.0.2.{number}" for number in range(1, 101)]) == 100


def test_nothing_is_kept_of_addresses_that_have_no_place_any_more() -> None:
    quota = Quota(3, 100)
    for address in ("192.0.2.7", "2001:db8::7", "fe80::7%eth0"):
        quota.take(address)
        quota.give_back(address)
        quota.has_room(address)
    assert not quota._taken
