"""Indexes tell what a look at every document would tell, whatever was changed before."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from provd.store.collection import Collection, encode_document
from provd.store.index import Index
from provd.store.sqlite import SqliteBackend
from provd.store.store import Store, Transaction

IDS = st.sampled_from("abcdefg")
KEYS = st.one_of(st.sampled_from(["k1", "k2", "k3", ""]), st.none(), st.integers(0, 1))
DOCUMENTS = st.fixed_dictionaries({}, optional={"key": KEYS, "many": st.lists(KEYS, max_size=4)})


def _one(document: dict[str, Any]) -> Iterable[Any]:
    return (document.get("key"),)


def _many(document: dict[str, Any]) -> Iterable[Any]:
    return iter(document.get("many", ()))


INDEXES = {"one": _one, "many": _many}


def assert_same_as_a_scan(collection: Collection, model: dict[str, dict[str, Any]]) -> None:
    assert {each: collection.get(each) for each in collection.ids()} == model
    for name, keys_of in INDEXES.items():
        for key in ("k1", "k2", "k3", "", "nobody's"):
            expected = sorted(each for each, document in model.items() if key and key in list(keys_of(document)))
            found = collection.find(name, key)
            assert sorted(found) == expected
            assert len(set(found)) == len(found)
            assert collection.count(name, key) == len(expected)
            assert collection.first(name, key) == (found[0] if found else None)
            assert [each for each in "abcdefg" if collection.has(name, key, each)] == expected
            assert (key in collection.keys(name)) == bool(expected)


class CollectionChanges(RuleBasedStateMachine):
    """Any changes of a collection in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.collection = Collection("things", INDEXES)
        self.model: dict[str, dict[str, Any]] = {}
        self.revision = 0

    @rule(document_id=IDS, document=DOCUMENTS)
    def put(self, document_id: str, document: dict[str, Any]) -> None:
        self.revision += 1
        keys = self.collection.keys_of(document)
        self.collection.apply(document_id, encode_document(document), self.revision, keys)
        self.model[document_id] = document
        assert self.collection.revision(document_id) == self.revision

    @rule(document_id=IDS)
    def discard(self, document_id: str) -> None:
        self.collection.discard(document_id)
        self.model.pop(document_id, None)
        assert document_id not in self.collection

    @invariant()
    def indexes_are_right(self) -> None:
        assert_same_as_a_scan(self.collection, self.model)


TestCollectionChanges = CollectionChanges.TestCase
TestCollectionChanges.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


class StoreChanges(RuleBasedStateMachine):
    """Transactions of several changes on a real file, which is closed and opened again in between."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.model: dict[str, dict[str, Any]] = {}
        self.store = self._open()

    def _open(self) -> Store:
        return Store(SqliteBackend(Path(self.folder.name, "provd.db")), {"things": INDEXES})

    @rule(changes=st.lists(st.tuples(IDS, st.none() | DOCUMENTS), min_size=1, max_size=5))
    def commit(self, changes: list[tuple[str, dict[str, Any] | None]]) -> None:
        transaction = Transaction()
        for document_id, document in changes:
            if document is None:
                transaction.delete("things", document_id)
                self.model.pop(document_id, None)
            else:
                transaction.put("things", document_id, document)
                self.model[document_id] = document
        self.store.commit(transaction)

    @rule()
    def open_again(self) -> None:
        self.store.close()
        self.store = self._open()
        assert self.store.was_clean

    @invariant()
    def indexes_are_right(self) -> None:
        assert_same_as_a_scan(self.store.collection("things"), self.model)

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()


TestStoreChanges = StoreChanges.TestCase
TestStoreChanges.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)


def test_ids_are_found_in_the_order_in_which_they_came() -> None:
    index = Index()
    for each in ("c", "a", "b"):
        index.change(each, (), ("k",))
    assert index.get("k") == ("c", "a", "b")
    index.change("c", ("k",), ())
    index.change("c", (), ("k",))
    assert index.get("k") == ("a", "b", "c")


def test_an_index_forgets_keys_that_nobody_has() -> None:
    index = Index()
    index.change("a", (), ("k",))
    index.change("b", (), ("k",))
    index.change("a", ("k",), ())
    index.change("b", ("k",), ())
    assert index.get("k") == ()
    assert index._ids == {}
