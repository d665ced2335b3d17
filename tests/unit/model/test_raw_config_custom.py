"""The administrator's own keys, what may stand in them, and what no message shows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provd.errors import InvalidValueError
from provd.model.config import check_config
from provd.model.raw_config import (
    FUNCKEY_KEYS,
    GLOBAL_KEYS,
    LINE_KEYS,
    NUMBERED_GROUPS,
    check_raw_config,
    prepare_raw_config,
)

from .test_raw_config import CHOICES, FLAGS, HOSTS, NUMBERS, OTHERS, PEM, TEXTS

PLACES = {
    "key": lambda key: {key: "x"},
    "line": lambda key: {"sip_lines": {"1": {key: "x"}}},
    "function key": lambda key: {"funckeys": {"1": {key: "x"}}},
    "call manager": lambda key: {"sccp_call_managers": {"1": {key: "x"}}},
}
texts = st.sampled_from(
    ["", "1", "0", "true", "x", "a b", "é", "a\nb", "192.0.2.10", "::1", "fr_CA", "UTC", PEM, "\ud800"]
)
scalars = st.none() | st.booleans() | st.integers(-2, 70_000) | st.floats(allow_nan=False) | texts | st.text(max_size=5)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2), max_leaves=5
)
choices = st.sampled_from([value for values in CHOICES.values() for value in values])


def objects(*known: str) -> st.SearchStrategy[dict[str, Any]]:
    """JSON objects with known and unknown keys, and values good and bad."""
    keys = st.sampled_from([*known, "X_a", "XX_b", "_comment"]) | st.text(max_size=3)
    return st.dictionaries(keys, scalars | choices | json_values, max_size=6)


def groups(*known: str) -> st.SearchStrategy[Any]:
    numbers = st.sampled_from(["1", "2", "10", "0", "x", "01"])
    return st.dictionaries(numbers, objects(*known) | scalars, max_size=3) | json_values


raw_configs = st.builds(
    lambda keys, lines, funckeys: {**keys, **lines, **funckeys},
    objects(*GLOBAL_KEYS),
    st.fixed_dictionaries({}, optional={"sip_lines": groups(*LINE_KEYS)}),
    st.fixed_dictionaries({}, optional={"funckeys": groups(*FUNCKEY_KEYS)}),
)


def good_values(prefix: str) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with any of the keys below a dotted prefix, in any of the forms in which clients write their values."""
    forms: dict[str, st.SearchStrategy[Any]] = {"X_own": json_values.filter(_is_accepted)}
    forms |= dict.fromkeys(HOSTS, st.sampled_from(["192.0.2.10", "2001:db8::10", "pbx.example.org"]))
    forms |= dict.fromkeys(FLAGS, st.sampled_from([True, 1, "1", "True", False, 0, "0", "false"]))
    forms |= dict.fromkeys(TEXTS, st.sampled_from(["", "x", "é <&>", 0, 1001]))
    forms |= {key: st.integers(*limits) | st.integers(*limits).map(str) for key, limits in NUMBERS.items()}
    forms |= {key: st.sampled_from(allowed) for key, allowed in CHOICES.items()}
    forms |= {key: st.just(good) for key, (good, _) in OTHERS.items()}
    below = {key.removeprefix(prefix): form | st.none() for key, form in forms.items() if key.startswith(prefix)}
    return st.fixed_dictionaries({}, optional={key: form for key, form in below.items() if "." not in key})


def _is_accepted(value: Any) -> bool:
    try:
        check_raw_config({"X_own": value})
    except InvalidValueError:
        return False
    return True


good_groups = {
    group: st.dictionaries(st.integers(1, 9999).map(str), good_values(f"{group}.1."), max_size=3)
    for group in NUMBERED_GROUPS
}
good_raw_configs = st.builds(
    lambda keys, groups: {**keys, **groups}, good_values(""), st.fixed_dictionaries({}, optional=good_groups)
)


@pytest.mark.parametrize(
    "value", ["text", 1, 1.5, True, [], {}, [1, [None, {"a": None}]], {"a": {"b": ["c"]}}, "é\"<&>'"], ids=repr
)
@pytest.mark.parametrize("key", ["X_xivo_room", "XX_computed", "_comment", "config_version", "anything"])
def test_a_key_of_the_administrators_own_keeps_any_value(key: str, value: Any) -> None:
    assert check_raw_config({key: value}) == {key: value}


