"""What a plugin's `pkgs/` says, checked: files to download, steps to unpack them by, packages of both."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from provd.errors import PackageError

_NO_NAME = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and halves of characters."""


@dataclass(frozen=True, slots=True)
class PackageFile:
    """A vendor's file: where it can be had, and what it must be. `needs_login` if its site lets only customers in."""

    id: str
    filename: str
    urls: tuple[str, ...]
    size: int
    sha1sum: str | None
    sha256sum: str | None
    needs_login: bool = False

    @property
    def sums(self) -> str:
        """What it must be, for messages."""
        sums = [f"{self.size} bytes"]
        sums += [f"SHA-256 {self.sha256sum}"] if self.sha256sum else []
        sums += [f"SHA-1 {self.sha1sum}"] if self.sha1sum else []
        return ", ".join(sums)


@dataclass(frozen=True, slots=True)
class Step:
    """One step from the files of a node to those of another. `place` says where it is written, for messages."""

    source: str
    target: str
    action: str
    arguments: tuple[str, ...]
    place: str


@dataclass(frozen=True, slots=True)
class Package:
    """A package that can be installed. `steps` are in the order in which they can be done.

    `results` are the nodes whose files are put below `var/tftpboot`; `descriptions` are by lower-case locale, the one
    without a language by "".
    """

    id: str
    version: str
    descriptions: Mapping[str, str]
    files: tuple[PackageFile, ...]
    steps: tuple[Step, ...]
    results: tuple[str, ...]
    depends: tuple[str, ...]

    @property
    def dsize(self) -> int:
        """How many bytes its files have, downloaded."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True)
class Installable:
    """What an administrator sees of a package that can be installed; `dsize` in bytes, downloaded."""

    version: str
    description: str
    dsize: int


@dataclass(frozen=True, slots=True)
class Installed:
    """What an administrator sees of an installed package; not `explicit` if another one needed it."""

    version: str
    description: str
    explicit: bool


def localised(descriptions: Mapping[str, str], locale: str | None) -> str:
    """The description that fits a locale such as `fr_CA.UTF-8` best: its own, its language's, or the one for all."""
    name = re.split(r"[.@]", (locale or "").lower().replace("-", "_"))[0]
    for candidate in (name, name.partition("_")[0]):
        if candidate in descriptions:
            return descriptions[candidate]
    return descriptions.get("", "")


def inner_path(text: str) -> str:
    """`text` without empty and `.` segments, if it names something inside a folder; "" is the folder itself.

    Raises:
        PackageError: it is absolute, has `..` or control characters, or cannot be encoded.
    """
    if text.startswith("/") or ".." in text.split("/") or _NO_NAME.search(text):
        raise PackageError(f"{text!r} is not allowed; allowed: a path inside the folder, without '..'")
    path = posixpath.normpath(text) if text else ""
    return "" if path == "." else path
