"""Whether phones may share an address (NAT): the switch, and the file by which fail2ban's side learns of it.

provd has no power over fail2ban. It writes `1` or `0` into a file of its own; root's `xivo-provd-fail2ban-profile`
looks at that byte, and at nothing else, and chooses one of two profiles that came with the package.
"""

from __future__ import annotations

import logging
from pathlib import Path

from provd.atomicfile import write_file

log = logging.getLogger(__name__)

_FILE_MODE = 0o640


class NatSwitch:
    """On: an address may belong to several devices, and never tells which phone is asking."""

    def __init__(self, is_on: bool = False, state_file: Path | None = None) -> None:
        self._is_on = is_on
        self._state_file = state_file

    @property
    def is_on(self) -> bool:
        """How the switch stands."""
        return self._is_on

    def set(self, is_on: bool) -> None:
        """Turn the switch; the next request is treated accordingly."""
        if is_on != self._is_on:
            log.info("NAT is switched %s", "on" if is_on else "off")
        self._is_on = is_on
        self.publish()

    def publish(self) -> None:
        """See to it that the file says how the switch stands; a file that does already is not touched."""
        if self._state_file is None:
            return
        content = b"1" if self._is_on else b"0"
        try:
            if not _has_content(self._state_file, content):
                write_file(self._state_file, content, mode=_FILE_MODE)
        except OSError as error:
            log.error("fail2ban is not told of NAT: file=%s error=%s", self._state_file, error.strerror)


def _has_content(file: Path, content: bytes) -> bool:
    """Tell whether this is a plain file with exactly this content."""
    try:
        return file.is_file() and not file.is_symlink() and file.read_bytes() == content
    except OSError:
        return False
