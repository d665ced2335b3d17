"""Downloads: what is to be fetched, and what whoever fetches promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from provd.model.operation import Operation


@dataclass(frozen=True, slots=True)
class Source:
    """A file to download: the same content at each of the `urls`, which are tried in their order.

    `size` in bytes if it is known; `max_bytes` is never exceeded. Of the sums SHA-256 counts if both are there; without
    any, the content is taken as it comes.
    """

    urls: Sequence[str]
    max_bytes: int
    size: int | None = None
    sha256sum: str | None = None
    sha1sum: str | None = None


class Downloader(Protocol):
    """Fetches files."""

    def download(self, source: Source, target: Path, operation: Operation) -> None:
        """Put the file at `target`, whole and verified, or leave `target` as it was; `operation` counts the bytes.

        What an interrupted download has fetched already is kept beside `target` and used by the next one.

        Raises:
            OperationCancelledError: somebody wanted it to stop.
            RepositoryError: no URL gives the file; the message says for each why.
        """
