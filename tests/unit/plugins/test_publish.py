"""Putting rendered files down and taking them away: atomic, private, and only when something changed."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from provd.atomicfile import TEMPORARY_PREFIX, write_file
from provd.errors import PluginError
from provd.plugins.publish import publish, withdraw
from provd.plugins.rendering import RenderedFile

from .sample import write

FULL_DISK = Path(__file__).with_name("full_disk.py")


def file(path: str, content: bytes = b"new") -> RenderedFile:
    return RenderedFile(path, content, sensitive=True, proves_sync=False)


def files_below(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "tftpboot"
    root.mkdir()
    return root


def test_files_are_written_with_the_folders_above_them(root: Path) -> None:
    assert publish(root, [file("a"), file("Sample/deep/b", b"")]) == 2
    assert files_below(root) == {"a": b"new", "Sample/deep/b": b""}


def test_a_missing_root_is_made(tmp_path: Path) -> None:
    publish(tmp_path / "gone" / "tftpboot", [file("a")])
    assert (tmp_path / "gone/tftpboot/a").read_bytes() == b"new"


def test_a_file_that_did_not_change_is_left_alone(root: Path) -> None:
    publish(root, [file("a"), file("b")])
    os.utime(root / "a", ns=(1, 1))
    before = (root / "a").stat()
    assert publish(root, [file("a"), file("b", b"changed")]) == 1
    after = (root / "a").stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )


def test_a_changed_file_is_a_new_one_so_that_a_running_transfer_keeps_the_old(root: Path) -> None:
    publish(root, [file("a", b"old")])
    with (root / "a").open("rb") as transfer:
        publish(root, [file("a", b"new")])
        assert transfer.read() == b"old"
    assert (root / "a").read_bytes() == b"new"


def test_nobody_else_may_read_a_rendered_file(root: Path) -> None:
    publish(root, [file("Sample/a")])
    assert stat.S_IMODE((root / "Sample/a").stat().st_mode) == 0o600


def test_a_file_that_others_may_read_is_made_private_also_if_its_content_is_right(root: Path) -> None:
    write(root / "a", "new").chmod(0o644)
    publish(root, [file("a")])
    assert stat.S_IMODE((root / "a").stat().st_mode) == 0o600


def test_a_symbolic_link_is_replaced_and_its_target_left_alone(root: Path, tmp_path: Path) -> None:
    target = write(tmp_path / "elsewhere", "precious")
    (root / "a").symlink_to(target)
    publish(root, [file("a")])
    assert not (root / "a").is_symlink()
    assert target.read_text(encoding="utf-8") == "precious"


def test_a_dangling_link_is_replaced(root: Path, tmp_path: Path) -> None:
    (root / "a").symlink_to(tmp_path / "nothing")
    publish(root, [file("a")])
    assert (root / "a").read_bytes() == b"new"
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("path", ["folder", "file/below", "file/deep/below"])
def test_what_is_in_the_way_is_named_and_nothing_is_left(root: Path, path: str) -> None:
    write(root / "file", "x")
    write(root / "folder/inside", "x")
    before = files_below(root)
    with pytest.raises(PluginError, match=f"cannot write {root}/{path}: (Not|Is) a directory"):
        publish(root, [file(path)])
    assert files_below(root) == before


def test_files_before_the_one_that_fails_are_new_and_those_after_it_old(root: Path) -> None:
    publish(root, [file("a", b"old"), file("z", b"old")])
    (root / "b").mkdir()
    with pytest.raises(PluginError, match="/b: Is a directory"):
        publish(root, [file("a"), file("b"), file("z")])
    assert files_below(root) == {"a": b"new", "z": b"old"}


def test_a_full_disk_leaves_the_old_file_and_no_temporary_one(root: Path) -> None:
    publish(root, [file("a", b"old")])
    said = json.loads(subprocess.run([sys.executable, FULL_DISK, root], capture_output=True, check=True).stdout)
    assert said == {"error": f"cannot write {root}/a: File too large"}
    assert files_below(root) == {"a": b"old"}


def test_files_are_withdrawn_and_those_that_are_gone_do_not_matter(root: Path) -> None:
    publish(root, [file("Sample/a"), file("Sample/b")])
    for path in ("Sample/a", "Sample/gone", "gone/too"):
        withdraw(root, path)
    assert files_below(root) == {"Sample/b": b"new"}


def test_withdrawing_a_link_leaves_its_target(root: Path, tmp_path: Path) -> None:
    target = write(tmp_path / "elsewhere", "precious")
    (root / "a").symlink_to(target)
    withdraw(root, "a")
    assert target.exists()
    assert not (root / "a").is_symlink()


def test_what_cannot_be_withdrawn_is_named(root: Path) -> None:
    (root / "a").mkdir()
    with pytest.raises(PluginError, match=f"cannot remove {root}/a: "):
        withdraw(root, "a")


@pytest.mark.parametrize("path", ["../precious", "/etc/hostname", "a/../../precious"])
def test_nothing_outside_the_root_is_withdrawn(root: Path, path: str) -> None:
    precious = write(root.parent / "precious", "x")
    with pytest.raises(PluginError, match="impossible path"):
        withdraw(root, path)
    assert precious.exists()


def test_a_file_whose_folder_has_become_a_file_is_gone_too(root: Path) -> None:
    write(root / "Sample", "a file now")
    withdraw(root, "Sample/a")


# --- atomicfile


def test_a_written_file_has_the_mode_that_was_asked_for(tmp_path: Path) -> None:
    write_file(tmp_path / "a", b"x", mode=0o640)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
    write_file(tmp_path / "a", b"y")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


def test_a_failed_write_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for target in (tmp_path / "folder", tmp_path / "gone" / "a"):
        with pytest.raises(OSError, match="directory"):
            write_file(target, b"x")
    assert [path.name for path in tmp_path.rglob(f"{TEMPORARY_PREFIX}*")] == []
