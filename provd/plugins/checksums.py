"""Checksums: a file is what it should be, or it is not used."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

_BLOCK_BYTES = 256 * 1024


def sum_mistake(content: bytes | Path, sha256sum: str | None, sha1sum: str | None) -> str | None:
    """What is wrong with the checksum of a content, or of a file's; None if nothing is, or if no sum is known.

    SHA-256 counts if both are there.

    Raises:
        OSError: the file cannot be read.
    """
    if sha256sum is None and sha1sum is None:
        return None
    expected = str(sha1sum) if sha256sum is None else sha256sum
    digest = hashlib.sha1(usedforsecurity=False) if sha256sum is None else hashlib.sha256()
    if isinstance(content, bytes):
        digest.update(content)
    else:
        with content.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    actual = digest.hexdigest()
    if hmac.compare_digest(expected.lower().encode("utf-8", "replace"), actual.encode()):
        return None
    return f"checksum is {actual}, {expected} is expected"
