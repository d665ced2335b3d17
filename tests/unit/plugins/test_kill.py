"""`kill -9` at any moment of installing, upgrading and uninstalling: after the next start all is old or all is new."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from provd.plugins.info import read_plugin_info
from provd.plugins.installer import install_archive
from provd.plugins.loader import load_plugin
from provd.plugins.recovery import recover
from provd.plugins.shipped import read_manifest, sum_of
from provd.plugins.staging import ASIDE, NEW_MARK, UPGRADE

from .archives import archive
from .sample import PLUGIN_ID, write

ROUNDS = 15
MANY = {f"var/tftpboot/static/{number}.cfg": "{}" for number in range(60)}
OWN = {
    "var/templates/base.tpl": "mine",
    **{f"var/tftpboot/{number:012X}.cfg": "rendered" for number in range(100)},
    **{f"var/templates/{number}.tpl": "mine" for number in range(30)},
}

CHILD = """
import sys
from pathlib import Path
from provd.plugins import staging
from provd.plugins.installer import install_archive, upgrade_archive
from provd.plugins.removal import uninstall

state, plugin, exchanges = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "True"
plugins, backups = state / "plugins", state / "backups"
archives = [(state / name).read_bytes() for name in ("one", "two")]
if not exchanges:
    staging._exchange = lambda *_: False
print("begin", flush=True)
while True:
    for archive in archives:
        upgrade_archive(plugin, archive, plugins)
    uninstall(plugin, plugins, backups)
    install_archive(plugin, archives[0], plugins)
    (plugins / plugin / "var/templates").mkdir(parents=True, exist_ok=True)
    (plugins / plugin / "var/templates/again.tpl").write_text("mine")
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "plugins").mkdir()
    for name, version in (("one", "1.0"), ("two", "2.0")):
        files = {path: text.format(version) for path, text in MANY.items()}
        (tmp_path / name).write_bytes(archive({**files, f"only-{version}.py": ""}, version=version))
    return tmp_path


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_kill_at_any_moment_leaves_the_old_or_the_new(state: Path, exchanges: bool) -> None:
    plugins, backups = state / "plugins", state / "backups"
    chance = random.Random(5)
    for _ in range(ROUNDS):
        if not (plugins / PLUGIN_ID).exists():
            install_archive(PLUGIN_ID, (state / "one").read_bytes(), plugins)
        for path, content in OWN.items():
            write(plugins / PLUGIN_ID / path, content)
        saved = set(backups.iterdir()) if backups.exists() else set()
        kill_a_child(state, exchanges, chance.uniform(0.0, 0.12))
        recover(plugins, backups)
        there = {path.name for path in plugins.iterdir()}
        assert there <= {PLUGIN_ID}
        new_backups = (set(backups.iterdir()) if backups.exists() else set()) - saved
        assert not [path for path in new_backups if path.name.startswith(".")]
        if there:
            assert_whole(plugins / PLUGIN_ID)
        if there and not new_backups:
            assert {path: (plugins / PLUGIN_ID / path).read_text() for path in OWN} == OWN
        else:
            assert len([path for path in new_backups if holds_templates(path)]) == 1


def kill_a_child(state: Path, exchanges: bool, after_s: float) -> None:
    command = [sys.executable, "-c", CHILD, str(state), PLUGIN_ID, str(exchanges)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"begin\n"
        time.sleep(after_s)
        child.kill()
    assert child.returncode == -9


def assert_whole(folder: Path) -> None:
    """Every file that came with the plugin's version is there, and none of another version."""
    version = read_plugin_info(folder).version
    manifest = read_manifest(folder)
    assert len(manifest) == len(MANY) + 3
    assert all(sum_of(folder / path) == sum_ for path, sum_ in manifest.items())
    assert [path.name for path in folder.glob("only-*")] == [f"only-{version}.py"]
    assert {path.read_text() for path in (folder / "var/tftpboot/static").iterdir()} == {version}
    assert not (folder / NEW_MARK).exists()
    load_plugin(folder)


def holds_templates(backup: Path) -> bool:
    with tarfile.open(backup) as saved:
        names = set(saved.getnames())
    return {f"{PLUGIN_ID}/{path}" for path in OWN if path.startswith("var/templates")} <= names


# --- the moments that are too short to be hit


def test_between_two_renames_the_old_version_comes_back(state: Path) -> None:
    plugins = state / "plugins"
    folder = install_archive(PLUGIN_ID, archive(version="1.0"), plugins)
    staging = plugins / f"{UPGRADE}0"
    install_archive(PLUGIN_ID, archive(version="2.0"), made(staging))
    write(staging / PLUGIN_ID / NEW_MARK, "")
    folder.rename(made(staging / ASIDE) / PLUGIN_ID)
    recover(plugins, state / "backups")
    assert read_plugin_info(folder).version == "1.0"
    assert [path.name for path in plugins.iterdir()] == [PLUGIN_ID]


@pytest.mark.parametrize("aside", [True, False])
def test_after_the_swap_templates_of_the_last_moment_are_kept(state: Path, aside: bool) -> None:
    plugins = state / "plugins"
    folder = install_archive(PLUGIN_ID, archive(version="2.0"), plugins)
    write(folder / NEW_MARK, "")
    staging = made(plugins / f"{UPGRADE}0")
    old = install_archive(PLUGIN_ID, archive({"var/x": ""}, version="1.0"), made(staging / ASIDE) if aside else staging)
    write(old / "var/templates/added.tpl", "added")
    write(old / "var/tftpboot/withdrawn.cfg", "secret")
    for path, newer in (("var/templates/newer.tpl", old), ("var/templates/older.tpl", folder)):
        for each in (old, folder):
            os.utime(write(each / path, "the newer one" if each == newer else "the older one"), (0, each == newer))
    recover(plugins, state / "backups")
    assert read_plugin_info(folder).version == "2.0"
    templates = {path.name: path.read_text() for path in (folder / "var/templates").iterdir()}
    assert templates == {"added.tpl": "added", "newer.tpl": "the newer one", "older.tpl": "the newer one"}
    assert not (folder / "var/tftpboot/withdrawn.cfg").exists()
    assert not (folder / "var/x").exists()
    assert not (folder / NEW_MARK).exists()
    assert [path.name for path in plugins.iterdir()] == [PLUGIN_ID]


def test_anything_else_that_was_left_goes(state: Path) -> None:
    plugins, backups = state / "plugins", made(state / "backups")
    write(plugins / ".provd-0123", "a list that was being written")
    write(plugins / ".provd-install-0" / PLUGIN_ID / "plugin-info", "{}")
    write(plugins / ".provd-trash-0" / "x" / "y", "")
    write(plugins / ".provd-0" / PLUGIN_ID / "x", "")
    write(backups / ".provd-0", "half a backup")
    (plugins / ".provd-link").symlink_to(state)
    write(plugins / "plugins.db", "{}")
    recover(plugins, backups)
    assert [path.name for path in plugins.iterdir()] == ["plugins.db"]
    assert list(backups.iterdir()) == []
    assert (state / "one").exists()


def made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder
