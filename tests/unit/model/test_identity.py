"""What a request says of a phone, and how plugins grade their support."""

from __future__ import annotations

from provd.model.identity import IDENTITY_KEYS, Identity, Support
from provd.model.request import HttpRequest


def test_nothing_is_known_of_nobody() -> None:
    assert Identity().known() == {}


def test_what_is_known_has_the_keys_of_a_device() -> None:
    identity = Identity(vendor="Aastra", mac="00:08:5d:2e:ec:fb")
    assert identity.known() == {"vendor": "Aastra", "mac": "00:08:5d:2e:ec:fb"}


def test_every_field_of_an_identity_is_one_of_the_keys() -> None:
    assert set(Identity.__dataclass_fields__) == set(IDENTITY_KEYS)


def test_the_grades_are_those_that_plugins_know() -> None:
    grades = [Support.NONE, Support.IMPROBABLE, Support.UNKNOWN, Support.PROBABLE, Support.INCOMPLETE]
    assert [int(grade) for grade in (*grades, Support.COMPLETE, Support.EXACT)] == list(range(0, 700, 100))


def test_a_request_without_user_agent_has_an_empty_one() -> None:
    assert HttpRequest("192.0.2.7", "a.cfg").user_agent == ""
    assert HttpRequest("192.0.2.7", "a.cfg", headers={"user-agent": "Aastra6731i"}).user_agent == "Aastra6731i"
