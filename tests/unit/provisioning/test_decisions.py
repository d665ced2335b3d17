"""The traces that are kept: the last ones of each device, of all devices, and of nobody."""

from __future__ import annotations

import tracemalloc

import pytest

from provd.provisioning.decisions import Decisions


def added(decisions: Decisions, device_id: str | None, *paths: object, address: str = "192.0.2.7") -> None:
    """Requests that have ended."""
    for path in paths:
        decision = decisions.begin("http", address, str(path))
        decision.device_id = device_id
        decision.end("complete")


def paths(decisions: Decisions, device_id: str) -> list[str]:
    return [each["path"] for each in decisions.of_device(device_id)]


def test_a_devices_traces_come_the_newest_first() -> None:
    decisions = Decisions()
    added(decisions, "a", 1, 2)
    added(decisions, "b", 3)
    assert (paths(decisions, "a"), paths(decisions, "b"), paths(decisions, "c")) == (["2", "1"], ["3"], [])


def test_a_request_is_remembered_when_it_ends() -> None:
    decisions = Decisions()
    decision = decisions.begin("http", "192.0.2.7", "x")
    decision.device_id = "a"
    assert len(decisions) == 0
    decision.end("complete")
    assert paths(decisions, "a") == ["x"]


def test_a_device_has_so_many() -> None:
    decisions = Decisions(max_per_device=3)
    added(decisions, "a", *range(10))
    assert paths(decisions, "a") == ["9", "8", "7"]
    assert len(decisions) == 3


def test_all_devices_together_have_so_many() -> None:
    decisions = Decisions(max_of_devices=4, max_per_device=3)
    for device_id in "abc":
        added(decisions, device_id, 1, 2)
    assert [paths(decisions, device_id) for device_id in "abc"] == [[], ["2", "1"], ["2", "1"]]
    assert len(decisions) == 4
    added(decisions, "a", 3)
    assert [paths(decisions, device_id) for device_id in "abc"] == [["3"], ["2"], ["2", "1"]]


def test_a_device_that_asks_without_pause_leaves_those_of_the_others_alone() -> None:
    decisions = Decisions(max_of_devices=10, max_per_device=3)
    added(decisions, "quiet", 1)
    added(decisions, "noisy", *range(1000))
    assert paths(decisions, "quiet") == ["1"]
    assert paths(decisions, "noisy") == ["999", "998", "997"]


def test_nobody_cannot_push_out_the_traces_of_devices() -> None:
    decisions = Decisions(max_of_devices=3, max_of_nobody=2)
    added(decisions, "a", 1, 2, 3)
    added(decisions, None, *range(100))
    assert paths(decisions, "a") == ["3", "2", "1"]
    assert [each["path"] for each in decisions.of_nobody()] == ["99", "98"]
    added(decisions, "b", 1, 2, 3)
    assert len(decisions.of_nobody()) == 2


def test_those_of_nobody_can_be_asked_for_by_address() -> None:
    decisions = Decisions()
    for number in range(6):
        added(decisions, None, number, address=f"192.0.2.{number % 2}")
    assert [each["path"] for each in decisions.of_nobody("192.0.2.1")] == ["5", "3", "1"]
    assert [each["path"] for each in decisions.of_nobody("192.0.2.1", limit=2)] == ["5", "3"]
    assert decisions.of_nobody("192.0.2.9") == []


def test_the_latest_of_all_come_by_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    decisions = Decisions()
    for time_s, device_id in ((1, "a"), (2, None), (3, "b"), (4, None), (5, "a")):
        monkeypatch.setattr("provd.model.decision.time.time", lambda time_s=time_s: float(time_s))
        added(decisions, device_id, time_s)
    assert [each["path"] for each in decisions.latest()] == ["5", "4", "3", "2", "1"]
    assert [each["path"] for each in decisions.latest(2)] == ["5", "4"]


def test_devices_without_traces_take_no_memory() -> None:
    decisions = Decisions(max_of_devices=2)
    for number in range(100):
        added(decisions, str(number), 1)
    assert len(decisions._by_device) == 2


@pytest.mark.parametrize("device_id", [None, "same", "many"])
def test_the_memory_is_bounded_whatever_is_asked(device_id: str | None) -> None:
    decisions = Decisions(max_of_devices=200, max_of_nobody=200)
    tracemalloc.start()
    try:
        for number in range(3000):
            decision = decisions.begin("http", "192.0.2.7", f"{number}" * 500, f"{number}" * 2000)
            decision.device_id = f"{number}" if device_id == "many" else device_id
            decision.end("complete")
        assert tracemalloc.get_traced_memory()[0] < 500_000
    finally:
        tracemalloc.stop()
