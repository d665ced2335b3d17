"""Device documents: known keys in stored form, unknown ones as they come."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provd.errors import InvalidValueError
from provd.model.device import (
    RESULT_KEYS,
    TRIGGER_KEYS,
    check_device,
    identity_of,
    keep_results,
    needs_rendering,
)
from provd.model.identity import Identity

TEXT_KEYS = [
    "sn",
    "vendor",
    "model",
    "version",
    "plugin",
    "config",
    "description",
    "added",
    "remote_state_sip_username",
]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("key", "given_value", "stored"),
    [
        ("mac", "00085D2EECFB", "00:08:5d:2e:ec:fb"),
        ("mac", None, None),
        ("ip", "::ffff:192.0.2.7", "192.0.2.7"),
        ("ip", "2001:DB8::7", "2001:db8::7"),
        ("ip", "", ""),
        ("ip", None, None),
        ("uuid", "0F3A5A9C-0000-4000-8000-000000000000", "0f3a5a9c-0000-4000-8000-000000000000"),
        ("uuid", None, None),
        ("plugin", "", ""),
        ("options", {"switchboard": True}, {"switchboard": True}),
        ("options", None, None),
        ("description", "Zoë's phone", "Zoë's phone"),
    ],
)
def test_a_known_key_gets_its_stored_form(key: str, given_value: Any, stored: Any) -> None:
    assert check_device({"id": "d", key: given_value}) == {"id": "d", key: stored}


def test_unknown_keys_survive() -> None:
    device = {"X_room": {"floor": [1, None]}, "tenant_uuid": "t", "is_new": True, "configured": "maybe", "null": None}
    assert check_device(device) == device


def test_an_empty_document_is_a_device() -> None:
    assert check_device({}) == {}


def test_the_document_that_was_given_is_not_changed() -> None:
    given_device = {"mac": "00085D2EECFB"}
    check_device(given_device)
    assert given_device == {"mac": "00085D2EECFB"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mac", ""),
        ("mac", "00:08:5d"),
        ("mac", 8),
        ("mac", ["00:08:5d:2e:ec:fb"]),
        ("ip", "10.1"),
        ("ip", "pbx.example.org"),
        ("ip", 3221225991),
        ("ip", ["192.0.2.7"]),
        ("uuid", 1),
        ("uuid", "a\nb"),
        ("id", ""),
        ("id", None),
        ("id", 1),
        ("id", "a\nb"),
        ("options", []),
        ("options", "switchboard"),
    ],
)
def test_a_wrong_value_is_refused_with_the_name_of_its_key(key: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=rf"^{key}: ") as caught:
        check_device({key: value})
    assert caught.value.field == key


@pytest.mark.parametrize("value", [0, False, [], {}, 0.0], ids=repr)
def test_an_ip_that_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(InvalidValueError, match=r"^ip: "):
        check_device({"ip": value})


def test_an_ip_cannot_break_out_of_its_line() -> None:
    with pytest.raises(InvalidValueError, match=r"^ip: "):
        check_device({"ip": "fe80::1%a\nb"})


@pytest.mark.parametrize("value", [float("inf"), "\ud800", b"a"], ids=ascii)
def test_what_cannot_be_stored_is_refused_wherever_it_stands(value: Any) -> None:
    with pytest.raises(InvalidValueError, match=r"^device\.X_a"):
        check_device({"X_a": [{"b": value}]})


@pytest.mark.parametrize("key", TEXT_KEYS)
@pytest.mark.parametrize("value", ["a\nb", "\x1b[2J", 1, True, ["a"], {}], ids=repr)
def test_a_text_has_one_line(key: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=rf"^{key}: "):
        check_device({key: value})


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.dictionaries(st.sampled_from([*TEXT_KEYS, "id", "mac", "uuid", "options", "X_a"]), json_values, max_size=4))
def test_every_document_is_either_refused_or_stored_in_a_form_that_stays(device: dict[str, Any]) -> None:
    try:
        stored = check_device(device)
    except InvalidValueError:
        return
    assert check_device(stored) == stored
    assert set(stored) == set(device)


# --- what follows from a document


def test_the_identity_of_a_device_is_what_it_says_of_the_phone() -> None:
    device = {"id": "d", "mac": "00:08:5d:2e:ec:fb", "vendor": "Aastra", "model": "", "sn": None, "ip": "192.0.2.7"}
    assert identity_of(device) == Identity(mac="00:08:5d:2e:ec:fb", vendor="Aastra")


@pytest.mark.parametrize("key", ["plugin", "config", "mac", "uuid", "vendor", "model", "version", "options"])
@pytest.mark.parametrize(("old", "new"), [("a", "b"), (None, "b"), ("a", None)])
def test_a_change_of_what_files_may_contain_needs_rendering(key: str, old: Any, new: Any) -> None:
    assert needs_rendering({key: old}, {key: new})
    assert key in TRIGGER_KEYS


@pytest.mark.parametrize(
    "key", ["ip", "sn", "description", "added", "configured", "X_room", "remote_state_sip_username"]
)
def test_other_changes_need_no_rendering(key: str) -> None:
    assert not needs_rendering({"mac": "m", key: "a"}, {"mac": "m", key: "b"})


def test_a_key_that_is_missing_is_as_good_as_null() -> None:
    assert not needs_rendering({"config": None}, {})


def test_a_change_inside_the_options_needs_rendering() -> None:
    assert needs_rendering({"options": {"switchboard": False}}, {"options": {"switchboard": True}})


def test_results_come_from_provd_and_not_from_the_caller() -> None:
    old = {"id": "d", "configured": False, "configure_error": "no such plugin"}
    new = {"id": "d", "configured": True, "configure_error": "", "model": "6731i"}
    assert keep_results(new, old) == {**old, "model": "6731i"}


def test_results_that_provd_never_wrote_are_removed() -> None:
    assert keep_results(dict.fromkeys(RESULT_KEYS, True), {}) == {}
