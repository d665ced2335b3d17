"""The security log's file: one write a line, the time as fail2ban reads it, and no failure that reaches a phone."""

from __future__ import annotations

import errno
import os
import re
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provd.errors import SettingsError
from provd.security.grammar import Owner
from provd.security.log import FILE_MODE, SecurityLog

LINE = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\] New device created automatically from 192\.0\.2\.7: (\w+)")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "xivo-provd-fail2ban.log"


@pytest.fixture
def security_log(path: Path) -> Iterator[SecurityLog]:
    opened = SecurityLog(path)
    yield opened
    opened.close()


@pytest.fixture
def eastern_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """Let no file become longer than `size` bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def ids_in(path: Path) -> list[str]:
    """The ids of the new devices that the lines of a file tell, each line as the filter wants it."""
    matches = [LINE.fullmatch(line) for line in path.read_text().splitlines()]
    assert all(matches)
    return [match[1] for match in matches if match]


# --- lines


def test_a_line_for_each_event(security_log: SecurityLog, path: Path) -> None:
    security_log.new_device_created("192.0.2.7", "d1")
    security_log.sensitive_file_requested("2001:db8::7", "Aastra/a.cfg", Owner.OTHER, "d2")
    first, second = path.read_text().splitlines()
    assert first.partition("] ")[2] == "New device created automatically from 192.0.2.7: d1"
    assert second.partition("] ")[2] == 'Sensitive file requested from 2001:db8::7: "a.cfg" owner=other device=d2'


@pytest.mark.usefixtures("eastern_time")
@pytest.mark.parametrize(
    ("now", "stamp"),
    [
        (1795396503.0, "[2026-11-22 20:15:03,000] "),
        (1795396503.123456, "[2026-11-22 20:15:03,123] "),
        (1795396503.9999, "[2026-11-22 20:15:03,999] "),
        (1782172800.5, "[2026-06-22 20:00:00,500] "),
    ],
)
def test_the_time_is_local_with_milliseconds_behind_a_comma(
    path: Path, monkeypatch: pytest.MonkeyPatch, now: float, stamp: str
) -> None:
    monkeypatch.setattr(time, "time", lambda: now)
    opened = SecurityLog(path)
    opened.new_device_created("192.0.2.7", "d")
    opened.close()
    assert path.read_text().startswith(f"{stamp}New device")


def test_the_time_follows_the_clock_also_backwards(
    security_log: SecurityLog, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for now in (1000.9, 1001.0, 1001.5, 999.0):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        security_log.new_device_created("192.0.2.7", "d")
    seconds = [line[18:24] for line in path.read_text().splitlines()]
    assert seconds == ["40,899", "41,000", "41,500", "39,000"]


def test_each_line_is_one_write(security_log: SecurityLog, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[bytes] = []
    monkeypatch.setattr(os, "write", lambda _, data: writes.append(data) or len(data))
    security_log.new_device_created("192.0.2.7", "d1")
    security_log.new_device_created("192.0.2.7", "d2")
    assert len(writes) == 2
    assert all(data.endswith(b"\n") and data.count(b"\n") == 1 for data in writes)


def test_two_writers_do_not_overwrite_each_other(security_log: SecurityLog, path: Path) -> None:
    other = SecurityLog(path)
    for device_id in ("a", "b", "c", "d"):
        (other if device_id in "bd" else security_log).new_device_created("192.0.2.7", device_id)
    other.close()
    assert ids_in(path) == ["a", "b", "c", "d"]


def test_an_address_with_other_characters_than_ascii_does_not_fail(security_log: SecurityLog, path: Path) -> None:
    security_log.sensitive_file_requested("192.0.2.7", "\ud800é\n.cfg", Owner.NONE, None)
    assert path.read_bytes().isascii()


# --- the file


def test_the_file_is_made_if_it_is_missing_and_not_for_everybody(path: Path) -> None:
    old = os.umask(0)
    try:
        SecurityLog(path).close()
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o7777 == FILE_MODE == 0o640


def test_what_the_file_holds_stays(path: Path) -> None:
    path.write_text("before\n")
    path.chmod(0o600)
    opened = SecurityLog(path)
    opened.new_device_created("192.0.2.7", "d")
    opened.close()
    assert path.read_text().startswith("before\n[")
    assert path.stat().st_mode & 0o7777 == 0o600


def test_a_file_that_cannot_be_opened_is_an_error_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no-folder/x\.log: No such file or directory$"):
        SecurityLog(tmp_path / "no-folder" / "x.log")


def test_child_processes_do_not_inherit_the_file(path: Path) -> None:
    opened = SecurityLog(path)
    assert not os.get_inheritable(opened._descriptor)
    opened.close()


def test_closing_closes_the_file(path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    SecurityLog(path).close()
    assert len(os.listdir("/proc/self/fd")) == before


# --- rotation


def test_after_a_rotation_and_reopening_lines_go_to_the_new_file(security_log: SecurityLog, path: Path) -> None:
    rotated = path.with_suffix(".1")
    security_log.new_device_created("192.0.2.7", "old")
    path.rename(rotated)
    security_log.new_device_created("192.0.2.7", "between")
    security_log.reopen()
    security_log.new_device_created("192.0.2.7", "new")
    assert ids_in(rotated) == ["old", "between"]
    assert ids_in(path) == ["new"]


def test_if_the_new_file_cannot_be_opened_the_old_one_stays(
    security_log: SecurityLog, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rotated = path.with_suffix(".1")
    path.rename(rotated)
    path.mkdir()
    security_log.reopen()
    security_log.new_device_created("192.0.2.7", "kept")
    assert ids_in(rotated) == ["kept"]
    assert "the security log stays as it is" in caplog.text


def test_reopening_many_times_keeps_one_file_open(security_log: SecurityLog) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        security_log.reopen()
    assert len(os.listdir("/proc/self/fd")) == before


# --- a disk that does not take the line


def test_a_full_disk_does_not_stop_anything_and_is_told_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    opened = SecurityLog(Path("/dev/full"))
    for _ in range(5):
        opened.new_device_created("192.0.2.7", "d")
    opened.close()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "the security log cannot be written: path=/dev/full" in caplog.text
    assert os.strerror(errno.ENOSPC) in caplog.text


def test_a_line_that_does_not_fit_does_not_stop_anything(security_log: SecurityLog, path: Path) -> None:
    security_log.new_device_created("192.0.2.7", "before")
    with files_end_at(path.stat().st_size):
        security_log.new_device_created("192.0.2.7", "lost")
    security_log.new_device_created("192.0.2.7", "after")
    assert ids_in(path) == ["before", "after"]


def test_half_of_a_line_does_not_spoil_the_next_one(security_log: SecurityLog, path: Path) -> None:
    security_log.new_device_created("192.0.2.7", "before")
    with files_end_at(path.stat().st_size + 60):
        security_log.new_device_created("192.0.2.7", "half")
    security_log.new_device_created("192.0.2.7", "after")
    assert LINE.fullmatch(path.read_text().splitlines()[-1])


def test_half_of_a_line_is_told(security_log: SecurityLog, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with files_end_at(60):
        security_log.new_device_created("192.0.2.7", "half")
    assert "the security log cannot be written" in caplog.text
