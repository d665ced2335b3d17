"""The files that a plugin makes, for every model and every raw config."""

from __future__ import annotations

import copy

import pytest

from provd.model.raw_config import FUNCKEY_KEYS, GLOBAL_KEYS, LINE_KEYS, NUMBERED_GROUPS, prepare_raw_config
from provd.plugins.loader import LoadedPlugin
from provd.plugins.models import Model
from provd.plugins.rendering import render_common_files

from .conftest import MAC, Render
from .official import Source
from .raw_configs import SERVER, RawConfig, everything, globals_only, secrets
from .syntax import Family

ANOTHER_MAC = "00:08:5d:2e:ec:fc"


def test_files_are_well_formed(
    source: Source, family: Family, model: Model, raw_config: RawConfig, render: Render
) -> None:
    for file in render(model.name, raw_config):
        family.read(file, model)


def test_rendering_again_gives_the_same_bytes(
    source: Source, model: Model, raw_config: RawConfig, render: Render
) -> None:
    assert render(model.name, raw_config) == render(model.name, raw_config)


def test_plugin_changes_neither_device_nor_raw_config(
    source: Source, plugin: LoadedPlugin, model: Model, raw_config: RawConfig
) -> None:
    device = {"id": "d1", "mac": MAC, "vendor": plugin.info.vendor, "model": model.name, "options": {"x": [1]}}
    before = copy.deepcopy((device, raw_config))
    list(plugin.code.device_files(device, raw_config))
    plugin.code.resync(device, raw_config, reboot=True)
    list(plugin.code.common_files(raw_config))
    assert (device, raw_config) == before


def test_paths_are_unique(source: Source, model: Model, raw_config: RawConfig, render: Render) -> None:
    paths = [file.path for file in render(model.name, raw_config)]
    assert len(set(paths)) == len(paths)


def test_secrets_stand_in_sensitive_files_only(
    source: Source, plugin: LoadedPlugin, model: Model, raw_config: RawConfig, render: Render
) -> None:
    for file in render(model.name, raw_config):
        if any(secret.encode() in file.content for secret in secrets(raw_config)):
            assert file.sensitive, f"{file.path} must be declared sensitive"
        assert file.sensitive == plugin.code.is_sensitive(file.path), file.path


def test_one_file_proves_that_the_phone_is_in_sync(
    source: Source, model: Model, raw_config: RawConfig, render: Render
) -> None:
    assert len([file for file in render(model.name, raw_config) if file.proves_sync]) == 1


def test_two_phones_never_share_a_file(source: Source, model: Model, render: Render) -> None:
    raw = everything(model)
    one, other = ({file.path for file in render(model.name, raw, mac)} for mac in (MAC, ANOTHER_MAC))
    assert not one & other


def test_phone_is_told_what_its_lines_and_keys_say(
    source: Source, family: Family, model: Model, render: Render
) -> None:
    raw = everything(model)
    told = "\n".join(value for file in render(model.name, raw) for value in family.read(file, model).values())
    wanted = [line[key] for line in raw["sip_lines"].values() for key in family.SHOWN_OF_LINE]
    wanted += [
        key[name]
        for number, key in raw["funckeys"].items()
        if model.key_position(int(number))
        for name in family.SHOWN_OF_KEY
    ]
    assert [value for value in wanted if str(value) not in told] == []


def test_phone_is_told_what_all_lines_share(source: Source, family: Family, model: Model, render: Render) -> None:
    raw = globals_only()
    told = "\n".join(value for file in render(model.name, raw) for value in family.read(file, model).values())
    needs_a_key = ("X_xivo_phonebook_ip", "X_xivo_user_uuid") if not model.own_keys else ()
    wanted = [key for key in family.SHOWN_GLOBALS if key not in needs_a_key]
    assert [key for key in wanted if str(raw[key]) not in told] == []


@pytest.mark.parametrize("name", [None, "", "unheard-of", "../../etc/passwd", 'a"b', "x" * 500, "é😀", "{{ 7*7 }}"])
def test_a_model_that_the_plugin_does_not_know_gets_files_too(source: Source, render: Render, name: str | None) -> None:
    assert render(name, globals_only())


def test_common_files_render(source: Source, plugin: LoadedPlugin) -> None:
    raw = prepare_raw_config(SERVER)
    for file in render_common_files(plugin.code.common_files(raw), plugin.templates, raw):
        assert not file.sensitive
        assert not plugin.code.is_sensitive(file.path)


def test_public_files_are_not_sensitive(source: Source, plugin: LoadedPlugin, family: Family) -> None:
    shipped = (plugin.folder / "var" / "tftpboot").rglob("*")
    paths = [path.relative_to(plugin.folder / "var" / "tftpboot").as_posix() for path in shipped if path.is_file()]
    assert [path for path in (*paths, *family.PUBLIC_FILES) if plugin.code.is_sensitive(path)] == []


def test_the_raw_config_with_everything_has_every_key_of_the_schema() -> None:
    raw = everything(Model("a phone with all", ("a phone with all",), lines=1, modules=1, module_keys=3))
    assert set(raw) >= {*GLOBAL_KEYS, *NUMBERED_GROUPS}
    assert set(raw["sip_lines"]["1"]) == set(LINE_KEYS)
    assert set(raw["funckeys"]["1"]) == set(FUNCKEY_KEYS)
