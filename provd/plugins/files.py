"""Opening the files that phones ask for, always below one plugin's `var/tftpboot`."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from enum import Enum, auto

from gevent.monkey import get_original

MAX_PATH_BYTES = 1024
_MAX_SEGMENT_BYTES = 255
_DELETED = " (deleted)"
"""What the kernel adds to the path of an open file that has lost its name."""

_close = get_original("os", "close")  # gevent's tells the hub, which never watches a file


class Problem(Enum):
    """Why a phone gets no file."""

    NOT_FOUND = auto()
    """There is no such file for this phone."""
    NOT_CONFIGURED = auto()
    """The phone's files could not be made; the reason is in the log and on the device."""
    MISSING = auto()
    """The phone has this file, but it is not on the disk. Doors never see this: the file is made again."""
    DIRECTORY = auto()
    """The path names a directory."""
    BAD_NAME = auto()
    """The path holds what no file name may hold, or tries to leave the folder."""
    NAME_TOO_LONG = auto()
    """The path is longer than any file's."""
    NO_PLUGIN = auto()
    """No plugin serves this phone, or nothing tells which phone it is."""
    REFUSED = auto()
    """Too many phones that were never seen before: this one is no device yet, and may ask again later."""
    UNAVAILABLE = auto()
    """The server cannot answer now; asking again later may help."""


@dataclass(slots=True)
class OpenFile:
    """A file that is open for reading. Whoever gets it closes it, with `close`.

    `path` is its real path below the root, also if it was asked for through a link.
    """

    descriptor: int
    size: int
    mtime_ns: int
    inode: int
    path: str

    def read(self, offset: int, size: int) -> bytes:
        """Read up to `size` bytes at `offset`.

        Raises:
            OSError: the disk does not give them.
        """
        return os.pread(self.descriptor, size, offset)

    def read_all(self) -> bytes:
        """Read the whole file, up to the size that it had when it was opened.

        Raises:
            OSError: the disk does not give it, or the file has become shorter.
        """
        content = os.pread(self.descriptor, self.size, 0)
        while len(content) < self.size:
            more = os.pread(self.descriptor, self.size - len(content), len(content))
            if not more:
                raise OSError(errno.EIO, "the file became shorter while it was read", self.path)
            content += more
        return content

    def close(self) -> None:
        """Close the file; closing it again does nothing."""
        if self.descriptor >= 0:
            _close(self.descriptor)
            self.descriptor = -1


def clean_path(path: str) -> str | Problem:
    """Return the path of a request without empty and `.` segments, or what is wrong with it.

    Hidden names are no phone's: a segment that begins with a dot is never found.
    """
    if len(path) > MAX_PATH_BYTES:
        return Problem.NAME_TOO_LONG
    if "\0" in path:
        return Problem.BAD_NAME
    segments = [segment for segment in path.split("/") if segment not in ("", ".")]
    if ".." in segments:
        return Problem.BAD_NAME
    if any(len(segment) > _MAX_SEGMENT_BYTES for segment in segments):
        return Problem.NAME_TOO_LONG
    if any(segment[0] == "." for segment in segments):
        return Problem.NOT_FOUND
    return "/".join(segments)


def open_file(root: str, path: str) -> OpenFile | Problem:
    """Open the regular file at a clean `path` below `root`, a real path without a final slash.

    Symbolic links are followed as long as they stay below `root`; that is checked on the open file, so that no
    change in between can lead outside. A file that was replaced in between, as when its plugin is upgraded, is looked
    for once more.
    """
    found = _open_below(root, path)
    if found is None:
        found = _open_below(root, path)
    return Problem.NOT_FOUND if found is None else found


def _open_below(root: str, path: str) -> OpenFile | Problem | None:
    """The same; None if the file that was opened does not lie below the root, or not any more."""
    try:
        descriptor = os.open(f"{root}/{path}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        return _problem_of(error)
    except UnicodeEncodeError:
        return Problem.BAD_NAME
    try:
        status = os.fstat(descriptor)
        real_path = os.readlink(f"/proc/self/fd/{descriptor}")
        problem: Problem | None = Problem.DIRECTORY if stat.S_ISDIR(status.st_mode) else Problem.NOT_FOUND
        if stat.S_ISREG(status.st_mode):
            is_gone = real_path.endswith(_DELETED) and not path.endswith(_DELETED)
            if real_path.startswith(f"{root}/") and not is_gone:
                real_path = real_path[len(root) + 1 :]
                return OpenFile(descriptor, status.st_size, status.st_mtime_ns, status.st_ino, real_path)
            problem = None
    except OSError as error:
        problem = _problem_of(error)
    _close(descriptor)
    return problem


def _problem_of(error: OSError) -> Problem:
    if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO):
        return Problem.UNAVAILABLE
    if error.errno == errno.ENAMETOOLONG:
        return Problem.NAME_TOO_LONG
    return Problem.NOT_FOUND
