"""A repository of plugins: a folder or a URL with the index `plugins.db` and the archives."""

from __future__ import annotations

import difflib
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from provd.atomicfile import write_file
from provd.errors import RepositoryError
from provd.model.operation import Operation
from provd.plugins.checksums import sum_mistake
from provd.plugins.downloads import HttpDownloader, Source
from provd.plugins.index import INDEX_NAME, MAX_INDEX_BYTES, Entry, Index, parse_index
from provd.plugins.signature import MAX_SIGNATURE_BYTES, SIGNATURE_SUFFIXES, SignatureRules
from provd.plugins.watch import NoSuchFileError
from provd.plugins.web import public_url

log = logging.getLogger(__name__)

MAX_ARCHIVE_BYTES = 64 * 1024 * 1024
_SETTING = "general.plugin_server"
"""The option that says where the repository is; every message about the repository begins with it."""
_LISTED = 10
"""How many plugins a message names, of how many it looks at: an index may have thousands."""
_COMPARED = 1000
_OLD = "the repository has other plugins than its list of the last update"


@dataclass(frozen=True, slots=True)
class Cache:
    """Where downloaded archives are put, and whether they stay there after they were used."""

    folder: Path
    keeps: bool = True


class Repository:
    """The plugins at `location`, a folder's path or a URL.

    A folder is read where it is. Of a URL the index is downloaded by `update`, into `plugins_folder`, and everything
    else goes by that copy; archives are downloaded into the `cache`, where one with the right checksum may have been
    put by hand. Methods wait for the network, the disk and gpgv: call them in a greenlet.
    """

    def __init__(
        self,
        location: str,
        *,
        plugins_folder: Path | None = None,
        cache: Cache | None = None,
        signatures: SignatureRules | None = None,
        downloader: HttpDownloader | None = None,
    ) -> None:
        self._url = location.rstrip("/")
        self.location = public_url(self._url)
        """Where it is, without user and password."""
        self.is_remote = self._url.lower().startswith(("http://", "https://"))
        self._plugins_folder = plugins_folder
        self._cache = cache
        self._signatures = signatures or SignatureRules()
        self._downloader = downloader or HttpDownloader()

    def update(self) -> Index:
        """Look which plugins there are now; of a URL, keep that for later, if nothing is wrong with it.

        Raises:
            RepositoryError: the index cannot be had, is no index, or its signature is refused. The one of the last
                update stays.
        """
        if not self.is_remote:
            return self.index()
        content = self._fetch(INDEX_NAME, MAX_INDEX_BYTES)
        signature = self._fetch_signature()
        index = self._checked(content, signature, self.location)
        folder = self._needed_folder()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._store(folder, content, signature)
        except OSError as error:
            raise RepositoryError(f"{folder / INDEX_NAME}: cannot be written: {error.strerror}") from error
        log.info("repository updated: repository=%s plugins=%d", self.location, len(index.entries))
        return index

    def index(self) -> Index:
        """The plugins that there are: those of a folder, or those of a URL at the last update; none before the first.

        Raises:
            RepositoryError: the folder has no index; or the index cannot be read, is none, or its signature is refused.
        """
        folder = self._needed_folder() if self.is_remote else Path(self._url)
        try:
            content = _read(folder / INDEX_NAME, MAX_INDEX_BYTES)
            if content is None:
                if self.is_remote:
                    return Index()
                raise RepositoryError(f"{_SETTING}: {self.location} has no {INDEX_NAME}")
            names = [_signature_name(content), *(INDEX_NAME + suffix for suffix in SIGNATURE_SUFFIXES)]
            found = (_read(folder / name, MAX_SIGNATURE_BYTES) for name in names)
            signature = next((each for each in found if each is not None), None)
        except OSError as error:
            raise RepositoryError(f"{_SETTING}: {folder}/{INDEX_NAME}: {error.strerror}") from error
        return self._checked(content, signature, str(folder))

    def entries(self) -> dict[str, Entry]:
        """The plugins of the index by id; an entry that is wrong hides only itself, and the log says why.

        Raises:
            RepositoryError: see `index`.
        """
        index = self.index()
        for reason in index.rejected.values():
            log.warning("index entry ignored: repository=%s reason=%s", self.location, reason)
        return dict(index.entries)

    def archive(self, plugin_id: str, operation: Operation | None = None) -> bytes:
        """The archive of a plugin, its checksum verified; `operation` counts the bytes if it has to be downloaded.

        Raises:
            OperationCancelledError: somebody wanted it to stop.
            RepositoryError: there is no such plugin, or its archive cannot be had or is not the one of the index.
        """
        entries = self.entries()
        entry = entries.get(plugin_id)
        if entry is None:
            there_are = _closest(plugin_id, list(entries))
            raise RepositoryError(f"{_SETTING}: {self.location} has no plugin {plugin_id}; {there_are}")
        if self.is_remote:
            return self._remote_archive(entry, operation or Operation())
        content = _read_archive(Path(self._url, entry.filename))
        if content is None:
            raise RepositoryError(f"{_SETTING}: {self.location} has no {entry.filename}")
        mistake = sum_mistake(content, entry.sha256sum, entry.sha1sum)
        if mistake is not None:
            raise RepositoryError(f"{self.location}/{entry.filename}: {mistake}")
        return content

    def _remote_archive(self, entry: Entry, operation: Operation) -> bytes:
        if self._cache is None:
            raise RepositoryError("general.cache_dir: needed for a repository that is a URL")
        path = self._cache.folder / entry.filename
        content = self._cached(path, entry)
        if content is not None:
            return content
        source = Source([self._url_of(entry.filename)], MAX_ARCHIVE_BYTES, None, entry.sha256sum, entry.sha1sum)
        operation.end = entry.size
        try:
            self._downloader.download(source, path, operation)
        except RepositoryError as error:
            raise RepositoryError(f"{_SETTING}: {error}; if {_OLD}, update that") from error
        content = self._cached(path, entry)
        if not self._cache.keeps:
            path.unlink(missing_ok=True)
        if content is None:
            raise RepositoryError(f"{path}: was changed by somebody else after it was downloaded")
        return content

    def _cached(self, path: Path, entry: Entry) -> bytes | None:
        """The archive in the cache, unless it is damaged."""
        try:
            content = _read_archive(path)
        except RepositoryError as error:
            log.warning("cached archive not used: reason=%s", error)
            return None
        mistake = None if content is None else sum_mistake(content, entry.sha256sum, entry.sha1sum)
        if mistake is not None:
            log.warning("cached archive not used: file=%s reason=%r", path, mistake)
            return None
        return content

    def _checked(self, content: bytes, signature: bytes | None, where: str) -> Index:
        try:
            self._signatures.check(content, signature)
            return parse_index(content)
        except RepositoryError as error:
            raise RepositoryError(f"{_SETTING}: {where}/{INDEX_NAME}: {error}") from error

    def _fetch(self, name: str, max_bytes: int) -> bytes:
        try:
            return self._downloader.fetch(self._url_of(name), max_bytes)
        except RepositoryError as error:
            raise type(error)(f"{_SETTING}: {error}") from error

    def _fetch_signature(self) -> bytes | None:
        if self._signatures.keyring is None:
            return None
        for suffix in SIGNATURE_SUFFIXES:
            try:
                return self._fetch(INDEX_NAME + suffix, MAX_SIGNATURE_BYTES)
            except NoSuchFileError:
                pass
        return None

    def _store(self, folder: Path, content: bytes, signature: bytes | None) -> None:
        """Put index and signature down; the signature's name says which index it is of, so that both change at once."""
        if signature is not None:
            write_file(folder / _signature_name(content), signature, mode=0o644)
        write_file(folder / INDEX_NAME, content, mode=0o644)
        for old in folder.glob(f".{INDEX_NAME}-*.sig"):
            if old.name != _signature_name(content) or signature is None:
                old.unlink(missing_ok=True)

    def _needed_folder(self) -> Path:
        if self._plugins_folder is None:
            raise RepositoryError(f"{_SETTING}: {self.location}: there is no place for a copy of its {INDEX_NAME}")
        return self._plugins_folder

    def _url_of(self, name: str) -> str:
        return f"{self._url}/{quote(name)}"


def _signature_name(content: bytes) -> str:
    return f".{INDEX_NAME}-{hashlib.sha256(content).hexdigest()[:32]}.sig"


def _read(path: Path, max_bytes: int) -> bytes | None:
    """A file's content; None if there is none.

    Raises:
        OSError: it cannot be read.
        RepositoryError: it is too large.
    """
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except FileNotFoundError:
        return None
    if len(content) > max_bytes:
        raise RepositoryError(f"{_SETTING}: {path}: larger than {max_bytes} bytes")
    return content


def _read_archive(path: Path) -> bytes | None:
    try:
        return _read(path, MAX_ARCHIVE_BYTES)
    except OSError as error:
        raise RepositoryError(f"{path}: {error.strerror}") from error


def _closest(plugin_id: str, there: Sequence[str]) -> str:
    """The plugins that there are, those first that somebody may have meant who wrote `plugin_id`."""
    if not there:
        return "it is empty"
    listed = difflib.get_close_matches(plugin_id, there[:_COMPARED], n=_LISTED, cutoff=0)
    more = f" and {len(there) - len(listed)} more" if len(there) > len(listed) else ""
    return f"it has {', '.join(listed)}{more}"
