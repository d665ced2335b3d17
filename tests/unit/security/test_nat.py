"""The switch for NAT, and the file in which it tells how it stands."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from provd.security.nat import NatSwitch


@pytest.mark.parametrize(("is_on", "content"), [(False, b"0"), (True, b"1")])
def test_the_file_says_how_the_switch_stands(tmp_path: Path, is_on: bool, content: bytes) -> None:
    NatSwitch(is_on, tmp_path / "nat").publish()
    assert (tmp_path / "nat").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["nat"]


def test_turning_the_switch_writes_the_file(tmp_path: Path) -> None:
    switch = NatSwitch(False, tmp_path / "nat")
    for is_on in (True, False, True):
        switch.set(is_on)
        assert switch.is_on is is_on
        assert (tmp_path / "nat").read_text() == str(int(is_on))


def test_a_file_that_is_right_already_is_not_written(tmp_path: Path) -> None:
    switch = NatSwitch(True, tmp_path / "nat")
    switch.publish()
    before = (tmp_path / "nat").stat()
    switch.publish()
    switch.set(True)
    after = (tmp_path / "nat").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("content", [b"", b"1", b"0\n", b"00", b"\xff"])
def test_anything_else_in_the_file_is_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "nat").write_bytes(content)
    NatSwitch(False, tmp_path / "nat").publish()
    assert (tmp_path / "nat").read_bytes() == b"0"


def test_a_link_or_a_pipe_in_its_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"1")
    (tmp_path / "nat").symlink_to("target")
    NatSwitch(True, tmp_path / "nat").publish()
    assert not (tmp_path / "nat").is_symlink()
    (tmp_path / "nat").unlink()
    os.mkfifo(tmp_path / "nat")
    NatSwitch(False, tmp_path / "nat").publish()
    assert (tmp_path / "nat").read_bytes() == b"0"
    assert (tmp_path / "target").read_bytes() == b"1"


def test_a_file_that_cannot_be_written_is_told_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "nat").mkdir()
    switch = NatSwitch(False, tmp_path / "nat")
    with caplog.at_level(logging.ERROR):
        switch.set(True)
    assert switch.is_on
    assert "fail2ban is not told of NAT" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["nat"]


def test_without_a_file_there_is_only_the_switch(caplog: pytest.LogCaptureFixture) -> None:
    switch = NatSwitch()
    assert not switch.is_on
    switch.publish()
    switch.set(True)
    assert switch.is_on
    assert "ERROR" not in caplog.text
