"""A decision trace in words: what was concluded about one request, and no secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provd.model.decision import Decision, Record, as_data
from provd.model.identity import Identity, Support

KEYS = {
    "time", "protocol", "address", "path", "user_agent", "extracted", "identity", "rule", "device", "changes",
    "support", "admission", "rendered", "plugin", "file", "result", "bytes", "duration_s",
}  # fmt: skip


class Trace:
    """A decision and the records that were kept of it."""

    def __init__(self, path: str = "Sample/00085D000001.cfg", agent: str = "Sample S100") -> None:
        self.records: list[Record] = []
        self.decision = Decision("http", "192.0.2.7", path, agent, self.records.append)

    def data(self, result: str = "complete") -> dict[str, Any]:
        """What is told of it when it has ended."""
        self.decision.end(result)
        (record,) = self.records
        return as_data(record)


def test_a_trace_of_which_nothing_was_concluded_has_all_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provd.model.decision.time.time", lambda: 1795374903.1239)
    monkeypatch.setattr("provd.model.decision.time.monotonic", lambda: 1000.0)
    data = Trace().data("")
    assert set(data) == KEYS
    known = {"time": "2026-11-22T19:15:03.123+00:00", "protocol": "http", "address": "192.0.2.7",
             "path": "Sample/00085D000001.cfg", "user_agent": "Sample S100"}  # fmt: skip
    assert {key: data[key] for key in known} == known
    assert not any(data[key] for key in KEYS - set(known))


def test_each_step_has_its_place() -> None:
    trace = Trace()
    decision = trace.decision
    decision.answers = [("a", Identity("Sample", mac="m")), ("b", Identity(model="S100"))]
    decision.identity = Identity("Sample", "S100", mac="m")
    decision.device_id, decision.rule = "1234", "mac"
    decision.levels = [("a", Support.EXACT), ("b", 299)]
    decision.admission, decision.rendered, decision.plugin, decision.file = "admitted", True, "a", "x.cfg"
    data = trace.data()
    assert data["extracted"] == {"a": {"vendor": "Sample", "mac": "m"}, "b": {"model": "S100"}}
    assert data["identity"] == {"vendor": "Sample", "model": "S100", "mac": "m"}
    assert (data["rule"], data["device"]) == ("mac", "1234")
    assert data["support"] == {"a": "EXACT", "b": 299}
    assert (data["admission"], data["rendered"], data["plugin"], data["file"]) == ("admitted", True, "a", "x.cfg")


def test_the_end_says_how_how_much_and_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("provd.model.decision.time.monotonic", lambda: now[0])
    trace = Trace()
    trace.decision.size_bytes = 4096
    now[0] = 1000.25
    data = trace.data("200 complete")
    assert (data["result"], data["bytes"], data["duration_s"]) == ("200 complete", 4096, 0.25)


def test_only_the_first_end_counts() -> None:
    trace = Trace()
    assert trace.data("complete")["result"] == trace.data("cut off")["result"] == "complete"


def test_what_is_noted_after_the_end_changes_nothing() -> None:
    trace = Trace()
    trace.data()
    trace.decision.device_id = "other"
    assert trace.data()["device"] is None


def test_changes_are_told_with_old_and_new_value() -> None:
    trace = Trace()
    old, new = {"ip": "192.0.2.6", "model": "S100", "sn": "1"}, {"ip": "192.0.2.7", "model": "S100", "mac": "m"}
    trace.decision.note_changes(old, new)
    assert trace.data()["changes"] == {
        "ip": {"old": "192.0.2.6", "new": "192.0.2.7"},
        "mac": {"old": None, "new": "m"},
        "sn": {"old": "1", "new": None},
    }


@pytest.mark.parametrize("key", ["options", "description", "remote_state_sip_username", "configure_error", "x"])
def test_keys_that_may_hold_anything_are_not_told(key: str) -> None:
    trace = Trace()
    trace.decision.note_changes({key: "secret"}, {key: "other secret"})
    assert trace.data()["changes"] == {}


def test_long_texts_are_cut() -> None:
    data = Trace("p" * 2000, "a" * 8000).data()
    assert (data["path"], data["user_agent"]) == ("p" * 200, "a" * 200)


class Unspeakable:
    """A value that cannot even be shown."""

    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize("value", [b"\xff", "x" * 10_000, "a\n\0b", 1, ["a"], {"a": object()}, "\u2028", Unspeakable()])
def test_what_a_plugin_answers_can_be_shown_whatever_it_is(value: Any) -> None:
    trace = Trace()
    trace.decision.answers = [("a", Identity(vendor=value))]
    assert len(json.dumps(trace.data()["extracted"])) < 1000


def test_of_what_a_plugin_answers_no_more_is_kept_than_is_told() -> None:
    """Many thousands of traces are kept, and a phone may send what a careless plugin takes for the name of a model."""
    trace = Trace()
    trace.decision.answers = [("a", Identity(vendor="v" * 10_000, model=["m"] * 10_000, mac="m"))]  # type: ignore[arg-type]
    extracted = trace.data()["extracted"]["a"]
    assert extracted == {"vendor": "v" * 200, "model": "(no text: list)", "mac": "m"}
    assert len(repr(trace.records)) < 1000
