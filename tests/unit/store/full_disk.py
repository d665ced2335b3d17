"""A child process whose files may not grow: what a store does on a full disk. Prints what happened, in JSON.

full_disk.py STORE
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from provd.errors import StoreError
from provd.store.schema import DEVICES, SCHEMA
from provd.store.sqlite import SqliteBackend
from provd.store.store import Store, Transaction


def main(path: Path) -> None:
    store = Store(SqliteBackend(path), SCHEMA)
    devices = store.collection(DEVICES)
    store.commit(_put("before", "x"))
    limit_file_size(path.with_name(f"{path.name}-wal").stat().st_size)
    refused = [_outcome(store, "large", "x" * 100_000), _outcome(store, "before", "y" * 100_000)]
    seen = {each["id"]: each["description"] for each in devices.documents()}
    limit_file_size(resource.RLIM_INFINITY)
    later = _outcome(store, "later", "x")
    store.close()
    print(json.dumps({"refused": refused, "seen": seen, "later": later}))


def limit_file_size(size_bytes: int) -> None:
    """Let writes beyond this size fail with EFBIG, as they fail with ENOSPC on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))


def _put(document_id: str, description: str) -> Transaction:
    return Transaction().put(DEVICES, document_id, {"id": document_id, "description": description})


def _outcome(store: Store, document_id: str, description: str) -> str:
    try:
        store.commit(_put(document_id, description))
    except StoreError as error:
        return str(error)
    return "committed"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
