"""The store: collections in memory, a database behind them, one writer that commits in groups."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import gevent
from gevent.event import AsyncResult, Event
from gevent.threadpool import ThreadPool

from provd.errors import ConflictError, StoreError
from provd.occasionally import Occasionally
from provd.store.backend import Backend, Removal, Row
from provd.store.collection import (
    Collection,
    Document,
    Keys,
    KeysOf,
    decode_document,
    encode_document,
)

log = logging.getLogger(__name__)

MAX_QUEUED = 10_000
"""Transactions that wait for the writer; more are refused with `StoreError`."""
_MAX_GROUP = 500


@dataclass(slots=True)
class _Put:
    collection: str
    id: str
    text: str
    document: Document
    expected: int | None
    keys: Keys = field(default_factory=dict)


@dataclass(slots=True)
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
        """Write a document; the caller must not change it any more.

        Raises:
            ValueError: the document cannot be written as JSON in UTF-8.
        """
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
        self._last_revision = backend.last_revision
        self.unreadable = self._load()
        """Sentences about rows that could not be read; they stay on disk as they are."""
        self._queue: deque[tuple[Transaction, AsyncResult[None]]] = deque()
        self._wake = Event()
        self._closing = False
        self._closed = Event()
        self._complaint = Occasionally()
        self.failure: str | None = None
        """Why the last attempt to write failed, or None if it did not."""
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
            StoreError: the disk refused, too many transactions wait, or a document cannot be stored; nothing was
                changed.
        """
        if not transaction.changes:
            return
        if self._closing:
            raise StoreError("the store is closed")
        if len(self._queue) >= MAX_QUEUED:
            raise StoreError(f"the store is busy: {MAX_QUEUED} changes wait to be written")
        self._prepare(transaction)
        result: AsyncResult[None] = AsyncResult()
        self._queue.append((transaction, result))
        self._wake.set()
        result.get()

    def close(self, *, as_found: bool = False) -> None:
        """Write what is queued, note the proper end, and close the database; `as_found` as the backend says."""
        if self._closing:
            self._closed.wait()
            return
        self._closing = True
        self._wake.set()
        self._writer.join()
        try:
            self._pool.apply(self._backend.close, (), {"as_found": as_found})
        finally:
            self._pool.kill()
            self._closed.set()

    def _prepare(self, transaction: Transaction) -> None:
        """Work out under which keys each document will be found, so that nothing can fail after the commit."""
        for change in transaction.changes:
            collection = self._collections.get(change.collection)
            if collection is None:
                raise StoreError(f"there is no collection {change.collection!r}")
            if isinstance(change, _Put):
                try:
                    change.keys = collection.keys_of(change.document)
                except Exception as error:
                    raise StoreError(f"{change.collection} {change.id!r} cannot be indexed: {error!r}") from error

    def _load(self) -> list[str]:
        unreadable = []
        for row in self._backend.load():
            self._last_revision = max(self._last_revision, row.revision)
            try:
                self._put_row(row)
            except Exception as error:  # noqa: BLE001  (a damaged document must not keep the others from their phones)
                unreadable.append(f"{row.collection} {row.id!r}: {error or type(error).__name__}")
                if row.collection in self._collections:
                    self._collections[row.collection].leave(row.id)
        for sentence in unreadable:
            log.error("unreadable document left alone: %s", sentence)
        return unreadable

    def _put_row(self, row: Row) -> None:
        collection = self._collections.get(row.collection)
        if collection is None:
            raise ValueError("there is no such collection")
        document = decode_document(row.text)
        collection.apply(row.id, str(row.text), row.revision, collection.keys_of(document))

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
        """Commit what fits; conflicts are answered last, so that who lost can read what won."""
        accepted: list[tuple[Transaction, AsyncResult[None]]] = []
        lost: list[tuple[AsyncResult[None], ConflictError]] = []
        rows: list[Row | Removal] = []
        pending: dict[tuple[str, str], int] = {}
        for transaction, result in group:
            try:
                rows.extend(self._rows(transaction, pending))
                accepted.append((transaction, result))
            except ConflictError as conflict:
                lost.append((result, conflict))
        failure = self._pool.apply(self._written, (rows,)) if accepted else None
        if failure is not None:
            self._refuse(accepted, failure)
        else:
            self._note_success()
            self._apply(rows, accepted)
            for _, result in accepted:
                result.set(None)
        for result, reason in lost:
            result.set_exception(reason)

    def _written(self, rows: Sequence[Row | Removal]) -> StoreError | None:
        """Write rows, in the pool's thread; an error is returned, because the pool would print it."""
        try:
            self._backend.commit(rows)
        except StoreError as error:
            return error
        return None

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
            self._last_revision += 1
            if isinstance(change, _Put):
                pending[key] = self._last_revision
                rows.append(Row(change.collection, change.id, self._last_revision, change.text))
            else:
                pending[key] = 0
                rows.append(Removal(change.collection, change.id, self._last_revision))
        return rows

    def _refuse(self, accepted: Sequence[tuple[Transaction, AsyncResult[None]]], error: Exception) -> None:
        """Tell all that waited: the database rolled back, and memory was not touched."""
        self.failure = str(error)
        if self._complaint.due():
            log.error("the store cannot write: error=%s unreported=%d", error, self._complaint.missed)
        for _, result in accepted:
            result.set_exception(StoreError(f"the store cannot write: {error}"))

    def _note_success(self) -> None:
        if self.failure is not None:
            log.info("the store can write again")
            self.failure = None

    def _apply(
        self, rows: Sequence[Row | Removal], accepted: Sequence[tuple[Transaction, AsyncResult[None]]]
    ) -> None:
        changes = [change for transaction, _ in accepted for change in transaction.changes]
        for row, change in zip(rows, changes, strict=True):
            collection = self._collections[row.collection]
            if isinstance(change, _Put):
                collection.apply(row.id, change.text, row.revision, change.keys)
            else:
                collection.discard(row.id)
