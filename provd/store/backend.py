"""What the store needs of a database. Nothing above `provd.store` knows which one it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Row:
    """A stored document: `text` is its JSON, `revision` grows with every write to the store.

    A text that is damaged so that it is not even UTF-8 comes as bytes.
    """

    collection: str
    id: str
    revision: int
    text: str | bytes


@dataclass(frozen=True, slots=True)
class Removal:
    """A document that is removed; a removal too has a revision, so that none is given twice."""

    collection: str
    id: str
    revision: int


class Backend(Protocol):
    """A database with one writer. `commit` and `close` may be called from another thread, one at a time."""

    @property
    def was_clean(self) -> bool:
        """The last process that used the database had closed it."""

    @property
    def last_revision(self) -> int:
        """The highest revision that was ever given."""

    def load(self) -> Iterator[Row]:
        """All rows, in the order of their revisions.

        Raises:
            StoreError: the database cannot be read.
        """

    def commit(self, changes: Sequence[Row | Removal]) -> None:
        """Write all changes in one transaction, flushed to the disk.

        Raises:
            StoreError: nothing was written.
        """

    def verify(self) -> list[str]:
        """What is wrong with the database, in sentences; empty if nothing is."""

    def close(self, *, as_found: bool = False) -> None:
        """Note that the database was closed properly, and close it.

        With `as_found` it is only said to be clean if it was so when it was opened: for whoever opens it and then
        cannot do what has to be done after an unclean stop.
        """
