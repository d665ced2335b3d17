"""The stacks that the server tells when it is asked."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import gevent
import pytest

from provd.stacks import describe_stacks


class Node:
    """Something that holds itself, so that only the collector can free it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_each_greenlet_and_each_thread_is_told_with_its_lines() -> None:
    def waits_in_the_night() -> None:
        gevent.sleep(60)

    greenlets = [gevent.spawn(waits_in_the_night) for _ in range(3)]
    gevent.sleep(0)
    stacks = describe_stacks()
    gevent.killall(greenlets)
    assert stacks.count("in waits_in_the_night") == 3
    assert "thread MainThread" in stacks
    assert "in test_each_greenlet_and_each_thread" in stacks


def test_greenlets_of_the_start_are_told_though_the_collector_does_not_look_at_them() -> None:
    def waits_since_the_start() -> None:
        gevent.sleep(60)

    waiting = gevent.spawn(waits_since_the_start)
    gevent.sleep(0)
    gc.freeze()
    stacks = describe_stacks()
    waiting.kill()
    assert "in waits_since_the_start" in stacks


def test_what_lives_while_the_stacks_are_told_can_be_freed_later() -> None:
    gc.freeze()
    node = Node()
    alive = weakref.ref(node)
    describe_stacks()
    del node
    gc.collect()
    assert alive() is None