@pytest.mark.parametrize("key", ["X_key", "proxy_transport"])
@pytest.mark.parametrize("place", ["line", "function key", "call manager"])
def test_entries_of_groups_may_have_such_keys_too(place: str, key: str) -> None:
    assert check_raw_config(PLACES[place](key)) == PLACES[place](key)


@pytest.mark.parametrize(
    "value", ["a\nb", ["a\nb"], {"a": "b\0"}, {"a\n": 1}, {"a": [{"b": ["\u2028"]}]}, "\ud800"], ids=ascii
)
@pytest.mark.parametrize("place", PLACES)
def test_control_characters_are_refused_at_any_depth(place: str, value: Any) -> None:
    raw = PLACES[place]("X_a")
    inner = raw if place == "key" else next(iter(raw.values()))["1"]
    inner["X_a"] = value
    with pytest.raises(InvalidValueError, match=r"X_a"):
        check_raw_config(raw)


@pytest.mark.parametrize("place", PLACES)
def test_control_characters_in_a_key_are_refused(place: str) -> None:
    with pytest.raises(InvalidValueError):
        check_raw_config(PLACES[place]("X_a\nadmin_password"))


def test_a_value_that_is_nested_too_deep_is_refused() -> None:
    value: Any = "x"
    for _ in range(900):
        value = {"a": value}
    with pytest.raises(InvalidValueError):
        check_raw_config({"X_a": value})


# --- for any JSON


@settings(deadline=None, derandomize=True, max_examples=600)
@given(raw_configs)
def test_every_raw_config_is_either_refused_or_gets_a_form_that_stays(raw: dict[str, Any]) -> None:
    try:
        once = check_raw_config(raw)
    except InvalidValueError:
        return
    assert check_raw_config(once) == once
    assert None not in once.values()


@settings(deadline=None, derandomize=True, max_examples=200)
@given(good_raw_configs)
def test_every_good_raw_config_is_accepted_and_gets_a_form_that_stays(raw: dict[str, Any]) -> None:
    once = check_raw_config(raw)
    assert check_raw_config(once) == once
    assert set(once) == {key for key, value in raw.items() if value is not None}


@settings(deadline=None, derandomize=True, max_examples=300)
@given(raw_configs | good_raw_configs)
def test_preparing_refuses_a_value_or_gives_a_form_that_stays(raw: dict[str, Any]) -> None:
    try:
        prepared = prepare_raw_config({"ip": "192.0.2.10", "http_port": 8667, "tftp_port": 69, **raw})
    except InvalidValueError:
        return
    assert prepare_raw_config(prepared) == prepared


# --- secrets


@pytest.mark.parametrize(
    "raw",
    [
        {"admin_password": "hunter2\n"},
        {"user_password": ["hunter2"]},
        {"sip_lines": {"1": {"password": "hunter2\n"}}},
        {"sip_lines": {"1": {"password": {"a": "hunter2"}}}},
        {"sip_local_key": "hunter2"},
        {"X_wifi_password": "hunter2\0"},
        {"X_api": {"secret": "hunter2\0"}},
        {"X_ldap_PASSWORD": ["hunter2\n"]},
    ],
    ids=repr,
)
def test_a_message_does_not_show_a_secret(raw: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError) as caught:
        check_raw_config(raw)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value.value)


@pytest.mark.parametrize(
    "raw",
    [
        {"sip_lines": [{"password": "hunter2"}]},
        {"sip_lines": {"1": [{"password": "hunter2"}]}},
    ],
    ids=["list of lines", "list as a line"],
)
def test_a_message_does_not_show_a_secret_inside_a_value(raw: Any) -> None:
    with pytest.raises(InvalidValueError) as caught:
        check_raw_config(raw)
    assert "hunter2" not in str(caught.value)


def test_a_message_does_not_show_the_secrets_of_a_raw_config_of_the_wrong_type() -> None:
    with pytest.raises(InvalidValueError) as caught:
        check_config({"parent_ids": [], "raw_config": [{"admin_password": "hunter2"}]})
    assert "hunter2" not in str(caught.value)
