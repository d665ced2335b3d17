"""The sections `[file_…]`: a vendor's file, where it can be had and what it must be."""

from __future__ import annotations

import re

from provd.errors import PackageError
from provd.plugins.firmware.inifile import Section
from provd.plugins.firmware.values import PackageFile

MAX_FILE_BYTES = 2 * 1024**3

_KEYS = ("url", "size", "sha1sum", "sha256sum", "filename", "downloader")
_URL = re.compile(r"(?:https?|ftp)://[^\s/]\S*")
_SUMS = {"sha1sum": re.compile(r"[0-9a-f]{40}"), "sha256sum": re.compile(r"[0-9a-f]{64}")}
_MAX_NAME_BYTES = 200


def parse_file(section: Section) -> PackageFile:
    """Check a `[file_…]` section.

    Raises:
        PackageError: it is wrong; the message names file, line, section, key and what is allowed.
    """
    for key in section.entries:
        if key not in _KEYS:
            raise section.error(key, f"is not allowed; allowed: {', '.join(_KEYS)}")
    urls = tuple(section.value("url").split())
    for url in urls:
        if not _URL.fullmatch(url):
            raise _not_allowed(section, "url", url, "addresses that begin with http://, https:// or ftp://")
    downloader = section.value("downloader") or "default"
    if downloader not in ("default", "auth"):
        raise _not_allowed(section, "downloader", downloader, "default, auth")
    sums = {key: _sum(section, key) for key in _SUMS}
    if not any(sums.values()):
        raise section.error("sha1sum", "missing; needed: this or sha256sum")
    return PackageFile(
        id=section.id,
        filename=_filename(section, urls),
        urls=urls,
        size=_size(section),
        sha1sum=sums["sha1sum"],
        sha256sum=sums["sha256sum"],
        needs_login=downloader == "auth",
    )


def _filename(section: Section, urls: tuple[str, ...]) -> str:
    """The local name: the one stated, or what the first URL ends with."""
    name = section.value("filename")
    if not name and not urls:
        raise section.error("url", "missing; needed: this, or filename for a file that is only put there by hand")
    key, name = ("filename", name) if name else ("url", urls[0].rpartition("/")[2])
    good = name and name[0] not in ".-" and "/" not in name and name.isprintable()
    if not good or len(name.encode()) > _MAX_NAME_BYTES:
        allowed = "a file name without '/' that does not begin with '.' or '-'; filename can state another"
        raise _not_allowed(section, key, name, allowed)
    return name


def _size(section: Section) -> int:
    text = section.value("size")
    if not text.isascii() or not text.isdigit() or len(text) > 12 or int(text) > MAX_FILE_BYTES:
        raise _not_allowed(section, "size", text, f"a number of bytes, up to {MAX_FILE_BYTES}")
    return int(text)


def _sum(section: Section, key: str) -> str | None:
    text = section.value(key).lower()
    if text and not _SUMS[key].fullmatch(text):
        raise _not_allowed(section, key, text, "40 hexadecimal digits" if key == "sha1sum" else "64 hexadecimal digits")
    return text or None


def _not_allowed(section: Section, key: str, value: str, allowed: str) -> PackageError:
    return section.error(key, f"{value[:80]!r} is not allowed; allowed: {allowed}")
