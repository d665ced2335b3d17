"""Opening what phones ask for: only plain files below one folder, however the path is spelled."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from provd.plugins.files import MAX_PATH_BYTES, OpenFile, Problem, clean_path, open_file

from .sample import write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with the file `Sample/a.cfg`, and secrets beside it."""
    write(tmp_path / "secret", "secret")
    write(tmp_path / "tftpboot-evil/secret", "secret")
    write(tmp_path / "tftpboot/Sample/a.cfg", "served")
    return tmp_path / "tftpboot"


@pytest.fixture(autouse=True)
def _no_descriptor_is_left(tmp_path: Path) -> Iterator[None]:
    yield
    open_files = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
    assert [path for path in open_files if path.startswith((f"{tmp_path}/", "/dev/zero"))] == []


def content(root: Path, path: str) -> bytes | Problem:
    """What a phone that asks for a path gets."""
    clean = clean_path(path)
    if isinstance(clean, Problem):
        return clean
    reply = open_file(str(root), clean)
    if isinstance(reply, Problem):
        return reply
    with closing(reply):
        return reply.read_all()


@pytest.mark.parametrize(
    "path",
    ["Sample/a.cfg", "/Sample/a.cfg", "//Sample//a.cfg", "./Sample/./a.cfg", "Sample/a.cfg/", "///./Sample/a.cfg"],
)
def test_a_file_is_found_however_its_path_is_spelled(root: Path, path: str) -> None:
    assert content(root, path) == b"served"


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("../secret", Problem.BAD_NAME),
        ("../tftpboot-evil/secret", Problem.BAD_NAME),
        ("/../secret", Problem.BAD_NAME),
        ("Sample/../../secret", Problem.BAD_NAME),
        ("Sample/..", Problem.BAD_NAME),
        ("Sample/../Sample/a.cfg", Problem.BAD_NAME),
        (".//..//secret", Problem.BAD_NAME),
        ("..", Problem.BAD_NAME),
        ("Sample/a.cfg\0", Problem.BAD_NAME),
        ("\0", Problem.BAD_NAME),
        ("Sample/\ud800", Problem.BAD_NAME),
        ("..\\secret", Problem.NOT_FOUND),
        ("...", Problem.NOT_FOUND),
        ("....//secret", Problem.NOT_FOUND),
        ("%2e%2e/secret", Problem.NOT_FOUND),
        ("..%2fsecret", Problem.NOT_FOUND),
        ("\uff0e\uff0e/secret", Problem.NOT_FOUND),
        ("Sample/A.CFG", Problem.NOT_FOUND),
        ("Sample/a.cfg/b", Problem.NOT_FOUND),
        ("nobody", Problem.NOT_FOUND),
        ("~root/secret", Problem.NOT_FOUND),
        ("Sample/\udcff", Problem.NOT_FOUND),
        ("x" * 256, Problem.NAME_TOO_LONG),
        ("é" * 200, Problem.NAME_TOO_LONG),
        ("a/" * MAX_PATH_BYTES, Problem.NAME_TOO_LONG),
        ("Sample", Problem.DIRECTORY),
        ("Sample/", Problem.DIRECTORY),
    ],
)
def test_what_is_no_file_below_the_root_is_refused(root: Path, path: str, problem: Problem) -> None:
    assert content(root, path) is problem


@pytest.mark.parametrize("path", ["", "/", ".", "./", "//./"])
def test_the_root_itself_has_an_empty_clean_path(path: str) -> None:
    assert clean_path(path) == ""


def test_the_longest_path_that_is_allowed_is_looked_for(root: Path) -> None:
    assert content(root, ("x" * 127 + "/") * 8) is Problem.NOT_FOUND


@pytest.mark.parametrize("name", [".hidden", ".provd-0123456789abcdef", ".git/config", "Sample/.htaccess"])
def test_hidden_names_are_never_found(root: Path, name: str) -> None:
    write(root / name, "hidden")
    assert content(root, name) is Problem.NOT_FOUND


def test_links_that_stay_below_the_root_are_followed(root: Path) -> None:
    (root / "b.cfg").symlink_to("Sample/a.cfg")
    (root / "Other").symlink_to("Sample")
    assert content(root, "b.cfg") == content(root, "Other/a.cfg") == b"served"


