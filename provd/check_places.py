"""Where the server writes: whether it would be let. Nothing is written to find out."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from provd.settings import Settings, plugins_folder


def place_mistakes(settings: Settings) -> list[str]:
    """Which settings name a file or folder that the server could not use, and why."""
    found = [f"{file}: {os.strerror(errno.EACCES)}" for file in settings.files if not os.access(file, os.R_OK)]
    for folder in (settings["general.state_dir"], plugins_folder(settings)):
        reason = folder_refusal(Path(folder))
        if reason is not None:
            found.append(f"general.state_dir: {folder}: {reason}")
            break
    log_file = settings["security.log_file"]
    reason = file_refusal(log_file)
    return found if reason is None else [*found, f"security.log_file: {log_file}: {reason}"]


def folder_refusal(folder: Path) -> str | None:
    """Why no files could be made in a folder, which would be made if it is missing; None if they could."""
    try:
        mode = folder.stat().st_mode
    except FileNotFoundError:
        is_link = os.path.islink(folder)  # one that leads nowhere: no folder can be made in its place
        return os.strerror(errno.ENOENT) if is_link else folder_refusal(folder.parent)
    except OSError as error:
        return error.strerror
    if not stat.S_ISDIR(mode):
        return os.strerror(errno.ENOTDIR)
    system = os.statvfs(folder)
    if system.f_flag & os.ST_RDONLY:
        return os.strerror(errno.EROFS)
    if not os.access(folder, os.W_OK | os.X_OK):
        return os.strerror(errno.EACCES)
    # /proc and its like have no blocks and no inodes, and root is told that it may write there.
    return "its file system holds no files" if system.f_blocks == system.f_files == 0 else None


def file_refusal(file: Path) -> str | None:
    """Why a file could not be written, or made in a folder that must be there; None if it could."""
    target = Path(os.path.realpath(file))
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return folder_refusal(target.parent) if target.parent.is_dir() else os.strerror(errno.ENOENT)
    except OSError as error:
        return error.strerror
    if stat.S_ISDIR(mode):
        return os.strerror(errno.EISDIR)
    return None if os.access(target, os.W_OK) else os.strerror(errno.EACCES)
