"""When the database refuses: memory stays as it was, and the store can be used as soon as the database can."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from provd.errors import StoreError
from provd.store.schema import DEVICES, SCHEMA
from provd.store.sqlite import SqliteBackend
from provd.store.store import Store, Transaction

from .conftest import OpenStore
from .steered import SteeredBackend, always

FULL_DISK = Path(__file__).with_name("full_disk.py")


def put(document_id: str, **values: object) -> Transaction:
    return Transaction().put(DEVICES, document_id, {"id": document_id, **values})


@pytest.fixture(scope="module")
def full_disk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A store whose disk was full for a while, and what its process says of that."""
    path = tmp_path_factory.mktemp("full") / "provd.db"
    answer = subprocess.run([sys.executable, FULL_DISK, path], capture_output=True, check=True, timeout=30)
    return path, {**json.loads(answer.stdout), "stderr": answer.stderr.decode()}


def test_a_full_disk_refuses_a_commit_with_a_reason(full_disk: tuple[Path, dict[str, Any]]) -> None:
    path, said = full_disk
    for reason in said["refused"]:
        assert reason.startswith(f"the store cannot write: {path}: ")


def test_a_full_disk_does_not_fill_the_journal_with_tracebacks(full_disk: tuple[Path, dict[str, Any]]) -> None:
    assert "Traceback" not in full_disk[1]["stderr"]


def test_a_full_disk_leaves_memory_as_it_was(full_disk: tuple[Path, dict[str, Any]]) -> None:
    assert full_disk[1]["seen"] == {"before": "x"}


def test_when_the_disk_has_room_again_the_store_goes_on(full_disk: tuple[Path, dict[str, Any]]) -> None:
    path, said = full_disk
    assert said["later"] == "committed"
    store = Store(SqliteBackend(path), SCHEMA)
    assert store.collection(DEVICES).ids() == ["before", "later"]
    assert store.was_clean
    store.close()


def test_a_disk_that_is_full_from_the_start_lets_the_documents_be_read(open_store: OpenStore, path: Path) -> None:
    store = open_store()
    store.commit(put("a"))
    store.close()
    source = (
        "import resource, sys; from pathlib import Path\n"
        "from provd.store.schema import SCHEMA; from provd.store.sqlite import SqliteBackend\n"
        "from provd.store.store import Store\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "print(Store(SqliteBackend(Path(sys.argv[1])), SCHEMA).collection('devices').ids())\n"
    )
    ended = subprocess.run([sys.executable, "-c", source, path], capture_output=True, text=True, check=False)
    assert ended.stdout == "['a']\n", ended.stderr


def test_a_refused_change_leaves_documents_and_indexes_as_they_were(store: Store, backend: SteeredBackend) -> None:
    store.commit(put("a", ip="192.0.2.1"))
    before = store.collection(DEVICES).get_stored("a")
    backend.refuses = always
    with pytest.raises(StoreError, match="cannot write"):
        store.commit(put("a", ip="192.0.2.2"))
    with pytest.raises(StoreError):
        store.commit(Transaction().delete(DEVICES, "a"))
    devices = store.collection(DEVICES)
    assert devices.get_stored("a") == before
    assert devices.find("ip", "192.0.2.1") == ("a",)
    assert devices.find("ip", "192.0.2.2") == ()


def test_a_change_that_was_refused_can_be_made_again_on_the_same_revision(
    store: Store, backend: SteeredBackend
) -> None:
    store.commit(put("a"))
    revision = store.collection(DEVICES).revision("a")
    change = Transaction().put(DEVICES, "a", {"id": "a", "version": "2"}, revision)
    backend.refuses = always
    with pytest.raises(StoreError):
        store.commit(change)
    backend.refuses = lambda changes: False
    store.commit(change)
    assert store.collection(DEVICES).get("a") == {"id": "a", "version": "2"}


def test_an_error_that_nobody_foresaw_is_a_store_error_and_the_writer_goes_on(
    store: Store, backend: SteeredBackend
) -> None:
    def stumble(changes: object) -> bool:
        raise MemoryError("no memory for this")

    backend.refuses = stumble
    with pytest.raises(StoreError, match="no memory for this"):
        store.commit(put("a"))
    backend.refuses = lambda changes: False
    store.commit(put("a"))
    assert "a" in store.collection(DEVICES)


def test_what_was_refused_is_not_there_after_a_restart(open_store: OpenStore, path: Path) -> None:
    backend = SteeredBackend(path)
    first = Store(backend, SCHEMA)
    first.commit(put("a"))
    backend.refuses = always
    with pytest.raises(StoreError):
        first.commit(put("b"))
    first.close()
    assert open_store().collection(DEVICES).ids() == ["a"]


def test_a_database_that_was_removed_acknowledges_nothing(store: Store, path: Path) -> None:
    store.commit(put("a"))
    path.unlink()
    with pytest.raises(StoreError):
        store.commit(put("b"))
