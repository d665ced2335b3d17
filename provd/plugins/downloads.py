"""Downloads: what is to be fetched, and fetching it."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import gevent

from provd.errors import ProvdError, RepositoryError
from provd.model.operation import Operation
from provd.plugins.checksums import sum_mistake
from provd.plugins.partial import PartialFile
from provd.plugins.watch import BrokenOffError, TransferError, UnreachableError, Watch
from provd.plugins.web import Answer, Proxies, Web, public_url

T = TypeVar("T")

FETCH_DEADLINE_S = 60.0
_ATTEMPTS = 5
"""How often a transfer that breaks off is taken up again at once, as long as each brings something."""
_BLOCK_BYTES = 64 * 1024
_ADVICE = "see whether the server can be reached, and general.http_proxy, https_proxy and ftp_proxy"
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")


@dataclass(frozen=True, slots=True)
class Source:
    """A file to download: the same content at each of the `urls`, which are tried in their order.

    `size` in bytes if it is known; `max_bytes` is never exceeded. Of the sums SHA-256 counts if both are there; without
    any, the content is taken as it comes.
    """

    urls: Sequence[str]
    max_bytes: int
    size: int | None = None
    sha256sum: str | None = None
    sha1sum: str | None = None

    @property
    def is_verified(self) -> bool:
        """A checksum tells whether the content is the right one."""
        return self.sha256sum is not None or self.sha1sum is not None


class Downloader(Protocol):
    """Fetches files."""

    def download(self, source: Source, target: Path, operation: Operation) -> None:
        """Put the file at `target`, whole and verified, or leave `target` as it was; `operation` counts the bytes.

        What an interrupted download has fetched already is kept beside `target` and used by the next one.

        Raises:
            OperationCancelledError: somebody wanted it to stop.
            RepositoryError: no URL gives the file; the message says for each why.
        """


class HttpDownloader:
    """Fetches files by http, https and ftp.

    It is for greenlets: while it waits for a server or for the disk, others go on. Only one download to a target may
    run at a time. `context` says which https servers are believed; None: those that the system believes.
    """

    def __init__(self, proxies: Proxies | None = None, context: ssl.SSLContext | None = None) -> None:
        self._web = Web(proxies or Proxies(), context)

    def fetch(self, url: str, max_bytes: int) -> bytes:
        """A small file's content, within a minute.

        Raises:
            NoSuchFileError: the server has no such file.
            TransferError: it cannot be had; the message says why.
        """
        watch = Watch(Operation(), max_bytes, FETCH_DEADLINE_S)
        try:
            with self._web.open(url, watch, {}, is_verified=False) as answer:
                content = bytearray()
                while block := answer.read(_BLOCK_BYTES):
                    content += block
                    if len(content) > max_bytes:
                        raise TransferError(f"larger than {max_bytes} bytes")
                if answer.status != 200:
                    raise TransferError("sends a part of a file that nobody asked for")
                if answer.length is not None and len(content) < answer.length:
                    raise BrokenOffError(f"breaks off after {len(content)} of {answer.length} bytes")
        except TransferError as error:
            raise type(error)(f"{public_url(url)}: {error}{_advice([error])}") from error
        return bytes(content)

    def download(self, source: Source, target: Path, operation: Operation) -> None:
        """See `Downloader`; the operation ends with success or failure."""
        operation.begin(source.size)
        try:
            self._download(source, target, operation)
        except ProvdError as error:
            operation.fail(str(error))
            raise
        except OSError as error:
            message = f"{target}: cannot be written: {error.strerror}"
            operation.fail(message)
            raise RepositoryError(message) from error
        operation.succeed()

    def _download(self, source: Source, target: Path, operation: Operation) -> None:
        part = PartialFile(target)
        failures = {}
        for url in source.urls:
            try:
                self._get(url, source, part, operation)
                return
            except TransferError as error:
                failures[url] = error
        reasons = "; ".join(f"{public_url(url)}: {error}" for url, error in failures.items())
        raise RepositoryError(f"{target.name} cannot be downloaded: {reasons}{_advice(failures.values())}")

    def _get(self, url: str, source: Source, part: PartialFile, operation: Operation) -> None:
        """Get the file from one URL, with as many attempts as make sense."""
        for attempt in range(_ATTEMPTS):
            before, is_last = part.size, attempt == _ATTEMPTS - 1
            try:
                was_resumed = self._transfer(url, source, part, operation)
            except BrokenOffError:
                if is_last or part.size <= before:
                    raise
                continue
            mistake = _in_background(partial(sum_mistake, part.path, source.sha256sum, source.sha1sum))
            if mistake is None:
                _in_background(part.complete)
                return
            part.discard()
            if not was_resumed or is_last:
                raise TransferError(f"{mistake}: the server has another file than the one that is wanted")

    def _transfer(self, url: str, source: Source, part: PartialFile, operation: Operation) -> bool:
        """Fetch what is missing, into the partial file; tell whether something was there already."""
        offset, validator = part.size, part.validator(url)
        if source.is_verified and 0 < offset == source.size:
            return True
        headers = {}
        if 0 < offset < source.max_bytes and (validator or source.is_verified):
            headers = {"Range": f"bytes={offset}-", **({"If-Range": validator} if validator else {})}
        watch = Watch(operation, source.max_bytes)
        with self._web.open(url, watch, headers, is_verified=source.is_verified) as answer:
            if answer.status == 200 or (headers and _begin_of(answer) == offset):
                begin = 0 if answer.status == 200 else offset
                _receive(url, answer, begin, source, part, operation)
                return begin > 0
        if not headers:
            raise TransferError("sends a part of the file that nobody asked for")
        part.discard()
        return self._transfer(url, source, part, operation)


def _begin_of(answer: Answer) -> int | None:
    """Where the part that a server sends begins in the file, if it says so."""
    match = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
    return int(match[1]) if match and answer.status == 206 else None


def _receive(url: str, answer: Answer, begin: int, source: Source, part: PartialFile, operation: Operation) -> None:
    """Append what a server sends to what is there."""
    total = None if answer.length is None else begin + answer.length
    most = source.max_bytes if source.size is None else min(source.size, source.max_bytes)
    if total is not None and total > most:
        raise TransferError(f"has {total} bytes; allowed: {most}")
    expected = total if source.size is None else source.size
    operation.current, operation.end = begin, expected
    size = begin
    with part.open(url, _validator_of(answer), begin) as file:
        while size != total and (block := answer.read(_BLOCK_BYTES)):
            size += len(block)
            if size > most:
                raise TransferError(f"sends more than {most} bytes")
            file.write(block)
            operation.advance(len(block))
            time.sleep(0)  # a server that is faster than this loop must not keep others from going on
    if expected is not None and size < expected:
        raise BrokenOffError(f"breaks off after {size} of {expected} bytes")


def _validator_of(answer: Answer) -> str | None:
    """What tells this version of a file from any other."""
    tag = answer.headers.get("ETag", "").strip()
    is_exact = tag and not tag.startswith("W/")
    found = tag if is_exact else answer.headers.get("Last-Modified", "").strip()
    return found if 0 < len(found) <= 200 and found.isascii() and found.isprintable() else None


def _advice(errors: Iterable[TransferError]) -> str:
    """What to look at, where that is not plain."""
    return f"; {_ADVICE}" if any(isinstance(error, UnreachableError) for error in errors) else ""


def _in_background(work: Callable[[], T]) -> T:
    """Do what takes long without stopping the hub."""
    result: T = gevent.get_hub().threadpool.apply(work)
    return result
