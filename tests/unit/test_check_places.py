"""Whether the server could write where its settings say, found out without writing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from provd.check_places import file_refusal, folder_refusal, place_mistakes
from provd.settings import Settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.touch()
    return path


def mistakes(state_dir: object, log_file: object, *files: Path) -> list[str]:
    values = {"general.state_dir": Path(str(state_dir)), "security.log_file": Path(str(log_file))}
    return place_mistakes(Settings(values, files))


def test_good_places_say_nothing_and_stay_as_they_are(tmp_path: Path) -> None:
    before = tmp_path.stat()
    assert mistakes(tmp_path / "a" / "b", tmp_path / "security.log") == []
    assert mistakes(tmp_path, "/dev/null") == []
    assert list(tmp_path.iterdir()) == []
    assert tmp_path.stat() == before


def test_a_mistake_is_told_with_its_setting(tmp_path: Path, file: Path) -> None:
    assert mistakes(file, tmp_path) == [
        f"general.state_dir: {file}: Not a directory",
        f"security.log_file: {tmp_path}: Is a directory",
    ]


def test_a_file_in_the_place_of_the_plugins_is_named(tmp_path: Path) -> None:
    (tmp_path / "plugins").touch()
    assert mistakes(tmp_path, "/dev/null") == [f"general.state_dir: {tmp_path}/plugins: Not a directory"]


def test_a_settings_file_that_the_server_may_not_read_is_named(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: path != file)
    assert mistakes(tmp_path, "/dev/null", file, tmp_path) == [f"{file}: Permission denied"]


def test_no_folder_can_be_made_where_none_can_be(tmp_path: Path, file: Path) -> None:
    (tmp_path / "nowhere").symlink_to("gone")
    (tmp_path / "circle").symlink_to("circle")
    assert folder_refusal(file / "a" / "b") == "Not a directory"
    assert folder_refusal(tmp_path / "nowhere") == "No such file or directory"
    assert folder_refusal(tmp_path / "circle") == "Too many levels of symbolic links"
    assert folder_refusal(tmp_path / ("x" * 300)) == "File name too long"


def test_proc_holds_no_files() -> None:
    reason = "its file system holds no files" if os.geteuid() == 0 else "Permission denied"
    assert folder_refusal(Path("/proc/x")) == reason


@pytest.mark.parametrize(
    ("access", "flags", "reason"), [(False, 0, "Permission denied"), (True, os.ST_RDONLY, "Read-only file system")]
)
def test_a_folder_in_which_nothing_may_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, access: bool, flags: int, reason: str
) -> None:
    """Root, who runs the tests in containers, is refused nothing."""
    status = list(os.statvfs(tmp_path))
    status[8] = flags
    monkeypatch.setattr(os, "access", lambda path, mode: access)
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result(status))
    assert folder_refusal(tmp_path) == reason
    assert folder_refusal(tmp_path / "a") == reason
    assert file_refusal(tmp_path / "a") == reason


def test_a_file_needs_a_folder_that_is_there(tmp_path: Path, file: Path) -> None:
    assert file_refusal(file) is None
    assert file_refusal(tmp_path / "new") is None
    assert file_refusal(tmp_path / "gone" / "new") == "No such file or directory"
    assert file_refusal(file / "new") == "Not a directory"
    assert file_refusal(tmp_path) == "Is a directory"


def test_a_link_is_followed_to_where_the_file_would_be_made(tmp_path: Path, file: Path) -> None:
    for name, target in (("a", "file"), ("b", "new"), ("c", "gone/new"), ("d", "d")):
        (tmp_path / name).symlink_to(target)
    assert [file_refusal(tmp_path / name) for name in "abcd"] == [
        None, None, "No such file or directory", "Too many levels of symbolic links",
    ]  # fmt: skip


def test_a_file_that_may_not_be_written_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert file_refusal(file) == "Permission denied"
