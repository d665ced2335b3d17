"""`var/.packages`: locks, and what is needed while a package is being installed."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from provd.errors import PackageConflictError, ProvdError
from provd.model.operation import Operation
from provd.plugins.firmware.locks import locked
from provd.plugins.firmware.placing import Placing
from provd.plugins.firmware.records import Phase, Records

log = logging.getLogger(__name__)


class Workplace:
    """Below `folder`, one folder a package: its lock, `work` to unpack in, `backup` of what an upgrade replaces."""

    def __init__(self, folder: Path, records: Records, placing: Placing) -> None:
        self._folder = folder
        self._records = records
        self._placing = placing

    @contextmanager
    def packages_locked(self, package_ids: list[str]) -> Iterator[None]:
        """Hold the locks of packages, and have what a crash left of them mended before.

        Raises:
            OSError: the disk does not let it be mended.
            PackageConflictError: somebody else holds one.
        """
        with ExitStack() as stack:
            self._folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(self._folder / "plugin", busy="the plugin is being changed", shared=True))
            for package_id in package_ids:
                place = self._place(package_id)
                place.mkdir(parents=True, exist_ok=True)
                busy = f"an install operation for pkg {package_id} is already in progress"
                stack.enter_context(locked(place / "lock", busy=busy))
                self._mend(package_id)
            yield

    def placing_locked(self, operation: Operation | None) -> AbstractContextManager[None]:
        """Wait for, and hold, the lock of all changes below `var/tftpboot`."""
        return locked(self._folder / "lock", operation)

    def file_locked(self, filename: str, operation: Operation) -> AbstractContextManager[None]:
        """Wait for, and hold, the lock of a file that is downloaded."""
        (self._folder / "file").mkdir(exist_ok=True)
        return locked(self._folder / "file" / filename, operation)

    @contextmanager
    def work(self, package_id: str) -> Iterator[Path]:
        """An empty folder, which is removed afterwards."""
        folder = self._place(package_id) / "work"
        folder.mkdir()
        try:
            yield folder
        finally:
            _remove(folder)

    def backup(self, package_id: str) -> Path:
        """Where to keep what an upgrade replaces."""
        return self._place(package_id) / "backup"

    def held(self) -> AbstractContextManager[None]:
        """Keep all packages as they are.

        Raises:
            PackageConflictError: something is being done with one.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        return locked(self._folder / "plugin", busy="a package of the plugin is being installed or removed")

    def recover(self) -> None:
        """Mend what a crash interrupted, but for what is still being done; what cannot be mended is logged."""
        if not self._folder.is_dir():
            return
        with self.placing_locked(None):
            self._records.remove_leftovers()
        for package_id in self._interrupted():
            try:
                with self.packages_locked([package_id]):
                    pass
            except PackageConflictError:
                continue
            except (ProvdError, OSError) as error:
                log.error("interrupted package not mended: package=%s reason=%s", package_id, error)

    def _interrupted(self) -> list[str]:
        """The packages with which something is being done, or was when a crash came."""
        names = {name for name, record in self._records.all().items() if record.phase is not Phase.INSTALLED}
        for kind in ("work", "backup"):
            names.update(path.parent.name for path in self._folder.glob(f"pkg/*/{kind}"))
        return sorted(names)

    def _mend(self, package_id: str) -> None:
        """Undo or finish what a crash interrupted; the package's lock is held."""
        _remove(self._place(package_id) / "work")
        record = self._records.all().get(package_id)
        if record is not None and record.phase is not Phase.INSTALLED:
            with self.placing_locked(None):
                self._placing.settle(record, self.backup(package_id))
            log.warning("interrupted package mended: package=%s was=%s", package_id, record.phase.value)
        shutil.rmtree(self.backup(package_id), ignore_errors=True)

    def _place(self, package_id: str) -> Path:
        return self._folder / "pkg" / package_id


def _remove(folder: Path) -> None:
    """Remove a folder with all that is in it, also in folders that a program has closed to everybody."""
    for parent, folders, _ in os.walk(folder):
        for name in folders:
            if not os.path.islink(os.path.join(parent, name)):
                os.chmod(os.path.join(parent, name), 0o700)
    shutil.rmtree(folder, ignore_errors=True)
