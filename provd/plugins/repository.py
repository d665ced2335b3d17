"""A repository of plugins: a folder or a URL with the index `plugins.db` and the archives."""

from __future__ import annotations

import difflib
import hashlib
import hmac
import json
import logging
import re
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from provd.errors import RepositoryError
from provd.plugins.info import is_plugin_id

log = logging.getLogger(__name__)

INDEX_NAME = "plugins.db"
MAX_INDEX_BYTES = 16 * 1024 * 1024
MAX_ARCHIVE_BYTES = 64 * 1024 * 1024
TIMEOUT_S = 15
_SETTING = "general.plugin_server"
"""The option that says where the repository is; every message about the repository begins with it."""
_LISTED = 10
"""How many plugins a message names, of how many it looks at: an index may have thousands."""
_COMPARED = 1000
_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.tar\.bz2")


@dataclass(frozen=True, slots=True)
class Entry:
    """A plugin that can be installed. One of the two sums may be missing; SHA-256 counts if both are there."""

    id: str
    filename: str
    version: str
    sha256sum: str | None
    sha1sum: str | None


class Repository:
    """The plugins at `location`, a folder's path or an HTTP(S) URL."""

    def __init__(self, location: str) -> None:
        self.location = location.rstrip("/")

    def entries(self) -> dict[str, Entry]:
        """The plugins of the index by id; an entry that is wrong hides only itself.

        Raises:
            RepositoryError: the index cannot be had, or is no JSON object.
        """
        try:
            index = json.loads(self._read(INDEX_NAME, MAX_INDEX_BYTES))
        except (ValueError, RecursionError) as error:
            raise RepositoryError(f"{_SETTING}: {self.location}/{INDEX_NAME}: not JSON: {error}") from error
        if not isinstance(index, Mapping):
            raise RepositoryError(f"{_SETTING}: {self.location}/{INDEX_NAME}: an object is needed")
        entries = {}
        for plugin_id, data in index.items():
            try:
                entries[plugin_id] = _entry(plugin_id, data)
            except RepositoryError as error:
                log.warning("index entry ignored: repository=%s reason=%s", self.location, error)
        return entries

    def archive(self, plugin_id: str) -> bytes:
        """The archive of a plugin, its checksum verified.

        Raises:
            RepositoryError: there is no such plugin, or its archive cannot be had or is not the one of the index.
        """
        entries = self.entries()
        entry = entries.get(plugin_id)
        if entry is None:
            there_are = _closest(plugin_id, list(entries))
            raise RepositoryError(f"{_SETTING}: {self.location} has no plugin {plugin_id}; {there_are}")
        content = self._read(entry.filename, MAX_ARCHIVE_BYTES)
        _verify(entry, content)
        return content

    def _read(self, name: str, max_bytes: int) -> bytes:
        where = f"{_SETTING}: {self.location}/{name}"
        try:
            if urlsplit(self.location).scheme in ("http", "https"):
                url = f"{self.location}/{quote(name)}"
                with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310  (scheme is checked)
                    content: bytes = answer.read(max_bytes + 1)
            else:
                with Path(self.location, name).open("rb") as file:
                    content = file.read(max_bytes + 1)
        except FileNotFoundError as error:
            raise RepositoryError(f"{_SETTING}: {self.location} has no {name}") from error
        except (OSError, ValueError, HTTPException) as error:  # urllib.error.URLError is an OSError
            raise RepositoryError(f"{where}: {_reason(error)}") from error
        if len(content) > max_bytes:
            raise RepositoryError(f"{where}: larger than {max_bytes} bytes")
        return content


def _reason(error: Exception) -> str:
    """What went wrong, without the number of the error and the file's path."""
    if isinstance(error, urllib.error.HTTPError):
        return f"{error.code} {error.reason}"
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return (isinstance(cause, OSError) and cause.strerror) or str(cause)


def _closest(plugin_id: str, there: Sequence[str]) -> str:
    """The plugins that there are, those first that somebody may have meant who wrote `plugin_id`."""
    if not there:
        return "it is empty"
    listed = difflib.get_close_matches(plugin_id, there[:_COMPARED], n=_LISTED, cutoff=0)
    more = f" and {len(there) - len(listed)} more" if len(there) > len(listed) else ""
    return f"it has {', '.join(listed)}{more}"


def _entry(plugin_id: str, data: Any) -> Entry:
    if not is_plugin_id(plugin_id) or not isinstance(data, Mapping):
        raise RepositoryError(f"{plugin_id!r}: not a plugin id with an object")
    filename, version = data.get("filename"), data.get("version")
    if not isinstance(filename, str) or not _FILENAME.fullmatch(filename):
        raise RepositoryError(f"{plugin_id}: filename: {filename!r} is no name of an archive")
    if not isinstance(version, str):
        raise RepositoryError(f"{plugin_id}: version: missing")
    sums = {key: data[key] for key in ("sha256sum", "sha1sum") if isinstance(data.get(key), str)}
    if not sums:
        raise RepositoryError(f"{plugin_id}: sha256sum: missing")
    return Entry(plugin_id, filename, version, sums.get("sha256sum"), sums.get("sha1sum"))


def _verify(entry: Entry, content: bytes) -> None:
    if entry.sha256sum is not None:
        expected, actual = entry.sha256sum, hashlib.sha256(content).hexdigest()
    else:
        expected, actual = str(entry.sha1sum), hashlib.sha1(content, usedforsecurity=False).hexdigest()
    if not hmac.compare_digest(expected.lower().encode("utf-8", "replace"), actual.encode()):
        raise RepositoryError(f"{entry.filename}: checksum is {actual}, the index says {expected}")
