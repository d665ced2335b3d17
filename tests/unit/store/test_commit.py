"""What a commit promises: durable and visible together, or not at all."""

from __future__ import annotations

from pathlib import Path

import gevent
import pytest

from provd.errors import ConflictError, StoreError
from provd.store import store as store_module
from provd.store.schema import CONFIGS, DEVICES
from provd.store.sqlite import SqliteBackend
from provd.store.store import Store, Transaction

from .conftest import OpenStore
from .steered import SteeredBackend, all_done, wait_until


def rows_on_disk(path: Path) -> dict[str, str]:
    """The documents that another process would see now, by id."""
    reader = SqliteBackend(path, read_only=True)
    try:
        return {row.id: row.text for row in reader.load()}
    finally:
        reader.close()


def put(document_id: str, **values: object) -> Transaction:
    return Transaction().put(DEVICES, document_id, {"id": document_id, **values})


def test_what_was_committed_is_on_disk_when_commit_returns(store: Store, path: Path) -> None:
    store.commit(put("a", ip="192.0.2.1"))
    assert rows_on_disk(path) == {"a": '{"id":"a","ip":"192.0.2.1"}'}


def test_nobody_sees_a_document_before_it_is_on_disk(store: Store, backend: SteeredBackend) -> None:
    devices = store.collection(DEVICES)
    backend.gate.shut()
    writer = gevent.spawn(store.commit, put("a", mac="00:08:5d:00:00:01"))
    wait_until(lambda: backend.gate.waiting)
    assert devices.get("a") is None
    assert devices.find("mac", "00:08:5d:00:00:01") == ()
    assert not writer.ready()
    backend.gate.open()
    all_done(writer)
    assert devices.find("mac", "00:08:5d:00:00:01") == ("a",)


def test_a_removed_document_is_seen_until_its_removal_is_on_disk(store: Store, backend: SteeredBackend) -> None:
    store.commit(put("a"))
    backend.gate.shut()
    writer = gevent.spawn(store.commit, Transaction().delete(DEVICES, "a"))
    wait_until(lambda: backend.gate.waiting)
    assert "a" in store.collection(DEVICES)
    backend.gate.open()
    all_done(writer)
    assert "a" not in store.collection(DEVICES)


def test_a_transaction_over_two_collections_is_whole(store: Store, path: Path) -> None:
    store.commit(put("a").put(CONFIGS, "c", {"id": "c", "parent_ids": [], "raw_config": {}}))
    assert set(rows_on_disk(path)) == {"a", "c"}


def test_a_change_based_on_an_old_revision_is_refused(store: Store) -> None:
    store.commit(put("a", version="1"))
    old = store.collection(DEVICES).revision("a")
    store.commit(put("a", version="2"))
    with pytest.raises(ConflictError, match="'a' was changed by someone else"):
        store.commit(Transaction().put(DEVICES, "a", {"id": "a", "version": "3"}, old))
    assert store.collection(DEVICES).get("a") == {"id": "a", "version": "2"}


def test_a_removal_based_on_an_old_revision_is_refused(store: Store) -> None:
    store.commit(put("a"))
    old = store.collection(DEVICES).revision("a")
    store.commit(put("a", version="2"))
    with pytest.raises(ConflictError):
        store.commit(Transaction().delete(DEVICES, "a", old))
    assert "a" in store.collection(DEVICES)


def test_a_refused_transaction_changes_nothing_at_all(store: Store, path: Path) -> None:
    store.commit(put("a"))
    with pytest.raises(ConflictError):
        store.commit(put("b").put(DEVICES, "a", {"id": "a", "version": "2"}, expected=0))
    assert store.collection(DEVICES).ids() == ["a"]
    assert set(rows_on_disk(path)) == {"a"}


def test_expecting_revision_zero_means_that_there_must_be_no_document(store: Store) -> None:
    transaction = Transaction().put(DEVICES, "a", {"id": "a"}, expected=0)
    store.commit(transaction)
    with pytest.raises(ConflictError):
        store.commit(transaction)
    store.commit(Transaction().delete(DEVICES, "a"))
    store.commit(transaction)
    assert "a" in store.collection(DEVICES)


def test_removing_what_is_gone_is_fine(store: Store) -> None:
    store.commit(Transaction().delete(DEVICES, "nobody"))
    assert len(store.collection(DEVICES)) == 0


def test_the_last_of_two_changes_of_one_document_in_a_transaction_counts(store: Store, path: Path) -> None:
    store.commit(put("a", version="1").put(DEVICES, "a", {"id": "a", "version": "2"}))
    store.commit(put("b").delete(DEVICES, "b"))
    assert rows_on_disk(path) == {"a": '{"id":"a","version":"2"}'}
    assert store.collection(DEVICES).get("a") == {"id": "a", "version": "2"}
    assert "b" not in store.collection(DEVICES)


