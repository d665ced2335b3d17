"""TFTP requests that were read from the kernel and wait to be answered: those from known phones' addresses first."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

MAX_QUEUED = 8192
"""Requests of each of the two kinds that may wait; more are dropped, and the phones ask again."""


class RequestQueue(Generic[T]):
    """Two queues, so that a flood of requests from addresses that nobody knows does not delay known phones.

    Whoever is known comes first. If known phones alone keep the server busy, the others wait; so does whoever forges a
    known phone's address wait among the known phones.
    """

    def __init__(self, max_queued: int = MAX_QUEUED) -> None:
        self._max_queued = max_queued
        self._known: deque[T] = deque()
        self._others: deque[T] = deque()

    def __len__(self) -> int:
        return len(self._known) + len(self._others)

    def put(self, item: T, *, is_known: bool) -> bool:
        """Put a request in; False if there is no room for it."""
        queue = self._known if is_known else self._others
        if len(queue) >= self._max_queued:
            return False
        queue.append(item)
        return True

    def take(self) -> T:
        """Take the request whose turn it is; there must be one."""
        return self._known.popleft() if self._known else self._others.popleft()
