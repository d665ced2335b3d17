"""The server's own log: one line per event, for the journal or for people, and the last error for the status."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from provd.logs import last_error, set_up_logging

log = logging.getLogger("provd.test")


@pytest.fixture(autouse=True)
def restored_root() -> Iterator[None]:
    """The root logger as it was before the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


class Stderr:
    """What was written to standard error."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured

    def text(self) -> str:
        return self._captured.readouterr().err


@pytest.fixture
def stderr(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Stderr:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    return Stderr(capsys)


class Journal:
    """A stream of the journal: standard error goes to it, and JOURNAL_STREAM names it (systemd.exec(5))."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._path = path
        self._file = path.open("w")
        self._monkeypatch = monkeypatch
        status = os.fstat(self._file.fileno())
        self.name = f"{status.st_dev}:{status.st_ino}"

    def begin(self, level: str, name: str) -> None:
        """Log to the stream, while the variable names `name`."""
        self._monkeypatch.setenv("JOURNAL_STREAM", name)
        self._monkeypatch.setattr(sys, "stderr", self._file)
        set_up_logging(level)

    def text(self) -> str:
        return self._path.read_text()

    def close(self) -> None:
        self._file.close()


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    stream = Journal(tmp_path / "stderr", monkeypatch)
    yield stream
    stream.close()


# --- for people


def test_a_line_has_the_time_the_level_and_who_says_it(stderr: Stderr) -> None:
    set_up_logging("info")
    log.info("new device: device=%s", "d1")
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO provd\.test: new device: device=d1\n", stderr.text()
    )


@pytest.mark.parametrize(
    ("level", "said"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_the_level_decides_what_is_said(stderr: Stderr, level: str, said: list[str]) -> None:
    set_up_logging(level)
    for each in ("debug", "info", "warning", "error"):
        getattr(log, each)(each)
    assert [line.rpartition(" ")[2] for line in stderr.text().splitlines()] == said


def test_setting_up_again_says_nothing_twice(stderr: Stderr) -> None:
    set_up_logging("debug")
    set_up_logging("info")
    log.debug("hidden")
    log.info("shown")
    assert stderr.text().count("\n") == 1


# --- for the journal


@pytest.mark.parametrize(
    ("level", "priority"),
    [("debug", 7), ("info", 6), ("warning", 4), ("error", 3), ("critical", 2)],
)
def test_the_journal_gets_the_priority_and_no_time(journal: Journal, level: str, priority: int) -> None:
    journal.begin("debug", journal.name)
    getattr(log, level)("a b")
    assert journal.text() == f"<{priority}>provd.test: a b\n"


def test_a_level_of_somebody_elses_is_an_information(journal: Journal) -> None:
    journal.begin("debug", journal.name)
    log.log(25, "a")
    assert journal.text() == "<6>provd.test: a\n"


def test_every_line_of_a_traceback_has_the_priority(journal: Journal) -> None:
    journal.begin("info", journal.name)
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        log.exception("it fails")
    lines = journal.text().splitlines()
    assert lines[0] == "<3>provd.test: it fails"
    assert lines[-2:] == ["<3>ValueError: first", "<3>second"]
    assert all(line.startswith("<3>") for line in lines)


def test_standard_error_that_is_not_the_journal_gets_the_time(journal: Journal) -> None:
    """The variable names device and inode of the journal's stream, so that they can be compared (systemd.exec(5))."""
    journal.begin("info", "1:1")
    log.info("a")
    assert not journal.text().startswith("<6>")


# --- the last error


def test_the_last_error_is_remembered(stderr: Stderr) -> None:
    set_up_logging("info")
    log.error("first")
    log.error("path=%s", "a.cfg")
    log.warning("later")
    last = last_error()
    assert last is not None
    assert last.message == "path=a.cfg"
    assert last.time > 1_600_000_000


def test_a_critical_event_is_an_error_too(stderr: Stderr) -> None:
    set_up_logging("error")
    log.critical("very bad")
    last = last_error()
    assert last is not None
    assert last.message == "very bad"


def test_a_message_that_does_not_fit_its_values_harms_nobody(stderr: Stderr) -> None:
    """As with the standard handlers: the mistake is told, and the program goes on."""
    set_up_logging("info")
    log.error("%d devices", "two")
