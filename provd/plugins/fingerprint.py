"""Telling whether a plugin, or an administrator's templates in it, changed while nobody looked."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

_OWN_TEMPLATES = "var/templates"
_IGNORED = ("var", "__pycache__")
"""What is in `var` changes all the time, apart from the custom templates."""


def fingerprint(folder: Path) -> str:
    """A text that is another one when a file of a plugin or a custom template was added, changed or removed.

    Files are compared by name, size and time of change, not by what is in them.
    """
    digest = hashlib.sha256()
    for path in sorted([*_files(folder, _IGNORED), *_files(folder / _OWN_TEMPLATES, ())]):
        try:
            status = os.stat(path)
        except OSError:
            continue  # it went away in between: next time it is missing
        name = os.fsencode(os.path.relpath(path, folder))
        digest.update(b"%s\0%d\0%d\n" % (name, status.st_size, status.st_mtime_ns))
    return digest.hexdigest()


def _files(top: Path, ignored: tuple[str, ...]) -> Iterator[str]:
    for folder, folders, names in os.walk(top):
        if folder == str(top):
            folders[:] = [name for name in folders if name not in ignored]
        yield from (os.path.join(folder, name) for name in names)
