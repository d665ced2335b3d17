"""Archives of plugins, made as a test wants them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping

from .sample import ENTRY, INFO, PLUGIN_ID


def archive(files: Mapping[str, str] | None = None, plugin_id: str = PLUGIN_ID, version: str = "1.0") -> bytes:
    """A plugin of this version, with more files than it needs."""
    contents = {"plugin-info": json.dumps({**INFO, "version": version}), "entry.py": ENTRY, **(files or {})}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:bz2") as tar:
        for path, content in contents.items():
            info = tarfile.TarInfo(f"{plugin_id}/{path}")
            info.size = len(content.encode())
            tar.addfile(info, io.BytesIO(content.encode()))
    return buffer.getvalue()
