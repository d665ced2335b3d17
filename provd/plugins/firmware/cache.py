"""`var/cache`: the vendors' files, downloaded or put there by hand, and never believed without looking."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path

from provd.errors import PackageError, RepositoryError
from provd.model.operation import Operation
from provd.plugins.downloads import Downloader, Source
from provd.plugins.firmware.limits import chunks
from provd.plugins.firmware.telling import telling
from provd.plugins.firmware.values import PackageFile

log = logging.getLogger(__name__)


class Cache:
    """The folder `var/cache`; `lock` gives the lock of a file while it may be written."""

    def __init__(
        self,
        folder: Path,
        downloader: Downloader,
        auth_downloader: Downloader | None,
        lock: Callable[[str, Operation], AbstractContextManager[None]],
    ) -> None:
        self._folder = folder
        self._downloader, self._auth_downloader = downloader, auth_downloader
        self._lock = lock

    def paths(self, files: Iterable[PackageFile]) -> dict[str, Path]:
        """Where files are, by their local names."""
        return {file.filename: self._folder / file.filename for file in files}

    def provide_all(self, files: Iterable[PackageFile], operation: Operation) -> None:
        """Have files there, verified, one after the other; each is a sub-operation.

        Raises:
            ProvdError: as `provide`.
        """
        with telling(operation):
            self._folder.mkdir(parents=True, exist_ok=True)
            waiting = [(file, operation.sub(None, file.size)) for file in files]
            for file, sub in waiting:
                with telling(sub), self._lock(file.filename, sub):
                    downloader = self._auth_downloader if file.needs_login else self._downloader
                    provide(file, self._folder / file.filename, downloader, sub)


def provide(file: PackageFile, target: Path, downloader: Downloader | None, operation: Operation) -> None:
    """Have `file` at `target`, verified, by downloading it unless it is there; `operation` counts its bytes.

    Without a `downloader` only a file that is there is taken.

    Raises:
        OperationCancelledError: somebody wanted it to stop.
        RepositoryError: it is not there and cannot be had; the message says where to put it by hand.
    """
    wrong = why_wrong(file, target, operation)
    if wrong is None:
        operation.begin(file.size)
        operation.advance(file.size)
        return
    if target.exists():
        log.warning("file in the cache is not used: path=%s reason=%r", target, wrong)
    try:
        if not file.urls:
            raise RepositoryError("there is no address to download it from")
        if downloader is None:
            raise RepositoryError(f"it must be fetched with the vendor's login from {file.urls[0]}")
        source = Source(file.urls, file.size, file.size, file.sha256sum, file.sha1sum)
        downloader.download(source, target, operation)
        wrong = why_wrong(file, target, operation)
        if wrong is not None:
            raise RepositoryError(f"the downloaded file {wrong}")
    except RepositoryError as error:
        said = str(error)
        if not said.startswith(file.filename):
            said = f"{file.filename} cannot be downloaded: {said}"
        there = f" The file that is there {wrong}." if target.exists() else ""
        raise RepositoryError(f"{said}. Put it by hand at {target} ({file.sums}).{there}") from error


def why_wrong(file: PackageFile, path: Path, operation: Operation) -> str | None:
    """What is wrong with the file at `path`, or None if it is the right one.

    Raises:
        PackageError: it cannot be read.
    """
    try:
        if not path.exists():
            return "is missing"
        if not path.is_file():
            return "is no file"
        size = path.stat().st_size
        if size != file.size:
            return f"has {size} bytes, not {file.size}"
        for name, expected in (("sha256", file.sha256sum), ("sha1", file.sha1sum)):
            actual = file_sum(path, name, operation) if expected else None
            if actual != expected:
                return f"has another sum, {name} {actual}"
    except OSError as error:
        raise PackageError(f"{path}: cannot be read: {error.strerror}") from error
    return None


def file_sum(path: Path, algorithm: str, operation: Operation | None = None) -> str:
    """A file's sum in hexadecimal digits.

    Raises:
        OperationCancelledError: somebody wants the operation to stop.
        OSError: it cannot be read.
    """
    digest = hashlib.new(algorithm, usedforsecurity=algorithm != "sha1")
    with path.open("rb") as content:
        for chunk in chunks(content):
            if operation is not None:
                operation.check()
            digest.update(chunk)
    return digest.hexdigest()
