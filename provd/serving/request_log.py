"""What the log says of phones' requests: each of them at DEBUG; those that were refused at INFO, but not too often.

A phone that gets nothing leaves its trace there. A client that is refused again and again, or a thousand of them, must
not fill the disk: one line a minute tells of an address, ten a second of all, and foreign strings are cut.
"""

from __future__ import annotations

import logging

from provd.occasionally import OccasionallyForEach

log = logging.getLogger(__name__)

_MAX_SHOWN = 200


class RequestLog:
    """The lines of one door; `client` is the name of what a client says of itself there, such as `user_agent`."""

    def __init__(self, door: str, client: str) -> None:
        line = f"door={door} address=%s path=%s {client}=%s %s"
        self._answered_line = f"request answered: {line} bytes=%d"
        self._refused_line = f"request refused: {line} reason=%r unreported=%d"
        self._refused = OccasionallyForEach()

    @property
    def is_detailed(self) -> bool:
        """Whether each request is told; asking first spares the work for a line that nobody sees."""
        return log.isEnabledFor(logging.DEBUG)

    def answered(self, address: str, path: str, client: str, answer: str, size_bytes: int) -> None:
        """A request was answered, such as with `status=200`, or a file is on its way."""
        log.debug(self._answered_line, address, _shown(path), _shown(client), answer, size_bytes)

    def refused(self, address: str, path: str, client: str, answer: str, reason: str) -> None:
        """A request was refused, such as with `status=404`, or not answered at all."""
        is_due = self._refused.due(address)
        level = logging.INFO if is_due else logging.DEBUG
        if log.isEnabledFor(level):
            missed = self._refused.missed if is_due else 0
            log.log(level, self._refused_line, address, _shown(path), _shown(client), answer, reason, missed)


def _shown(text: str) -> str:
    """A foreign text quoted, and cut if it is long."""
    return repr(text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…")
