"""Decision traces: what was concluded about one request, and why.

A trace is made for each request, so it costs little: what is kept of it is a tuple of plain values, which the garbage
collector need not look at, and `as_data` spells that out when somebody asks. It holds no secret: no file's content, no
value of a config, no query string.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from provd.model.identity import IDENTITY_KEYS, Identity, Support

Record = tuple[Any, ...]
"""What is kept of a trace; `as_data` tells what stands where."""

_ADDRESS, _DEVICE = 2, 8
_MAX_KEPT = 200
_NOBODY = Identity()

FOLLOWED_KEYS = ("ip", "version", "mac", "sn", "uuid", "vendor", "model", "plugin", "config")
"""Of a device's keys, those whose changes a trace tells."""


class Decision:
    """What each step concluded about one request. A step that was not reached leaves its place empty.

    extract: `answers` of the plugins and the `identity` that they make together.
    retrieve: the `device_id`, and by which `rule` it was found, or not.
    update: `changes` as key, old value, new value.
    associate: the `levels` of support that were compared, if a plugin was chosen.
    admit: `admission`, `admitted` or why not; empty if the phone was known.
    Then `rendered`, whether files were made; `plugin` and `file`, what was served.

    Whoever ends the request calls `end`, which hands the record to `keep`, once.
    """

    __slots__ = (
        "_began", "_keep", "address", "admission", "agent", "answers", "changes", "device_id", "file", "identity",
        "levels", "path", "plugin", "protocol", "rendered", "rule", "size_bytes",
    )  # fmt: skip

    def __init__(self, protocol: str, address: str, path: str, agent: str, keep: Callable[[Record], None]) -> None:
        self._began = time.monotonic()
        self._keep: Callable[[Record], None] | None = keep
        self.protocol = protocol
        self.address = address
        self.path = path
        self.agent = agent
        self.answers: Sequence[tuple[str, Identity]] = ()
        self.identity = _NOBODY
        self.rule = ""
        self.device_id: str | None = None
        self.changes: tuple[tuple[str, Any, Any], ...] = ()
        self.levels: Sequence[tuple[str, int]] = ()
        self.admission = ""
        self.rendered = False
        self.plugin: str | None = None
        self.file: str | None = None
        self.size_bytes = 0

    def note_changes(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        """Note what the request changed about the device."""
        keys = [key for key in FOLLOWED_KEYS if old.get(key) != new.get(key)]
        self.changes = tuple((key, old.get(key), new.get(key)) for key in keys)

    def end(self, result: str) -> None:
        """The request has ended, such as with `complete` or `error 1: no such file`: keep the record of it."""
        if self._keep is None:
            return
        keep, self._keep = self._keep, None
        keep((
            time.time(), self.protocol, self.address, self.path[:_MAX_KEPT], self.agent[:_MAX_KEPT],
            tuple([(plugin_id, _kept(identity)) for plugin_id, identity in self.answers]), _values(self.identity),
            self.rule, self.device_id, self.changes, tuple(self.levels), self.admission, self.rendered, self.plugin,
            self.file, result, self.size_bytes, time.monotonic() - self._began,
        ))  # fmt: skip

    def fail(self, error: BaseException) -> None:
        """The request has ended by an error that nobody has thought of; the log has the rest."""
        self.end(f"failed: {type(error).__name__}; the server's log says why")


def device_of(record: Record) -> str | None:
    """The device that the request of a record belongs to."""
    device_id: str | None = record[_DEVICE]
    return device_id


def address_of(record: Record) -> str:
    """The address that the request of a record came from."""
    return str(record[_ADDRESS])


def as_data(record: Record) -> dict[str, Any]:
    """A record in words and JSON's types; the same keys for every request. `time` is when it ended."""
    (
        time_s, protocol, address, path, agent, answers, identity, rule, device_id, changes, levels, admission,
        rendered, plugin, file, result, size_bytes, duration_s,
    ) = record  # fmt: skip
    return {
        "time": datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds"),
        "protocol": protocol,
        "address": address,
        "path": path,
        "user_agent": agent,
        "extracted": {plugin_id: _known(values) for plugin_id, values in answers},
        "identity": _known(identity),
        "rule": rule,
        "device": device_id,
        "changes": {key: {"old": old, "new": new} for key, old, new in changes},
        "support": {plugin_id: _level(level) for plugin_id, level in levels},
        "admission": admission,
        "rendered": rendered,
        "plugin": plugin,
        "file": file,
        "result": result,
        "bytes": size_bytes,
        "duration_s": round(duration_s, 6),
    }


def _values(identity: Identity) -> tuple[str | None, ...]:
    return (identity.vendor, identity.model, identity.version, identity.mac, identity.sn, identity.uuid)


def _known(values: Sequence[str | None]) -> dict[str, str]:
    return {key: value for key, value in zip(IDENTITY_KEYS, values, strict=True) if value is not None}


def _kept(answer: Identity) -> tuple[str | None, ...]:
    """What is kept of one plugin's answer: that may be anything of any size, and what is no text is not even asked."""
    return tuple([
        value[:_MAX_KEPT] if type(value) is str else None if value is None else f"(no text: {type(value).__name__})"
        for value in _values(answer)
    ])  # fmt: skip


def _level(level: int) -> str | int:
    """A level of support by its name, if it has one."""
    return Support(level).name if level in Support.__members__.values() else level
