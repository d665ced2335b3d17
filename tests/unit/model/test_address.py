"""Internet addresses: one stored form for each."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provd.model.address import (
    InvalidAddressError,
    is_ipv6,
    is_loopback,
    is_same_machine,
    is_unspecified,
    normalize_address,
    url_host,
)

examples = settings(deadline=None, derandomize=True)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("0.0.0.0", "0.0.0.0"),
        ("255.255.255.255", "255.255.255.255"),
        ("2001:db8::7", "2001:db8::7"),
        ("2001:DB8:0:0:0:0:0:7", "2001:db8::7"),
        ("::1", "::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::FFFF:c000:207", "192.0.2.7"),
        ("0:0:0:0:0:ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("FE80::0:1%eth0", "fe80::1%eth0"),
        ("fe80::1%2", "fe80::1%2"),
    ],
)
def test_the_stored_form_is_the_shortest(text: str, stored: str) -> None:
    assert normalize_address(text) == stored


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "10.1",
        "192.0.2",
        "192.0.2.256",
        "192.0.2.7 ",
        "192.0.2.7\n",
        "192.0.2.07",
        "192.0.2.7/32",
        "192.0.2.7:69",
        "192.0.2.7%eth0",
        "[2001:db8::7]",
        "2001:db8::7::1",
        "2001:db8::g",
        "fe80::1%",
        "fe80::1%a%b",
        "localhost",
        "3221225991",
        "0x7f000001",
        "١٩٢.0.2.7",
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(InvalidAddressError, match=r"^ip: .* is not allowed; allowed: an IPv4 or IPv6 address"):
        normalize_address(text)


@pytest.mark.parametrize(
    "scope", ["a\nb", "a b", 'a"', ": x from 192.0.2.9:", "é", "\x7f", "a" * 99, "a\u2028"], ids=ascii
)
def test_a_scope_that_is_no_interface_is_refused(scope: str) -> None:
    """An address stands unquoted in the security log, in URLs and in files for phones."""
    with pytest.raises(InvalidAddressError):
        normalize_address(f"fe80::1%{scope}")


@examples
@given(st.ip_addresses(v=4))
def test_an_ipv4_client_of_a_dual_stack_socket_is_an_ipv4_client(address: ipaddress.IPv4Address) -> None:
    assert normalize_address(f"::ffff:{address}") == str(address)
    assert normalize_address(str(address)) == str(address)


@examples
@given(st.ip_addresses(v=6))
def test_every_way_to_write_an_ipv6_address_has_one_stored_form(address: ipaddress.IPv6Address) -> None:
    stored = normalize_address(str(address))
    assert normalize_address(address.exploded) == stored
    assert normalize_address(address.exploded.upper()) == stored
    assert normalize_address(stored) == stored


@settings(examples, max_examples=300)
@given(st.text(alphabet="0123456789abcdef:.[]/ \n", max_size=24))
def test_every_text_is_either_refused_or_an_address(text: str) -> None:
    try:
        stored = normalize_address(text)
    except InvalidAddressError:
        return
    ipaddress.ip_address(stored)
    assert normalize_address(stored) == stored


@pytest.mark.parametrize(("address", "answer"), [("192.0.2.7", False), ("2001:db8::7", True), ("fe80::1%eth0", True)])
def test_which_addresses_are_ipv6(address: str, answer: bool) -> None:
    assert is_ipv6(address) is answer


@pytest.mark.parametrize(
    ("host", "shown"),
    [("192.0.2.7", "192.0.2.7"), ("pbx.example.org", "pbx.example.org"), ("2001:db8::7", "[2001:db8::7]")],
)
def test_an_ipv6_address_has_brackets_in_a_url(host: str, shown: str) -> None:
    assert url_host(host) == shown


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "localhost"])
def test_an_address_that_only_this_machine_reaches_is_loopback(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7", "0.0.0.0", "pbx.example.org", ""])
def test_other_addresses_are_no_loopback(address: str) -> None:
    assert not is_loopback(address)


def test_the_unspecified_address_stands_for_all() -> None:
    assert [each for each in ("0.0.0.0", "::", "0::0", "", "127.0.0.1", "::1") if is_unspecified(each)] == [
        "0.0.0.0", "::", "0::0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("address", "own_address", "answer"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "0.0.0.0", True),
        ("::1", "::", True),
        ("192.0.2.10", "192.0.2.10", True),
        ("192.0.2.10", "::ffff:192.0.2.10", True),
        ("192.0.2.7", "192.0.2.10", False),
        ("192.0.2.7", "0.0.0.0", False),
        ("fe80::1%eth0", "fe80::1%eth0", True),
        ("2001:db8::7", "::", False),
    ],
)
def test_who_asks_from_loopback_or_from_the_address_that_is_asked_is_this_machine(
    address: str, own_address: str, answer: bool
) -> None:
    assert is_same_machine(address, own_address) is answer
