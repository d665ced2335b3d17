"""What is customised: whose files each template makes, and what it was made from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from provd.plugins.custom_templates.kinds import Kind
from provd.plugins.custom_templates.listing import CustomTemplate, list_custom_templates
from provd.plugins.loader import LoadedPlugin, load_plugin

from ..sample import BASE_TEMPLATE, write, write_plugin

S100 = "line one of S100\nline two of S100\n{{ XX_mac }}\n"


@pytest.fixture
def plugin(tmp_path: Path) -> LoadedPlugin:
    files = {"templates/S100.tpl": S100, "templates/part.tpl": "part", "templates/common/all.cfg.tpl": "all"}
    return load_plugin(write_plugin(tmp_path, files=files))


def listed(plugin: LoadedPlugin, model: str | None = None) -> dict[str, CustomTemplate]:
    return {each.path: each for each in list_custom_templates(plugin, lambda mac: model)}


def customise(plugin: LoadedPlugin, name: str, text: str = "mine") -> None:
    write(plugin.folder / "var/templates" / name, text)


def test_without_custom_templates_there_is_nothing_to_list_and_nothing_is_noted(plugin: LoadedPlugin) -> None:
    assert listed(plugin) == {}
    assert not (plugin.folder / "var").exists()


@pytest.mark.parametrize(
    ("name", "kind", "model", "mac", "original"),
    [
        ("base.tpl", Kind.BASE, None, None, "base.tpl"),
        ("S100.tpl", Kind.MODEL, "S100", None, "S100.tpl"),
        ("S200.tpl", Kind.MODEL, "S200", None, "base.tpl"),
        ("00085D000001.cfg.tpl", Kind.DEVICE, None, "00:08:5d:00:00:01", "base.tpl"),
        ("common/all.cfg.tpl", Kind.COMMON, None, None, "common/all.cfg.tpl"),
        ("common/own.cfg.tpl", Kind.COMMON, None, None, None),
        ("part.tpl", Kind.INCLUDED, None, None, "part.tpl"),
        ("X300.tpl", Kind.OTHER, None, None, "base.tpl"),
        ("00085D000001.xml.tpl", Kind.OTHER, None, None, "base.tpl"),
        ("Sample/base.tpl", Kind.OTHER, None, None, None),
    ],
)
def test_the_name_tells_whose_files_it_makes_and_what_it_stands_for(
    plugin: LoadedPlugin, name: str, kind: Kind, model: str | None, mac: str | None, original: str | None
) -> None:
    customise(plugin, name)
    found = listed(plugin)[name]
    assert (found.kind, found.model, found.mac) == (kind, model, mac)
    assert (found.origin and found.origin.original) == original
    assert not found.original_changed


def test_what_another_one_includes_is_told_from_what_nobody_uses(plugin: LoadedPlugin) -> None:
    customise(plugin, "own/part.tpl")
    assert listed(plugin)["own/part.tpl"].kind is Kind.OTHER
    customise(plugin, "S100.tpl", "{% include 'own/part.tpl' %}")
    assert listed(plugin)["own/part.tpl"].kind is Kind.INCLUDED


def test_a_phones_template_stands_for_the_one_that_it_is_a_copy_of(plugin: LoadedPlugin) -> None:
    customise(plugin, "00085D000001.cfg.tpl", S100 + "mine: 1\n")
    customise(plugin, "00085D000002.cfg.tpl", BASE_TEMPLATE + "mine: 1\n")
    origins = {path: each.origin.original for path, each in listed(plugin).items() if each.origin}
    assert origins == {"00085D000001.cfg.tpl": "S100.tpl", "00085D000002.cfg.tpl": "base.tpl"}


@pytest.mark.parametrize(("model", "original"), [("S100", "S100.tpl"), ("S200", "base.tpl"), (None, "base.tpl")])
def test_a_phones_template_that_is_no_copy_stands_for_its_models(
    plugin: LoadedPlugin, model: str | None, original: str
) -> None:
    customise(plugin, "00085D000001.cfg.tpl", "nothing alike")
    origin = listed(plugin, model)["00085D000001.cfg.tpl"].origin
    assert origin is not None
    assert origin.original == original


def test_the_plugins_version_is_told(plugin: LoadedPlugin) -> None:
    customise(plugin, "base.tpl")
    origin = listed(plugin)["base.tpl"].origin
    assert origin is not None
    assert (origin.plugin, origin.version, origin.text) == ("xivo-sample-1.0", "1.0", BASE_TEMPLATE)


def test_a_copy_that_changes_nothing_is_told(plugin: LoadedPlugin) -> None:
    customise(plugin, "base.tpl")
    shutil.copy(plugin.folder / "templates/S100.tpl", plugin.folder / "var/templates")
    assert {path: each.is_a_mere_copy for path, each in listed(plugin).items()} == {"base.tpl": False, "S100.tpl": True}


def test_why_one_is_never_used_is_told(plugin: LoadedPlugin) -> None:
    customise(plugin, "s100.tpl")
    customise(plugin, "S100.tpl")
    found = listed(plugin)
    assert found["S100.tpl"].unreachable is None
    assert found["s100.tpl"].unreachable == "letter case counts: the name that is looked for is S100.tpl"


def test_one_that_cannot_be_read_is_listed_too(plugin: LoadedPlugin) -> None:
    write(plugin.folder / "var/templates/base.tpl", "").write_bytes(b"\xff")
    assert listed(plugin)["base.tpl"].origin is None
