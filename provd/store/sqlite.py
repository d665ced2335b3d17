"""The store's default backend: one SQLite file, in WAL mode with full synchronisation."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from provd.errors import StoreError
from provd.store.backend import Removal, Row

SCHEMA_VERSION = 1
_APPLICATION_ID = 0x70727664  # "prvd"
_CLEAN = "closed_properly"

_SCHEMA = (
    """CREATE TABLE documents (
        collection TEXT NOT NULL,
        id TEXT NOT NULL,
        revision INTEGER NOT NULL,
        document TEXT NOT NULL,
        PRIMARY KEY (collection, id)
    ) WITHOUT ROWID""",
    "CREATE TABLE marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)


class SqliteBackend:
    """Documents as JSON text in the table `documents` of the file at `path`, which is made if it is missing.

    A lock on a file beside it keeps a second server out. With `read_only` nothing is changed and nobody kept out,
    for looking at the store of a server that runs.

    Raises:
        StoreError: the file cannot be opened, is another program's, or another server uses it.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self._read_only = read_only
        self._lock = -1 if read_only else _exclusive_lock(path)
        try:
            with _errors_of(path):
                self._connection = self._connect()
                self._prepare()
                self._was_clean = self._take_clean_mark()
        except StoreError:
            self._unlock()
            raise

    @property
    def was_clean(self) -> bool:
        """The last server that used the file had closed it; a new file counts as closed."""
        return self._was_clean

    def load(self) -> Iterator[Row]:
        """All rows."""
        with _errors_of(self._path):
            for row in self._connection.execute("SELECT collection, id, revision, document FROM documents"):
                yield Row(*row)

    def commit(self, changes: Sequence[Row | Removal]) -> None:
        """Write all changes in one transaction; WAL and synchronous=FULL make it durable when this returns."""
        with _errors_of(self._path), self._transaction():
            for change in changes:
                if isinstance(change, Row):
                    self._connection.execute(
                        "INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?)",
                        (change.collection, change.id, change.revision, change.text),
                    )
                else:
                    self._connection.execute(
                        "DELETE FROM documents WHERE collection = ? AND id = ?", (change.collection, change.id)
                    )

    def verify(self) -> list[str]:
        """Ask SQLite whether the file is whole."""
        try:
            rows = self._connection.execute("PRAGMA integrity_check(20)").fetchall()
        except sqlite3.Error as error:
            return [f"{self._path}: {error}"]
        return [f"{self._path}: {row[0]}" for row in rows if row[0] != "ok"]

    def close(self) -> None:
        """Note the proper end, and let others use the file."""
        try:
            if not self._read_only:
                with _errors_of(self._path), self._transaction():
                    self._mark(_CLEAN, 1)
        finally:
            self._connection.close()
            self._unlock()

    def _connect(self) -> sqlite3.Connection:
        if self._read_only and not self._path.exists():
            raise StoreError(f"{self._path}: there is no such file")
        if not self._read_only and not self._path.exists():
            os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        mode = "ro" if self._read_only else "rw"
        uri = f"{self._path.absolute().as_uri()}?mode={mode}"
        return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=10)

    def _prepare(self) -> None:
        """Set the connection up, and make or check the schema."""
        application_id = self._connection.execute("PRAGMA application_id").fetchone()[0]
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        is_new = application_id == 0 and version == 0 and not self._tables()
        if not is_new and application_id != _APPLICATION_ID:
            raise StoreError(f"{self._path}: this is a database of another program")
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{self._path}: written by a newer xivo-provd (schema {version}, this one knows {SCHEMA_VERSION})"
            )
        if self._read_only:
            return
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        if is_new:
            with self._transaction():
                for statement in _SCHEMA:
                    self._connection.execute(statement)
                self._mark(_CLEAN, 1)

    def _tables(self) -> int:
        count: int = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        return count

    def _take_clean_mark(self) -> bool:
        """Whether the last use ended properly; from now on, until `close`, the answer is no."""
        row = self._connection.execute("SELECT value FROM marks WHERE name = ?", (_CLEAN,)).fetchone()
        if not self._read_only:
            with self._transaction():
                self._mark(_CLEAN, 0)
        return row is not None and row[0] == 1

    def _mark(self, name: str, value: int) -> None:
        self._connection.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (name, value))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _unlock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    """SQLite's errors as store errors that name the file."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{path}: {error}") from error


def _exclusive_lock(path: Path) -> int:
    """A descriptor that holds the lock of the database at `path` until it is closed."""
    lock_path = path.with_name(f"{path.name}.lock")
    try:
        descriptor = os.open(lock_path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{lock_path}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise StoreError(f"{path}: another xivo-provd is using this store") from None
    return descriptor
