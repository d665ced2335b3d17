"""Upgrading: what is somebody's own stays, what came with the old version goes, and phones never see a gap."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from provd.errors import NotFoundError, PluginLoadError, RepositoryError
from provd.plugins import carrying, installer, staging
from provd.plugins.files import Problem, open_file
from provd.plugins.installer import install_archive, prepare_upgrade, upgrade_archive
from provd.plugins.loader import load_plugin, try_plugin
from provd.plugins.shipped import MANIFEST_NAME

from .archives import archive
from .sample import ENTRY, INFO, PLUGIN_ID, write, write_plugin

OLD = {
    "templates/base.tpl": "old",
    "templates/gone.tpl": "old",
    "common.py": "",
    "var/tftpboot/static.cfg": "old",
    "var/tftpboot/gone.cfg": "old",
    "var/tftpboot/sub/gone.cfg": "old",
    "var/templates/example.tpl": "old",
    "var/templates/edited.tpl": "old",
}
NEW = {"templates/base.tpl": "new", "new.py": "", "var/tftpboot/static.cfg": "new", "var/templates/example.tpl": "new",
       "var/templates/edited.tpl": "new"}  # fmt: skip
OWN = {
    "var/templates/base.tpl": "mine",
    "var/templates/edited.tpl": "mine",
    "var/templates/deep/er.tpl": "mine",
    "var/cache/vendor.zip": "mine",
    "var/installed/firmware": "{}",
    "var/notes": "mine",
    "var/tftpboot/00085D000001.cfg": "secret",
    "var/tftpboot/fw/firmware.bin": "mine",
    "var/tftpboot/gone.cfg": "changed by somebody",
}


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    folder = tmp_path / "plugins"
    folder.mkdir()
    return folder


@pytest.fixture
def installed(plugins: Path) -> Path:
    """A plugin with which somebody has worked."""
    folder = install_archive(PLUGIN_ID, archive(OLD), plugins)
    for path, content in OWN.items():
        write(folder / path, content)
    (folder / "var/tftpboot/00085D000001.cfg").chmod(0o600)
    (folder / "var/tftpboot/empty").mkdir()
    (folder / "var/tftpboot/link.cfg").symlink_to("static.cfg")
    return folder


def content_of(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and path.name != MANIFEST_NAME
    }


def upgraded(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What is there after an upgrade to version 2.0, and `more`."""
    info = json.dumps({**INFO, "version": "2.0"})
    return {"plugin-info": info, "entry.py": ENTRY, **NEW, **OWN, **(more or {})}


def assert_nothing_is_left(plugins: Path) -> None:
    assert [path.name for path in plugins.iterdir()] == [PLUGIN_ID]


def test_what_is_somebodys_own_stays_and_what_was_shipped_goes(plugins: Path, installed: Path) -> None:
    firmware = (installed / "var/tftpboot/fw/firmware.bin").stat().st_ino
    assert upgrade_archive(PLUGIN_ID, archive(NEW, version="2.0"), plugins) == installed
    assert content_of(installed) == upgraded()
    assert load_plugin(installed).info.version == "2.0"
    assert (installed / "var/tftpboot/fw/firmware.bin").stat().st_ino == firmware  # not copied
    assert (installed / "var/tftpboot/00085D000001.cfg").stat().st_mode & 0o777 == 0o600
    assert (installed / "var/tftpboot/empty").is_dir()
    assert os.readlink(installed / "var/tftpboot/link.cfg") == "static.cfg"
    assert not (installed / "var/tftpboot/sub").exists()
    assert_nothing_is_left(plugins)


def test_the_next_upgrade_knows_what_this_one_brought(plugins: Path, installed: Path) -> None:
    upgrade_archive(PLUGIN_ID, archive({**NEW, "var/tftpboot/only-2.cfg": "x"}, version="2.0"), plugins)
    upgrade_archive(PLUGIN_ID, archive(version="3.0"), plugins)
    assert {path: text for path, text in content_of(installed).items() if path.startswith("var/")} == OWN


def test_the_same_version_again_mends_it(plugins: Path, installed: Path) -> None:
    (installed / "entry.py").unlink()
    write(installed / "templates/base.tpl", "broken")
    upgrade_archive(PLUGIN_ID, archive(OLD), plugins)
    expected = {**OLD, **OWN, "var/tftpboot/gone.cfg": "old", "templates/base.tpl": "old"}
    found = content_of(installed)
    assert {path: found[path] for path in expected} == expected
    assert (installed / "entry.py").exists()


def test_of_a_plugin_that_was_put_there_by_hand_everything_below_var_stays(plugins: Path) -> None:
    folder = write_plugin(plugins, files={"var/tftpboot/static.cfg": "?", "var/tftpboot/x.cfg": "?", "notes": "?"})
    upgrade_archive(PLUGIN_ID, archive(NEW, version="2.0"), plugins)
    found = content_of(folder)
    assert found["var/tftpboot/x.cfg"] == "?"
    assert found["var/tftpboot/static.cfg"] == "new"
    assert "notes" not in found