@pytest.mark.parametrize("target", ["../secret", "../tftpboot-evil/secret", "/etc/passwd", "/proc/self/environ"])
def test_links_that_lead_outside_are_not_followed(root: Path, target: str) -> None:
    (root / "link").symlink_to(target)
    (root / "chain").symlink_to("link")
    assert content(root, "link") is content(root, "chain") is Problem.NOT_FOUND


def test_a_folder_that_is_a_link_outside_is_not_followed(root: Path) -> None:
    (root / "away").symlink_to(root.parent / "tftpboot-evil")
    assert content(root, "away/secret") is Problem.NOT_FOUND


def test_links_in_a_circle_end(root: Path) -> None:
    (root / "one").symlink_to("two")
    (root / "two").symlink_to("one")
    assert content(root, "one") is Problem.NOT_FOUND


def test_a_pipe_is_refused_at_once(root: Path) -> None:
    os.mkfifo(root / "pipe")
    answers: list[bytes | Problem] = []
    asking = threading.Thread(target=lambda: answers.append(content(root, "pipe")))
    asking.start()
    asking.join(5)
    if asking.is_alive():
        os.close(os.open(root / "pipe", os.O_WRONLY))  # lets it go on
        asking.join()
        pytest.fail("the server would have waited for somebody to write into the pipe")
    assert answers == [Problem.NOT_FOUND]


def test_a_socket_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        assert content(root, "socket") is Problem.NOT_FOUND


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero"])
def test_a_device_is_refused(root: Path, device: str) -> None:
    (root / "link").symlink_to(device)
    assert content(root, "link") is Problem.NOT_FOUND
    try:
        os.mknod(root / "device", 0o20666, os.stat(device).st_rdev)
    except PermissionError:
        return  # not root: the link has shown it
    assert content(root, "device") is Problem.NOT_FOUND


def test_nothing_is_found_in_a_root_that_is_gone(root: Path) -> None:
    (root / "Sample/a.cfg").unlink()
    (root / "Sample").rmdir()
    root.rmdir()
    assert content(root, "Sample/a.cfg") is Problem.NOT_FOUND


def test_a_file_that_is_removed_while_it_is_read_is_read_to_its_end(root: Path) -> None:
    reply = open_file(str(root), "Sample/a.cfg")
    assert isinstance(reply, OpenFile)
    with closing(reply):
        (root / "Sample/a.cfg").unlink()
        assert reply.read_all() == b"served"
        assert reply.read(2, 3) == b"rve"


def test_a_file_that_becomes_shorter_while_it_is_read_is_an_error(root: Path) -> None:
    reply = open_file(str(root), "Sample/a.cfg")
    assert isinstance(reply, OpenFile)
    with closing(reply):
        os.truncate(root / "Sample/a.cfg", 2)
        with pytest.raises(OSError, match="became shorter"):
            reply.read_all()


def test_closing_twice_closes_nobody_elses_file(root: Path) -> None:
    reply = open_file(str(root), "Sample/a.cfg")
    assert isinstance(reply, OpenFile)
    reply.close()
    with (root / "Sample/a.cfg").open("rb") as other:
        reply.close()
        assert other.read() == b"served"


EXCHANGE = """
import os, sys
os.chdir(sys.argv[1])
while True:
    os.rename("Sample", "Kept")
    os.symlink("../outside", "Sample")
    os.unlink("Sample")
    os.rename("Kept", "Sample")
"""


def test_a_folder_that_is_exchanged_for_a_link_again_and_again_never_leads_outside(root: Path) -> None:
    """The check is made on the open file, so there is no moment between a check and the opening."""
    write(root.parent / "outside/a.cfg", "secret")
    exchanger = subprocess.Popen([sys.executable, "-c", EXCHANGE, root])
    seen: Counter[bytes | Problem] = Counter()
    deadline = time.monotonic() + 10
    try:
        while time.monotonic() < deadline and (sum(seen.values()) < 20_000 or len(seen) < 2):
            seen[content(root, "Sample/a.cfg")] += 1
    finally:
        exchanger.kill()
        exchanger.wait()
    assert set(seen) == {b"served", Problem.NOT_FOUND}


def test_without_descriptors_the_answer_is_to_try_again(root: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        problem = content(root, "Sample/a.cfg")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert problem is Problem.UNAVAILABLE
