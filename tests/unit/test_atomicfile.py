"""Putting a file down: whole or not at all."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from provd.atomicfile import TEMPORARY_PREFIX, write_file


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    old = os.umask(0o022)
    yield os.umask
    os.umask(old)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls that matter for what a crash leaves, in their order; each is made."""
    made: list[str] = []

    def watch(name: str) -> None:
        original = getattr(os, name)

        def watched(*arguments: Any, **named: Any) -> Any:
            made.append(name)
            return original(*arguments, **named)

        monkeypatch.setattr(os, name, watched)

    for name in ("open", "fsync", "rename"):
        watch(name)
    return made


def names_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("content", [b"", b"a", b"x" * 1_000_000], ids=["empty", "small", "large"])
def test_a_file_is_made(tmp_path: Path, content: bytes, durable: bool) -> None:
    write_file(tmp_path / "a.cfg", content, durable=durable)
    assert (tmp_path / "a.cfg").read_bytes() == content
    assert names_in(tmp_path) == ["a.cfg"]


def test_a_file_is_replaced_and_who_has_it_open_keeps_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.cfg"
    write_file(path, b"old content")
    with path.open("rb") as reader:
        write_file(path, b"new")
        assert reader.read() == b"old content"
    assert path.read_bytes() == b"new"


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"target")
    (tmp_path / "link").symlink_to("target")
    write_file(tmp_path / "link", b"new")
    assert (tmp_path / "target").read_bytes() == b"target"
    assert not (tmp_path / "link").is_symlink()


@pytest.mark.parametrize(("mode", "expected"), [(None, 0o600), (0o640, 0o640), (0o644, 0o644), (0o666, 0o644)])
def test_nobody_else_may_read_the_file_unless_it_is_said(
    tmp_path: Path, umask: Callable[[int], int], mode: int | None, expected: int
) -> None:
    path = tmp_path / "a.cfg"
    path.write_bytes(b"old")
    path.chmod(0o777)
    write_file(path, b"new", **({} if mode is None else {"mode": mode}))
    assert path.stat().st_mode & 0o7777 == expected


def test_a_durable_file_is_on_the_disk_before_its_name_and_the_name_before_the_return(
    tmp_path: Path, calls: list[str]
) -> None:
    write_file(tmp_path / "a.cfg", b"a")
    assert calls == ["open", "fsync", "rename", "open", "fsync"]


def test_the_whole_content_is_flushed_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: flushed.append(os.fstat(descriptor).st_size))
    write_file(tmp_path / "a.cfg", b"abc")
    assert flushed[0] == 3


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    write_file(tmp_path / "a.cfg", b"abc")
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_that_can_be_made_again_does_not_wait_for_the_disk(tmp_path: Path, calls: list[str]) -> None:
    write_file(tmp_path / "a.cfg", b"a", durable=False)
    assert calls == ["open", "rename"]


def test_the_temporary_file_is_in_the_same_folder_and_can_be_told_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Path, Path]] = []
    monkeypatch.setattr(os, "rename", lambda source, target: seen.append((Path(source), Path(target))))
    write_file(tmp_path / "a.cfg", b"a", durable=False)
    ((source, target),) = seen
    assert (source.parent, target) == (tmp_path, tmp_path / "a.cfg")
    assert source.name.startswith(TEMPORARY_PREFIX)


# --- failures


@pytest.mark.parametrize("name", ["fsync", "rename"])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    path = tmp_path / "a.cfg"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, name, fail)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="Input/output error"):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["a.cfg"]
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.cfg"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_file(path, b"x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["a.cfg"]


def test_an_interruption_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "a.cfg", b"new")
    assert names_in(tmp_path) == []


def test_a_folder_in_the_place_of_the_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.cfg").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        write_file(tmp_path / "a.cfg", b"new")
    assert names_in(tmp_path) == ["a.cfg"]


def test_a_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_file(tmp_path / "no folder" / "a.cfg", b"new")
    assert names_in(tmp_path) == []


def test_a_folder_that_cannot_be_flushed_is_an_error_although_the_file_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new file is there and whole; only a power failure may take it away."""
    path, flushed = tmp_path / "a.cfg", []
    path.write_bytes(b"old")

    def fail_at_the_folder(descriptor: int) -> None:
        flushed.append(descriptor)
        if len(flushed) == 2:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail_at_the_folder)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="Input/output error"):
        write_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert names_in(tmp_path) == ["a.cfg"]
    assert len(os.listdir("/proc/self/fd")) == before
