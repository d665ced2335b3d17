"""Sets of files and what the simple steps make of them: a node of the graph is names, and where each content lies.

Nothing is copied until all steps are done.
"""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from provd.errors import PackageError

FileSet = Mapping[str, Path]
"""Files by their path in the node."""

_MAX_NAME_BYTES = 255
_MAX_PATH_BYTES = 1024


def matches(pattern: str, files: Iterable[str]) -> list[str]:
    """The files and folders that a glob matches, sorted; `*` matches no hidden name and stays within one folder.

    Raises:
        PackageError: it matches nothing.
    """
    parts = pattern.split("/")
    found = sorted(entry for entry in _entries(files) if _fits(parts, entry.split("/")))
    if not found:
        raise PackageError(f"{pattern!r} matches no file")
    return found


def include(files: FileSet, patterns: Sequence[str]) -> dict[str, Path]:
    """The files that the globs match, and those in the folders that they match."""
    chosen = {entry for pattern in patterns for entry in matches(pattern, files)}
    return {name: path for name, path in files.items() if not chosen.isdisjoint((name, *parents(name)))}


def exclude(files: FileSet, patterns: Sequence[str]) -> dict[str, Path]:
    """The files that `include` would leave out."""
    left = include(files, patterns)
    return {name: path for name, path in files.items() if name not in left}


def copy(files: FileSet, patterns: Sequence[str], target: str) -> dict[str, Path]:
    """What the globs match, in the folder `target` if that ends with a slash, or the one file under another name.

    Raises:
        PackageError: a glob matches nothing, or two files would get one name.
    """
    chosen = {entry for pattern in patterns for entry in matches(pattern, files)}
    if not target.endswith("/"):
        [only, *others] = chosen
        if others or only not in files:
            raise PackageError(f"more than one file for {target!r}; the name of a folder ends with '/'")
        return {target: files[only]}
    copied: dict[str, Path] = {}
    for name, path in files.items():
        for entry in chosen.intersection((name, *parents(name))):
            copied_name = f"{target}{posixpath.relpath(name, posixpath.dirname(entry) or '.')}".lstrip("/")
            if copied.setdefault(copied_name, path) != path:
                raise PackageError(f"two files would become {copied_name!r}")
    return copied


def merge(nodes: Iterable[FileSet], folder: str) -> dict[str, Path]:
    """What phones get: the files of the resulting nodes, below `folder`. Hidden files, never served, are left out.

    Raises:
        PackageError: two files have one name, a file has the name of a folder, or no file system takes a name.
    """
    merged: dict[str, Path] = {}
    for files in nodes:
        for name, path in files.items():
            if any(part.startswith(".") for part in name.split("/")):
                continue
            target = posixpath.join(folder, name)
            longest = max(len(part.encode()) for part in name.split("/"))
            if longest > _MAX_NAME_BYTES or len(target.encode()) > _MAX_PATH_BYTES:
                raise PackageError(f"{target[:80]!r}…: the name is too long")
            if merged.setdefault(target, path) != path:
                raise PackageError(f"two results have a file {target!r}")
    for name in merged:
        for parent in parents(name):
            if parent in merged:
                raise PackageError(f"{parent!r} is a file, and a folder with {name!r} in it")
    return merged


def parents(name: str) -> list[str]:
    """The folders that a path lies in, the innermost first."""
    parts = name.split("/")
    return ["/".join(parts[:depth]) for depth in range(len(parts) - 1, 0, -1)]


def _entries(files: Iterable[str]) -> set[str]:
    entries = set(files)
    for name in list(entries):
        entries.update(parents(name))
    return entries


def _fits(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    return len(pattern) == len(parts) and all(
        fnmatch.fnmatchcase(part, glob) and (glob.startswith(".") or not part.startswith("."))
        for glob, part in zip(pattern, parts, strict=True)
    )
