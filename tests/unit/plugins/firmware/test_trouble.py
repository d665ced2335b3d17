"""Full disks, damaged records, missing folders."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from provd.errors import NotFoundError, PackageError
from provd.plugins.firmware.values import Installed

from .sample import FIRMWARE, Plugin


def test_a_full_or_broken_disk_changes_nothing(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin.offer_files("fw", FIRMWARE)
    rename, count = os.rename, 0

    def full(*names: str) -> None:
        nonlocal count
        count += str(names[1]).startswith(str(plugin.root))
        if count == 2 and Path(names[1]).name == "de.txt":
            raise OSError(28, "No space left on device", str(names[1]))
        rename(*names)

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(PackageError, match=r"Sample/i18n/de\.txt: No space left on device"):
        plugin.install("fw")
    assert (plugin.tree(), plugin.manager.installed(), plugin.leftovers()) == ({}, {}, [])
    plugin.install("fw")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pkg_info": 1}', "\0", "[" * 5000])
def test_a_damaged_record_disturbs_no_other(plugin: Plugin, text: str) -> None:
    plugin.offer_files("fw", FIRMWARE)
    (plugin.folder / "var/installed/broken").write_text(text)
    plugin.install("fw")
    assert list(plugin.manager.installed()) == ["fw"]


@pytest.mark.parametrize("path", ["../../precious", "/etc/x", "", "a/../b"])
def test_a_record_that_was_tampered_with_removes_nothing_outside(plugin: Plugin, path: str) -> None:
    plugin.offer_files("fw", FIRMWARE)
    plugin.install("fw")
    record = plugin.folder / "var/installed/fw"
    record.write_text(record.read_text().replace("Sample/a.st", path))
    with pytest.raises(NotFoundError):
        plugin.manager.uninstall("fw")
    assert plugin.tree() == FIRMWARE


def test_the_definition_of_an_installed_package_has_gone(plugin: Plugin) -> None:
    plugin.offer_files("fw", FIRMWARE)
    plugin.install("fw")
    plugin.define("fw", "")
    assert plugin.manager.installable() == {}
    assert plugin.manager.installed() == {"fw": Installed("1.0", "Firmware fw", explicit=True)}
    plugin.manager.uninstall("fw")
    assert plugin.tree() == {}


def test_a_plugin_without_its_folders(tmp_path: Path) -> None:
    plugin = Plugin(tmp_path / "plugin")
    plugin.offer_files("fw", FIRMWARE)
    shutil.rmtree(plugin.folder / "var")
    assert (plugin.manager.installed(), plugin.manager.recover()) == ({}, None)
    plugin.install("fw")
    assert plugin.tree() == FIRMWARE
