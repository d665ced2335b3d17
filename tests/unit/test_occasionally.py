"""Saying something now and then."""

from __future__ import annotations

import time

import pytest

from provd.occasionally import Occasionally


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
