"""`var/installed/<package id>`: what is installed, in JSON, and what was being done when a crash came."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from provd.atomicfile import TEMPORARY_PREFIX, sync_folder, write_file
from provd.errors import PackageError
from provd.plugins.firmware.values import Package, inner_path

log = logging.getLogger(__name__)


class Phase(StrEnum):
    """How far a package is. What a crash left as INSTALLING is undone, what it left as REMOVING is finished."""

    INSTALLING = "installing"
    INSTALLED = "installed"
    REMOVING = "removing"


@dataclass(frozen=True, slots=True)
class Record:
    """One package: what its definition said, and what it put below `var/tftpboot`.

    `files` are SHA-256 sums by path; `folders` were made for them. `previous` is what an upgrade takes the place of.
    """

    id: str
    version: str
    descriptions: Mapping[str, str]
    depends: tuple[str, ...]
    explicit: bool
    phase: Phase
    files: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    previous: Record | None = None

    @classmethod
    def of(cls, package: Package, *, explicit: bool) -> Record:
        """The record of a package of which nothing is installed yet."""
        descriptions = dict(package.descriptions)
        return cls(package.id, package.version, descriptions, package.depends, explicit, Phase.INSTALLING)

    @property
    def standing(self) -> Record | None:
        """What counts as installed: this one, while it is upgraded the one before, or None."""
        if self.phase is Phase.INSTALLING:
            return self.previous
        return self if self.phase is Phase.INSTALLED else None


class Records:
    """The records in a folder. Whoever changes them holds the lock of all placing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> dict[str, Record]:
        """All records by package id; one that cannot be read is logged, and left out.

        Raises:
            OSError: the folder cannot be read.
        """
        records = {}
        for path in sorted(self._folder.iterdir()) if self._folder.is_dir() else []:
            if path.name.startswith(".") or not path.is_file():
                continue
            try:
                records[path.name] = self.read(path.name)
            except PackageError as error:
                log.error("record of a package cannot be used: %s", error)
        return records

    def read(self, package_id: str) -> Record:
        """One record.

        Raises:
            PackageError: it cannot be read.
        """
        path = self._folder / package_id
        try:
            return _from_json(package_id, json.loads(path.read_bytes()))
        except OSError as error:
            raise PackageError(f"{path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise PackageError(f"{path}: no record of a package: {error!r}") from error

    def write(self, record: Record) -> None:
        """Put a record in the place of the one before; it is on the disk then.

        Raises:
            OSError: it is not there, or not surely.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self.remove_leftovers()
        write_file(self._folder / record.id, json.dumps(_to_json(record), indent=2, ensure_ascii=False).encode())

    def remove(self, package_id: str) -> None:
        """Remove a record, also from the disk.

        Raises:
            OSError: it may still be there.
        """
        (self._folder / package_id).unlink(missing_ok=True)
        sync_folder(self._folder)

    def remove_leftovers(self) -> None:
        """Remove the temporary files that a crash left."""
        for leftover in self._folder.glob(f"{TEMPORARY_PREFIX}*"):
            leftover.unlink(missing_ok=True)


def _to_json(record: Record) -> dict[str, Any]:
    descriptions = {f"description_{name}" if name else "description": t for name, t in record.descriptions.items()}
    data = {
        "pkg_info": {"id": record.id, "version": record.version, **descriptions, "depends": list(record.depends)},
        "explicit_install": record.explicit,
        "state": record.phase.value,
        "files": dict(record.files),
        "folders": list(record.folders),
    }
    return data | ({"previous": _to_json(record.previous)} if record.previous else {})


def _from_json(package_id: str, data: Any) -> Record:
    info = data["pkg_info"]
    descriptions = {
        key.removeprefix("description").lstrip("_"): str(text)
        for key, text in info.items() if key.startswith("description")
    }  # fmt: skip
    previous = data.get("previous")
    return Record(
        id=package_id,
        version=str(info["version"]),
        descriptions=descriptions,
        depends=tuple(map(str, info["depends"])),
        explicit=bool(data["explicit_install"]),
        phase=Phase(data["state"]),
        files={_inner(path): str(digest) for path, digest in data["files"].items()},
        folders=tuple(map(_inner, data["folders"])),
        previous=_from_json(package_id, previous) if previous else None,
    )


def _inner(path: str) -> str:
    """A path in a record, which is used to remove files."""
    if not path or inner_path(path) != path:
        raise ValueError(f"{path!r} is no path below the folder")
    return path
