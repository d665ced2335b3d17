"""Installing, upgrading and uninstalling plugins, as far as files are concerned.

Phones get files all the time, so a plugin's folder changes in one step: it is made ready beside the others and renamed.
All this waits for the disk; call it in a thread where nobody should wait.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from provd.atomicfile import sync_folder, write_file
from provd.errors import AlreadyExistsError, NotFoundError, PluginLoadError, RepositoryError
from provd.plugins.carrying import Carrier
from provd.plugins.info import read_plugin_info
from provd.plugins.repository import Repository
from provd.plugins.shipped import write_manifest
from provd.plugins.staging import INSTALL, NEW_MARK, UPGRADE, drop, new_folder, swap, sync_folders, sync_tree
from provd.plugins.unpacking import unpack

log = logging.getLogger(__name__)

Check = Callable[[Path], object]
"""Looks at a plugin's folder before it is put in place, and raises what is wrong with it."""


def install_archive(plugin_id: str, archive: bytes, plugins_folder: Path, check: Check = read_plugin_info) -> Path:
    """Unpack the archive of a plugin that is not installed yet; return the plugin's folder.

    The archive must hold one folder named as the plugin, with plain files and folders only. The plugin appears
    whole or not at all, also if the process or the machine stops in between.

    Raises:
        AlreadyExistsError: the plugin is installed.
        PluginLoadError: the check says that it cannot be loaded.
        RepositoryError: the archive is damaged or holds what it must not.
    """
    target = plugins_folder / plugin_id
    if target.exists():
        raise AlreadyExistsError(f"the plugin {plugin_id} is installed already")
    staging = None
    try:
        staging = new_folder(plugins_folder, INSTALL)
        _unpack(plugin_id, archive, staging)
        check(staging / plugin_id)
        (staging / plugin_id).rename(target)
        sync_folder(plugins_folder)
    except OSError as error:
        raise RepositoryError(f"{plugin_id}: cannot be unpacked: {error}") from error
    finally:
        if staging is not None:
            drop(staging)
    return target


class Upgrade:
    """A new version of an installed plugin, made ready beside it. It ends with `swap` or `discard`.

    `folder` is where it can be looked at meanwhile.
    """

    def __init__(self, plugin_id: str, plugins_folder: Path, staging: Path, shipped: Mapping[str, str]) -> None:
        self.plugin_id = plugin_id
        self.folder = staging / plugin_id
        self._installed = plugins_folder / plugin_id
        self._staging = staging
        self._carrier = Carrier(self._installed, self.folder, shipped)

    def carry(self) -> None:
        """Have the new version keep what is to be kept; `swap` does so once more, and is faster after this.

        Raises:
            OSError: the disk refuses, or something is in the way.
        """
        self._carrier.carry()

    def swap(self) -> None:
        """Put the new version in place, and remove the old one.

        Nothing below `var` may be lost if it is written at the same time; but from here on, until the plugin has been
        loaded again, no files of its devices should be made: old code would meet new templates.

        Raises:
            RepositoryError: the old version is as it was.
        """
        try:
            self._carrier.carry()
            sync_folders(self.folder)
            swap(self._installed, self.folder)
        except OSError as error:
            self.discard()
            raise _cannot_upgrade(self.plugin_id, error) from error
        try:
            (self._installed / NEW_MARK).unlink(missing_ok=True)
            self._carrier.carry_rest(self.folder, self._installed)
        except OSError as error:
            log.error("upgraded, but not all files were kept: plugin=%s old_version=%s reason=%r",
                      self.plugin_id, self.folder, str(error))  # fmt: skip
            return  # the old version stays where it is until the next start
        drop(self._staging)

    def discard(self) -> None:
        """Leave the installed version as it is."""
        drop(self._staging)


def prepare_upgrade(plugin_id: str, archive: bytes, plugins_folder: Path) -> Upgrade:
    """Unpack the archive of another version of an installed plugin, and have it keep what is to be kept.

    Raises:
        NotFoundError: the plugin is not installed.
        RepositoryError: the archive is damaged or holds what it must not, or something is in the way.
    """
    if not (plugins_folder / plugin_id).is_dir():
        raise NotFoundError(f"the plugin {plugin_id} is not installed")
    staging = None
    try:
        staging = new_folder(plugins_folder, UPGRADE)
        (staging / plugin_id).mkdir()
        write_file(staging / plugin_id / NEW_MARK, b"")
        sync_folder(staging)
        upgrade = Upgrade(plugin_id, plugins_folder, staging, _unpack(plugin_id, archive, staging))
        upgrade.carry()
    except BaseException as error:
        if staging is not None:
            drop(staging)
        if isinstance(error, OSError):
            raise _cannot_upgrade(plugin_id, error) from error
        raise
    return upgrade


def upgrade_archive(plugin_id: str, archive: bytes, plugins_folder: Path, check: Check = read_plugin_info) -> Path:
    """Put another version of an installed plugin in its place; return the plugin's folder.

    Kept is what is below `var` and did not come with the old version: custom templates, rendered files, firmware. If
    nobody noted what came with that, everything there is kept. Whatever fails, the old version is untouched.

    Raises:
        NotFoundError: the plugin is not installed.
        PluginLoadError: the check says that the new version cannot be loaded.
        RepositoryError: the archive is damaged or holds what it must not, or something is in the way.
    """
    upgrade = prepare_upgrade(plugin_id, archive, plugins_folder)
    try:
        check(upgrade.folder)
    except BaseException:
        upgrade.discard()
        raise
    upgrade.swap()
    return plugins_folder / plugin_id


def update_if_possible(repository: Repository) -> None:
    """Look what a repository has now; if it cannot be reached, what it had at the last update has to do.

    Raises:
        RepositoryError: nothing is known of it.
    """
    try:
        repository.update()
    except RepositoryError as error:
        if not repository.is_remote or not repository.entries():
            raise
        log.warning("repository not updated, going on with its last list: reason=%r", str(error))


def log_other_versions(plugin_ids: Iterable[str], repository: Repository, plugins_folder: Path) -> None:
    """Say which of these installed plugins the repository has in another version, and that they stay as they are.

    Nothing is raised. A repository on the network may take long to answer, so nobody should have to wait for this.
    """
    try:
        if repository.is_remote:
            repository.update()
        entries = repository.entries()
    except RepositoryError as error:
        log.info("installed plugins not compared with the repository: reason=%r", str(error))
        return
    for plugin_id in plugin_ids:
        try:
            installed = read_plugin_info(plugins_folder / plugin_id).version
        except PluginLoadError:
            continue  # loading it says why
        entry = entries.get(plugin_id)
        if entry is not None and entry.version != installed:
            log.warning(
                "plugin not upgraded: plugin=%s installed=%r repository_has=%r repository=%s",
                plugin_id, installed, entry.version, repository.location,
            )  # fmt: skip


def _unpack(plugin_id: str, archive: bytes, staging: Path) -> Mapping[str, str]:
    unpack(plugin_id, archive, staging)
    read_plugin_info(staging / plugin_id)
    shipped = write_manifest(staging / plugin_id)
    sync_tree(staging / plugin_id)
    return shipped


def _cannot_upgrade(plugin_id: str, error: OSError) -> RepositoryError:
    return RepositoryError(f"{plugin_id}: cannot be upgraded, and stays as it is: {error}")
