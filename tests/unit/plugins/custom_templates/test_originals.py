"""What custom templates were made from is remembered across upgrades, and what changed since is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provd.plugins.custom_templates.originals import FILE_NAME, accept_originals, note_originals, read_origins
from provd.plugins.custom_templates.upgrades import ChangedOriginal, changed_originals
from provd.plugins.host import PluginHost
from provd.plugins.loader import LoadedPlugin, load_plugin

from ..sample import BASE_TEMPLATE, INFO, write, write_plugin

BASE = {"ip": "192.0.2.10", "http_port": 8667, "tftp_port": 69}


@pytest.fixture
def plugin(tmp_path: Path) -> LoadedPlugin:
    plugin = load_plugin(write_plugin(tmp_path, files={"templates/S100.tpl": "S100\n"}))
    write(plugin.folder / "var/templates/base.tpl", "mine\n")
    write(plugin.folder / "var/templates/S100.tpl", "mine\n")
    return plugin


def upgrade(plugin: LoadedPlugin, **templates: str | None) -> LoadedPlugin:
    """Replace the plugin as the installer does: all but what is in `var`."""
    write(plugin.folder / "plugin-info", json.dumps({**INFO, "version": "1.1"}))
    for name, text in templates.items():
        path = plugin.folder / "templates" / f"{name}.tpl"
        path.unlink() if text is None else write(path, text)
    return load_plugin(plugin.folder)


def changes(plugin: LoadedPlugin) -> list[ChangedOriginal]:
    return changed_originals(plugin.folder, plugin.info)


def test_nothing_changed_before_an_upgrade(plugin: LoadedPlugin) -> None:
    assert changes(plugin) == []
    assert set(read_origins(plugin.folder)) == {"base.tpl", "S100.tpl"}


def test_an_upgrade_that_changed_an_original_is_told_with_the_difference(plugin: LoadedPlugin) -> None:
    note_originals(plugin.folder, plugin.info)
    upgraded = upgrade(plugin, base=BASE_TEMPLATE + "new=1\n")
    (change,) = changes(upgraded)
    assert (change.path, change.original, change.is_gone) == ("base.tpl", "base.tpl", False)
    assert (change.plugin, change.version) == ("xivo-sample-1.0", "1.0")
    assert change.diff == (
        "--- xivo-sample-1.0/templates/base.tpl 1.0\n+++ xivo-sample-1.0/templates/base.tpl 1.1\n"
        f"@@ -1 +1,2 @@\n {BASE_TEMPLATE}+new=1\n"
    )
    assert changes(upgraded) == [change], "it is told until somebody accepts it"


def test_an_original_that_is_gone_is_told(plugin: LoadedPlugin) -> None:
    note_originals(plugin.folder, plugin.info)
    (change,) = changes(upgrade(plugin, S100=None))
    assert (change.path, change.is_gone, change.diff) == ("S100.tpl", True, "")


def test_what_was_accepted_is_not_told_again(plugin: LoadedPlugin) -> None:
    note_originals(plugin.folder, plugin.info)
    upgraded = upgrade(plugin, base="new\n", S100="new\n")
    accept_originals(upgraded.folder, upgraded.info, ["base.tpl", "unheard-of.tpl"])
    assert [change.path for change in changes(upgraded)] == ["S100.tpl"]
    assert read_origins(upgraded.folder)["base.tpl"].version == "1.1"


def test_a_template_that_is_removed_and_made_again_is_made_from_what_is_there_then(plugin: LoadedPlugin) -> None:
    note_originals(plugin.folder, plugin.info)
    (plugin.folder / "var/templates/base.tpl").unlink()
    note_originals(plugin.folder, plugin.info)
    upgraded = upgrade(plugin, base="new\n")
    write(plugin.folder / "var/templates/base.tpl", "mine again\n")
    assert changes(upgraded) == []


def test_a_fresh_copy_of_the_new_original_is_made_from_that(plugin: LoadedPlugin) -> None:
    note_originals(plugin.folder, plugin.info)
    upgraded = upgrade(plugin, base="new\n")
    write(plugin.folder / "var/templates/base.tpl", "new\n")
    assert changes(upgraded) == []
    write(plugin.folder / "var/templates/base.tpl", "new\nmine\n")
    assert changes(upgraded) == []


def test_one_that_cannot_be_read_for_a_while_is_not_forgotten(plugin: LoadedPlugin) -> None:
    note_originals(plugin.folder, plugin.info)
    (plugin.folder / "var/templates/base.tpl").write_bytes(b"\xff")
    assert [change.path for change in changes(upgrade(plugin, base="new\n"))] == ["base.tpl"]


@pytest.mark.parametrize(
    "content",
    ["", "x", "[]", "{}", '{"templates": {"base.tpl": {}}, "texts": {}}', '{"templates": [], "texts": {}}', "\udcff"],
)
def test_a_damaged_note_is_said_and_made_anew(
    plugin: LoadedPlugin, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    (plugin.folder / FILE_NAME).write_bytes(content.encode("utf-8", "surrogateescape"))
    assert changes(plugin) == []
    assert "what custom templates were made from is not known" in caplog.text
    caplog.clear()
    assert set(read_origins(plugin.folder)) == {"base.tpl", "S100.tpl"}
    assert not caplog.records


def test_a_note_that_cannot_be_written_is_only_logged(plugin: LoadedPlugin, caplog: pytest.LogCaptureFixture) -> None:
    (plugin.folder / FILE_NAME).mkdir()
    assert set(note_originals(plugin.folder, plugin.info)) == {"base.tpl", "S100.tpl"}
    assert "cannot be written: file=" in caplog.text
    assert not list(plugin.folder.rglob(".provd-*"))


def test_the_note_is_beside_the_folder_that_administrators_copy_and_is_not_served(plugin: LoadedPlugin) -> None:
    note_originals(plugin.folder, plugin.info)
    path = plugin.folder / FILE_NAME
    assert path.parent == plugin.folder / "var"
    assert path.name.startswith(".")


def test_the_note_is_not_written_without_need(plugin: LoadedPlugin) -> None:
    note_originals(plugin.folder, plugin.info)
    before = (plugin.folder / FILE_NAME).stat()
    note_originals(plugin.folder, plugin.info)
    changes(plugin)
    assert (plugin.folder / FILE_NAME).stat().st_ino == before.st_ino


def test_the_server_notes_them_when_it_loads_a_plugin_and_when_it_looks_again(plugin: LoadedPlugin) -> None:
    host = PluginHost(plugin.folder.parent)
    host.load_all(BASE)
    assert set(read_origins(plugin.folder)) == {"base.tpl", "S100.tpl"}
    write(plugin.folder / "var/templates/S200.tpl", "mine\n")
    host.look_at_templates(plugin.id)
    assert set(read_origins(plugin.folder)) == {"base.tpl", "S100.tpl", "S200.tpl"}
    host.look_at_templates("xivo-nothing-1")
