"""Texts that try to be more than a value: they arrive as they are, or not at all."""

from __future__ import annotations

from urllib.parse import quote, quote_plus

import pytest

from provd.errors import InvalidValueError, PluginError
from provd.model.raw_config import prepare_raw_config
from provd.plugins.models import Model

from .conftest import Render
from .hostile import (
    CONTROL_CHARACTERS,
    HOSTILE,
    Field,
    free_text_fields,
    hostile_text,
    put,
    tag_of,
    with_hostile_texts,
)
from .official import Source
from .raw_configs import RawConfig, every_field
from .syntax import Family

Told = dict[tuple[str, str], str]
"""What a phone reads in its files, by path and name of the parameter."""


@pytest.mark.parametrize("pattern", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_stays_a_value(
    source: Source, family: Family, model: Model, render: Render, pattern: str
) -> None:
    raw = every_field(model)
    harmless = _told(family, model, render, raw)
    for fields in _accepted(model, render, raw, pattern):
        told = _told(family, model, render, with_hostile_texts(raw, pattern, fields))
        assert set(told) <= set(harmless), "a value became a parameter of its own"
        for field in fields:
            _check_intact(told, hostile_text(pattern, field), tag_of(field))


@pytest.mark.parametrize("character", CONTROL_CHARACTERS, ids=lambda character: f"U+{ord(character):04X}")
@pytest.mark.parametrize("field", free_text_fields(), ids=".".join)
def test_control_characters_do_not_reach_plugins(field: Field, character: str) -> None:
    raw = every_field(Model("two lines", ("two lines",), lines=2, modules=1, module_keys=3))
    put(raw, field, f"a{character}b")
    with pytest.raises(InvalidValueError):
        prepare_raw_config(raw)


def _accepted(model: Model, render: Render, raw: RawConfig, pattern: str) -> list[list[Field]]:
    """The fields that may have the hostile text: all at once, or if the plugin refuses that, each that it accepts.

    To refuse a password that the phone cannot be told, with a reason, is as good as to tell it as it is.
    """
    fields = free_text_fields()
    if _is_accepted(model, render, with_hostile_texts(raw, pattern, fields)):
        return [fields]
    return [[field] for field in fields if _is_accepted(model, render, with_hostile_texts(raw, pattern, [field]))]


def _is_accepted(model: Model, render: Render, raw: RawConfig) -> bool:
    try:
        render(model.name, raw)
    except PluginError:
        return False
    return True


def _told(family: Family, model: Model, render: Render, raw: RawConfig) -> Told:
    return {
        (file.path, name): value
        for file in render(model.name, raw)
        for name, value in family.read(file, model).items()
    }


def _check_intact(told: Told, text: str, tag: str) -> None:
    """Wherever the field's tag arrives, the whole text does, as it is or as a part of a URL."""
    forms = (text, quote(text), quote_plus(text))
    for (path, name), value in told.items():
        if tag in value:
            assert any(form in value for form in forms), f"{path}: {name}: {value!r} is not all of {text!r}"
