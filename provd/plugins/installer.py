"""Unpacking a plugin's archive: into a new folder, moved into place when it is whole."""

from __future__ import annotations

import bz2
import io
import logging
import os
import secrets
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from provd.atomicfile import TEMPORARY_PREFIX, sync_folder, write_file
from provd.errors import AlreadyExistsError, PluginLoadError, RepositoryError
from provd.plugins.info import read_plugin_info
from provd.plugins.repository import Repository

log = logging.getLogger(__name__)

MAX_UNPACKED_BYTES = 64 * 1024 * 1024
MAX_MEMBERS = 10_000


def install_archive(plugin_id: str, archive: bytes, plugins_folder: Path) -> Path:
    """Unpack the archive of a plugin that is not installed yet; return the plugin's folder.

    The archive must hold one folder named as the plugin, with plain files and folders only. The plugin appears
    whole or not at all, also if the process or the machine stops in between.

    Raises:
        AlreadyExistsError: the plugin is installed.
        PluginLoadError: the archive's `plugin-info` is wrong.
        RepositoryError: the archive is damaged or holds what it must not.
    """
    target = plugins_folder / plugin_id
    if target.exists():
        raise AlreadyExistsError(f"the plugin {plugin_id} is installed already")
    staging = plugins_folder / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
    try:
        _unpack(plugin_id, archive, staging)
        unpacked = staging / plugin_id
        read_plugin_info(unpacked)
        _sync_tree(unpacked)
        unpacked.rename(target)
        sync_folder(plugins_folder)
    except OSError as error:
        raise RepositoryError(f"{plugin_id}: cannot be unpacked: {error}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return target


def log_other_versions(plugin_ids: Iterable[str], repository: Repository, plugins_folder: Path) -> None:
    """Say which of these installed plugins the repository has in another version, and that they stay as they are.

    Nothing is raised. A repository on the network may take long to answer, so nobody should have to wait for this.
    """
    try:
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


def _unpack(plugin_id: str, archive: bytes, staging: Path) -> None:
    try:
        with bz2.open(io.BytesIO(archive)) as unpacked, tarfile.open(fileobj=_Bounded(unpacked), mode="r:") as tar:
            for member in _checked_members(plugin_id, tar):
                path = staging / member.name
                if member.isdir():
                    path.mkdir(parents=True, exist_ok=True)
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                content = tar.extractfile(member)
                write_file(path, content.read() if content else b"", mode=0o644, durable=False)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise RepositoryError(f"{plugin_id}: the archive is damaged: {error}") from error


class _Bounded(io.RawIOBase):
    """A file to read from that gives up when too much comes out of it: headers too count, before they are held."""

    def __init__(self, file: bz2.BZ2File) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if size < 0 or self._file.tell() + size > MAX_UNPACKED_BYTES + tarfile.RECORDSIZE:
            raise tarfile.ReadError(f"more than {MAX_UNPACKED_BYTES} bytes")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET and offset > MAX_UNPACKED_BYTES + tarfile.RECORDSIZE:
            raise tarfile.ReadError(f"more than {MAX_UNPACKED_BYTES} bytes")
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _checked_members(plugin_id: str, tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members one by one, each checked before it is used.

    Raises:
        RepositoryError: a member is a link or device, lies outside the plugin's folder, or there is too much.
    """
    total = 0
    for count, member in enumerate(tar, 1):
        parts = member.name.split("/")
        if not (member.isfile() or member.isdir()):
            raise RepositoryError(f"{plugin_id}: the archive holds {member.name!r}, which is no plain file or folder")
        if parts[0] != plugin_id or any(part in ("", ".", "..") for part in parts) or "\0" in member.name:
            raise RepositoryError(f"{plugin_id}: the archive holds {member.name!r}, outside the folder {plugin_id}")
        total += member.size
        if count > MAX_MEMBERS or total > MAX_UNPACKED_BYTES:
            raise RepositoryError(
                f"{plugin_id}: the archive holds more than {MAX_MEMBERS} files or {MAX_UNPACKED_BYTES} bytes"
            )
        yield member


def _sync_tree(folder: Path) -> None:
    """Flush a folder's files and folders to the disk, so that the rename that follows moves a whole plugin."""
    for parent, _, names in os.walk(folder):
        for name in names:
            descriptor = os.open(Path(parent, name), os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(Path(parent))
