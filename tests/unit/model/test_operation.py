"""Long operations, and the text that says how they stand."""

from __future__ import annotations

import pytest

from provd.model.operation import Operation, OperationCancelledError, State


def test_an_operation_is_told_in_the_known_grammar() -> None:
    operation = Operation("install")
    assert str(operation) == "install|waiting"
    operation.begin()
    download = operation.sub("download", 81920)
    download.begin()
    download.advance(4096)
    assert str(operation) == "install|progress(download|progress;4096/81920)"
    download.succeed()
    operation.sub("install").begin()
    operation.fail("the disk is full")
    assert str(operation) == "install|fail(download|success;4096/81920)(install|progress)"
    assert operation.error == "the disk is full"


def test_without_label_or_end_only_the_state_and_the_count_are_told() -> None:
    operation = Operation()
    operation.begin()
    assert str(operation) == "progress"
    operation.advance(3)
    assert str(operation) == "progress;3"


def test_an_operation_that_is_cancelled_stops_where_its_worker_looks_next() -> None:
    operation = Operation()
    sub = operation.sub()
    sub.check()
    operation.cancel()
    with pytest.raises(OperationCancelledError):
        sub.advance()
    with pytest.raises(OperationCancelledError):
        operation.check()


def test_an_operation_ends_with_a_result_or_an_error() -> None:
    good, bad = Operation(), Operation()
    assert not good.is_ended
    good.succeed({"devices": 3})
    bad.fail("no")
    assert good.is_ended
    assert bad.is_ended
    assert (good.state, good.result, bad.state) == (State.SUCCESS, {"devices": 3}, State.FAIL)
