"""Configs: documents with a raw config each, inheriting from their parents."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from provd.errors import InvalidValueError
from provd.model.document import check_document, check_id, without_control_characters
from provd.model.raw_config import check_raw_config

Config = dict[str, Any]
RawConfig = dict[str, Any]

AUTOCREATE_ROLE = "autocreate"
"""The config with this role is the template for the configs of phones that are not known yet."""


def check_config(config: Mapping[str, Any]) -> Config:
    """Return a copy of `config` as it is stored.

    A config with `X_type` `device` loses its null values, at any depth, because templates test for the presence
    of keys only.

    Raises:
        InvalidValueError: a known key has a value that is not allowed; the message names it.
    """
    check_document("config", config)
    checked: Config = _without_nulls(config) if config.get("X_type") == "device" else copy.deepcopy(dict(config))
    if "id" in checked:
        check_id(checked["id"])
    parents = checked.get("parent_ids")
    if not isinstance(parents, list) or not all(isinstance(parent, str) for parent in parents):
        raise InvalidValueError("parent_ids", parents, "a list of config ids")
    raw = checked.get("raw_config")
    if not isinstance(raw, dict):
        raise InvalidValueError("raw_config", raw, "an object")
    if checked.get("role") is not None:
        without_control_characters("role", checked["role"])
    for key in ("transient", "deletable"):
        if not isinstance(checked.get(key, False), bool | None):
            raise InvalidValueError(key, checked[key], "true or false")
    check_raw_config(raw)
    return checked


def merge(base: RawConfig, over: RawConfig) -> RawConfig:
    """Merge `over` into `base` and return it: dicts are merged key by key, everything else replaces.

    The result shares the values of both; give copies where that matters.
    """
    for key, value in over.items():
        old = base.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            merge(old, value)
        else:
            base[key] = value
    return base


def flatten(
    config_id: str, get_config: Callable[[str], Config | None], base: Mapping[str, Any]
) -> RawConfig | None:
    """Return the raw config of a config with all that it inherits, or None if there is no such config.

    Depth first: each parent in the order of the list, then the config's own values, on top of `base`. A config is
    visited once, so cycles are harmless and a diamond's common ancestor counts at its first path. Parents that do
    not exist are skipped. `get_config` must return documents that are free to be changed.
    """
    config = get_config(config_id)
    if config is None:
        return None
    raw = copy.deepcopy(dict(base))
    visited = {config_id}
    stack = [(iter(config["parent_ids"]), config["raw_config"])]
    while stack:
        parents, own = stack[-1]
        parent_id = next((parent for parent in parents if parent not in visited), None)
        if parent_id is None:
            merge(raw, own)
            stack.pop()
            continue
        visited.add(parent_id)
        parent = get_config(parent_id)
        if parent is not None:
            stack.append((iter(parent["parent_ids"]), parent["raw_config"]))
    return raw


def descendants(config_id: str, children_of: Callable[[str], tuple[str, ...]]) -> list[str]:
    """Return the ids of `config_id` and of all configs that inherit from it, each once."""
    found = {config_id: None}
    waiting = [config_id]
    while waiting:
        for child in children_of(waiting.pop()):
            if child not in found:
                found[child] = None
                waiting.append(child)
    return list(found)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
