"""`plugins.db`, a repository's index: which plugins there are, and what they are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from provd.errors import RepositoryError
from provd.plugins.info import is_plugin_id, version_key

INDEX_NAME = "plugins.db"
MAX_INDEX_BYTES = 16 * 1024 * 1024
_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}\.tar\.bz2")
_OPTIONAL: tuple[tuple[str, type, Any], ...] = (
    ("description", str, ""),
    ("capabilities", Mapping, {}),
    ("dsize", int, None),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A plugin that can be installed. One of the two sums may be missing; SHA-256 counts if both are there.

    `descriptions` are those in other languages than `description`, by locale or language (`fr_CA`, `fr`); `size` is the
    archive's, in bytes.
    """

    id: str
    filename: str
    version: str
    sha256sum: str | None
    sha1sum: str | None
    description: str = ""
    descriptions: Mapping[str, str] = field(default_factory=dict)
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Index:
    """What a repository has, by plugin id; and which entries of its index are wrong, with the reason."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    rejected: Mapping[str, str] = field(default_factory=dict)


class Standing(StrEnum):
    """How the repository's version of a plugin compares with the installed one."""

    SAME = "same"
    NEWER = "newer"
    OLDER = "older"


def standing(installed: str, offered: str) -> Standing:
    """Compare versions by their numbers: 1.10 is newer than 1.9."""
    mine, theirs = version_key(installed), version_key(offered)
    if mine == theirs:
        return Standing.SAME
    return Standing.NEWER if theirs > mine else Standing.OLDER


def parse_index(content: bytes) -> Index:
    """Read an index; an entry that is wrong hides only itself.

    Raises:
        RepositoryError: it is no JSON object.
    """
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RepositoryError(f"not JSON: {error}") from error
    if not isinstance(data, Mapping):
        raise RepositoryError("an object is needed")
    entries, rejected = {}, {}
    for plugin_id, entry in data.items():
        try:
            entries[plugin_id] = _entry(plugin_id, entry)
        except RepositoryError as error:
            rejected[plugin_id] = str(error)
    return Index(entries, rejected)


def description_for(description: str, others: Mapping[str, str], locale: str | None) -> str:
    """The description for a locale such as `fr_CA`: that one's, else its language's, else the one for everybody."""
    for key in (locale or "", (locale or "").partition("_")[0]):
        if key in others:
            return others[key]
    return description


def search(entries: Mapping[str, Entry], text: str) -> dict[str, Entry]:
    """The entries in which every word of `text` stands, in any letter case.

    It is looked for in the id, in the descriptions of all languages, and in the capabilities' names, which are made of
    vendor, model and firmware version.
    """
    words = text.casefold().split()
    return {plugin_id: entry for plugin_id, entry in entries.items() if _has(entry, words)}


def _has(entry: Entry, words: list[str]) -> bool:
    texts = "\n".join((entry.id, entry.description, *entry.descriptions.values(), *entry.capabilities)).casefold()
    return all(word in texts for word in words)


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
    values: dict[str, Any] = {}
    for key, kind, default in _OPTIONAL:
        values[key] = data.get(key, default)
        if key in data and (not isinstance(values[key], kind) or isinstance(values[key], bool)):
            raise RepositoryError(f"{plugin_id}: {key}: of the wrong type")
    return Entry(
        id=plugin_id,
        filename=filename,
        version=version,
        sha256sum=sums.get("sha256sum"),
        sha1sum=sums.get("sha1sum"),
        description=values["description"],
        descriptions=_descriptions(data),
        capabilities=values["capabilities"],
        size=values["dsize"],
    )


def _descriptions(data: Mapping[str, Any]) -> dict[str, str]:
    prefix = "description_"
    return {
        key.removeprefix(prefix): text for key, text in data.items() if key.startswith(prefix) and isinstance(text, str)
    }
