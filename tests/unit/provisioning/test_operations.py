"""Operations that run in the background and can be asked about for a while after they ended."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event

from provd.errors import ConflictError, NotFoundError
from provd.model.operation import Operation, State
from provd.provisioning.operations import Operations


def test_an_operation_runs_in_the_background_and_keeps_its_result() -> None:
    operations, go = Operations(), Event()

    def work(operation: Operation) -> str:
        operation.begin(2)
        operation.advance()
        go.wait()
        operation.advance()
        return "done"

    operation_id = operations.start(Operation("update"), work)
    gevent.sleep(0)
    assert str(operations.get(operation_id)) == "update|progress;1/2"
    go.set()
    ended = operations.wait(operation_id, 5)
    assert (str(ended), ended.result) == ("update|success;2/2", "done")


@pytest.mark.parametrize(
    ("error", "text"), [(ConflictError("somebody was faster"), "somebody was faster"), (KeyError("x"), "KeyError: 'x'")]
)
def test_an_operation_that_fails_says_why(error: Exception, text: str) -> None:
    operations = Operations()

    def work(operation: Operation) -> None:
        raise error

    ended = operations.wait(operations.start(Operation(), work), 5)
    assert ended.state is State.FAIL
    assert text in str(ended.error)


def test_what_was_cancelled_ends_where_it_looks() -> None:
    operations = Operations()

    def work(operation: Operation) -> None:
        while True:
            gevent.sleep(0)
            operation.check()

    operation_id = operations.start(Operation(), work)
    operations.get(operation_id).cancel()
    assert operations.wait(operation_id, 5).error == "the operation was cancelled"


def test_what_ended_is_forgotten_after_a_while_and_when_there_is_too_much() -> None:
    operations = Operations(kept_s=3600, max_kept=2)
    ids = [operations.start(Operation(), lambda operation: None) for _ in range(4)]
    for operation_id in ids:
        operations._workers.get(operation_id, gevent.spawn(lambda: None)).join(5)
    assert operations.get(ids[3]).state is State.SUCCESS
    for operation_id in ids[:2]:
        with pytest.raises(NotFoundError):
            operations.get(operation_id)
    short = Operations(kept_s=0)
    operation_id = short.start(Operation(), lambda operation: None)
    short._workers[operation_id].join(5)
    with pytest.raises(NotFoundError):
        short.get(operation_id)


def test_an_operation_that_is_forgotten_goes_on() -> None:
    operations, go, done = Operations(), Event(), Event()

    def work(operation: Operation) -> None:
        go.wait()
        done.set()

    operation_id = operations.start(Operation(), work)
    operations.forget(operation_id)
    with pytest.raises(NotFoundError):
        operations.get(operation_id)
    go.set()
    assert done.wait(5)


def test_stopping_cancels_what_runs_and_waits_for_it() -> None:
    operations, cleaned_up = Operations(), []

    def work(operation: Operation) -> None:
        try:
            while True:
                gevent.sleep(0.001)
                operation.check()
        finally:
            cleaned_up.append(True)

    operations.start(Operation(), work)
    gevent.sleep(0)
    operations.stop()
    assert cleaned_up == [True]
