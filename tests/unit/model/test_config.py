"""Config documents: what is refused, what a device's config loses, and how two raw configs are merged."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provd.errors import InvalidValueError
from provd.model.config import check_config, merge

LEAST: dict[str, Any] = {"parent_ids": [], "raw_config": {}}

leaves = st.none() | st.integers(0, 9) | st.lists(st.integers(0, 9), max_size=2)
raw_configs = st.dictionaries(
    st.sampled_from("abc"),
    st.recursive(leaves, lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=6),
    max_size=3,
)


def test_the_least_config() -> None:
    assert check_config(LEAST) == LEAST


def test_everything_else_is_kept_as_it_comes() -> None:
    config = {
        "id": "base",
        "parent_ids": ["a", "unknown"],
        "raw_config": {"ntp_enabled": "1", "X_key": "", "vlan_id": None, "sip_lines": {"1": {"number": 100}}},
        "X_type": "internal",
        "role": "autocreate",
        "transient": False,
        "deletable": None,
        "proxy_main": "192.0.2.10",
        "label": None,
    }
    assert check_config(config) == config


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("parent_ids", None),
        ("parent_ids", "base"),
        ("parent_ids", {"base": 1}),
        ("parent_ids", ["base", 1]),
        ("parent_ids", [None]),
        ("raw_config", None),
        ("raw_config", []),
        ("raw_config", "{}"),
        ("id", ""),
        ("id", None),
        ("id", "a\nb"),
        ("role", 1),
        ("role", "auto\ncreate"),
        ("transient", "true"),
        ("transient", 1),
        ("deletable", 0),
    ],
)
def test_a_wrong_value_is_refused_with_the_name_of_its_key(key: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=rf"^{key}: "):
        check_config({**LEAST, key: value})


@pytest.mark.parametrize("key", LEAST)
def test_parents_and_raw_config_are_needed(key: str) -> None:
    with pytest.raises(InvalidValueError, match=rf"^{key}: "):
        check_config({name: value for name, value in LEAST.items() if name != key})


def test_a_value_of_the_raw_config_is_refused_by_its_dotted_name() -> None:
    with pytest.raises(InvalidValueError, match=r"^sip_lines\.1\.username: "):
        check_config({**LEAST, "raw_config": {"sip_lines": {"1": {"username": "a\nb"}}}})


@pytest.mark.parametrize("value", [float("inf"), "\ud800", b"a"], ids=ascii)
def test_what_cannot_be_stored_is_refused_wherever_it_stands(value: Any) -> None:
    with pytest.raises(InvalidValueError, match=r"^config\.X_a"):
        check_config({**LEAST, "X_a": [{"b": value}]})


def test_the_document_that_was_given_is_not_shared() -> None:
    given_config = {"parent_ids": ["a"], "raw_config": {"X_a": {"b": [1]}}}
    before = copy.deepcopy(given_config)
    for x_type in ("internal", "device"):
        stored = check_config({**given_config, "X_type": x_type})
        stored["parent_ids"].append("c")
        stored["raw_config"]["X_a"]["b"].append(2)
        assert given_config == before


# --- configs of devices


def test_a_config_of_a_device_loses_its_nulls_at_any_depth() -> None:
    config = {
        "id": "d",
        "parent_ids": ["base"],
        "X_type": "device",
        "label": None,
        "raw_config": {
            "exten_park": None,
            "exten_dnd": "",
            "sip_lines": {"1": {"proxy_ip": None, "username": "a"}, "2": None},
            "X_a": [{"b": None, "c": 0}],
        },
    }
    assert check_config(config) == {
        "id": "d",
        "parent_ids": ["base"],
        "X_type": "device",
        "raw_config": {"exten_dnd": "", "sip_lines": {"1": {"username": "a"}}, "X_a": [{"c": 0}]},
    }


@pytest.mark.parametrize(
    "x_type", [{}, {"X_type": None}, {"X_type": "internal"}, {"X_type": "registrar"}, {"X_type": []}]
)
def test_other_configs_keep_their_nulls(x_type: dict[str, Any]) -> None:
    config = {"parent_ids": [], "raw_config": {"exten_park": None, "X_a": {"b": None}}, **x_type}
    assert check_config(config) == config


# --- merging


@pytest.mark.parametrize(
    ("base", "over", "merged"),
    [
        ({}, {"a": 1}, {"a": 1}),
        ({"a": 1}, {}, {"a": 1}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": {"b": 1, "c": 1}}, {"a": {"b": 2, "d": 2}}, {"a": {"b": 2, "c": 1, "d": 2}}),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"d": 2}}}, {"a": {"b": {"c": 1, "d": 2}}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": [{"b": 1}]}, {"a": [{"c": 1}]}, {"a": [{"c": 1}]}),
        ({"a": {"b": 1}}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {"a": {"b": 2}}, {"a": {"b": 2}}),
        ({"a": {"b": 1}}, {"a": {}}, {"a": {"b": 1}}),
        ({"a": {"b": 1}}, {"a": None}, {"a": None}),
        ({"a": None}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": True}, {"a": False}, {"a": False}),
    ],
)
def test_objects_are_merged_key_by_key_and_everything_else_replaces(base: Any, over: Any, merged: Any) -> None:
    assert merge(base, over) == merged


def test_merging_changes_the_base_and_returns_it() -> None:
    base = {"a": {"b": 1}}
    assert merge(base, {"a": {"c": 2}}) is base


@settings(deadline=None, derandomize=True)
@given(raw_configs, raw_configs)
def test_merging_the_same_again_changes_nothing(base: dict[str, Any], over: dict[str, Any]) -> None:
    once = merge(copy.deepcopy(base), copy.deepcopy(over))
    assert merge(copy.deepcopy(once), copy.deepcopy(over)) == once


@settings(deadline=None, derandomize=True)
@given(raw_configs, raw_configs, raw_configs)
def test_what_lies_on_top_wins(base: dict[str, Any], middle: dict[str, Any], top: dict[str, Any]) -> None:
    merged = merge(merge(copy.deepcopy(base), copy.deepcopy(middle)), copy.deepcopy(top))
    assert set(merged) == {*base, *middle, *top}
    assert all(merged[key] == value for key, value in top.items() if not isinstance(value, dict))
