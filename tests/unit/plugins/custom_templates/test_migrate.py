"""Custom templates are copied from one plugin to another, and what to look at is told."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from provd.errors import InvalidValueError, PluginLoadError
from provd.plugins.custom_templates.migrate import Migrated, Outcome, migrate
from provd.plugins.custom_templates.originals import note_originals, read_origins
from provd.plugins.custom_templates.upgrades import changed_originals
from provd.plugins.info import read_plugin_info

from ..sample import INFO, write, write_plugin

OLD, NEW = "xivo-sample-1.0", "xivo-sample-2.0"
NEW_INFO = {**INFO, "version": "2.0", "models": {"S100": {"lines": 2}}}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    shipped = {"templates/base.tpl": "base\n", "templates/S100.tpl": "S100\n", "templates/S200.tpl": "S200\n"}
    return write_plugin(tmp_path, OLD, files=shipped)


@pytest.fixture
def new(tmp_path: Path) -> Path:
    shipped = {"templates/base.tpl": "base\nnew\n", "templates/S100.tpl": "S100\n"}
    return write_plugin(tmp_path, NEW, info=NEW_INFO, files=shipped)


def customise(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        write(folder / "var/templates" / f"{name}.tpl", text)


def custom(folder: Path) -> dict[str, str]:
    top = folder / "var/templates"
    return {path.relative_to(top).as_posix(): path.read_text() for path in top.rglob("*") if path.is_file()}


def migrated(old: Path, new: Path, *, dry_run: bool = False) -> dict[str, Migrated]:
    return {each.path: each for each in migrate(old, new, dry_run=dry_run)}


def test_templates_are_copied_with_their_folders_and_modes(old: Path, new: Path) -> None:
    customise(old, **{"base": "mine", "00085D000001.cfg": "one phone", "parts/own": "part"})
    (old / "var/templates/base.tpl").chmod(0o640)
    report = migrated(old, new)
    assert {each.outcome for each in report.values()} == {Outcome.COPIED}
    assert custom(new) == custom(old)
    assert stat.S_IMODE((new / "var/templates/base.tpl").stat().st_mode) == 0o640


def test_other_files_are_left(old: Path, new: Path) -> None:
    write(old / "var/templates/notes.txt", "x")
    write(old / "var/templates/base.tpl~", "x")
    assert migrated(old, new) == {}
    assert not (new / "var/templates").exists()


def test_a_dry_run_tells_the_same_and_writes_nothing(old: Path, new: Path) -> None:
    customise(old, base="mine", S200="mine")
    customise(new, base="another")
    before = sorted((path, path.stat().st_mtime_ns) for path in old.parent.rglob("*"))
    report = migrated(old, new, dry_run=True)
    assert sorted((path, path.stat().st_mtime_ns) for path in old.parent.rglob("*")) == before
    assert migrated(old, new) == report


def test_the_same_text_that_is_there_is_told(old: Path, new: Path) -> None:
    customise(old, base="mine")
    customise(new, base="mine")
    assert migrated(old, new)["base.tpl"].outcome is Outcome.IDENTICAL


def test_another_text_that_is_there_is_kept_and_told(old: Path, new: Path) -> None:
    customise(old, base="mine\n")
    customise(new, base="another\n")
    told = migrated(old, new)["base.tpl"]
    assert told.outcome is Outcome.CONFLICT
    assert told.conflict_diff == (
        f"--- {NEW}/var/templates/base.tpl\n+++ {OLD}/var/templates/base.tpl\n@@ -1 +1 @@\n-another\n+mine\n"
    )
    assert custom(new) == {"base.tpl": "another\n"}


def test_doing_it_again_changes_nothing(old: Path, new: Path) -> None:
    customise(old, base="mine")
    migrate(old, new)
    before = (new / "var/templates/base.tpl").stat().st_ino
    assert migrated(old, new)["base.tpl"].outcome is Outcome.IDENTICAL
    assert (new / "var/templates/base.tpl").stat().st_ino == before


def test_an_original_that_differs_is_told_with_the_difference(old: Path, new: Path) -> None:
    customise(old, base="mine", S100="mine")
    report = migrated(old, new)
    assert report["base.tpl"].original_diff == (
        f"--- {OLD}/templates/base.tpl 1.0\n+++ {NEW}/templates/base.tpl 2.0\n@@ -1 +1,2 @@\n base\n+new\n"
    )
    assert report["S100.tpl"].original_diff == ""
    assert (report["S100.tpl"].original, report["S100.tpl"].original_is_missing) == ("S100.tpl", False)


def test_a_missing_original_and_an_unknown_model_are_told(old: Path, new: Path) -> None:
    customise(old, **{"S200": "mine", "X300": "mine", "base": "mine", "00085D000001.cfg": "mine", "parts/own": "mine"})
    report = migrated(old, new)
    assert {path for path, each in report.items() if each.original_is_missing} == {"S200.tpl"}
    assert {path for path, each in report.items() if each.unknown_model} == {"S200.tpl", "X300.tpl"}
    assert report["parts/own.tpl"].original is None


def test_what_they_were_made_from_goes_with_them(old: Path, new: Path) -> None:
    customise(old, base="mine", S100="mine")
    note_originals(old, read_plugin_info(old))
    write(old / "templates/base.tpl", "base\nold\n")
    migrate(old, new)
    origins = read_origins(new)
    assert (origins["base.tpl"].plugin, origins["base.tpl"].text) == (OLD, "base\n")
    assert (origins["S100.tpl"].plugin, origins["S100.tpl"].version) == (NEW, "2.0")
    (change,) = changed_originals(new, read_plugin_info(new))
    assert (change.path, change.plugin, change.version) == ("base.tpl", OLD, "1.0")
    assert change.diff.endswith("@@ -1 +1,2 @@\n base\n+new\n")


def test_one_that_cannot_be_copied_does_not_stop_the_others(old: Path, new: Path) -> None:
    customise(old, **{"S100": "mine", "parts/own": "mine", "base": "mine"})
    (old / "var/templates/S100.tpl").write_bytes(b"\xff")
    write(new / "var/templates/parts", "a file stands where a folder should")
    report = migrated(old, new)
    assert report["base.tpl"].outcome is Outcome.COPIED
    assert report["S100.tpl"].outcome is report["parts/own.tpl"].outcome is Outcome.FAILED
    assert (report["S100.tpl"].reason or "").startswith("var/templates/S100.tpl: cannot be read: ")
    assert report["parts/own.tpl"].reason
    assert not list(new.rglob(".provd-*"))


def test_a_plugin_cannot_be_migrated_to_itself(old: Path) -> None:
    with pytest.raises(InvalidValueError, match="another plugin than the one to copy from"):
        migrate(old, old.parent / "x" / ".." / OLD)


def test_both_must_be_plugins(old: Path, tmp_path: Path) -> None:
    (tmp_path / "no-plugin").mkdir()
    with pytest.raises(PluginLoadError):
        migrate(old, tmp_path / "no-plugin")


def test_a_damaged_note_does_not_matter(old: Path, new: Path) -> None:
    customise(old, S100="mine")
    write(old / "var/.custom-templates.json", json.dumps({"templates": 1}))
    assert migrated(old, new)["S100.tpl"].outcome is Outcome.COPIED
