"""A server that is killed in the middle of writing loses nothing that it acknowledged, and leaves nothing half-written.

The child process is this file too: several greenlets change documents in three collections as fast as they can, and
each writes a line after a commit has returned. What a worker's n-th step does follows from n alone.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gevent

from provd.store.schema import CONFIGS, DEVICES, PARAMETERS, SCHEMA
from provd.store.sqlite import SqliteBackend
from provd.store.store import Store, Transaction

WORKERS = 8
ROUNDS = 25
DEADLINE_S = 35.0

State = dict[str, int]
"""A worker's documents: by id the step that wrote each."""


def step(number: int) -> tuple[str, int | None]:
    """The document that a worker's step changes: written with the step's number, or removed."""
    name = str(number * 7 % 5)
    return name, None if number % 4 == 3 else number


def state_after(number: int) -> State:
    state: State = {}
    for each in range(1, number + 1):
        name, value = step(each)
        if value is None:
            state.pop(name, None)
        else:
            state[name] = value
    return state


def padding(number: int) -> str:
    return "x" * (number * 37 % 6000)


# --- the child


def write_for_ever(path: Path) -> None:
    store = Store(SqliteBackend(path), SCHEMA)
    gevent.joinall([gevent.spawn(work, store, f"worker{number}") for number in range(WORKERS)])


def work(store: Store, worker: str) -> None:
    last = store.collection(PARAMETERS).get(worker) or {"step": 0}
    number = last["step"]
    while True:
        number += 1
        name, value = step(number)
        document_id = f"{worker}-{name}"
        transaction = Transaction().put(PARAMETERS, worker, {"step": number})
        for collection in (DEVICES, CONFIGS):
            if value is None:
                transaction.delete(collection, document_id)
            else:
                document = {"id": document_id, "step": value, "padding": padding(value), "parent_ids": []}
                transaction.put(collection, document_id, document)
        store.commit(transaction)
        os.write(1, f"{worker} {number}\n".encode())


# --- the parent


def acknowledged(report: Path) -> dict[str, int]:
    """By worker, the last step whose commit had returned when the child was killed."""
    lines = report.read_text(encoding="ascii").split("\n")[:-1]
    return {worker: int(number) for worker, number in (line.split() for line in lines)}


def kill_at_some_moment(path: Path, report: Path, chance: random.Random, *, at_start: bool) -> None:
    with report.open("wb") as output:
        child = subprocess.Popen([sys.executable, __file__, path], stdout=output)
        try:
            while not at_start and report.stat().st_size < 400:
                assert child.poll() is None, "the child ended by itself"
                time.sleep(0.001)
            child.wait(chance.uniform(0.0, 0.25))
        except subprocess.TimeoutExpired:
            pass
        finally:
            child.kill()
            assert child.wait() == -9


def documents_of(store: Store, collection: str, worker: str) -> dict[str, Any]:
    return {
        document["id"].removeprefix(f"{worker}-"): document
        for document in store.collection(collection).documents()
        if document["id"].startswith(f"{worker}-")
    }


def assert_whole(store: Store, worker: str, acknowledged_step: int) -> None:
    """The worker's documents are as they were after its last acknowledged step, or after the one that it was at."""
    on_disk = (store.collection(PARAMETERS).get(worker) or {"step": 0})["step"]
    assert on_disk in (acknowledged_step, acknowledged_step + 1), f"{worker} lost what was acknowledged"
    devices, configs = (documents_of(store, collection, worker) for collection in (DEVICES, CONFIGS))
    assert {name: document["step"] for name, document in devices.items()} == state_after(on_disk)
    assert configs == devices
    for document in devices.values():
        assert document["padding"] == padding(document["step"])


def test_a_killed_process_loses_nothing_acknowledged_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    path, report, chance = tmp_path / "provd.db", tmp_path / "acknowledged", random.Random(8667)
    known = {f"worker{number}": 0 for number in range(WORKERS)}
    started = time.monotonic()
    for round_number in range(ROUNDS):
        if time.monotonic() - started > DEADLINE_S:
            break
        kill_at_some_moment(path, report, chance, at_start=round_number % 5 == 4)
        news = acknowledged(report)
        known.update(news)
        backend = SqliteBackend(path)
        assert not (news and backend.was_clean)
        assert backend.verify() == []
        store = Store(backend, SCHEMA)
        assert store.unreadable == []
        for worker, number in known.items():
            assert_whole(store, worker, number)
            known[worker] = (store.collection(PARAMETERS).get(worker) or {"step": 0})["step"]
        store.close()
    assert sum(known.values()) > 100 * WORKERS, "too little was written for this test to mean anything"


if __name__ == "__main__":
    write_for_ever(Path(sys.argv[1]))
