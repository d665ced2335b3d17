"""`pkgs/`: from the texts to the packages that can be installed, and what is wrong with the others."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from provd.errors import NotFoundError, PackageError
from provd.plugins.firmware.dependencies import cycles
from provd.plugins.firmware.file_section import parse_file
from provd.plugins.firmware.graph import InstallGraph, parse_graph, resolve
from provd.plugins.firmware.inifile import IniText, Section, read_sections
from provd.plugins.firmware.values import Package, PackageFile

MAX_TEXT_BYTES = 1024 * 1024
"""Of one file in `pkgs/`."""

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}")
_PACKAGE_KEYS = ("description", "version", "files", "install", "depends")
_DESCRIPTION = re.compile(r"description_([a-z]{2,3}(?:[_-][a-z0-9]+)?)")

T = TypeVar("T")


@dataclass(slots=True)
class Database:
    """The packages that can be installed; why others cannot, by id; and everything that is wrong, for people."""

    packages: dict[str, Package] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def find(self, package_id: str) -> Package:
        """A package that can be installed.

        Raises:
            NotFoundError: there is none of this id.
            PackageError: there is one, but it is not defined rightly.
        """
        if package_id in self.broken:
            raise PackageError(f"the package {package_id} cannot be installed: {self.broken[package_id]}")
        if package_id not in self.packages:
            raise NotFoundError(f"package not found: {package_id}")
        return self.packages[package_id]


def read_database(folder: Path) -> Database:
    """Read all files in a plugin's `pkgs/` that are not hidden, in the order of their names."""
    files, faults = [], []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name.startswith(".") or not path.is_file():
            continue
        try:
            files.append((path.name, _read(path)))
        except OSError as error:
            faults.append(f"{path.name}: cannot be read: {error.strerror or error}")
    text = read_sections(files)
    text.faults[:0] = faults
    return parse_database(text)


def parse_database(text: IniText) -> Database:
    """Check all sections; a wrong one disables the packages that need it, and no other."""
    database = Database(problems=list(text.faults))
    kinds: dict[str, dict[str, Section]] = {"pkg": {}, "file": {}, "install": {}}
    for section in text.sections.values():
        kind, _, identifier = section.name.partition("_")
        if kind in kinds and _ID.fullmatch(identifier):
            kinds[kind][identifier] = section
        else:
            allowed = "allowed: [pkg_<id>], [file_<id>], [install_<id>], ids of letters, digits and . _ + -"
            database.problems.append(f"{section.place}: [{section.name}] is not allowed; {allowed}")
    files, bad_files = _parse_all(kinds["file"], parse_file)
    _refuse_equal_names(files, bad_files, kinds["file"])
    graphs, bad_graphs = _parse_all(kinds["install"], parse_graph)
    parts = _Parts(files, bad_files, graphs, bad_graphs)
    database.packages, database.broken = _parse_all(kinds["pkg"], parts.package)
    reasons = [*bad_files.values(), *bad_graphs.values(), *database.broken.values()]
    database.problems += dict.fromkeys(reasons)  # (in their order, each once)
    _refuse_impossible_dependencies(database, kinds["pkg"])
    return database


@dataclass(frozen=True, slots=True)
class _Parts:
    """What packages consist of, by id, and what is wrong with the other parts."""

    files: Mapping[str, PackageFile]
    bad_files: Mapping[str, str]
    graphs: Mapping[str, InstallGraph]
    bad_graphs: Mapping[str, str]

    def package(self, section: Section) -> Package:
        """The package of a `[pkg_…]` section."""
        descriptions = {"": section.value("description")}
        for key in section.entries:
            localised = _DESCRIPTION.fullmatch(key)
            if localised:
                descriptions[localised[1].replace("-", "_")] = section.value(key)
            elif key not in _PACKAGE_KEYS:
                allowed = ", ".join((*_PACKAGE_KEYS, "description_<language>"))
                raise section.error(key, f"is not allowed; allowed: {allowed}")
        for key in ("version", "description"):
            if not section.value(key):
                raise section.error(key, "missing; needed: a text")
        files = tuple(_find(section, "files", i, self.files, self.bad_files) for i in section.value("files").split())
        install, *arguments = section.value("install").split() or [""]
        if files and not install:
            raise section.error("install", "missing; needed: the id of an [install_<id>] section")
        graph = _find(section, "install", install, self.graphs, self.bad_graphs) if install else InstallGraph((), ())
        try:
            steps = resolve(graph, files, arguments)
        except PackageError as error:
            raise section.error("install", str(error)) from None
        depends = tuple(dict.fromkeys(section.value("depends").split()))
        return Package(section.id, section.value("version"), descriptions, files, steps, graph.results, depends)


def _find(section: Section, key: str, identifier: str, good: Mapping[str, T], bad: Mapping[str, str]) -> T:
    if identifier in bad:
        raise PackageError(bad[identifier])
    if identifier not in good:
        allowed = ", ".join(sorted(good)) or "none is defined"
        raise section.error(key, f"there is no {identifier!r}; allowed: {allowed}")
    return good[identifier]


def _parse_all(
    sections: Mapping[str, Section], parse: Callable[[Section], T]
) -> tuple[dict[str, T], dict[str, str]]:
    good: dict[str, T] = {}
    bad: dict[str, str] = {}
    for identifier, section in sections.items():
        try:
            if section.faults:
                raise PackageError(section.faults[0])
            good[identifier] = parse(section)
        except PackageError as error:
            bad[identifier] = str(error)
    return good, bad


def _refuse_equal_names(files: dict[str, PackageFile], bad: dict[str, str], sections: Mapping[str, Section]) -> None:
    by_name: dict[str, list[str]] = {}
    for identifier, file in files.items():
        by_name.setdefault(file.filename, []).append(identifier)
    for filename, identifiers in by_name.items():
        if len(identifiers) > 1:
            for identifier in identifiers:
                del files[identifier]
                names = ", ".join(f"[file_{name}]" for name in identifiers)
                bad[identifier] = f"{sections[identifier].place}: {names}: have one local name, {filename!r}"


def _refuse_impossible_dependencies(database: Database, sections: Mapping[str, Section]) -> None:
    """Disable packages that depend on themselves, or on what cannot be installed, until no more have to be."""
    for identifier, cycle in cycles(database.packages).items():
        text = f"on itself: {' -> '.join(cycle)}"
        _disable(database, identifier, str(sections[identifier].error("depends", text)))
    changed = True
    while changed:
        changed = False
        for package in list(database.packages.values()):
            lost = [name for name in package.depends if name not in database.packages]
            if lost:
                reason = f"there is no usable package {lost[0]!r}"
                _disable(database, package.id, str(sections[package.id].error("depends", reason)))
                changed = True


def _disable(database: Database, identifier: str, reason: str) -> None:
    del database.packages[identifier]
    database.broken[identifier] = reason
    database.problems.append(reason)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode) or os.fstat(file.fileno()).st_size > MAX_TEXT_BYTES:
            raise OSError(f"no file, or of more than {MAX_TEXT_BYTES} bytes")
        return file.read(MAX_TEXT_BYTES + 1)
