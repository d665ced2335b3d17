"""An index: from a key to the ids of the documents that have it, in little memory."""

from __future__ import annotations

from collections.abc import Sequence

_Ids = str | dict[str, None]


class Index:
    """Most keys belong to one document, so its id stands alone; several ids are kept in an ordered dict."""

    def __init__(self) -> None:
        self._ids: dict[str, _Ids] = {}

    def get(self, key: str) -> tuple[str, ...]:
        """The ids under a key."""
        found = self._ids.get(key)
        if found is None:
            return ()
        return (found,) if isinstance(found, str) else tuple(found)

    def has(self, key: str, document_id: str) -> bool:
        """Tell whether a document has a key."""
        found = self._ids.get(key)
        return found == document_id if isinstance(found, str) else found is not None and document_id in found

    def count(self, key: str) -> int:
        """How many documents have a key."""
        found = self._ids.get(key)
        return 1 if isinstance(found, str) else len(found or ())

    def first(self, key: str) -> str | None:
        """The document that has a key longest, or None."""
        found = self._ids.get(key)
        return found if found is None or isinstance(found, str) else next(iter(found))

    def keys(self) -> list[str]:
        """All keys that a document has."""
        return list(self._ids)

    def change(self, document_id: str, old: Sequence[str], new: Sequence[str]) -> None:
        """Move a document from its old keys to its new ones."""
        if old == new:
            return
        for key in old:
            if key not in new:
                self._remove(key, document_id)
        for key in new:
            if key not in old:
                self._add(key, document_id)

    def _add(self, key: str, document_id: str) -> None:
        found = self._ids.get(key)
        if found is None:
            self._ids[key] = document_id
        elif isinstance(found, dict):
            found[document_id] = None
        elif found != document_id:
            self._ids[key] = {found: None, document_id: None}

    def _remove(self, key: str, document_id: str) -> None:
        found = self._ids.get(key)
        if isinstance(found, dict):
            found.pop(document_id, None)
            if len(found) == 1:
                self._ids[key] = next(iter(found))
        elif found == document_id:
            del self._ids[key]
