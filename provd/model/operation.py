"""Long operations: what they are doing, how far they are, how they ended, and that somebody wants them to stop.

As text an operation is `[label|]state[;current[/end]](sub)(sub)…`, where each sub-operation has the same form:

    install|progress(download|progress;4096/81920)
"""

from __future__ import annotations

import threading
from enum import StrEnum
from typing import Any

from provd.errors import ProvdError


class State(StrEnum):
    """How an operation stands."""

    WAITING = "waiting"
    PROGRESS = "progress"
    SUCCESS = "success"
    FAIL = "fail"


class OperationCancelledError(ProvdError):
    """Somebody wanted the operation to stop, and it did."""

    http_status = 409


class Operation:
    """One operation, told by those who do the work and looked at by others, also from other threads.

    `current` and `end` count what the label says, such as bytes; None where nothing is counted or the end is unknown.
    `result` is what came of it, in JSON's types, and `error` why it failed.
    """

    __slots__ = ("_cancelled", "current", "end", "error", "label", "result", "state", "subs")

    def __init__(self, label: str | None = None, end: int | None = None) -> None:
        self.label = label
        self.state = State.WAITING
        self.current: int | None = None
        self.end = end
        self.subs: list[Operation] = []
        self.result: Any = None
        self.error: str | None = None
        self._cancelled = threading.Event()

    def begin(self, end: int | None = None) -> None:
        """The work begins; `end` is how much there is to do, if it is known."""
        self.state = State.PROGRESS
        if end is not None:
            self.end = end
        if self.end is not None and self.current is None:
            self.current = 0

    def sub(self, label: str | None = None, end: int | None = None) -> Operation:
        """A new sub-operation, which stops with this one."""
        operation = Operation(label, end)
        operation._cancelled = self._cancelled
        self.subs.append(operation)
        return operation

    def advance(self, amount: int = 1) -> None:
        """So much more is done.

        Raises:
            OperationCancelledError: somebody wants the operation to stop.
        """
        self.current = (self.current or 0) + amount
        self.check()

    def check(self) -> None:
        """Stop here if somebody wants that.

        Raises:
            OperationCancelledError: somebody does.
        """
        if self._cancelled.is_set():
            raise OperationCancelledError("the operation was cancelled")

    def cancel(self) -> None:
        """Ask the operation, and its sub-operations, to stop as soon as that leaves nothing half-done."""
        self._cancelled.set()

    def succeed(self, result: Any = None) -> None:
        """The work is done."""
        self.state, self.result = State.SUCCESS, result

    def fail(self, error: str) -> None:
        """The work has failed, and why."""
        self.state, self.error = State.FAIL, error

    @property
    def is_ended(self) -> bool:
        """It has succeeded or failed."""
        return self.state in (State.SUCCESS, State.FAIL)

    def __str__(self) -> str:
        label = f"{self.label}|" if self.label is not None else ""
        count = "" if self.current is None else f";{self.current}"
        count += "" if self.current is None or self.end is None else f"/{self.end}"
        return f"{label}{self.state.value}{count}" + "".join(f"({sub})" for sub in self.subs)
