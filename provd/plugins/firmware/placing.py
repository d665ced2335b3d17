"""Putting a package's files below `var/tftpboot` and taking them away, so that a crash loses neither state.

First a record says what will be put where, and what is replaced is kept; then files change one by one; then the record
says that it is done. From a record of the first kind everything can be undone, as often as needed.
Whoever calls this holds the lock of all placing, and is in a native thread of its own.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from provd.atomicfile import copy_file, sync_folder
from provd.errors import PackageConflictError
from provd.model.operation import Operation
from provd.plugins.firmware.cache import file_sum
from provd.plugins.firmware.ground import LABEL, Ground
from provd.plugins.firmware.records import Phase, Record, Records

log = logging.getLogger(__name__)

_MODE = 0o644
_TOLD = 5
"""How many files that stand in the way a message names."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a package will own, what of that has to be written, and what of its previous version goes."""

    owned: dict[str, str]
    written: list[str]
    replaced: list[str]
    removed: list[str]


class Placing:
    """The files of all packages below one folder."""

    def __init__(self, ground: Ground, records: Records) -> None:
        self._ground = ground
        self._records = records

    def put(self, record: Record, results: Mapping[str, Path], backup: Path, operation: Operation) -> None:
        """Put down what came of a package's steps, in the place of its previous version if there is one.

        Raises:
            OperationCancelledError: somebody wanted the operation to stop; everything is as before.
            OSError: the disk refuses; everything is as before, or will be after `settle`.
            PackageConflictError: a file that is not the package's stands in the way; nothing was changed.
        """
        records = self._records.all()
        previous = records[record.id].standing if record.id in records else None
        others = _owned_by_others(record.id, records)
        plan = self._plan(results, previous, others, operation)
        self._keep([*plan.replaced, *plan.removed], backup, previous)
        folders = self._ground.folders_for(plan.owned, {f for other in records.values() for f in other.folders})
        record = replace(record, phase=Phase.INSTALLING, files=plan.owned, folders=folders, previous=previous)
        self._ground.root.mkdir(parents=True, exist_ok=True)
        self._records.write(record)
        try:
            for path in plan.written:
                operation.check()
                self._ground.make_folder_of(path)
                copy_file(results[path], self._ground.root / path, mode=_MODE, label=LABEL)
            self._ground.remove({path: previous.files[path] for path in plan.removed} if previous else {})
            self._ground.remove_folders(set(previous.folders if previous else ()) - set(folders))
            operation.check()
            self._records.write(replace(record, phase=Phase.INSTALLED, previous=None))
        except BaseException:
            self.settle(record, backup)
            raise
        shutil.rmtree(backup, ignore_errors=True)

    def take_away(self, record: Record) -> None:
        """Remove what a package put down, but not what has been changed since, or is another package's too.

        Raises:
            OSError: the disk refuses; `settle` goes on with it.
        """
        self._records.write(replace(record, phase=Phase.REMOVING, previous=None))
        self._finish_removal(record)

    def settle(self, record: Record, backup: Path) -> None:
        """Bring a package whose record says that something was being done into the old or the new state.

        Raises:
            OSError: the disk refuses; it can be tried again.
        """
        self._ground.remove_leftovers({**record.files, **(record.previous.files if record.previous else {})})
        if record.phase is Phase.REMOVING:
            self._finish_removal(record)
        elif record.phase is Phase.INSTALLING:
            self._undo(record, backup)
            shutil.rmtree(backup, ignore_errors=True)

    def _undo(self, record: Record, backup: Path) -> None:
        before = record.previous.files if record.previous else {}
        others = _owned_by_others(record.id, self._records.all())
        new = {path: digest for path, digest in record.files.items() if path not in before and path not in others}
        self._ground.remove(new)
        self._ground.remove_folders(set(record.folders) - set(record.previous.folders if record.previous else ()))
        for path, digest in before.items():
            kept = backup / digest
            if kept.exists() and self._ground.is_free(path, record.files.get(path)):
                self._ground.make_folder_of(path)
                copy_file(kept, self._ground.root / path, mode=_MODE, label=LABEL)
        if record.previous:
            self._records.write(record.previous)
        else:
            self._records.remove(record.id)

    def _finish_removal(self, record: Record) -> None:
        others = _owned_by_others(record.id, self._records.all())
        self._ground.remove({path: digest for path, digest in record.files.items() if path not in others})
        self._ground.remove_folders(record.folders)
        self._records.remove(record.id)

    def _plan(
        self, results: Mapping[str, Path], previous: Record | None, others: Mapping[str, str], operation: Operation
    ) -> _Plan:
        """Compare what is to be put down with what is there.

        Raises:
            PackageConflictError: a file that is not the package's stands in the way.
        """
        before = previous.files if previous else {}
        plan, conflicts = _Plan({}, [], [], []), []
        for path, source in sorted(results.items()):
            wanted = file_sum(source, "sha256", operation)
            try:
                there = self._ground.look(path)
            except PackageConflictError as error:
                conflicts.append(str(error))
                continue
            if there is None or (there != wanted and there == before.get(path) and path not in others):
                plan.written.append(path)
                plan.replaced.extend([path] if there else [])
            elif there != wanted:
                conflicts.append(f"{path} {_whose(path, before, others)}")
            elif path not in before and path not in others:
                continue  # somebody else's, which happens to be the same
            plan.owned[path] = wanted
        if conflicts:
            more = f" and {len(conflicts) - _TOLD} more" if len(conflicts) > _TOLD else ""
            raise PackageConflictError(f"nothing was changed; in the way: {'; '.join(conflicts[:_TOLD])}{more}")
        gone = (path for path in before if path not in results and path not in others)
        plan.removed.extend(path for path in gone if self._ground.is_still(path, before[path]))
        return plan

    def _keep(self, paths: Iterable[str], backup: Path, previous: Record | None) -> None:
        """Keep the files of the previous version, each under its sum."""
        shutil.rmtree(backup, ignore_errors=True)
        backup.mkdir(parents=True)
        for path in paths:
            kept = backup / (previous.files[path] if previous else "")
            if not kept.exists():
                try:
                    os.link(self._ground.root / path, kept)
                except OSError:  # another file system
                    copy_file(self._ground.root / path, kept, mode=_MODE)
        sync_folder(backup)
        sync_folder(backup.parent)


def _owned_by_others(package_id: str, records: Mapping[str, Record]) -> dict[str, str]:
    """The paths of all other packages, and whose they are."""
    owned = {}
    for record in records.values():
        if record.id != package_id:
            for path in {**record.files, **(record.previous.files if record.previous else {})}:
                owned[path] = record.id
    return owned


def _whose(path: str, before: Mapping[str, str], others: Mapping[str, str]) -> str:
    if path in others:
        return f"belongs to the package {others[path]}"
    return "was changed since the package put it there" if path in before else "is there, and no package put it there"
