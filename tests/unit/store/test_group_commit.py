"""Many commits at once: few transactions of the database, and each is answered for itself."""

from __future__ import annotations

import gevent
import pytest

from provd.errors import ConflictError, StoreError
from provd.store.schema import CONFIGS, DEVICES
from provd.store.store import Store, Transaction

from .steered import SteeredBackend, all_done, always, wait_until


def put(document_id: str, expected: int | None = None, **values: object) -> Transaction:
    return Transaction().put(DEVICES, document_id, {"id": document_id, **values}, expected)


def commit_together(store: Store, backend: SteeredBackend, *transactions: Transaction) -> list[BaseException | None]:
    """Commit all transactions in one group, after one of another document; what each got."""
    backend.gate.shut()
    first = gevent.spawn(store.commit, put("before"))
    wait_until(lambda: backend.gate.waiting)
    greenlets = [gevent.spawn(_outcome, store, transaction) for transaction in transactions]
    wait_until(lambda: store.queued + sum(greenlet.ready() for greenlet in greenlets) == len(transactions))
    backend.gate.open()
    all_done(first, *greenlets)
    return [greenlet.value for greenlet in greenlets]


def _outcome(store: Store, transaction: Transaction) -> BaseException | None:
    try:
        store.commit(transaction)
    except (ConflictError, StoreError) as error:
        return error
    return None


def test_many_commits_at_once_take_few_database_transactions(store: Store, backend: SteeredBackend) -> None:
    writers = [gevent.spawn(store.commit, put(f"d{number}")) for number in range(2000)]
    all_done(*writers)
    assert len(store.collection(DEVICES)) == 2000
    assert len(backend.commits) < 20


def test_greenlets_that_change_one_document_lose_no_update(store: Store, backend: SteeredBackend) -> None:
    store.commit(put("counter", n=0))
    devices = store.collection(DEVICES)

    def increment() -> None:
        while True:
            stored = devices.get_stored("counter")
            assert stored is not None
            try:
                return store.commit(put("counter", stored.revision, n=stored.document["n"] + 1))
            except ConflictError:
                continue

    all_done(*[gevent.spawn(increment) for _ in range(30)])
    assert devices.get("counter") == {"id": "counter", "n": 30}


def test_of_two_in_a_group_with_one_expectation_the_first_wins(store: Store, backend: SteeredBackend) -> None:
    store.commit(put("a", who="old"))
    revision = store.collection(DEVICES).revision("a")
    outcomes = commit_together(store, backend, put("a", revision, who="first"), put("a", revision, who="second"))
    assert outcomes[0] is None
    assert isinstance(outcomes[1], ConflictError)
    assert store.collection(DEVICES).get("a") == {"id": "a", "who": "first"}


def test_two_blind_writes_of_one_document_in_a_group_happen_in_their_order(
    store: Store, backend: SteeredBackend
) -> None:
    assert commit_together(store, backend, put("a", who="first"), put("a", who="second")) == [None, None]
    assert store.collection(DEVICES).get("a") == {"id": "a", "who": "second"}
    assert [row.id for row in backend.commits[1]] == ["a", "a"]


def test_a_document_removed_and_made_again_in_one_group_is_there(store: Store, backend: SteeredBackend) -> None:
    store.commit(put("a", who="old"))
    again = put("a", 0, who="new")
    assert commit_together(store, backend, Transaction().delete(DEVICES, "a"), again) == [None, None]
    assert store.collection(DEVICES).get("a") == {"id": "a", "who": "new"}


def test_a_conflict_in_a_group_harms_only_itself(store: Store, backend: SteeredBackend) -> None:
    outcomes = commit_together(store, backend, put("a"), put("b", expected=77), put("c"))
    assert [type(outcome) for outcome in outcomes] == [type(None), ConflictError, type(None)]
    assert store.collection(DEVICES).ids() == ["before", "a", "c"]


