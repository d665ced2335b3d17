"""What can be done with plugins while phones are served: install, upgrade, uninstall, reload; and their packages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import gevent
from gevent.threadpool import ThreadPool

from provd.errors import AlreadyExistsError, ConflictError, NotFoundError, PluginError
from provd.model.operation import Operation
from provd.plugins.custom_templates.upgrades import changed_originals
from provd.plugins.downloads import Downloader, HttpDownloader
from provd.plugins.firmware.manager import PackageManager
from provd.plugins.handing_over import HandedOver
from provd.plugins.host import PluginHost
from provd.plugins.index import Entry, Standing, description_for, search, standing
from provd.plugins.installer import install_archive, prepare_upgrade
from provd.plugins.loader import try_plugin
from provd.plugins.removal import templates_to_save, uninstall
from provd.plugins.repository import Repository
from provd.plugins.requirements import needed_to_report_sensitive_files
from provd.provisioning.doubts import Doubts
from provd.provisioning.mass import MassVerbs

log = logging.getLogger(__name__)

T = TypeVar("T")
_UPDATE = "(update)"
_PACKAGES_AT_ONCE = 2
"""Packages that are worked on at the same time, in threads of their own: those of the hub are for the store."""


@dataclass(frozen=True, slots=True)
class PluginSource:
    """Where plugins and their packages come from, as the settings say at the time, and where backups go."""

    repository: Callable[[], Repository]
    downloader: Callable[[], Downloader]
    backups_folder: Path

    @classmethod
    def none(cls, plugins_folder: Path) -> PluginSource:
        """A repository without plugins, beside the folder of the installed ones."""
        nowhere = plugins_folder.parent / "repository"
        return cls(lambda: Repository(str(nowhere)), HttpDownloader, plugins_folder.parent / "backups")


class PluginVerbs:
    """Verbs on plugins. One at a time for each plugin; phones are served meanwhile, also if one fails.

    What waits for the network or the disk does so in threads. A verb that takes an operation tells its progress there,
    and can be cancelled by it as long as that leaves nothing half-done.
    """

    def __init__(
        self,
        host: PluginHost,
        mass: MassVerbs,
        doubts: Doubts,
        base_raw_config: Mapping[str, Any],
        source: PluginSource,
    ) -> None:
        self._host = host
        self._mass = mass
        self._doubts = doubts
        self._base = base_raw_config
        self._source = source
        self._busy: dict[str, str] = {}
        self._package_threads = ThreadPool(_PACKAGES_AT_ONCE)

    def recover(self) -> None:
        """Undo or finish what a crash interrupted in plugins' packages, in the background."""
        for plugin_id in self._host.installed:
            self._package_threads.spawn(self.packages(plugin_id).recover)

    # --- looking

    def installed(self, locale: str | None = None) -> dict[str, dict[str, Any]]:
        """The installed plugins by id: version, description, capabilities, and what is wrong with them."""
        return {plugin_id: self._described(plugin_id, locale) for plugin_id in sorted(self._host.installed)}

    def installable(self, locale: str | None = None, text: str = "") -> dict[str, dict[str, Any]]:
        """What the repository had at the last update, by plugin id; with `text` only what has these words.

        Raises:
            RepositoryError: the list cannot be read.
        """
        entries = self._source.repository().entries()
        return {plugin_id: self._offered(entry, locale) for plugin_id, entry in sorted(search(entries, text).items())}

    def packages(self, plugin_id: str) -> PackageManager:
        """What manages the packages of a plugin: firmware, languages. Here it lists; see `install_package`.

        Raises:
            NotFoundError: the plugin is not installed.
        """
        return PackageManager(self._folder_of(plugin_id), HandedOver(self._source.downloader()))

    # --- changing

    def update(self, operation: Operation) -> dict[str, Any]:
        """Look which plugins the repository has now.

        Raises:
            AlreadyExistsError: somebody is doing that.
            RepositoryError: the list cannot be had; that of the last update stays.
        """
        operation.begin()
        with self._alone(_UPDATE, "update"):
            index = self._source.repository().update()
        return {"plugins": len(index.entries), "rejected": dict(index.rejected)}

    def install(self, plugin_id: str, operation: Operation) -> dict[str, Any]:
        """Install a plugin, and configure the devices that name it already.

        Raises:
            AlreadyExistsError: it is installed, or something is being done with it.
            OperationCancelledError: somebody wanted it to stop; nothing was installed.
            PluginLoadError, RepositoryError: nothing was installed.
        """
        operation.begin()
        with self._alone(plugin_id, "install"):
            if plugin_id in self._host.installed:
                raise AlreadyExistsError(f"the plugin {plugin_id} is installed already")
            archive = self._source.repository().archive(plugin_id, operation.sub("download"))
            operation.check()
            _in_thread(install_archive, plugin_id, archive, self._host.folder)
            error = self._host.reload(plugin_id, self._base)
            log.info("plugin installed: plugin=%s error=%r", plugin_id, error)
            return {"error": error, **self._configure(plugin_id, operation)}

    def upgrade(self, plugin_id: str, operation: Operation) -> dict[str, Any]:
        """Put the repository's version of a plugin in the place of the installed one, and configure its devices.

        Custom templates, firmware and rendered files stay. The result names the shipped templates that changed under
        custom ones.

        Raises:
            AlreadyExistsError: something is being done with it.
            NotFoundError: it is not installed.
            OperationCancelledError: somebody wanted it to stop; the old version runs.
            PluginLoadError, RepositoryError: the old version runs.
        """
        operation.begin()
        with self._alone(plugin_id, "upgrade"):
            folder = self._folder_of(plugin_id)
            archive = self._source.repository().archive(plugin_id, operation.sub("download"))
            operation.check()
            self._host.look_at_templates(plugin_id)
            upgrade = _in_thread(prepare_upgrade, plugin_id, archive, self._host.folder)
            try:
                try_plugin(upgrade.folder)
                operation.check()
            except BaseException:
                _in_thread(upgrade.discard)
                raise
            with self.packages(plugin_id).held(), self._host.held(plugin_id):
                _in_thread(upgrade.swap)
                error = self._host.reload(plugin_id, self._base)
            log.info("plugin upgraded: plugin=%s error=%r", plugin_id, error)
            plugin = self._host.get(plugin_id)
            changed = changed_originals(folder, plugin.info) if plugin is not None else []
            names = sorted({change.path for change in changed})
            return {"error": error, "changed_originals": names, **self._configure(plugin_id, operation)}

    def uninstall(self, plugin_id: str, *, force: bool = False) -> Path | None:
        """Remove a plugin; returns where its custom templates were saved, or None if it had none.

        Raises:
            AlreadyExistsError: something is being done with it.
            ConflictError: devices use it, or it has custom templates, and it was not forced.
            NotFoundError: it is not installed.
            PluginError: the disk refuses; the plugin stays.
        """
        with self._alone(plugin_id, "uninstall"):
            objections = self.objections_to_uninstall(plugin_id)
            if objections and not force:
                raise ConflictError(f"the plugin {plugin_id} is in use: {'; '.join(objections)}")
            with self.packages(plugin_id).held():
                backup = _in_thread(uninstall, plugin_id, self._host.folder, self._source.backups_folder)
            self._host.unload(plugin_id)
            log.info("plugin uninstalled: plugin=%s templates_saved=%s", plugin_id, backup)
            self._configure(plugin_id, Operation())
            return backup

    def objections_to_uninstall(self, plugin_id: str) -> list[str]:
        """What an administrator should know before a plugin is uninstalled.

        Raises:
            NotFoundError: it is not installed.
        """
        folder = self._folder_of(plugin_id)
        devices, templates = len(self._mass.devices_of(plugin_id)), templates_to_save(folder)
        return [f"{devices} devices have it"] * bool(devices) + [
            f"{len(templates)} custom templates: {', '.join(templates[:5])}{', …' if len(templates) > 5 else ''}"
        ] * bool(templates)

    def reload(self, plugin_id: str, operation: Operation | None = None) -> dict[str, Any]:
        """Load a plugin anew after its files were changed, and configure its devices.

        Raises:
            AlreadyExistsError: something is being done with it.
            NotFoundError: it is not installed.
            PluginError: the changed code does not load; what ran before goes on.
        """
        with self._alone(plugin_id, "reload"):
            self._folder_of(plugin_id)
            error = self._host.reload(plugin_id, self._base)
            if error is not None:
                raise PluginError(f"the plugin {plugin_id} does not load: {error}")
            return self._configure(plugin_id, operation or Operation())

    def install_package(self, plugin_id: str, package_id: str, operation: Operation) -> None:
        """Install a package of a plugin, in a thread; see `PackageManager.install` for what it raises."""
        self._package_threads.apply(self.packages(plugin_id).install, (package_id, operation))

    def upgrade_package(self, plugin_id: str, package_id: str, operation: Operation) -> None:
        """Put the package that the plugin has now in the place of the installed one; see `PackageManager.upgrade`."""
        self._package_threads.apply(self.packages(plugin_id).upgrade, (package_id, operation))

    def uninstall_package(self, plugin_id: str, package_id: str) -> None:
        """Remove the files of a package; see `PackageManager.uninstall`."""
        self._package_threads.apply(self.packages(plugin_id).uninstall, (package_id,))

    def _configure(self, plugin_id: str, operation: Operation) -> dict[str, Any]:
        """Make the files of a plugin's devices anew; a device that cannot be configured does not fail the whole.

        If it is interrupted, the next start finds that the plugin changed, and makes the rest.
        """
        devices = self._mass.devices_of(plugin_id)
        if not devices:
            self._doubts.note_plugins()
            return {"changed": 0, "failed": {}}
        sub = operation.sub("configure")
        outcome = self._mass.reconfigure(devices, sub)
        sub.succeed()
        self._doubts.note_plugins()
        return {"changed": len(outcome.changed), "failed": outcome.failed}

    @contextmanager
    def _alone(self, plugin_id: str, what: str) -> Iterator[None]:
        busy = self._busy.get(plugin_id)
        if busy is not None:
            name = "" if plugin_id == _UPDATE else f" of {plugin_id}"
            raise AlreadyExistsError(f"another operation{name} is already in progress: {busy}")
        self._busy[plugin_id] = what
        try:
            yield
        finally:
            del self._busy[plugin_id]

    def _folder_of(self, plugin_id: str) -> Path:
        plugin = self._host.installed.get(plugin_id)
        if plugin is None:
            raise NotFoundError(f"the plugin {plugin_id} is not installed")
        return plugin.folder

    def _described(self, plugin_id: str, locale: str | None) -> dict[str, Any]:
        plugin = self._host.installed[plugin_id]
        info = plugin.loaded.info if plugin.loaded is not None else None
        raw = dict(info.raw) if info is not None else {}
        others = {key.removeprefix("description_"): str(value) for key, value in raw.items()
                  if key.startswith("description_")}  # fmt: skip
        needed = needed_to_report_sensitive_files(plugin_id, info.version) if info is not None else None
        return {
            "version": info.version if info is not None else None,
            "description": description_for(info.description, others, locale) if info is not None else None,
            "capabilities": dict(info.capabilities) if info is not None else {},
            "error": plugin.error,
            "too_old_to_report_sensitive_files": needed,
        }

    def _offered(self, entry: Entry, locale: str | None) -> dict[str, Any]:
        plugin = self._host.get(entry.id)
        than_installed = None if plugin is None else standing(plugin.info.version, entry.version)
        return {
            "version": entry.version,
            "description": description_for(entry.description, entry.descriptions, locale),
            "capabilities": dict(entry.capabilities),
            "dsize": entry.size,
            "installed": plugin.info.version if plugin is not None else None,
            "is_upgrade": than_installed is Standing.NEWER,
        }


def _in_thread(work: Callable[..., T], *args: Any) -> T:
    """Do what waits for the disk in a thread, while phones are served."""
    failures: list[Exception] = []
    results: list[T] = gevent.get_hub().threadpool.apply(_attempt, (work, args, failures))
    if failures:
        raise failures[0]
    return results[0]


def _attempt(work: Callable[..., T], args: tuple[Any, ...], failures: list[Exception]) -> list[T]:
    """What comes of work in a thread; an error is handed over, because the threadpool would print it."""
    try:
        return [work(*args)]
    except Exception as error:  # noqa: BLE001  (it is raised where it was called for)
        failures.append(error)
        return []
