"""The firmware packages of one plugin: listing, installing, upgrading and removing them.

Listing is quick. Everything else may take minutes, so it is called in a native thread, while phones are served: under
gevent, `pool.spawn(manager.install, package_id, operation)` with a `gevent.threadpool.ThreadPool` of its own, as the
hub's is for what is short, such as the store's commits. Catch errors there: gevent's pool prints those that it sees.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from provd.errors import AlreadyExistsError, NotFoundError, PackageConflictError
from provd.model.operation import Operation
from provd.plugins.downloads import Downloader
from provd.plugins.firmware.cache import Cache
from provd.plugins.firmware.database import read_database
from provd.plugins.firmware.dependencies import install_order
from provd.plugins.firmware.ground import Ground
from provd.plugins.firmware.limits import Budget, Limits
from provd.plugins.firmware.placing import Placing
from provd.plugins.firmware.records import Phase, Record, Records
from provd.plugins.firmware.steps import build
from provd.plugins.firmware.telling import telling
from provd.plugins.firmware.values import Installable, Installed, Package, inner_path, localised
from provd.plugins.firmware.workplace import Workplace

log = logging.getLogger(__name__)

LABEL = "install_pkg"


class PackageManager:
    """The packages of the plugin in `plugin_folder`.

    `folder` is where below `var/tftpboot` the plugin wants its packages' files. Without `auth_downloader`, files that
    need a login at the vendor's have to be put into `var/cache` by hand.
    """

    def __init__(
        self,
        plugin_folder: Path,
        downloader: Downloader,
        *,
        auth_downloader: Downloader | None = None,
        folder: str = "",
        limits: Limits = Limits(),  # noqa: B008  (a value)
    ) -> None:
        self._pkgs = plugin_folder / "pkgs"
        self._folder = inner_path(folder)
        self._limits = limits
        self._records = Records(plugin_folder / "var" / "installed")
        self._placing = Placing(Ground(plugin_folder / "var" / "tftpboot"), self._records)
        self._workplace = Workplace(plugin_folder / "var" / ".packages", self._records, self._placing)
        self._cache = Cache(plugin_folder / "var" / "cache", downloader, auth_downloader, self._workplace.file_locked)

    def problems(self) -> list[str]:
        """What is wrong in `pkgs/`, in sentences for its author."""
        return read_database(self._pkgs).problems

    def installable(self, locale: str | None = None) -> dict[str, Installable]:
        """All packages that can be installed, also those that are, described in the language of `locale`."""
        return {
            package.id: Installable(package.version, localised(package.descriptions, locale), package.dsize)
            for package in read_database(self._pkgs).packages.values()
        }

    def installed(self, locale: str | None = None) -> dict[str, Installed]:
        """All packages that are installed, described in the language of `locale`."""
        standing = (record.standing for record in self._records.all().values())
        return {
            record.id: Installed(record.version, localised(record.descriptions, locale), record.explicit)
            for record in standing if record is not None
        }  # fmt: skip

    def install(self, package_id: str, operation: Operation) -> None:
        """Install a package, and before it those that it depends on.

        Raises:
            AlreadyExistsError: it is installed.
            NotFoundError: there is no such package.
            OperationCancelledError: somebody wanted the operation to stop; everything is as before.
            PackageConflictError: another install of it is in progress, or files of others are in the way.
            PackageError: it is not defined rightly, or cannot be unpacked or put down; everything is as before.
            RepositoryError: a file cannot be downloaded; the message says where to put it by hand.
        """
        with telling(operation, LABEL):
            packages = self._with_missing_dependencies(package_id)
            with self._workplace.packages_locked([package.id for package in packages]):
                record = self.installed().get(package_id)
                if record and record.explicit:
                    raise AlreadyExistsError(f"the package {package_id} is installed already")
                if record:
                    with self._workplace.placing_locked(operation):
                        self._records.write(replace(self._records.read(package_id), explicit=True))
                else:
                    self._install(packages, operation, explicit=True)

    def upgrade(self, package_id: str, operation: Operation) -> None:
        """Put what is defined now in the place of an installed package; also if it is the same, to mend it.

        Raises:
            NotFoundError: it is not installed, or not defined any more.
            ProvdError: as `install`.
        """
        with telling(operation, LABEL):
            packages = self._with_missing_dependencies(package_id)
            with self._workplace.packages_locked([package.id for package in packages]):
                record = self.installed().get(package_id)
                if record is None:
                    raise NotFoundError(f"package not installed: {package_id}")
                self._install(packages, operation, explicit=record.explicit)

    def uninstall(self, package_id: str, operation: Operation | None = None) -> None:
        """Remove a package's files, but not what was changed since or is another package's too.

        Once it has begun it is not cancelled: it is quick, and goes on after a crash.

        Raises:
            NotFoundError: it is not installed.
            PackageConflictError: others need it, or something is being done with it.
            PackageError: the disk refuses; calling it again goes on.
        """
        with telling(operation or Operation()) as told:
            before = self._records.all().get(package_id)
            if before is None or (before.standing is None and before.phase is not Phase.REMOVING):
                raise NotFoundError(f"package not installed: {package_id}")
            with self._workplace.packages_locked([package_id]), self._workplace.placing_locked(told):
                self._uninstall(package_id)
        log.info("package removed: package=%s", package_id)

    def recover(self) -> None:
        """Undo or finish what a crash interrupted; what is still being done is left alone.

        Every other operation does so for the packages it is about. Nothing is raised: what cannot be mended is logged.
        """
        self._workplace.recover()

    def held(self) -> AbstractContextManager[None]:
        """Meanwhile no package is installed or removed, because the plugin itself is being upgraded or uninstalled.

        Raises:
            PackageConflictError: one is.
        """
        return self._workplace.held()

    def _with_missing_dependencies(self, package_id: str) -> list[Package]:
        """A package as the last, and before it what has to be installed first."""
        database = read_database(self._pkgs)
        database.find(package_id)
        installed = self.installed()
        wanted = [name for name in install_order(database.packages, package_id) if name not in installed]
        return [database.packages[name] for name in dict.fromkeys((*wanted, package_id))]

    def _install(self, packages: list[Package], operation: Operation, *, explicit: bool) -> None:
        """Download everything, then install one after the other; `explicit` is said of the last one."""
        files = {file.filename: file for package in packages for file in package.files}
        self._cache.provide_all(files.values(), operation.sub("download"))
        with telling(operation.sub("install")) as install:
            installed = self.installed()
            done: list[str] = []
            try:
                for package in packages:
                    if package.id in installed and package is not packages[-1]:
                        continue  # meanwhile
                    record = Record.of(package, explicit=explicit and package is packages[-1])
                    self._install_one(package, record, install)
                    done.append(package.id)
            except BaseException:
                with self._workplace.placing_locked(None):
                    self._take_back(done)
                raise

    def _uninstall(self, package_id: str) -> None:
        records = self._records.all()
        if package_id not in records:
            return  # a removal that was interrupted has been finished meanwhile
        if needing := sorted(name for name, record in records.items() if package_id in record.depends):
            raise PackageConflictError(f"the package {package_id} is needed by: {', '.join(needing)}")
        self._placing.take_away(records[package_id])

    def _install_one(self, package: Package, record: Record, operation: Operation) -> None:
        with self._workplace.work(package.id) as work:
            files, budget = self._cache.paths(package.files), Budget(self._limits, operation)
            results = build(package, files, work, budget, self._folder)
            with self._workplace.placing_locked(operation):
                if missing := set(package.depends).difference(self.installed()):
                    raise PackageConflictError(f"the package {missing.pop()}, which it needs, was removed meanwhile")
                self._placing.put(record, results, self._workplace.backup(package.id), operation)
        log.info("package installed: package=%s version=%r files=%d", package.id, package.version, len(results))

    def _take_back(self, package_ids: list[str]) -> None:
        """Remove the dependencies that were installed for a package that could not be."""
        for package_id in reversed(package_ids):
            try:
                self._uninstall(package_id)
            except PackageConflictError:
                continue  # another package has come to need it meanwhile
