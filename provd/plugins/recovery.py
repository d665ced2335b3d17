"""After a crash: what was being installed, upgraded or uninstalled is undone or finished."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from provd.atomicfile import TEMPORARY_PREFIX, sync_folder
from provd.plugins.carrying import SERVED, kept_files, move
from provd.plugins.info import is_plugin_id
from provd.plugins.removal import finish_removal
from provd.plugins.shipped import read_manifest
from provd.plugins.staging import ASIDE, NEW_MARK, REMOVING, UPGRADE, drop

log = logging.getLogger(__name__)


def recover(plugins_folder: Path, backups_folder: Path) -> None:
    """Make the plugins' folder as it should be, before plugins are loaded and while nobody installs any.

    What cannot be done is named in the log, and tried again at the next start.
    """
    for folder in (plugins_folder, backups_folder):
        for leftover in sorted(folder.glob(f"{TEMPORARY_PREFIX}*")):
            try:
                _tidy(leftover, plugins_folder, backups_folder)
            except OSError as error:
                log.error("leftover of a crash: folder=%s reason=%r", leftover, str(error))
    for mark in plugins_folder.glob(f"*/{NEW_MARK}"):
        mark.unlink(missing_ok=True)


def _tidy(leftover: Path, plugins_folder: Path, backups_folder: Path) -> None:
    if leftover.is_symlink() or not leftover.is_dir():
        leftover.unlink()
        return
    if leftover.name.startswith(REMOVING):
        for backup in finish_removal(leftover, backups_folder):
            log.warning("uninstalling was interrupted, and is finished now: templates=%s", backup)
        return
    if leftover.name.startswith(UPGRADE):
        _finish_upgrade(leftover, plugins_folder)
    drop(leftover)


def _finish_upgrade(staging: Path, plugins_folder: Path) -> None:
    for old in [*(staging / ASIDE).glob("*"), *staging.glob("*")]:
        if not is_plugin_id(old.name):
            continue
        installed = plugins_folder / old.name
        if (old / NEW_MARK).exists():
            continue  # a new version that did not come into place
        if not installed.exists():
            old.rename(installed)
            sync_folder(plugins_folder)
            log.warning("upgrade was interrupted, the old version is back: plugin=%s", old.name)
        else:
            _keep_rest(old, installed)
            log.warning("upgrade was interrupted, and is finished now: plugin=%s", old.name)


def _keep_rest(old: Path, installed: Path) -> None:
    """Keep what was changed in the old version at the last moment; rendered files are made again anyway."""
    for path, status in list(kept_files(old, read_manifest(installed))):
        if path.startswith(SERVED) and os.access(old / path, os.R_OK):
            continue
        try:
            is_newer = status.st_mtime_ns > os.lstat(installed / path).st_mtime_ns
        except FileNotFoundError:
            move(old, installed, path)
            continue
        if is_newer:
            os.replace(old / path, installed / path)