@pytest.mark.parametrize("noted", ["", "{", "[]", '{"sha256sums": 1}', '{"sha256sums": {"x": 1}}', "[" * 100_000])
def test_a_damaged_manifest_is_none(plugins: Path, installed: Path, noted: str) -> None:
    (installed / MANIFEST_NAME).write_text(noted)
    upgrade_archive(PLUGIN_ID, archive(NEW, version="2.0"), plugins)
    assert content_of(installed).items() >= {**OWN, "var/tftpboot/sub/gone.cfg": "old"}.items()


def test_a_plugin_without_var_can_be_upgraded(plugins: Path) -> None:
    folder = install_archive(PLUGIN_ID, archive(), plugins)
    upgrade_archive(PLUGIN_ID, archive(version="2.0"), plugins)
    assert load_plugin(folder).info.version == "2.0"


# --- while it is going on


def test_what_changes_meanwhile_is_not_lost(plugins: Path, installed: Path) -> None:
    upgrade = prepare_upgrade(PLUGIN_ID, archive(NEW, version="2.0"), plugins)
    write(installed / "var/templates/later.tpl", "later")
    replace(installed / "var/templates/base.tpl", "replaced")
    with (installed / "var/templates/deep/er.tpl").open("a") as file:
        file.write(" and more")
    (installed / "var/notes").unlink()
    (installed / "var/tftpboot/00085D000001.cfg").unlink()
    replace(installed / "var/tftpboot/00085D000002.cfg", "rendered")
    assert (upgrade.folder / "var/notes").exists()
    upgrade.swap()
    expected = upgraded({
        "var/templates/later.tpl": "later", "var/templates/base.tpl": "replaced",
        "var/templates/deep/er.tpl": "mine and more", "var/tftpboot/00085D000002.cfg": "rendered",
    })  # fmt: skip
    del expected["var/notes"], expected["var/tftpboot/00085D000001.cfg"]
    assert content_of(installed) == expected
    assert_nothing_is_left(plugins)


