"""Uninstalling a plugin, without losing the templates that an administrator wrote for it."""

from __future__ import annotations

import os
import secrets
import tarfile
import time
from pathlib import Path

from provd.atomicfile import TEMPORARY_PREFIX, sync_folder, write_file
from provd.errors import NotFoundError, PluginError
from provd.plugins.custom_templates.originals import FILE_NAME as ORIGINALS
from provd.plugins.info import is_plugin_id
from provd.plugins.shipped import is_as_shipped, read_manifest
from provd.plugins.staging import REMOVING, drop, new_folder

_TEMPLATES = "var/templates"
_SAVED = "saved"
"""A file beside the plugin that is being removed: its templates are in the backup."""


def templates_to_save(plugin_folder: Path) -> list[str]:
    """All files below a plugin's `var/templates` that did not come with it, by path below that folder.

    Unlike `provd.plugins.custom_templates`, this leaves out none that no phone would use.
    """
    manifest = read_manifest(plugin_folder)
    top = plugin_folder / _TEMPLATES
    found = []
    for parent, folders, names in os.walk(top):
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        for name in (*names, *links):
            path = os.path.relpath(os.path.join(parent, name), top)
            if not name.startswith(TEMPORARY_PREFIX) and not is_as_shipped(
                plugin_folder, f"{_TEMPLATES}/{path}", manifest
            ):
                found.append(path)
    return sorted(found)


def uninstall(plugin_id: str, plugins_folder: Path, backups_folder: Path) -> Path | None:
    """Remove a plugin; return the archive with its custom templates, or None if it had none.

    Raises:
        NotFoundError: the plugin is not installed.
        PluginError: the disk refuses; the plugin is as it was.
    """
    installed = plugins_folder / plugin_id
    if not is_plugin_id(plugin_id) or not installed.is_dir():
        raise NotFoundError(f"the plugin {plugin_id} is not installed")
    folder, backup = None, None
    try:
        folder = new_folder(plugins_folder, REMOVING)
        installed.rename(folder / plugin_id)
        sync_folder(plugins_folder)
        backup = _save_templates(folder, plugin_id, backups_folder)
    except OSError as error:
        if folder is not None:
            _put_back(folder, installed)
        raise PluginError(f"{plugin_id}: cannot be uninstalled, and stays as it is: {error}") from error
    drop(folder)
    return backup


def finish_removal(folder: Path, backups_folder: Path) -> list[Path]:
    """Go on where a crash interrupted `uninstall`; return the backups that were made.

    Raises:
        OSError: the templates cannot be saved; nothing was removed.
    """
    made = []
    if not (folder / _SAVED).exists():
        plugins = [each for each in sorted(folder.iterdir()) if is_plugin_id(each.name) and each.is_dir()]
        made = [backup for each in plugins if (backup := _save_templates(folder, each.name, backups_folder))]
    drop(folder)
    return made


def _save_templates(folder: Path, plugin_id: str, backups_folder: Path) -> Path | None:
    templates = templates_to_save(folder / plugin_id)
    if not templates:
        return None
    backups_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = backups_folder / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            with tarfile.open(fileobj=file, mode="w:gz") as archive:
                for path in [*(f"{_TEMPLATES}/{each}" for each in templates), ORIGINALS]:
                    name = f"{plugin_id}/{path}"
                    if os.path.lexists(folder / name):
                        archive.add(folder / name, name, recursive=False)
            file.flush()
            os.fsync(file.fileno())
        backup = _name_it(temporary, backups_folder / f"{plugin_id}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(backups_folder)
    write_file(folder / _SAVED, b"")
    return backup


def _name_it(temporary: Path, stem: Path) -> Path:
    """Give a backup a name that no other one has."""
    number = 1
    while True:
        target = stem.with_name(f"{stem.name}{'' if number == 1 else f'-{number}'}.tar.gz")
        try:
            os.link(temporary, target)
        except FileExistsError:
            number += 1
            continue
        return target


def _put_back(folder: Path, installed: Path) -> None:
    try:
        if not installed.exists() and (folder / installed.name).exists():
            (folder / installed.name).rename(installed)
    except OSError:
        return  # the next start goes on with the removal
    drop(folder)
