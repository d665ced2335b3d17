"""What an HTTP answer says: status, headers, validators and ranges (RFC 9110)."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache
from http import HTTPStatus

from provd.plugins.files import OpenFile

_CONTENT_TYPES = {
    "cfg": "text/plain; charset=utf-8",
    "conf": "text/plain; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "htm": "text/html; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "jpg": "image/jpeg",
    "png": "image/png",
    "txt": "text/plain; charset=utf-8",
    "xml": "text/xml; charset=utf-8",
}
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True, slots=True)
class Answer:
    """A status line's code, the header fields, and which bytes of the file follow (none for HEAD and 304)."""

    status: int
    headers: tuple[tuple[str, str], ...]
    start: int = 0
    length: int = 0


def file_answer(file: OpenFile, headers: Mapping[str, str], *, with_body: bool) -> Answer:
    """The answer to a request with these header fields for a file that is there."""
    etag = f'"{file.mtime_ns:x}-{file.size:x}-{file.inode:x}"'
    modified_s = _modified_s(file)
    validators: tuple[tuple[str, str], ...] = (("ETag", etag),)
    if modified_s is not None:
        validators = (*validators, ("Last-Modified", _http_date(modified_s)))
    if not _is_expected(headers, etag, modified_s):
        return Answer(412, (*validators, ("Content-Length", "0")))
    if _is_unchanged(headers, etag, modified_s):
        return Answer(304, validators)
    content_type = _CONTENT_TYPES.get(file.path.rpartition(".")[2].lower(), "application/octet-stream")
    fields = (("Content-Type", content_type), *validators, ("Accept-Ranges", "bytes"))
    wanted = _wanted_range(headers, etag, modified_s, file.size) if with_body and "range" in headers else None
    if wanted is None:
        return Answer(200, (*fields, ("Content-Length", str(file.size))), 0, file.size if with_body else 0)
    start, length = wanted
    if length == 0:
        return Answer(416, (("Content-Range", f"bytes */{file.size}"), ("Content-Length", "0")))
    content_range = f"bytes {start}-{start + length - 1}/{file.size}"
    return Answer(206, (*fields, ("Content-Range", content_range), ("Content-Length", str(length))), start, length)


def head_bytes(answer: Answer, *, connection: str | None) -> bytes:
    """The answer's status line and header fields; `connection` is the value of a Connection field, if any."""
    fields = "".join([f"{name}: {value}\r\n" for name, value in answer.headers])
    last = f"Connection: {connection}\r\n" if connection else ""
    date = _http_date(int(time.time()))
    text = f"HTTP/1.1 {answer.status} {_phrase(answer.status)}\r\nDate: {date}\r\nServer: provd\r\n{fields}{last}\r\n"
    return text.encode("latin-1")


def text_answer(status: int, text: str, extra: tuple[tuple[str, str], ...] = ()) -> tuple[Answer, bytes]:
    """An answer with a line of text, for people who look with a browser or curl."""
    body = f"{text}\n".encode()
    headers = (("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body))), *extra)
    return Answer(status, headers), body


def _modified_s(file: OpenFile) -> int | None:
    """When the file was changed, in whole seconds; None if no phone may be told that date.

    That is one in the future, as behind a clock that was set back (RFC 9110 section 8.8.2.1), and the present second,
    in which the file may change once more.
    """
    modified_s = file.mtime_ns // 1_000_000_000
    return modified_s if modified_s < int(time.time()) else None


def _is_unchanged(headers: Mapping[str, str], etag: str, modified_s: int | None) -> bool:
    """Evaluate If-None-Match, and without it If-Modified-Since (RFC 9110 section 13.2.2).

    A date that is not exactly the file's tells of another file: what stands behind a path can also become an older
    one, with another version of a plugin or a backup that is restored. nginx compares in the same way.
    """
    none_match = headers.get("if-none-match")
    if none_match is not None:
        tags = [tag.strip().removeprefix("W/") for tag in none_match.split(",")]
        return etag in tags or "*" in tags
    since = _parsed_date(headers.get("if-modified-since"))
    return since is not None and modified_s == since


def _is_expected(headers: Mapping[str, str], etag: str, modified_s: int | None) -> bool:
    match = headers.get("if-match")
    if match is not None:
        return etag in [tag.strip() for tag in match.split(",")] or match.strip() == "*"
    since = _parsed_date(headers.get("if-unmodified-since"))
    return since is None or modified_s is None or modified_s <= since


def _wanted_range(headers: Mapping[str, str], etag: str, modified_s: int | None, size: int) -> tuple[int, int] | None:
    """Start and length of the range asked for; None for the whole file, a length of 0 if it cannot be had.

    Several ranges in one request, and units other than bytes, are answered with the whole file, as a server may.
    """
    condition = headers.get("if-range")
    if condition is not None and condition != etag and (modified_s is None or _parsed_date(condition) != modified_s):
        return None
    match = _RANGE.fullmatch(headers["range"].strip())
    if match is None or match.group(0) == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        length = min(int(last), size)
        return size - length, length
    start = int(first)
    if last and int(last) < start:
        return None
    end = min(int(last), size - 1) if last else size - 1
    return start, max(end - start + 1, 0)


@lru_cache(maxsize=1024)
def _http_date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)


@lru_cache(maxsize=64)
def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase


def _parsed_date(text: str | None) -> int | None:
    try:
        if not text:
            return None
        date = parsedate_to_datetime(text)
        return int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp())
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
