"""A store on a real file, for each test its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from provd.store.schema import SCHEMA
from provd.store.store import Store

from .steered import SteeredBackend

OpenStore = Callable[[], Store]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "provd.db"


@pytest.fixture
def backend(path: Path) -> SteeredBackend:
    """The backend of `store`."""
    return SteeredBackend(path)


@pytest.fixture
def store(backend: SteeredBackend) -> Iterator[Store]:
    store = Store(backend, SCHEMA)
    yield store
    backend.gate.open()
    store.close()


@pytest.fixture
def open_store(path: Path) -> Iterator[OpenStore]:
    """Opens the store at `path`; what is still open at the end is closed."""
    with ExitStack() as stack:

        def open_it() -> Store:
            store = Store(SteeredBackend(path), SCHEMA)
            stack.callback(store.close)
            return store

        yield open_it
