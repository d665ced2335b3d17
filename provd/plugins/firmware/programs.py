"""Unpacking by foreign programs, 7-Zip and unrar: without a shell, in an empty folder, within limits.

This is called in a native thread of its own.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gevent.monkey import get_original

from provd.errors import PackageError
from provd.model.operation import OperationCancelledError
from provd.plugins.firmware import supervisor
from provd.plugins.firmware.archives import member_name
from provd.plugins.firmware.limits import Budget

log = logging.getLogger(__name__)

_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
_SHOWN_CHARACTERS = 400
_LOOK_EVERY_S = 0.1

_posix_spawn, _waitpid, _poll, _close = (
    get_original(module, name)
    for module, name in (("os", "posix_spawn"), ("os", "waitpid"), ("select", "poll"), ("os", "close"))
)


@dataclass(frozen=True, slots=True)
class Unpacker:
    """A program under one of its names, and the arguments before the archive's path to unpack without folders."""

    name: str
    arguments: tuple[str, ...]


SEVEN_ZIP = tuple(Unpacker(name, ("e", "-bd", "-y", "--")) for name in ("7zr", "7zz", "7z", "7za"))
UNRAR = (
    Unpacker("unrar-nonfree", ("e", "-idq", "-y", "--")),
    Unpacker("unrar-free", ("--extract-no-paths", "--force", "--")),
    Unpacker("unrar", ("e", "-idq", "-y", "--")),
)


def un7z(archive: Path, folder: Path, budget: Budget) -> dict[str, Path]:
    """Unpack a 7z archive; the folders in it are dropped.

    Raises:
        PackageError: 7-Zip is not installed, fails, or takes too much.
    """
    return _unpack(SEVEN_ZIP, "7zip", archive, folder, budget)


def unrar(archive: Path, folder: Path, budget: Budget) -> dict[str, Path]:
    """Unpack a RAR archive; the folders in it are dropped.

    Raises:
        PackageError: unrar is not installed, fails, or takes too much.
    """
    return _unpack(UNRAR, "unrar (of the section non-free) or unrar-free", archive, folder, budget)


def run_program(command: Sequence[str], folder: Path, output: Path, budget: Budget) -> None:
    """Run a program in `folder`, what it prints going to `output`, and wait until all of it has ended.

    Raises:
        OperationCancelledError: somebody wanted the operation to stop; the program was killed.
        PackageError: it failed, or took too much and was killed.
    """
    limits = budget.limits
    task = {
        "command": list(command), "folder": str(folder), "output": str(output), "environment": _ENVIRONMENT,
        "max_bytes": budget.bytes_left, "max_members": budget.members_left,
        "timeout_s": limits.timeout_s, "memory_bytes": limits.memory_bytes,
    }  # fmt: skip
    result = _supervise(json.dumps(task), budget)
    name = Path(command[0]).name
    what = {
        "time": f"took more than {limits.timeout_s:g} seconds",
        "size": f"unpacks more than {limits.max_bytes} bytes or {limits.max_members} files",
        "cancelled": "was cancelled",
    }
    if result["ended_by"] is not None:
        raise PackageError(f"{name} {what.get(result['ended_by'], result['ended_by'])}")
    if result["status"] == -signal.SIGXFSZ:
        raise PackageError(f"{name} {what['size']}")
    if result["status"] != 0:
        words = " ".join(output.read_bytes()[-_SHOWN_CHARACTERS:].decode("utf-8", "replace").split())
        raise PackageError(f"{name} ended with {result['status']} and said {words!r}")


def _supervise(task: str, budget: Budget) -> dict[str, Any]:
    """Run the supervisor, stop it if the operation is cancelled, and return what it says."""
    stdin, stop = os.pipe()
    result, stdout = os.pipe()
    # Only inherited are its own ends of the pipes. Its group is its own: it kills all of it at the end.
    program = [sys.executable, "-I", "-S", supervisor.__file__, task]
    pid = _posix_spawn(
        sys.executable, program, _ENVIRONMENT, setsid=True,
        file_actions=[(os.POSIX_SPAWN_DUP2, stdin, 0), (os.POSIX_SPAWN_DUP2, stdout, 1)],
    )  # fmt: skip
    _close(stdin)
    _close(stdout)
    said = b""
    try:
        poll = _poll()
        poll.register(result)
        while True:
            budget.operation.check()
            if poll.poll(_LOOK_EVERY_S * 1000):
                piece = os.read(result, 4096)
                if not piece:
                    break
                said += piece
    except OperationCancelledError:
        _close(stop)
        stop = -1
        while piece := os.read(result, 4096):
            said += piece
        raise
    finally:
        for descriptor in (result, stop):
            if descriptor >= 0:
                _close(descriptor)
        _end_group(pid, kill=not said)
    if not said:
        raise PackageError("the supervisor of foreign programs was killed, or cannot be started")
    answer: dict[str, Any] = json.loads(said)
    return answer


def _end_group(pid: int, *, kill: bool) -> None:
    """Wait for the supervisor, which kills its group itself unless it was killed before."""
    try:
        if kill:
            os.killpg(pid, signal.SIGKILL)
        _waitpid(pid, 0)
    except (ChildProcessError, ProcessLookupError):
        pass  # gevent has seen to it


def _unpack(
    unpackers: Sequence[Unpacker], packages: str, archive: Path, folder: Path, budget: Budget
) -> dict[str, Path]:
    unpacker, program = _find(unpackers, packages)
    content = folder / "content"
    content.mkdir()
    run_program([program, *unpacker.arguments, str(archive.absolute())], content, folder / "output", budget)
    files = {}
    for entry in supervisor.walk(str(content)):
        status = entry.stat(follow_symlinks=False)
        regular = stat.S_ISREG(status.st_mode)
        budget.spend(status.st_size if regular else 0, members=1)
        if regular and status.st_nlink == 1:
            os.chmod(entry.path, 0o600)  # (whatever the archive says)
            files[member_name(os.path.relpath(entry.path, content))] = Path(entry.path)
        elif not stat.S_ISDIR(status.st_mode):
            log.warning("link or device in an archive left out: archive=%s name=%r", archive.name, entry.name)
    return files


def _find(unpackers: Sequence[Unpacker], packages: str) -> tuple[Unpacker, str]:
    """The first of the programs that is installed."""
    for unpacker in unpackers:
        program = shutil.which(unpacker.name)
        if program is not None:
            actual = Path(program).resolve().name  # (Debian's unrar is a link to one of two)
            return next((other for other in unpackers if other.name == actual), unpacker), program
    raise PackageError(f"the program {unpackers[-1].name} is missing; install the Debian package {packages}")
