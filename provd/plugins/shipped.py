"""Which files came with a plugin's version, noted when it is installed: what else is there is somebody's own."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from provd.atomicfile import TEMPORARY_PREFIX, write_file

MANIFEST_NAME = ".shipped"


def write_manifest(folder: Path) -> Mapping[str, str]:
    """Note the SHA-256 sums of a plugin's files, all of which have just been unpacked; return them by path.

    Raises:
        OSError: the disk refuses.
    """
    sums = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.startswith(TEMPORARY_PREFIX) or name == MANIFEST_NAME:
                continue
            path = Path(parent, name)
            sums[path.relative_to(folder).as_posix()] = sum_of(path)
    content = json.dumps({"sha256sums": sums}, indent=1, sort_keys=True).encode()
    write_file(folder / MANIFEST_NAME, content, mode=0o644, durable=False)
    return sums


def read_manifest(folder: Path) -> Mapping[str, str]:
    """The sums of the files that came with a plugin; none if nobody noted them when it was installed."""
    try:
        data = json.loads((folder / MANIFEST_NAME).read_bytes())
        return {str(path): str(sum_) for path, sum_ in data["sha256sums"].items()}
    except (OSError, ValueError, RecursionError, TypeError, KeyError, AttributeError):
        return {}


def is_as_shipped(folder: Path, path: str, manifest: Mapping[str, str]) -> bool:
    """Tell whether a file came with the plugin, and nobody has changed it."""
    try:
        return path in manifest and manifest[path] == sum_of(folder / path)
    except OSError:
        return False


def sum_of(path: Path) -> str:
    """A small file's SHA-256 sum.

    Raises:
        OSError: it cannot be read.
    """
    return hashlib.sha256(path.read_bytes()).hexdigest()
