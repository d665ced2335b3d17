"""The SQLite file: whose it is, who may open it, and how its last use ended."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from provd.errors import StoreError
from provd.store.backend import Row
from provd.store.schema import DEVICES
from provd.store.sqlite import SCHEMA_VERSION, SqliteBackend
from provd.store.store import Store, Transaction

from .conftest import OpenStore


def put(document_id: str) -> Transaction:
    return Transaction().put(DEVICES, document_id, {"id": document_id})


def ids(backend: SqliteBackend) -> list[str]:
    return sorted(row.id for row in backend.load())


def test_nobody_but_the_server_may_read_the_file(open_store: OpenStore, path: Path) -> None:
    open_store().commit(put("a"))
    for each in path.parent.iterdir():
        assert stat.S_IMODE(each.stat().st_mode) == 0o600, each


def test_a_second_server_is_refused(open_store: OpenStore, path: Path) -> None:
    open_store().commit(put("a"))
    with pytest.raises(StoreError, match="another xivo-provd is using this store"):
        SqliteBackend(path)


def test_when_the_first_server_has_closed_the_second_may_open(open_store: OpenStore) -> None:
    open_store().close()
    assert open_store().was_clean


def test_a_server_that_could_not_open_leaves_the_lock_to_others(path: Path) -> None:
    path.write_text("no database, but long enough that it cannot be taken for an empty one", encoding="utf-8")
    for _ in range(2):
        with pytest.raises(StoreError, match="file is not a database"):
            SqliteBackend(path)


def test_another_programs_database_is_refused_and_left_alone(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE songs (title TEXT)")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="database of another program"):
        SqliteBackend(path)
    assert path.read_bytes() == before


def test_a_newer_schema_is_refused_and_left_alone(open_store: OpenStore, path: Path) -> None:
    open_store().close()
    newer = sqlite3.connect(path)
    newer.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    newer.close()
    with pytest.raises(StoreError, match=rf"newer xivo-provd \(schema {SCHEMA_VERSION + 1}, this one knows"):
        SqliteBackend(path)
    with pytest.raises(StoreError, match="newer xivo-provd"):
        SqliteBackend(path, read_only=True)


def test_a_folder_in_the_files_place_is_refused(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StoreError, match="unable to open database file"):
        SqliteBackend(path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"gone/provd\.db\.lock: No such file or directory"):
        SqliteBackend(tmp_path / "gone" / "provd.db")


def test_looking_needs_a_file(path: Path) -> None:
    with pytest.raises(StoreError, match="there is no such file"):
        SqliteBackend(path, read_only=True)
    assert list(path.parent.iterdir()) == []


def test_looking_beside_a_running_server_disturbs_nobody(open_store: OpenStore, path: Path) -> None:
    store = open_store()
    store.commit(put("a"))
    looking = SqliteBackend(path, read_only=True)
    assert ids(looking) == ["a"]
    assert not looking.was_clean
    store.commit(put("b"))
    assert ids(looking) == ["a", "b"]
    looking.close()
    store.commit(put("c"))
    store.close()
    assert open_store().was_clean


def test_looking_changes_nothing(open_store: OpenStore, path: Path) -> None:
    open_store().close()
    before = path.read_bytes()
    looking = SqliteBackend(path, read_only=True)
    assert looking.was_clean
    assert looking.verify() == []
    with pytest.raises(StoreError, match="readonly"):
        looking.commit([Row(DEVICES, "a", 1, "{}")])
    looking.close()
    assert path.read_bytes() == before


def test_a_new_file_counts_as_closed(open_store: OpenStore) -> None:
    assert open_store().was_clean


def test_a_store_that_was_closed_was_clean(open_store: OpenStore) -> None:
    for _ in range(3):
        store = open_store()
        assert store.was_clean
        store.commit(put("a"))
        store.close()


def test_a_store_that_was_not_closed_was_not_clean(open_store: OpenStore, path: Path, tmp_path: Path) -> None:
    store = open_store()
    store.commit(put("a"))
    copy = tmp_path / "as if the power had failed.db"
    for suffix in ("", "-wal"):
        copy.with_name(copy.name + suffix).write_bytes(path.with_name(path.name + suffix).read_bytes())
    after = SqliteBackend(copy)
    assert not after.was_clean
    assert ids(after) == ["a"]
    after.close()
    again = SqliteBackend(copy)
    assert again.was_clean
    again.close()


def test_a_file_that_was_only_begun_is_a_new_store(path: Path, open_store: OpenStore) -> None:
    path.touch()
    store = open_store()
    assert store.was_clean
    store.commit(put("a"))
    assert "a" in store.collection(DEVICES)


def test_a_damaged_page_is_reported(open_store: OpenStore, path: Path) -> None:
    store = open_store()
    for number in range(200):
        store.commit(put(f"device {number}"))
    store.close()
    content = bytearray(path.read_bytes())
    content[-4096:-3696] = b"\xff" * 400  # the head of the last page, which holds documents
    path.write_bytes(content)
    looking = SqliteBackend(path, read_only=True)
    problems = looking.verify()
    looking.close()
    assert problems
    assert all(problem.startswith(f"{path}: ") for problem in problems)


def test_a_file_that_cannot_be_read_at_all_is_refused_with_its_name(open_store: OpenStore, path: Path) -> None:
    store = open_store()
    store.commit(put("a"))
    store.close()
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(StoreError, match=r"provd\.db: "):
        Store(SqliteBackend(path), {})
