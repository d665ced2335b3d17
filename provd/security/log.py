"""The security log's file."""

from __future__ import annotations

import errno
import logging
import os
import time
from pathlib import Path

from provd.errors import SettingsError
from provd.occasionally import Occasionally, OccasionallyForEach
from provd.security.grammar import Owner, new_device_created, new_device_refused, sensitive_file_requested

log = logging.getLogger(__name__)

FILE_MODE = 0o640
_REFUSALS_PER_SECOND = 100
"""Lines about refusals, one a second for each address: whoever floods the server must not fill its disk."""


class SecurityLog:
    """Appends lines to the file that fail2ban reads; each line is one write, so that lines never mix.

    Raises:
        SettingsError: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = self._open()
        self._second = -1
        self._is_torn = False
        self._stamp = ""
        self._complaint = Occasionally(60.0)
        self._refused = OccasionallyForEach(1.0, per_second=_REFUSALS_PER_SECOND)

    def sensitive_file_requested(self, address: str, path: str, owner: Owner, device_id: str | None) -> None:
        """Somebody asked for a file that may hold secrets."""
        self._append(sensitive_file_requested(address, path, owner, device_id))

    def new_device_created(self, address: str, device_id: str) -> None:
        """A request made a new device."""
        self._append(new_device_created(address, device_id))

    def new_device_refused(self, address: str, limit: str) -> None:
        """A phone was not made a device; of many refusals only some are told."""
        if self._refused.due(address):
            self._append(new_device_refused(address, limit))

    def reopen(self) -> None:
        """Open the file again by its name, after it was rotated; if that fails, the old one stays in use."""
        try:
            new = self._open()
        except SettingsError as error:
            log.error("the security log stays as it is: %s", error)
            return
        os.close(self._descriptor)
        self._descriptor = new
        log.info("security log opened again: path=%s", self._path)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise SettingsError(f"security.log_file: {self._path}: {error.strerror}") from error

    def _append(self, message: str) -> None:
        now = time.time()
        line = f"[{self._time_of(now)},{int(now % 1 * 1000):03d}] {message}\n".encode()
        try:
            written = os.write(self._descriptor, b"\n" + line if self._is_torn else line)
            if written < len(line):
                self._is_torn = True
                raise OSError(errno.ENOSPC, "only a part of the line was written")
            self._is_torn = False
        except OSError as error:
            if self._complaint.due():
                log.error("the security log cannot be written: path=%s error=%s", self._path, error)

    def _time_of(self, now: float) -> str:
        """Local time to the second, as fail2ban expects it; made once a second."""
        second = int(now)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
        return self._stamp
