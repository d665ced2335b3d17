"""Where the families' tables come from: the repository of the package, and the plugins that are installed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from provd.dhcp.table import Table, parse_table
from provd.errors import InvalidValueError, PluginLoadError
from provd.plugins.info import PluginInfo, is_plugin_id, read_plugin_info, version_key

TABLES_NAME = "dhcp.json"
"""The file of a repository with the tables of all families, also of those that have no plugin yet."""


class Collection:
    """The tables that were found, by family, and a note of each that was not."""

    def __init__(self) -> None:
        self.tables: dict[str, Table] = {}
        self.notes: list[str] = []

    def add(self, where: str, data: Any, version: str = "") -> None:
        """Take a table, unless there is a newer one of its family; one that is wrong is left out.

        `data` has its family beside its phones, and its version, unless that is the one of its plugin.
        """
        try:
            table = _table(data, version)
        except InvalidValueError as error:
            self.notes.append(f"{where}: {error}; left out")
            return
        there = self.tables.get(table.family)
        if there is None or version_key(table.version) >= version_key(there.version):
            self.tables[table.family] = table


def collect(plugin_server: str, plugins_folder: Path) -> Collection:
    """The newest table of each family, of the repository if that is a folder and of the installed plugins."""
    collection = Collection()
    if urlsplit(plugin_server).scheme in ("http", "https"):
        collection.notes.append(f"{plugin_server} is not a folder, so only installed plugins say something of phones")
    else:
        _add_repository(collection, Path(plugin_server) / TABLES_NAME)
    _add_installed(collection, plugins_folder)
    return collection


def _table(data: Any, version: str) -> Table:
    if not isinstance(data, Mapping):
        raise InvalidValueError("dhcp", data, "keys and values")
    rest = {key: value for key, value in data.items() if key not in ("family", "version")}
    return parse_table(str(data.get("family")), rest, str(data.get("version", version)))


def _add_repository(collection: Collection, file: Path) -> None:
    try:
        families = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(families, list):
            raise ValueError("a list is needed")
    except OSError as error:
        collection.notes.append(f"{file}: {error.strerror}, so only installed plugins say something of phones")
        return
    except (ValueError, RecursionError) as error:
        collection.notes.append(f"{file}: {error}; left out")
        return
    for data in families:
        collection.add(str(file), data)


def _add_installed(collection: Collection, folder: Path) -> None:
    for info in _installed(collection, folder):
        if "dhcp" in info.raw:
            collection.add(str(folder / info.id / "plugin-info"), info.raw["dhcp"], info.version)


def _installed(collection: Collection, folder: Path) -> Iterator[PluginInfo]:
    try:
        folders = sorted(each for each in folder.iterdir() if is_plugin_id(each.name) and each.is_dir())
    except OSError as error:
        collection.notes.append(f"{folder}: {error.strerror}, so installed plugins are not looked at")
        return
    for each in folders:
        try:
            yield read_plugin_info(each)
        except PluginLoadError as error:
            collection.notes.append(f"{each.name}: {error}; left out")
