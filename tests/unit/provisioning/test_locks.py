"""Locks by key: work on one device never waits for work on another, and nobody waits in a circle."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event

from provd.provisioning.locks import KeyedLocks, of_device, of_phone

from ..store.steered import all_done, wait_until


@pytest.fixture
def locks() -> KeyedLocks:
    return KeyedLocks()


def hold_until(locks: KeyedLocks, event: Event, *keys: str) -> gevent.Greenlet:
    """A greenlet that holds the keys until the event; it has begun to wait for them."""

    def hold() -> None:
        with locks.hold(*keys):
            event.wait()

    greenlet = gevent.spawn(hold)
    gevent.sleep(0)
    return greenlet


def test_one_key_is_held_by_one_at_a_time_in_the_order_of_coming(locks: KeyedLocks) -> None:
    inside, order = 0, []

    def work(number: int) -> None:
        nonlocal inside
        with locks.hold("k"):
            inside += 1
            assert inside == 1
            order.append(number)
            gevent.sleep(0)
            inside -= 1

    all_done(*[gevent.spawn(work, number) for number in range(20)])
    assert order == list(range(20))


def test_other_keys_do_not_wait(locks: KeyedLocks) -> None:
    event = Event()
    holder = hold_until(locks, event, "a")
    with locks.hold("b"):
        assert locks.is_held("a")
    event.set()
    all_done(holder)


def test_a_key_is_held_while_somebody_waits_for_it(locks: KeyedLocks) -> None:
    event = Event()
    holders = [hold_until(locks, event, "k") for _ in range(2)]
    assert locks.is_held("k")
    holders[0].kill()
    gevent.sleep(0)
    assert locks.is_held("k")
    event.set()
    all_done(*holders)
    assert not locks.is_held("k")


def test_several_keys_in_any_order_end_in_no_circle(locks: KeyedLocks) -> None:
    """Each of two would hold the key that the other waits for, if they took them in the order that they say."""
    first, second, at_once = Event(), Event(), Event()
    at_once.set()
    holders = [hold_until(locks, first, "a"), hold_until(locks, second, "b")]
    waiters = [hold_until(locks, at_once, *keys) for keys in (("b", "a"), ("a", "b"))]
    for event in (first, second):
        event.set()
        wait_until(lambda: any(holder.ready() for holder in holders))
        gevent.sleep(0)
    all_done(*holders, *waiters, seconds=5)


def test_a_waiter_that_is_killed_gives_back_what_it_had(locks: KeyedLocks) -> None:
    event = Event()
    holder = hold_until(locks, event, "b")
    waiter = hold_until(locks, event, "a", "b")
    assert locks.is_held("a")
    waiter.kill()
    assert not locks.is_held("a")
    event.set()
    all_done(holder)
    with locks.hold("a", "b"):
        pass


def test_an_error_inside_gives_the_lock_back(locks: KeyedLocks) -> None:
    with pytest.raises(KeyError), locks.hold("a", "b"):
        raise KeyError
    assert not locks.is_held("a")
    assert (locks._locks, locks._users) == ({}, {})


def test_keys_of_phones_and_devices_never_meet() -> None:
    keys = {of_device("x"), of_phone("mac", "x"), of_phone("ip", "x"), of_phone("sn", "x"), of_phone("uuid", "x")}
    assert len(keys) == 5
