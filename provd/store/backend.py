"""What the store needs of a database. Nothing above `provd.store` knows which one it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Row:
    """A stored document: `text` is its JSON, `revision` grows with every write to the store."""

    collection: str
    id: str
    revision: int
    text: str


@dataclass(frozen=True, slots=True)
class Removal:
    """A document that is removed."""

    collection: str
    id: str


class Backend(Protocol):
    """A database with one writer. All methods but `load` may be called from another thread, one at a time."""

    @property
    def was_clean(self) -> bool:
        """The last process that used the database had closed it."""

    def load(self) -> Iterator[Row]:
        """All rows, in no order.

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

    def close(self) -> None:
        """Note that the database was closed properly, and close it."""
