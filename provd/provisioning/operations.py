"""The operations that are running or have ended a short while ago."""

from __future__ import annotations

import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import gevent

from provd.errors import NotFoundError, ProvdError
from provd.model.operation import Operation

log = logging.getLogger(__name__)

KEPT_S = 3600.0
"""How long an operation that has ended can still be asked about."""
MAX_KEPT = 1000
"""Operations that have ended and can be asked about; of more, the oldest are forgotten."""


class Operations:
    """Runs long work in greenlets and remembers how it went. Stopping the server cancels what runs."""

    def __init__(self, kept_s: float = KEPT_S, max_kept: int = MAX_KEPT) -> None:
        self._kept_s = kept_s
        self._max_kept = max_kept
        self._operations: dict[str, Operation] = {}
        self._ended: OrderedDict[str, float] = OrderedDict()
        self._workers: dict[str, gevent.Greenlet[..., None]] = {}

    def start(self, operation: Operation, work: Callable[[Operation], Any]) -> str:
        """Begin work, and return the id of its operation. What `work` returns is the result, if it set none itself."""
        self._forget_old()
        operation_id = uuid.uuid4().hex
        self._operations[operation_id] = operation
        self._workers[operation_id] = gevent.spawn(self._run, operation_id, operation, work)
        return operation_id

    def get(self, operation_id: str) -> Operation:
        """An operation that runs, or ended a while ago.

        Raises:
            NotFoundError: there is none, or it is forgotten.
        """
        self._forget_old()
        try:
            return self._operations[operation_id]
        except KeyError:
            raise NotFoundError(f"there is no operation {operation_id!r}") from None

    def forget(self, operation_id: str) -> None:
        """Forget an operation; its work goes on.

        Raises:
            NotFoundError: there is none.
        """
        self.get(operation_id)
        del self._operations[operation_id]
        self._ended.pop(operation_id, None)

    def wait(self, operation_id: str, timeout_s: float | None = None) -> Operation:
        """The operation, when it has ended or the time is over.

        Raises:
            NotFoundError: there is none.
        """
        operation = self.get(operation_id)
        worker = self._workers.get(operation_id)
        if worker is not None:
            worker.join(timeout_s)
        return operation

    def stop(self, timeout_s: float = 5.0) -> None:
        """Cancel everything; what does not stop in time goes down with the process, which leaves nothing half-done."""
        for operation_id in self._workers:
            if operation_id in self._operations:
                self._operations[operation_id].cancel()
        workers = list(self._workers.values())
        gevent.joinall(workers, timeout=timeout_s)
        gevent.killall(workers, timeout=1.0)

    def _run(self, operation_id: str, operation: Operation, work: Callable[[Operation], Any]) -> None:
        operation.begin()
        try:
            result = work(operation)
            if not operation.is_ended:
                operation.succeed(result)
        except ProvdError as error:
            operation.fail(str(error))
        except Exception as error:
            log.exception("operation failed: label=%s", operation.label)
            operation.fail(f"internal error: {type(error).__name__}: {error}")
        finally:
            self._workers.pop(operation_id, None)
            if operation_id in self._operations:
                self._ended[operation_id] = time.monotonic()
            log.info("operation ended: label=%s state=%s error=%r", operation.label, operation.state, operation.error)

    def _forget_old(self) -> None:
        """Forget what ended long ago, and the oldest of too many."""
        limit = time.monotonic() - self._kept_s
        while self._ended and (len(self._ended) > self._max_kept or next(iter(self._ended.values())) < limit):
            operation_id, _ = self._ended.popitem(last=False)
            self._operations.pop(operation_id, None)
