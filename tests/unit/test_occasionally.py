"""Saying something now and then."""

from __future__ import annotations

import time

import pytest

from provd.occasionally import Occasionally, OccasionallyForEach


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def test_the_first_time_is_always_due(clock: Clock) -> None:
    for clock.now in (0.0, 0.001, 1000.0):
        occasionally = Occasionally(10.0)
        assert occasionally.due()
        assert occasionally.missed == 0


def test_within_the_interval_nothing_is_due(clock: Clock) -> None:
    occasionally = Occasionally(10.0)
    occasionally.due()
    for clock.now in (1000.0, 1005.0, 1009.999):
        assert not occasionally.due()
    clock.now = 1010.0
    assert occasionally.due()


def test_the_interval_begins_when_it_was_due(clock: Clock) -> None:
    occasionally = Occasionally(10.0)
    occasionally.due()
    clock.now = 1019.0
    assert occasionally.due()
    clock.now = 1028.0
    assert not occasionally.due()


def test_it_tells_how_often_it_was_not_due_since_the_last_time(clock: Clock) -> None:
    occasionally = Occasionally(10.0)
    occasionally.due()
    for _ in range(3):
        occasionally.due()
    assert occasionally.missed == 0
    clock.now = 1010.0
    occasionally.due()
    assert occasionally.missed == 3
    clock.now = 1020.0
    occasionally.due()
    assert occasionally.missed == 0


def test_the_interval_is_ten_seconds_unless_it_is_said(clock: Clock) -> None:
    occasionally = Occasionally()
    assert occasionally.missed == 0
    occasionally.due()
    clock.now = 1009.9
    assert not occasionally.due()
    clock.now = 1010.0
    assert occasionally.due()


def test_two_of_them_do_not_disturb_each_other(clock: Clock) -> None:
    first, second = Occasionally(10.0), Occasionally(1.0)
    assert first.due()
    assert second.due()
    clock.now = 1001.0
    assert not first.due()
    assert second.due()


# --- for each of many keys


def test_each_key_is_due_once_in_the_interval(clock: Clock) -> None:
    occasionally = OccasionallyForEach(60.0)
    for key in ("a", "b", "c"):
        assert occasionally.due(key)
        assert occasionally.missed == 0
    clock.now = 1059.9
    assert not any(occasionally.due(key) for key in ("a", "b", "c"))
    clock.now = 1060.0
    assert all(occasionally.due(key) for key in ("a", "b", "c"))


def test_it_tells_of_each_key_how_often_it_was_not_due(clock: Clock) -> None:
    occasionally = OccasionallyForEach(60.0)
    for key, times in (("a", 4), ("b", 1)):
        for _ in range(times):
            occasionally.due(key)
    clock.now = 1060.0
    assert (occasionally.due("a"), occasionally.missed) == (True, 3)
    assert (occasionally.due("b"), occasionally.missed) == (True, 0)
    clock.now = 1120.0
    assert (occasionally.due("a"), occasionally.missed) == (True, 0)


def test_all_keys_together_are_due_only_so_often_in_a_second(clock: Clock) -> None:
    occasionally = OccasionallyForEach(60.0, per_second=10)
    for clock.now in (1000.0, 1001.5, 1002.0):
        assert sum(occasionally.due(f"{clock.now} {number}") for number in range(500)) == 10


def test_a_key_that_had_no_turn_is_due_later_and_was_counted(clock: Clock) -> None:
    occasionally = OccasionallyForEach(60.0, per_second=1)
    assert occasionally.due("first")
    assert not occasionally.due("second")
    clock.now = 1001.0
    assert (occasionally.due("second"), occasionally.missed) == (True, 1)


def test_so_many_keys_are_known_and_the_one_not_asked_for_longest_is_forgotten(clock: Clock) -> None:
    occasionally = OccasionallyForEach(60.0, per_second=1_000_000, max_keys=3)
    assert all(occasionally.due(key) for key in ("a", "b", "c"))
    assert not occasionally.due("a")
    assert occasionally.due("d"), "in the place of b"
    assert not any(occasionally.due(key) for key in ("c", "a", "d"))
    assert (occasionally.due("b"), occasionally.missed) == (True, 0)


def test_memory_is_bounded_whatever_the_keys_are() -> None:
    occasionally = OccasionallyForEach(max_keys=100)
    for number in range(10_000):
        occasionally.due(str(number))
    assert len(occasionally._keys) == 100