def test_what_changes_at_the_last_moment_is_not_lost_either(
    plugins: Path, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the last look and the swap, and between the swap and the look after it."""
    real_swap = staging.swap

    def swap(old: Path, new: Path) -> None:
        write(installed / "var/templates/later.tpl", "before")
        replace(installed / "var/templates/base.tpl", "before")
        replace(installed / "var/cache/vendor.zip", "before")
        (installed / "var/notes").unlink()
        real_swap(old, new)
        replace(installed / "var/templates/base.tpl", "after")
        (installed / "var/installed/firmware").unlink()

    monkeypatch.setattr(installer, "swap", swap)
    upgrade_archive(PLUGIN_ID, archive(NEW, version="2.0"), plugins)
    found = content_of(installed)
    assert found["var/templates/later.tpl"] == found["var/cache/vendor.zip"] == "before"
    assert found["var/templates/base.tpl"] == "after"
    assert "var/notes" not in found
    assert "var/installed/firmware" not in found


def replace(path: Path, content: str) -> None:
    """As most editors save, and as the server does."""
    other = path.with_name(".provd-0" if "tftpboot" in str(path) else ".swp")
    other.write_text(content)
    other.rename(path)


@pytest.mark.parametrize("can_exchange", [True, False])
def test_phones_see_the_old_or_the_new_files_and_never_a_gap(
    plugins: Path, installed: Path, can_exchange: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not can_exchange:
        monkeypatch.setattr(staging, "_exchange", lambda *_: False)
    root = str(installed / "var/tftpboot")
    seen: set[str] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            for name in ("static.cfg", "fw/firmware.bin", "00085D000001.cfg"):
                opened = open_file(root, name)
                if isinstance(opened, Problem):
                    seen.add(f"{name}: {opened.name}")
                else:
                    seen.add(f"{name}: {opened.read_all().decode()}")
                    opened.close()

    thread = threading.Thread(target=look)
    thread.start()
    for number in range(30):
        upgrade_archive(PLUGIN_ID, archive({"var/tftpboot/static.cfg": "ab"[number % 2]}, version="2.0"), plugins)
    stop.set()
    thread.join()
    allowed = {"static.cfg: old", "static.cfg: a", "static.cfg: b", "fw/firmware.bin: mine", "00085D000001.cfg: secret"}
    if can_exchange:
        assert seen <= allowed
    assert seen & {"static.cfg: a", "static.cfg: b"}
    assert_nothing_is_left(plugins)


# --- what fails


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"no archive",
        archive(NEW)[:-20],
        archive(NEW, plugin_id="another"),
        archive({"../x": ""}),
        archive({"plugin-info": "{"}),
        archive({"plugin-info": '{"version": "2", "description": "", "capabilities": {}, '
                                '"plugin_iface_version_min": 99}'}),
        archive({"var/tftpboot/fw": "a file where a folder is"}),
    ],
    ids=["empty", "none", "cut off", "another", "hostile", "bad info", "other interface", "in the way"],
)  # fmt: skip
def test_what_cannot_be_installed_leaves_the_old_version(plugins: Path, installed: Path, bad: bytes) -> None:
    before = content_of(installed)
    with pytest.raises((RepositoryError, PluginLoadError)):
        upgrade_archive(PLUGIN_ID, bad, plugins)
    assert content_of(installed) == before
    assert_nothing_is_left(plugins)


@pytest.mark.parametrize("entry", ["def (", "raise ValueError('no')", "raise SystemExit", "x = 1", "import no_such"])
def test_a_version_that_does_not_load_does_not_replace_one_that_does(
    plugins: Path, installed: Path, entry: str
) -> None:
    before = content_of(installed)
    running = load_plugin(installed)
    with pytest.raises(PluginLoadError, match=r"entry\.py"):
        upgrade_archive(PLUGIN_ID, archive({"entry.py": entry}), plugins, check=try_plugin)
    assert content_of(installed) == before
    assert_nothing_is_left(plugins)
    with pytest.raises(PluginLoadError):
        install_archive("xivo-other-1.0", archive({"entry.py": entry}, "xivo-other-1.0"), plugins, check=try_plugin)
    assert_nothing_is_left(plugins)
    assert running.code.is_sensitive("00085D000001.cfg")


IMPORTS_LATE = """
from provd.plugins.api import Plugin

class LatePlugin(Plugin):
    IS_PLUGIN = True

    def is_sensitive(self, path):
        from .late import WHO
        return WHO
"""


def test_trying_a_plugin_does_not_disturb_the_one_that_runs(plugins: Path, installed: Path) -> None:
    write(installed / "late.py", "WHO = 'the one that runs'")
    write(installed / "entry.py", IMPORTS_LATE)
    running = load_plugin(installed)
    other = write_plugin(plugins.parent / "other", entry=IMPORTS_LATE, files={"late.py": "WHO = 'another'"})
    try_plugin(other)
    assert running.code.is_sensitive("x") == "the one that runs"


def test_what_is_not_installed_cannot_be_upgraded(plugins: Path) -> None:
    with pytest.raises(NotFoundError, match="is not installed"):
        upgrade_archive(PLUGIN_ID, archive(), plugins)
    assert list(plugins.iterdir()) == []


def test_a_swap_that_the_system_refuses_leaves_the_old_version(
    plugins: Path, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Path) -> None:
        raise OSError(28, "No space left on device")

    before = content_of(installed)
    monkeypatch.setattr(installer, "swap", refuse)
    with pytest.raises(RepositoryError, match=r"cannot be upgraded, and stays as it is: .*No space left"):
        upgrade_archive(PLUGIN_ID, archive(NEW), plugins)
    assert content_of(installed) == before
    assert_nothing_is_left(plugins)


@pytest.mark.parametrize("link", ["var", "var/tftpboot"])
def test_a_folder_that_is_elsewhere_is_not_lost(plugins: Path, installed: Path, link: str, tmp_path: Path) -> None:
    (installed / link).rename(tmp_path / "elsewhere")
    (installed / link).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RepositoryError, match="stays as it is"):
        upgrade_archive(PLUGIN_ID, archive(NEW), plugins)
    assert (installed / link).is_symlink()
    assert (installed / "var/tftpboot/fw/firmware.bin").read_text() == "mine"


def test_templates_that_are_elsewhere_stay_there(plugins: Path, installed: Path, tmp_path: Path) -> None:
    (installed / "var/templates").rename(tmp_path / "elsewhere")
    (installed / "var/templates").symlink_to(tmp_path / "elsewhere")
    upgrade_archive(PLUGIN_ID, archive(version="2.0"), plugins)
    assert os.readlink(installed / "var/templates") == str(tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere/base.tpl").read_text() == "mine"


def test_what_cannot_be_linked_is_copied_and_what_cannot_be_read_is_moved(
    plugins: Path, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with the files of root, while the server is another user."""
    real_copy = carrying.shutil.copy2

    def no_link(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    def copy(source: Path, target: Path, **options: bool) -> None:
        if source.name == "notes":
            raise PermissionError(13, "Permission denied")
        real_copy(source, target, **options)

    monkeypatch.setattr(carrying.os, "link", no_link)
    monkeypatch.setattr(carrying.shutil, "copy2", copy)
    upgrade = prepare_upgrade(PLUGIN_ID, archive(NEW, version="2.0"), plugins)
    with (installed / "var/templates/base.tpl").open("a") as file:
        file.write(", changed")
    upgrade.swap()
    assert content_of(installed) == upgraded({"var/templates/base.tpl": "mine, changed"})
    assert_nothing_is_left(plugins)