def test_revisions_grow_with_every_write(store: Store) -> None:
    devices, seen = store.collection(DEVICES), []
    for _ in range(3):
        store.commit(put("a"))
        store.commit(put("b"))
        seen += [devices.revision("a"), devices.revision("b")]
    assert seen == sorted(set(seen))
    assert devices.revision("nobody") == 0


def test_each_reader_gets_a_copy_of_its_own(store: Store) -> None:
    store.commit(put("a", options={"switchboard": True}))
    devices = store.collection(DEVICES)
    mine = devices.get("a")
    assert mine is not None
    mine["options"]["switchboard"] = False
    stored = devices.get_stored("a")
    assert stored is not None
    stored.document.clear()
    for document in devices.documents():
        document["mine"] = True
    assert devices.get("a") == {"id": "a", "options": {"switchboard": True}}


def test_reading_all_documents_survives_that_one_goes_meanwhile(store: Store) -> None:
    store.commit(put("a").put(DEVICES, "b", {"id": "b"}))
    documents = store.collection(DEVICES).documents()
    assert next(documents) == {"id": "a"}
    store.commit(Transaction().delete(DEVICES, "b"))
    assert list(documents) == []


def test_reopening_gives_the_same_documents_revisions_and_indexes(open_store: OpenStore) -> None:
    first = open_store()
    first.commit(put("a", mac="00:08:5d:00:00:01", description="Büro ☎", X_own=[1, {"deep": None}]))
    first.commit(put("b", ip="2001:db8::1").delete(DEVICES, "nobody"))
    before = [first.collection(DEVICES).get_stored(each) for each in ("a", "b")]
    first.close()
    devices = open_store().collection(DEVICES)
    assert [devices.get_stored(each) for each in ("a", "b")] == before
    assert devices.find("mac", "00:08:5d:00:00:01") == ("a",)
    assert devices.find("ip", "2001:db8::1") == ("b",)


def test_a_revision_is_never_given_again_after_a_restart(open_store: OpenStore) -> None:
    first = open_store()
    first.commit(put("a", version="1"))
    old = first.collection(DEVICES).revision("a")
    first.commit(Transaction().delete(DEVICES, "a"))
    first.close()
    second = open_store()
    second.commit(put("a", version="2"))
    with pytest.raises(ConflictError):
        second.commit(Transaction().put(DEVICES, "a", {"id": "a", "version": "1, changed"}, old))


def test_close_writes_what_is_queued(store: Store, backend: SteeredBackend, path: Path) -> None:
    backend.gate.shut()
    writers = [gevent.spawn(store.commit, put("d"))]
    wait_until(lambda: backend.gate.waiting)
    writers += [gevent.spawn(store.commit, put(f"d{number}")) for number in range(19)]
    wait_until(lambda: store.queued == 19)
    closing = gevent.spawn(store.close)
    gevent.sleep(0)
    backend.gate.open()
    all_done(closing, *writers)
    assert len(rows_on_disk(path)) == 20


def test_a_closed_store_refuses_changes_and_closes_again_in_peace(store: Store) -> None:
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.commit(put("a"))
    store.close()


def test_whoever_closes_second_waits_for_the_first(store: Store, backend: SteeredBackend) -> None:
    backend.gate.shut()
    writer = gevent.spawn(store.commit, put("a"))
    wait_until(lambda: backend.gate.waiting)
    first = gevent.spawn(store.close)
    gevent.sleep(0)
    second = gevent.spawn(store.close)
    gevent.sleep(0)
    was_early = second.ready()
    backend.gate.open()
    all_done(writer, first, second)
    assert not was_early


def test_a_full_queue_refuses_more_and_takes_more_later(
    store: Store, backend: SteeredBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "MAX_QUEUED", 3)
    backend.gate.shut()
    writers = [gevent.spawn(store.commit, put("first"))]
    wait_until(lambda: backend.gate.waiting)
    writers += [gevent.spawn(store.commit, put(f"d{number}")) for number in range(3)]
    wait_until(lambda: store.queued == 3)
    one_too_many = gevent.spawn(store.commit, put("one too many"))
    wait_until(one_too_many.ready)
    assert str(one_too_many.exception) == "the store is busy: 3 changes wait to be written"
    backend.gate.open()
    all_done(*writers)
    store.commit(put("later"))
    assert set(store.collection(DEVICES).ids()) == {"first", "d0", "d1", "d2", "later"}


def test_what_json_cannot_say_is_refused_before_it_is_queued(store: Store) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        put("a", weight=float("nan"))
