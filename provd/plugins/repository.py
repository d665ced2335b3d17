"""A repository of plugins: a folder or a URL with the index `plugins.db` and the archives."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
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
            raise RepositoryError(f"{self.location}/{INDEX_NAME}: not JSON: {error}") from error
        if not isinstance(index, Mapping):
            raise RepositoryError(f"{self.location}/{INDEX_NAME}: an object is needed")
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
        entry = self.entries().get(plugin_id)
        if entry is None:
            raise RepositoryError(f"{plugin_id}: not in the repository {self.location}")
        content = self._read(entry.filename, MAX_ARCHIVE_BYTES)
        _verify(entry, content)
        return content

    def _read(self, name: str, max_bytes: int) -> bytes:
        where = f"{self.location}/{name}"
        try:
            if urlsplit(self.location).scheme in ("http", "https"):
                url = f"{self.location}/{quote(name)}"
                with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310  (scheme is checked)
                    content: bytes = answer.read(max_bytes + 1)
            else:
                with Path(self.location, name).open("rb") as file:
                    content = file.read(max_bytes + 1)
        except (OSError, ValueError, HTTPException) as error:  # urllib.error.URLError is an OSError
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            raise RepositoryError(f"{where}: {reason}") from error
        if len(content) > max_bytes:
            raise RepositoryError(f"{where}: larger than {max_bytes} bytes")
        return content


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
