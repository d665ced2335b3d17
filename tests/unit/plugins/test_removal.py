"""Uninstalling: nothing is left but the templates that somebody wrote."""

from __future__ import annotations

import errno
import stat
import tarfile
from pathlib import Path

import pytest

from provd.errors import NotFoundError, PluginError
from provd.plugins import removal
from provd.plugins.custom_templates.originals import FILE_NAME as ORIGINALS
from provd.plugins.installer import install_archive
from provd.plugins.recovery import recover
from provd.plugins.removal import templates_to_save, uninstall
from provd.plugins.staging import REMOVING

from .archives import archive
from .sample import PLUGIN_ID, write


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    (tmp_path / "plugins").mkdir()
    return tmp_path / "plugins"


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    return tmp_path / "backups"


@pytest.fixture
def installed(plugins: Path) -> Path:
    folder = install_archive(PLUGIN_ID, archive({"var/templates/example.tpl": "shipped"}), plugins)
    write(folder / "var/templates/base.tpl", "mine")
    write(folder / "var/templates/common/all.tpl", "mine too")
    write(folder / "var/templates/.provd-0", "temporary")
    return folder


def test_templates_to_save_are_those_that_did_not_come_with_the_plugin(installed: Path) -> None:
    assert templates_to_save(installed) == ["base.tpl", "common/all.tpl"]
    write(installed / "var/templates/example.tpl", "edited")
    assert templates_to_save(installed) == ["base.tpl", "common/all.tpl", "example.tpl"]
    assert templates_to_save(installed / "none") == []


def test_a_plugin_goes_and_its_templates_are_saved_for_nobody_else(
    plugins: Path, backups: Path, installed: Path
) -> None:
    write(installed / ORIGINALS, "{}")
    backup = uninstall(PLUGIN_ID, plugins, backups)
    assert list(plugins.iterdir()) == []
    assert backup is not None
    assert backup.parent == backups
    assert backup.name.startswith(f"{PLUGIN_ID}-20")
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert stat.S_IMODE(backups.stat().st_mode) == 0o700
    with tarfile.open(backup) as saved:
        names = ["var/templates/base.tpl", "var/templates/common/all.tpl", ORIGINALS]
        assert saved.getnames() == [f"{PLUGIN_ID}/{name}" for name in names]
        install_archive(PLUGIN_ID, archive(), plugins)
        saved.extractall(plugins)
    assert templates_to_save(installed) == ["base.tpl", "common/all.tpl"]


def test_backups_of_the_same_second_have_their_own_names(plugins: Path, backups: Path, installed: Path) -> None:
    for _ in range(3):
        write(installed / "var/templates/base.tpl", "mine")
        uninstall(PLUGIN_ID, plugins, backups)
    assert len(list(backups.iterdir())) == 3


def test_without_templates_there_is_no_backup(plugins: Path, backups: Path) -> None:
    install_archive(PLUGIN_ID, archive(), plugins)
    assert uninstall(PLUGIN_ID, plugins, backups) is None
    assert not backups.exists()
    assert list(plugins.iterdir()) == []


@pytest.mark.parametrize("plugin_id", ["none", "", ".", "..", "../plugins", ".provd-trash-0"])
def test_what_is_not_installed_cannot_be_uninstalled(plugins: Path, backups: Path, plugin_id: str) -> None:
    (plugins / ".provd-trash-0").mkdir()
    with pytest.raises(NotFoundError, match="is not installed"):
        uninstall(plugin_id, plugins, backups)


def test_templates_that_cannot_be_saved_keep_the_plugin(plugins: Path, backups: Path, installed: Path) -> None:
    backups.write_bytes(b"")
    before = sorted(installed.rglob("*"))
    with pytest.raises(PluginError, match="cannot be uninstalled, and stays as it is"):
        uninstall(PLUGIN_ID, plugins, backups)
    assert sorted(installed.rglob("*")) == before
    assert [path.name for path in plugins.iterdir()] == [PLUGIN_ID]


def test_a_removal_that_was_interrupted_is_finished(plugins: Path, backups: Path, installed: Path) -> None:
    folder = plugins / f"{REMOVING}0"
    folder.mkdir()
    installed.rename(folder / PLUGIN_ID)
    recover(plugins, backups)
    assert list(plugins.iterdir()) == []
    assert len(list(backups.iterdir())) == 1


def test_a_removal_whose_templates_were_saved_saves_them_not_again(
    plugins: Path, backups: Path, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "drop", lambda _: None)  # as if it had been killed here
    uninstall(PLUGIN_ID, plugins, backups)
    monkeypatch.undo()
    recover(plugins, backups)
    assert list(plugins.iterdir()) == []
    assert len(list(backups.iterdir())) == 1


def test_a_removal_that_cannot_be_finished_is_tried_again(
    plugins: Path, backups: Path, installed: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = plugins / f"{REMOVING}0"
    folder.mkdir()
    installed.rename(folder / PLUGIN_ID)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(removal.os, "fsync", full)
    recover(plugins, backups)
    assert "No space left on device" in caplog.text
    assert (folder / PLUGIN_ID / "var/templates/base.tpl").read_text() == "mine"
    monkeypatch.undo()
    recover(plugins, backups)
    assert list(plugins.iterdir()) == []
    assert [path.name[:1] for path in backups.iterdir()] == ["x"]
