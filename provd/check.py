"""`xivo-provd --check`: is the store whole, and would the server start with these settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from provd.base_config import base_raw_config
from provd.errors import PluginLoadError, ProvdError, StoreError
from provd.model.config import check_config
from provd.model.device import check_device
from provd.plugins.info import read_plugin_info
from provd.settings import Settings, plugins_folder, store_path
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
    if not path.exists():
        return []
    try:
        backend = SqliteBackend(path, read_only=True)
    except StoreError as error:
        return [str(error)]
    try:
        problems = backend.verify()
        return problems or _document_problems(backend)
    except StoreError as error:
        return [str(error)]
    finally:
        backend.close()


def _document_problems(backend: SqliteBackend) -> list[str]:
    problems, seen, rendered = [], set(), set()
    for row in backend.load():
        try:
            if row.collection not in SCHEMA:
                raise StoreError("unknown collection")
            document = json.loads(row.text)
            if not isinstance(document, dict):
                raise StoreError("not a JSON object")
            if row.collection in _CHECKS:
                if document.get("id") != row.id:
                    raise StoreError(f"the document says that its id is {document.get('id')!r}")
                _CHECKS[row.collection](document)
        except (ValueError, ProvdError) as error:
            problems.append(f"{row.collection} {row.id!r}: {error}")
        if row.collection == DEVICES:
            seen.add(row.id)
        elif row.collection == RENDERINGS:
            rendered.add(row.id)
    return problems + [f"{RENDERINGS} {device_id!r}: there is no such device" for device_id in sorted(rendered - seen)]


def _plugin_problems(settings: Settings) -> list[str]:
    folder = plugins_folder(settings)
    problems = []
    for plugin in sorted(folder.iterdir()) if folder.is_dir() else []:
        if plugin.is_dir() and not plugin.name.startswith("."):
            try:
                read_plugin_info(plugin)
            except PluginLoadError as error:
                problems.append(f"plugin {plugin.name}: {error}")
    return problems
