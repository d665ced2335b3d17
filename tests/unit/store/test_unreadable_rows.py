"""Rows that cannot be read are named, stay on disk, and do not keep the rest from being used."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from provd.store.collection import Collection
from provd.store.schema import CONFIGS, DEVICES, RENDERINGS
from provd.store.store import Transaction

from .conftest import OpenStore

GOOD = '{"id":"good","mac":"00:08:5d:00:00:01"}'
Value = str | bytes | int


def write_rows(path: Path, *rows: tuple[str, str, Value, Value]) -> None:
    """Put rows into the file behind the store's back: collection, id, revision, document."""
    connection = sqlite3.connect(path)
    connection.executemany("INSERT INTO documents VALUES (?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()


def stored_ids(path: Path) -> set[str]:
    connection = sqlite3.connect(path)
    found = {row[0] for row in connection.execute("SELECT id FROM documents")}
    connection.close()
    return found


@pytest.mark.parametrize(
    ("collection", "document", "named"),
    [
        (DEVICES, '{"id":"bad","ma', "devices 'bad'"),
        (DEVICES, "", "devices 'bad'"),
        (DEVICES, "[1, 2]", "devices 'bad': not a JSON object"),
        (DEVICES, '"text"', "devices 'bad': not a JSON object"),
        (DEVICES, "[" * 100_000, "devices 'bad'"),
        ("gadgets", "{}", "gadgets 'bad': there is no such collection"),
        pytest.param(
            DEVICES,
            b"\xff\xfe{}",
            "devices 'bad'",
        ),
        pytest.param(
            CONFIGS,
            '{"id":"bad","parent_ids":null,"raw_config":{}}',
            "configs 'bad'",
        ),
        pytest.param(
            RENDERINGS,
            '{"plugin":"p"}',
            "renderings 'bad'",
        ),
    ],
)
def test_a_row_that_cannot_be_read_is_named_and_left_alone(
    open_store: OpenStore, path: Path, collection: str, document: Value, named: str
) -> None:
    open_store().close()
    write_rows(path, (collection, "bad", 1, document), (DEVICES, "good", 2, GOOD))
    store = open_store()
    assert store.collection(DEVICES).find("mac", "00:08:5d:00:00:01") == ("good",)
    assert len(store.unreadable) == 1
    assert named in store.unreadable[0]
    assert "bad" not in store.collection(DEVICES)
    store.commit(Transaction().put(DEVICES, "new", {"id": "new"}))
    store.close()
    assert stored_ids(path) == {"bad", "good", "new"}


def test_a_text_that_is_not_utf8_does_not_stop_the_rest(open_store: OpenStore, path: Path) -> None:
    open_store().close()
    write_rows(path, (DEVICES, "good", 2, GOOD))
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO documents VALUES ('devices', 'bad', 1, CAST(x'7bff7d' AS TEXT))")
    connection.commit()
    connection.close()
    store = open_store()
    assert store.collection(DEVICES).ids() == ["good"]
    assert len(store.unreadable) == 1


def test_a_document_that_cannot_be_indexed_leaves_no_trace_in_any_index() -> None:
    things = Collection("things", {"name": lambda document: [document["name"]], "size": lambda document: 1 / 0})
    with pytest.raises(ArithmeticError):
        things.keys_of({"name": "bolt"})
    assert things.find("name", "bolt") == ()


def test_new_revisions_are_larger_than_those_of_unreadable_rows(open_store: OpenStore, path: Path) -> None:
    open_store().close()
    write_rows(path, (DEVICES, "bad", 900, "{"))
    store = open_store()
    store.commit(Transaction().put(DEVICES, "new", {"id": "new"}))
    assert store.collection(DEVICES).revision("new") == 901


def test_an_unreadable_document_can_be_replaced(open_store: OpenStore, path: Path) -> None:
    open_store().close()
    write_rows(path, (DEVICES, "bad", 1, "{"))
    store = open_store()
    store.commit(Transaction().put(DEVICES, "bad", {"id": "bad"}, expected=0))
    store.close()
    again = open_store()
    assert again.unreadable == []
    assert again.collection(DEVICES).get("bad") == {"id": "bad"}
