"""The server's own log: one line per event, on standard error."""

from __future__ import annotations

import logging
import os
import sys
import time
from dataclasses import dataclass
from typing import TextIO

_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


@dataclass(frozen=True, slots=True)
class LastError:
    """The last error that was logged: when, in seconds since the epoch, and what."""

    time: float
    message: str


class _LastErrorHandler(logging.Handler):
    """Remembers the last error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.last: LastError | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.last = LastError(record.created, record.getMessage())
        except Exception:  # noqa: BLE001  (as the standard handlers do)
            self.handleError(record)


class _JournalFormatter(logging.Formatter):
    """Lines with the priority in front, as sd-daemon(3) says; the journal adds the time itself."""

    def format(self, record: logging.LogRecord) -> str:
        priority = _PRIORITIES.get(record.levelno, 6)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


_last_error_handler = _LastErrorHandler()


def set_up_logging(level: str) -> None:
    """Log to standard error, at `level` and above: for the journal if it reads there, else with the time."""
    handler = logging.StreamHandler(sys.stderr)
    if _is_journal(sys.stderr):
        handler.setFormatter(_JournalFormatter("%(name)s: %(message)s"))
    else:
        formatter = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
        formatter.converter = time.localtime
        handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler, _last_error_handler]
    set_log_level(level)


def set_log_level(level: str) -> None:
    """Log what is at `level` and above."""
    logging.getLogger().setLevel(level.upper())


def _is_journal(stream: TextIO) -> bool:
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def last_error() -> LastError | None:
    """The last error that was logged since the start."""
    return _last_error_handler.last
