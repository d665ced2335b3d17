"""A collection in memory: each document as JSON text, so that every reader gets a copy of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from provd.store.index import Index

Document = dict[str, Any]
KeysOf = Callable[[Document], Iterable[str]]

_decode = json.JSONDecoder().decode
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def encode_document(document: Mapping[str, Any]) -> str:
    """The JSON text that is stored for a document."""
    return _encode(document)


@dataclass(frozen=True, slots=True)
class Stored:
    """A document, the reader's own copy, and its revision."""

    document: Document
    revision: int


class Collection:
    """Documents by id, with indexes by what they contain. All look-ups take constant time.

    `indexes` gives for each index a function from a document to the keys under which it is found.
    """

    def __init__(self, name: str, indexes: Mapping[str, KeysOf]) -> None:
        self.name = name
        self._texts: dict[str, str] = {}
        self._revisions: dict[str, int] = {}
        self._keys_of = dict(indexes)
        self._indexes = {index: Index() for index in indexes}

    def __len__(self) -> int:
        return len(self._texts)

    def __contains__(self, document_id: str) -> bool:
        return document_id in self._texts

    def get(self, document_id: str) -> Document | None:
        """A copy of the document, or None."""
        text = self._texts.get(document_id)
        return None if text is None else _decode(text)

    def get_stored(self, document_id: str) -> Stored | None:
        """A copy of the document with its revision, or None."""
        text = self._texts.get(document_id)
        return None if text is None else Stored(_decode(text), self._revisions[document_id])

    def revision(self, document_id: str) -> int:
        """The document's revision; 0 if there is no such document."""
        return self._revisions.get(document_id, 0)

    def find(self, index: str, key: str) -> tuple[str, ...]:
        """The ids of the documents that an index has under a key, in the order in which they came to it."""
        return self._indexes[index].get(key)

    def ids(self) -> list[str]:
        """The ids of all documents, as they are now."""
        return list(self._texts)

    def documents(self) -> Iterator[Document]:
        """A copy of each document that exists when its turn comes."""
        for document_id in self.ids():
            document = self.get(document_id)
            if document is not None:
                yield document

    def apply(self, document_id: str, text: str, revision: int, document: Document | None = None) -> None:
        """Put a document that is on disk; only the store calls this.

        Raises:
            ValueError: the text is no JSON object.
        """
        new = document if document is not None else _decode(text)
        if not isinstance(new, dict):
            raise ValueError("not a JSON object")
        old_text = self._texts.get(document_id)
        old = None if old_text is None else _decode(old_text)
        for name, index in self._indexes.items():
            index.change(document_id, self._keys(name, old), self._keys(name, new))
        self._texts[document_id] = text
        self._revisions[document_id] = revision

    def discard(self, document_id: str) -> None:
        """Forget a document that is no longer on disk; only the store calls this."""
        text = self._texts.pop(document_id, None)
        self._revisions.pop(document_id, None)
        if text is not None:
            old = _decode(text)
            for name, index in self._indexes.items():
                index.change(document_id, self._keys(name, old), ())

    def _keys(self, index: str, document: Document | None) -> tuple[str, ...]:
        if document is None:
            return ()
        return tuple(key for key in self._keys_of[index](document) if isinstance(key, str) and key)
