"""The store: collections in memory, a database behind them, one writer that commits in groups."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gevent
from gevent.event import AsyncResult, Event
from gevent.threadpool import ThreadPool

from provd.errors import ConflictError, StoreError
from provd.store.backend import Backend, Removal, Row
from provd.store.collection import Collection, Document, KeysOf, encode_document

log = logging.getLogger(__name__)

MAX_QUEUED = 10_000
"""Transactions that wait for the writer; more are refused with `StoreError`."""
_MAX_GROUP = 500


@dataclass(frozen=True, slots=True)
class _Put:
    collection: str
    id: str
    text: str
    document: Document
    expected: int | None


@dataclass(frozen=True, slots=True)
class _Delete:
    collection: str
    id: str
    expected: int | None


@dataclass(slots=True)
class Transaction:
    """Changes that are made all or not at all.

    `expected` is the revision on which a change is based: 0 for a document that must not exist yet, None for
    whatever is there.
    """

    changes: list[_Put | _Delete] = field(default_factory=list)

    def put(self, collection: str, document_id: str, document: Document, expected: int | None = None) -> Transaction:
        """Write a document; the caller must not change it any more."""
        self.changes.append(_Put(collection, document_id, encode_document(document), document, expected))
        return self

    def delete(self, collection: str, document_id: str, expected: int | None = None) -> Transaction:
        """Remove a document; one that is gone already is fine unless a revision is expected."""
        self.changes.append(_Delete(collection, document_id, expected))
        return self


class Store:
    """Durable collections. `commit` returns when the changes are on disk and can be seen by all readers.

    Raises:
        StoreError: the database cannot be read.
    """

    def __init__(self, backend: Backend, schema: Mapping[str, Mapping[str, KeysOf]]) -> None:
        self._backend = backend
        self._collections = {name: Collection(name, indexes) for name, indexes in schema.items()}
        self._last_revision = 0
        self.unreadable = self._load()
        """Sentences about rows that could not be read; they stay on disk as they are."""
        self._queue: deque[tuple[Transaction, AsyncResult[None]]] = deque()
        self._wake = Event()
        self._closing = False
        self._pool = ThreadPool(1)
        self._writer = gevent.spawn(self._write)

    @property
    def was_clean(self) -> bool:
        """The last process that used this store had closed it."""
        return self._backend.was_clean

    @property
    def queued(self) -> int:
        """How many transactions wait for the writer."""
        return len(self._queue)

    def collection(self, name: str) -> Collection:
        """A collection by name."""
        return self._collections[name]

    def commit(self, transaction: Transaction) -> None:
        """Make the changes durable, then visible; returns after both.

        Raises:
            ConflictError: a document has another revision than was expected; nothing was changed.
            StoreError: the disk refused, or too many transactions wait; nothing was changed.
        """
        if not transaction.changes:
            return
        if self._closing:
            raise StoreError("the store is closed")
        if len(self._queue) >= MAX_QUEUED:
            raise StoreError(f"the store is busy: {MAX_QUEUED} changes wait to be written")
        result: AsyncResult[None] = AsyncResult()
        self._queue.append((transaction, result))
        self._wake.set()
        result.get()

    def close(self) -> None:
        """Write what is queued, note the proper end, and close the database."""
        if self._closing:
            return
        self._closing = True
        self._wake.set()
        self._writer.join()
        try:
            self._pool.apply(self._backend.close)
        finally:
            self._pool.kill()

    def _load(self) -> list[str]:
        unreadable = []
        for row in self._backend.load():
            self._last_revision = max(self._last_revision, row.revision)
            collection = self._collections.get(row.collection)
            if collection is None:
                unreadable.append(f"a document of the unknown collection {row.collection!r}: {row.id!r}")
                continue
            try:
                collection.apply(row.id, row.text, row.revision)
            except (ValueError, RecursionError) as error:
                unreadable.append(f"{row.collection} {row.id!r}: {error}")
        for sentence in unreadable:
            log.error("unreadable document left alone: %s", sentence)
        return unreadable

    # --- the writer

    def _write(self) -> None:
        """Commit all that is queued, together, until the store closes and the queue is empty."""
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._queue:
                group = [self._queue.popleft() for _ in range(min(len(self._queue), _MAX_GROUP))]
                try:
                    self._commit_group(group)
                except Exception as error:  # noqa: BLE001  (whoever waits must get an answer, and the writer goes on)
                    self._refuse([each for each in group if not each[1].ready()], error)
            if self._closing:
                return

    def _commit_group(self, group: Sequence[tuple[Transaction, AsyncResult[None]]]) -> None:
        accepted, rows = [], []
        pending: dict[tuple[str, str], int] = {}
        for transaction, result in group:
            try:
                rows.extend(self._rows(transaction, pending))
            except ConflictError as error:
                result.set_exception(error)
            else:
                accepted.append((transaction, result))
        if not accepted:
            return
        try:
            self._pool.apply(self._backend.commit, (rows,))
        except StoreError as error:
            self._refuse(accepted, error)
            return
        self._apply(rows, accepted)
        for _, result in accepted:
            result.set(None)

    def _rows(self, transaction: Transaction, pending: dict[tuple[str, str], int]) -> list[Row | Removal]:
        """The rows of a transaction, after its expectations were compared with memory and with its group.

        Raises:
            ConflictError: a revision is not what was expected.
        """
        for change in transaction.changes:
            key = (change.collection, change.id)
            current = pending.get(key, self._collections[change.collection].revision(change.id))
            if change.expected is not None and change.expected != current:
                raise ConflictError(f"{change.collection} {change.id!r} was changed by someone else in between")
        rows: list[Row | Removal] = []
        for change in transaction.changes:
            key = (change.collection, change.id)
            if isinstance(change, _Put):
                self._last_revision += 1
                pending[key] = self._last_revision
                rows.append(Row(change.collection, change.id, self._last_revision, change.text))
            else:
                pending[key] = 0
                rows.append(Removal(change.collection, change.id))
        return rows

    def _refuse(self, accepted: Sequence[tuple[Transaction, AsyncResult[None]]], error: Exception) -> None:
        """Tell all that waited: the database rolled back, and memory was not touched."""
        log.error("the store cannot write: error=%s", error)
        for _, result in accepted:
            result.set_exception(StoreError(f"the store cannot write: {error}"))

    def _apply(
        self, rows: Sequence[Row | Removal], accepted: Sequence[tuple[Transaction, AsyncResult[Any]]]
    ) -> None:
        changes = [change for transaction, _ in accepted for change in transaction.changes]
        for row, change in zip(rows, changes, strict=True):
            collection = self._collections[row.collection]
            if isinstance(row, Row) and isinstance(change, _Put):
                collection.apply(row.id, row.text, row.revision, change.document)
            else:
                collection.discard(row.id)
