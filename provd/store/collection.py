"""A collection in memory: each document as JSON text, so that every reader gets a copy of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from provd.store.index import Index

Document = dict[str, Any]
KeysOf = Callable[[Document], Iterable[str]]
Keys = Mapping[str, tuple[str, ...]]
"""For each index the keys under which it finds a document."""

_decode = json.JSONDecoder().decode
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def encode_document(document: Mapping[str, Any]) -> str:
    """The JSON text that is stored for a document.

    Raises:
        ValueError: the document holds something that JSON or UTF-8 has no form for.
    """
    text = _encode(document)
    text.encode()
    return text


def decode_document(text: str | bytes) -> Document:
    """The document of a stored text.

    Raises:
        ValueError: the text is no JSON object in UTF-8.
    """
    if isinstance(text, bytes):
        raise ValueError("not UTF-8")
    document = _decode(text)
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")
    return document


@dataclass(frozen=True, slots=True)
class Stored:
    """A document, the reader's own copy, and its revision."""

    document: Document
    revision: int


class Collection:
    """Documents by id, with indexes by what they contain.

    `indexes` gives for each index a function from a document to the keys under which it is found.
    """

    def __init__(self, name: str, indexes: Mapping[str, KeysOf]) -> None:
        self.name = name
        self._texts: dict[str, str] = {}
        self._revisions: dict[str, int] = {}
        self._unreadable: set[str] = set()
        self._indexes_keys = dict(indexes)
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
        """The ids of the documents that an index has under a key, in the order in which they came to it.

        This takes as long as there are such documents; the other look-ups take constant time.
        """
        return self._indexes[index].get(key)

    def has(self, index: str, key: str, document_id: str) -> bool:
        """Tell whether an index has a document under a key."""
        return self._indexes[index].has(key, document_id)

    def count(self, index: str, key: str) -> int:
        """How many documents an index has under a key."""
        return self._indexes[index].count(key)

    def first(self, index: str, key: str) -> str | None:
        """The id of the document that came first to an index's key, or None."""
        return self._indexes[index].first(key)

    def keys(self, index: str) -> list[str]:
        """All keys of an index."""
        return self._indexes[index].keys()

    def is_unreadable(self, document_id: str) -> bool:
        """Tell whether there is a document with this id on the disk that could not be read."""
        return document_id in self._unreadable

    def ids(self) -> list[str]:
        """The ids of all documents, as they are now."""
        return list(self._texts)

    def documents(self) -> Iterator[Document]:
        """A copy of each document that exists when its turn comes."""
        for document_id in self.ids():
            document = self.get(document_id)
            if document is not None:
                yield document

    def keys_of(self, document: Document) -> Keys:
        """The keys under which each index finds a document; whatever an index raises comes out of it."""
        return {
            name: tuple(key for key in keys(document) if isinstance(key, str) and key)
            for name, keys in self._indexes_keys.items()
        }

    def apply(self, document_id: str, text: str, revision: int, keys: Keys) -> None:
        """Put a document that is on disk; only the store calls this."""
        self._move(document_id, keys)
        self._texts[document_id] = text
        self._revisions[document_id] = revision
        self._unreadable.discard(document_id)

    def leave(self, document_id: str) -> None:
        """Note a document that is on disk but cannot be read; only the store calls this."""
        self._unreadable.add(document_id)

    def discard(self, document_id: str) -> None:
        """Forget a document that is no longer on disk; only the store calls this."""
        self._move(document_id, None)
        self._texts.pop(document_id, None)
        self._revisions.pop(document_id, None)
        self._unreadable.discard(document_id)

    def _move(self, document_id: str, new: Keys | None) -> None:
        """Take a document from its old keys to its new ones, in every index."""
        text = self._texts.get(document_id)
        old = {} if text is None else self.keys_of(_decode(text))
        for name, index in self._indexes.items():
            index.change(document_id, old.get(name, ()), (new or {}).get(name, ()))
