"""Decision traces: what was concluded about one request, and why.

A trace is made for each request, so it is small, and what it refers to is shared with the request's own handling; only
`as_data` spells it out. It holds no secret: no file's content, no value of a config, no query string.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from provd.model.identity import Identity, Support

_MAX_SHOWN = 200

FOLLOWED_KEYS = ("ip", "version", "mac", "sn", "uuid", "vendor", "model", "plugin", "config")
"""Of a device's keys, those whose changes a trace tells."""


class Decision:
    """What each step concluded about one request. A step that was not reached leaves its place empty.

    extract: `answers` of the plugins and the `identity` that they make together.
    retrieve: the `device_id`, and by which `rule` it was found, or not.
    update: `changes` as key, old value, new value.
    associate: the `levels` of support that were compared, if a plugin was chosen.
    admit: `admission`, `admitted` or why not; empty if the phone was known.
    Then `rendered`, whether files were made; `plugin` and `file`, what was served; and how it ended: `result`,
    `size_bytes`, `duration_s` (None while it goes on).
    """

    __slots__ = (
        "_began", "address", "admission", "agent", "answers", "changes", "device_id", "duration_s", "file",
        "identity", "levels", "path", "plugin", "protocol", "rendered", "result", "rule", "size_bytes", "time_s",
    )  # fmt: skip

    def __init__(self, protocol: str, address: str, path: str, agent: str = "") -> None:
        self.time_s = time.time()
        self._began = time.monotonic()
        self.protocol = protocol
        self.address = address
        self.path = path
        self.agent = agent
        self.answers: Sequence[tuple[str, Identity]] = ()
        self.identity: Identity | None = None
        self.rule = ""
        self.device_id: str | None = None
        self.changes: Sequence[tuple[str, Any, Any]] = ()
        self.levels: Sequence[tuple[str, int]] = ()
        self.admission = ""
        self.rendered = False
        self.plugin: str | None = None
        self.file: str | None = None
        self.result = ""
        self.size_bytes = 0
        self.duration_s: float | None = None

    def end(self, result: str, size_bytes: int = 0) -> None:
        """Note how the request ended, such as `complete` or `no such file`, and how many bytes were to be sent."""
        self.result = result
        self.size_bytes = size_bytes
        self.duration_s = time.monotonic() - self._began

    def note_changes(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        """Note what the request changed about the device."""
        keys = [key for key in FOLLOWED_KEYS if old.get(key) != new.get(key)]
        self.changes = [(key, old.get(key), new.get(key)) for key in keys]

    def as_data(self) -> dict[str, Any]:
        """The trace in words and JSON's types; the same keys for every request."""
        return {
            "time": datetime.fromtimestamp(self.time_s, UTC).isoformat(timespec="milliseconds"),
            "protocol": self.protocol,
            "address": self.address,
            "path": _cut(self.path),
            "user_agent": _cut(self.agent),
            "extracted": {plugin_id: identity.known() for plugin_id, identity in self.answers},
            "identity": self.identity.known() if self.identity is not None else {},
            "rule": self.rule,
            "device": self.device_id,
            "changes": {key: {"old": old, "new": new} for key, old, new in self.changes},
            "support": {plugin_id: _level(level) for plugin_id, level in self.levels},
            "admission": self.admission,
            "rendered": self.rendered,
            "plugin": self.plugin,
            "file": self.file,
            "result": self.result,
            "bytes": self.size_bytes,
            "duration_s": None if self.duration_s is None else round(self.duration_s, 6),
        }


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _level(level: int) -> str | int:
    """A level of support by its name, if it has one."""
    return Support(level).name if level in Support.__members__.values() else level
