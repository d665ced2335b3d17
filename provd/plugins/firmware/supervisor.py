"""A process of its own that runs one foreign program within limits, and says how it ended.

It is a program too, run by `programs.run_program` with its task as an argument, and imports nothing of provd. In
provd's own process gevent owns the children: it may take away the exit status of one, and its subprocess module works
in the main thread alone. Here nothing of that holds; and when the standard input ends, because provd wants to stop or
has died, the program is killed.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

_LOOK_EVERY_S = 0.1


def main() -> None:
    """Do the task in the first argument, and print what came of it, both in JSON."""
    task = json.loads(sys.argv[1])
    for kind, limit in ((resource.RLIMIT_FSIZE, task["max_bytes"]), (resource.RLIMIT_AS, task["memory_bytes"])):
        resource.setrlimit(kind, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        with open(task["output"], "wb") as output:
            process = subprocess.Popen(
                task["command"], cwd=task["folder"], env=task["environment"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
        answer = {"ended_by": watch(process, task), "status": process.returncode}
    except OSError as error:
        answer = {"ended_by": str(error), "status": None}
    print(json.dumps(answer), flush=True)
    os.killpg(0, signal.SIGKILL)  # whatever may be left, and this process


def watch(process: subprocess.Popen[bytes], task: dict[str, Any]) -> str | None:
    """Wait until the program ends, or kill it; returns why it was killed."""
    ended_by, pause = None, 0.005
    deadline = time.monotonic() + task["timeout_s"]
    while process.poll() is None and ended_by is None:
        if select.select([sys.stdin], [], [], pause)[0]:
            ended_by = "cancelled"
        elif time.monotonic() > deadline:
            ended_by = "time"
        elif too_much(task):
            ended_by = "size"
        pause = min(2 * pause, _LOOK_EVERY_S)
    if ended_by:
        process.kill()
    process.wait()
    return ended_by or ("size" if too_much(task) else None)


def too_much(task: dict[str, Any]) -> bool:
    """There are more bytes or files in the folder than there may be."""
    size = 0
    for count, entry in enumerate(walk(task["folder"]), 1):
        try:
            size += entry.stat(follow_symlinks=False).st_size
        except FileNotFoundError:
            continue  # it was removed, or got its final name, in between
        if size > task["max_bytes"] or count > task["max_members"]:
            return True
    return False


def walk(folder: str) -> Iterator[os.DirEntry[str]]:
    """All files and folders below a folder, while somebody may be changing it."""
    folders = [folder]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    yield entry
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
        except FileNotFoundError:
            continue


if __name__ == "__main__":
    main()