def test_when_the_database_refuses_a_group_all_of_it_is_refused(store: Store, backend: SteeredBackend) -> None:
    backend.refuses = lambda changes: any(change.id == "b" for change in changes)
    outcomes = commit_together(store, backend, put("a"), put("b"))
    assert [type(outcome) for outcome in outcomes] == [StoreError, StoreError]
    assert store.collection(DEVICES).ids() == ["before"]
    store.commit(put("a"))
    assert "a" in store.collection(DEVICES)


def test_a_greenlet_that_is_killed_while_it_waits_harms_nobody(store: Store, backend: SteeredBackend) -> None:
    backend.gate.shut()
    doomed = gevent.spawn(store.commit, put("doomed"))
    wait_until(lambda: backend.gate.waiting)
    other = gevent.spawn(store.commit, put("other"))
    wait_until(lambda: store.queued)
    doomed.kill()
    backend.gate.open()
    all_done(other)
    assert "other" in store.collection(DEVICES)


def test_readers_are_not_held_up_by_a_commit_that_takes_long(store: Store, backend: SteeredBackend) -> None:
    store.commit(put("a"))
    backend.gate.shut()
    writer = gevent.spawn(store.commit, put("a", version="2"))
    wait_until(lambda: backend.gate.waiting)
    reads = [gevent.spawn(store.collection(DEVICES).get, "a") for _ in range(100)]
    all_done(*reads)
    assert {str(read.value) for read in reads} == {"{'id': 'a'}"}
    backend.gate.open()
    all_done(writer)


def test_whoever_meets_a_conflict_can_read_what_won(store: Store, backend: SteeredBackend) -> None:
    store.commit(put("a", who="old"))
    revision = store.collection(DEVICES).revision("a")
    seen = []

    def lose() -> None:
        with pytest.raises(ConflictError):
            store.commit(put("a", revision, who="loser"))
        seen.append(store.collection(DEVICES).get("a"))

    backend.gate.shut()
    first = gevent.spawn(store.commit, put("before"))
    wait_until(lambda: backend.gate.waiting)
    writers = [gevent.spawn(store.commit, put("a", revision, who="winner")), gevent.spawn(lose)]
    wait_until(lambda: store.queued == 2)
    backend.gate.open()
    all_done(first, *writers)
    assert seen == [{"id": "a", "who": "winner"}]


def test_a_text_that_cannot_be_stored_harms_only_its_own_transaction(store: Store, backend: SteeredBackend) -> None:
    try:
        transactions = [put("a", description="\ud800"), put("b")]
    except ValueError:  # refused even earlier is better still
        transactions = [put("b")]
    outcomes = commit_together(store, backend, *transactions)
    assert outcomes[-1] is None
    assert "b" in store.collection(DEVICES)


def test_an_unknown_collection_harms_only_its_own_transaction(store: Store, backend: SteeredBackend) -> None:
    outcomes = commit_together(store, backend, Transaction().put("gadgets", "g", {}), put("b"))
    assert outcomes[1] is None


def test_a_document_that_cannot_be_indexed_is_not_written(store: Store, backend: SteeredBackend) -> None:
    broken = Transaction().put(CONFIGS, "c", {"id": "c", "parent_ids": None, "raw_config": {}})
    outcomes = commit_together(store, backend, broken, put("b"))
    on_disk = {row.id for row in backend.load()}
    assert outcomes[1] is None
    assert on_disk == {"before", "b"} == set(store.collection(DEVICES).ids())


def test_a_failing_database_answers_everybody_and_is_tried_again(store: Store, backend: SteeredBackend) -> None:
    backend.refuses = always
    writers = [gevent.spawn(_outcome, store, put(f"d{number}")) for number in range(50)]
    all_done(*writers)
    assert all(isinstance(writer.value, StoreError) for writer in writers)
    backend.refuses = lambda changes: False
    store.commit(put("later"))
    assert store.collection(DEVICES).ids() == ["later"]
