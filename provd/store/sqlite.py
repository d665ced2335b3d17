"""The store's default backend: one SQLite file, in WAL mode with full synchronisation."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from provd.errors import StoreError
from provd.store.backend import Removal, Row
from provd.store.filelock import exclusive_lock

log = logging.getLogger(__name__)

SCHEMA_VERSION = 1
_APPLICATION_ID = 0x70727664  # "prvd"
_CLEAN = "closed_properly"
_REVISION = "last_revision"

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
    for looking at the store of a server that runs. A file on a full disk can be read; commits fail until there is
    room.

    Raises:
        StoreError: the file cannot be opened, is another program's, or another server uses it.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self._read_only = read_only
        self._lock = -1 if read_only else exclusive_lock(path)
        self._marked_in_use = read_only
        try:
            with _errors_of(path):
                self._connection = self._open()
                self._was_clean = self._mark_value(_CLEAN) == 1
                self._last_revision = self._mark_value(_REVISION)
                self._inode = os.stat(path).st_ino
        except StoreError:
            self._unlock()
            raise

    @property
    def was_clean(self) -> bool:
        """The last server that used the file had closed it; a new file counts as closed."""
        return self._was_clean

    @property
    def last_revision(self) -> int:
        """The highest revision that was ever given."""
        return self._last_revision

    def load(self) -> Iterator[Row]:
        """All rows, in the order of their revisions."""
        with _errors_of(self._path):
            if not self._marked_in_use:
                self._mark_in_use()
            rows = self._connection.execute(
                "SELECT collection, id, revision, document FROM documents ORDER BY revision"
            )
            for collection, document_id, revision, text in rows:
                yield Row(_text(collection), _text(document_id), revision, _decoded(text))

    def commit(self, changes: Sequence[Row | Removal]) -> None:
        """Write all changes in one transaction; WAL and synchronous=FULL make it durable when this returns."""
        with _errors_of(self._path), self._transaction():
            if os.stat(self._path).st_ino != self._inode:
                raise StoreError(f"{self._path}: the file was replaced while it was in use")
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
            self._set_mark(_REVISION, max((change.revision for change in changes), default=self._last_revision))
            if not self._marked_in_use:
                self._set_mark(_CLEAN, 0)
        self._marked_in_use = True

    def verify(self) -> list[str]:
        """Ask SQLite whether the file is whole."""
        try:
            rows = self._connection.execute("PRAGMA integrity_check(20)").fetchall()
        except sqlite3.Error as error:
            return [f"{self._path}: {error}"]
        return [f"{self._path}: {_text(row[0])}" for row in rows if _text(row[0]) != "ok"]

    def close(self, *, as_found: bool = False) -> None:
        """Note the proper end, and let others use the file."""
        try:
            if not self._read_only and (self._was_clean or not as_found):
                with _errors_of(self._path), self._transaction():
                    self._set_mark(_CLEAN, 1)
        finally:
            self._connection.close()
            self._unlock()

    # --- opening

    def _open(self) -> sqlite3.Connection:
        """A connection to a file with our schema.

        WAL needs room for a shared index, but not with exclusive locking: so a full disk can still be read.
        """
        existed = self._path.exists()
        connection = self._connect()
        try:
            return self._prepared(connection)
        except sqlite3.OperationalError as error:
            connection.close()
            if self._read_only or not existed:
                raise
            log.error("the store may not be writable, it is opened for reading: path=%s error=%s", self._path, error)
            connection = self._connect()
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._check_schema(connection)
            return connection
        except StoreError:
            connection.close()
            raise

    def _connect(self) -> sqlite3.Connection:
        if not self._path.exists():
            if self._read_only:
                raise StoreError(f"{self._path}: there is no such file")
            os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        mode = "ro" if self._read_only else "rw"
        uri = f"{self._path.absolute().as_uri()}?mode={mode}"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=10)
        connection.text_factory = bytes  # decoded row by row: SQLite's own error would quote the document
        return connection

    def _prepared(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        """Set a connection up, and make or check the schema."""
        is_new = self._check_schema(connection)
        if not self._read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            if is_new:
                with _transaction_on(connection):
                    for statement in _SCHEMA:
                        connection.execute(statement)
                    connection.execute("INSERT INTO marks VALUES (?, 1), (?, 0)", (_CLEAN, _REVISION))
        return connection

    def _check_schema(self, connection: sqlite3.Connection) -> bool:
        """Make sure that the file is ours and not too new; True if it is empty."""
        application_id, version, tables = (
            connection.execute(sql).fetchone()[0]
            for sql in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
        )
        if (application_id, version, tables) == (0, 0, 0):
            if self._read_only:
                raise StoreError(f"{self._path}: the file is empty; no server has used it yet")
            return True
        if application_id != _APPLICATION_ID:
            raise StoreError(f"{self._path}: this is a database of another program")
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{self._path}: written by a newer xivo-provd (schema {version}, this one knows {SCHEMA_VERSION})"
            )
        return False

    # --- marks

    def _mark_in_use(self) -> None:
        """Until `close`, whoever opens the file finds that its last use did not end properly."""
        try:
            with self._transaction():
                self._set_mark(_CLEAN, 0)
            self._marked_in_use = True
        except sqlite3.OperationalError as error:
            log.error("the store cannot be written: path=%s error=%s", self._path, error)

    def _mark_value(self, name: str) -> int:
        row = self._connection.execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row is not None else 0

    def _set_mark(self, name: str, value: int) -> None:
        self._connection.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (name, value))

    def _transaction(self) -> AbstractContextManager[None]:
        return _transaction_on(self._connection)

    def _unlock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


@contextmanager
def _transaction_on(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    """SQLite's errors as store errors that name the file."""
    try:
        yield
    except (sqlite3.Error, OSError, ValueError) as error:
        raise StoreError(f"{path}: {error}") from error


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _decoded(value: object) -> str | bytes:
    if not isinstance(value, bytes):
        return str(value)
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value
