"""Files of others: never overwritten, never removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from provd.errors import PackageConflictError
from provd.model.operation import Operation

from .sample import FIRMWARE, Plugin


@pytest.mark.parametrize("changed", [False, True])
def test_a_file_that_no_package_put_there_stays(plugin: Plugin, changed: bool) -> None:
    (plugin.root / "Sample").mkdir()
    (plugin.root / "Sample/a.st").write_bytes(b"rendered" if changed else FIRMWARE["Sample/a.st"])
    before = plugin.tree()
    plugin.offer_files("fw", FIRMWARE)
    if changed:
        with pytest.raises(PackageConflictError, match=r"nothing was changed; in the way: Sample/a\.st is "):
            plugin.install("fw")
        assert plugin.manager.installed() == {}
    else:
        plugin.install("fw")
        assert plugin.tree() == FIRMWARE
        plugin.manager.uninstall("fw")
    assert (plugin.tree(), plugin.leftovers()) == (before, [])


def test_many_files_in_the_way_are_told_shortly(plugin: Plugin) -> None:
    files = {f"{number}": b"1" for number in range(9)}
    for name in files:
        (plugin.root / name).write_bytes(b"2")
    plugin.offer_files("fw", files)
    with pytest.raises(PackageConflictError, match=r"4 is there, and no package put it there and 4 more$"):
        plugin.install("fw")


def test_a_file_of_another_package(plugin: Plugin) -> None:
    plugin.offer_files("one", {"S/a": b"1", "S/shared": b"s"})
    plugin.offer_files("two", {"S/b": b"2", "S/shared": b"s"})
    plugin.offer_files("bad", {"S/a": b"other", "S/c": b"3"})
    plugin.install("one")
    plugin.install("two")
    with pytest.raises(PackageConflictError, match="S/a belongs to the package one"):
        plugin.install("bad")
    plugin.manager.uninstall("one")
    assert plugin.tree() == {"S/b": b"2", "S/shared": b"s"}
    plugin.manager.uninstall("two")
    assert plugin.tree() == {}


def test_an_upgrade_leaves_shared_files_to_the_other_package(plugin: Plugin) -> None:
    plugin.offer_files("one", {"shared": b"s"})
    plugin.offer_files("two", {"shared": b"s"})
    plugin.install("one")
    plugin.install("two")
    plugin.offer_files("one", {"shared": b"changed"})
    with pytest.raises(PackageConflictError, match="shared belongs to the package two"):
        plugin.manager.upgrade("one", Operation())
    plugin.offer_files("one", {"mine": b"1"})
    (plugin.folder / "var/cache/one.zip").unlink()
    plugin.manager.upgrade("one", Operation())
    assert plugin.tree() == {"shared": b"s", "mine": b"1"}


def test_a_file_that_was_changed_since_stays(plugin: Plugin) -> None:
    plugin.offer_files("fw", FIRMWARE)
    plugin.install("fw")
    (plugin.root / "Sample/a.st").write_bytes(b"mine")
    with pytest.raises(PackageConflictError, match=r"Sample/a\.st was changed since the package put it there"):
        plugin.manager.upgrade("fw", Operation())
    plugin.manager.uninstall("fw")
    assert plugin.tree() == {"Sample/a.st": b"mine"}


def test_folders_that_were_there_before_stay(plugin: Plugin) -> None:
    (plugin.root / "Sample").mkdir()
    plugin.offer_files("fw", FIRMWARE)
    plugin.install("fw")
    plugin.manager.uninstall("fw")
    assert plugin.tree() == {"Sample/": b""}


@pytest.mark.parametrize("name", ["Sample", "Sample/a.st", "Sample/i18n"])
def test_nothing_is_put_through_links(plugin: Plugin, name: str, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (plugin.root / name).parent.mkdir(exist_ok=True)
    (plugin.root / name).symlink_to(tmp_path / "outside")
    plugin.offer_files("fw", FIRMWARE)
    with pytest.raises(PackageConflictError, match=f"{name} is there, and no f"):
        plugin.install("fw")
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_folder_or_file_in_the_way(plugin: Plugin) -> None:
    plugin.offer_files("fw", FIRMWARE)
    (plugin.root / "Sample").write_bytes(b"")
    with pytest.raises(PackageConflictError, match="Sample is there, and no folder"):
        plugin.install("fw")
    (plugin.root / "Sample").unlink()
    (plugin.root / "Sample/a.st").mkdir(parents=True)
    with pytest.raises(PackageConflictError, match=r"Sample/a\.st is there, and no file"):
        plugin.install("fw")
