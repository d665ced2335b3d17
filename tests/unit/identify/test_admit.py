"""Whether a phone that is not known becomes a device."""

from __future__ import annotations

import pytest

from provd.identify.admit import UNIDENTIFIED, UNIDENTIFIED_BEHIND_NAT, UNKNOWN_VENDOR, objection
from provd.model.identity import Identity


@pytest.mark.parametrize("key", ["vendor", "mac", "sn", "uuid"])
def test_a_phone_that_says_who_it_is_is_admitted(key: str) -> None:
    assert objection(Identity(**{key: "x"})) is None


@pytest.mark.parametrize(
    "identity", [Identity(), Identity(model="6731i"), Identity(version="3.3.1"), Identity(vendor="", mac="")]
)
def test_whoever_says_nothing_of_that_is_not(identity: Identity) -> None:
    assert objection(identity) == UNIDENTIFIED


@pytest.mark.parametrize(
    ("identity", "is_admitted"),
    [
        (Identity(vendor="Aastra", model="6731i"), False),
        (Identity(vendor="Aastra", mac="x"), True),
        (Identity(sn="x"), True),
        (Identity(uuid="x"), True),
    ],
)
def test_behind_nat_a_phone_must_say_which_one_it_is(identity: Identity, is_admitted: bool) -> None:
    assert objection(identity, nat=True) == (None if is_admitted else UNIDENTIFIED_BEHIND_NAT)


@pytest.mark.parametrize("nat", [False, True])
def test_of_a_lease_the_vendor_must_be_known_because_every_machine_has_a_mac_address(nat: bool) -> None:
    assert objection(Identity(mac="x"), nat=nat, needs_vendor=True) == UNKNOWN_VENDOR
    assert objection(Identity("Aastra", mac="x"), nat=nat, needs_vendor=True) is None
