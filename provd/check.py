"""`xivo-provd --check`: is the store whole, and would the server start with these settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from provd.base_config import base_raw_config
from provd.errors import PluginLoadError, ProvdError, StoreError
from provd.model.config import check_config
from provd.model.device import check_device
from provd.plugins.info import read_plugin_info
from provd.settings import Settings, plugins_folder, store_path
from provd.store.backend import Row
from provd.store.collection import Collection, Document, decode_document
from provd.store.schema import CONFIGS, DEVICES, RENDERINGS, SCHEMA
from provd.store.sqlite import SqliteBackend

_CHECKS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {DEVICES: check_device, CONFIGS: check_config}


def check(settings: Settings) -> list[str]:
    """What is wrong, in sentences. Nothing is changed, and a server that runs is not disturbed.

    Raises:
        SettingsError: a file that the settings name is wrong.
    """
    base_raw_config(settings, settings["http.port"], settings["tftp.port"])
    return [*_store_problems(settings), *_plugin_problems(settings)]


def _store_problems(settings: Settings) -> list[str]:
    path = store_path(settings)
    try:
        if not path.exists() or path.stat().st_size == 0:
            return []  # not begun yet
        backend = SqliteBackend(path, read_only=True)
    except OSError as error:
        return [f"{path}: {error.strerror}"]
    except StoreError as error:
        return [str(error)]
    try:
        return backend.verify() or list(_document_problems(backend))
    except StoreError as error:
        return [str(error)]
    finally:
        backend.close()


def _document_problems(backend: SqliteBackend) -> Iterator[str]:
    collections = {name: Collection(name, indexes) for name, indexes in SCHEMA.items()}
    devices, rendered = set(), set()
    for row in backend.load():
        try:
            _check_row(row, collections)
        except (ProvdError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            reason = str(error) if isinstance(error, ProvdError | ValueError) else repr(error)
            yield f"{row.collection} {row.id!r}: {reason}"
        if row.collection == DEVICES:
            devices.add(row.id)
        elif row.collection == RENDERINGS:
            rendered.add(row.id)
    for device_id in sorted(rendered - devices):
        yield f"{RENDERINGS} {device_id!r}: there is no such device"


def _check_row(row: Row, collections: Mapping[str, Collection]) -> None:
    """Read a row as the server does at its start; what is wrong with it is raised."""
    if row.collection not in collections:
        raise StoreError("unknown collection")
    document: Document = decode_document(row.text)
    collections[row.collection].keys_of(document)
    if row.collection in _CHECKS:
        if document.get("id") != row.id:
            raise StoreError(f"the document says that its id is {document.get('id')!r}")
        _CHECKS[row.collection](document)


def _plugin_problems(settings: Settings) -> list[str]:
    folder = plugins_folder(settings)
    problems = []
    try:
        plugins = sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        return [f"{folder}: {error.strerror}"]
    for plugin in plugins:
        if plugin.is_dir() and not plugin.name.startswith("."):
            try:
                read_plugin_info(plugin)
            except PluginLoadError as error:
                problems.append(f"plugin {plugin.name}: {error}")
    return problems
