"""Reading the store as the server does at its start, document by document, without changing it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provd.errors import ProvdError, StoreError
from provd.model.config import check_config
from provd.model.device import check_device
from provd.store.backend import Row
from provd.store.collection import Collection, Document, decode_document
from provd.store.schema import CONFIGS, DEVICES, RENDERINGS, SCHEMA
from provd.store.sqlite import SqliteBackend

_CHECKS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {DEVICES: check_device, CONFIGS: check_config}


@dataclass(slots=True)
class StoreContent:
    """What is in a store, as far as it can be read, and what is wrong with it, in sentences."""

    is_begun: bool = False
    devices: list[Document] = field(default_factory=list)
    configs: int = 0
    damage: list[str] = field(default_factory=list)


def look_at_store(path: Path) -> StoreContent:
    """Read the store at `path`. A server that uses it is not disturbed."""
    content = StoreContent()
    try:
        if not path.exists() or path.stat().st_size == 0:
            return content
        content.is_begun = True
        _read(path, content)
    except OSError as error:
        content.damage.append(f"{path}: {error.strerror}")
    except StoreError as error:
        content.damage.append(str(error))
    return content


def _read(path: Path, content: StoreContent) -> None:
    used = (path, path.with_name(f"{path.name}.lock"))
    content.damage += [f"{file}: cannot be written" for file in used if file.exists() and not os.access(file, os.W_OK)]
    backend = SqliteBackend(path, read_only=True)
    try:
        damage = backend.verify()
        content.damage += damage
        if not damage:
            _read_documents(backend, content)
    finally:
        backend.close()


def _read_documents(backend: SqliteBackend, content: StoreContent) -> None:
    collections = {name: Collection(name, indexes) for name, indexes in SCHEMA.items()}
    devices, rendered = set(), set()
    for row in backend.load():
        if row.collection == DEVICES:
            devices.add(row.id)
        elif row.collection == RENDERINGS:
            rendered.add(row.id)
        try:
            document = _checked_document(row, collections)
        except (ProvdError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            reason = str(error) if isinstance(error, ProvdError | ValueError) else repr(error)
            content.damage.append(f"{row.collection} {row.id!r}: {reason}")
            continue
        if row.collection == DEVICES:
            content.devices.append(document)
        content.configs += row.collection == CONFIGS
    content.damage += [f"{RENDERINGS} {each!r}: there is no such device" for each in sorted(rendered - devices)]


def _checked_document(row: Row, collections: Mapping[str, Collection]) -> Document:
    """The document of a row, read as the server does at its start; what is wrong with it is raised."""
    if row.collection not in collections:
        raise StoreError("unknown collection")
    document: Document = decode_document(row.text)
    collections[row.collection].keys_of(document)
    if row.collection in _CHECKS:
        if document.get("id") != row.id:
            raise StoreError(f"the document says that its id is {document.get('id')!r}")
        _CHECKS[row.collection](document)
    return document
