"""7-Zip and unrar: real archives, stubs that misbehave, and a missing program."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from provd.errors import PackageError
from provd.model.operation import Operation, OperationCancelledError
from provd.plugins.firmware import programs
from provd.plugins.firmware.limits import Budget, Limits

from .sample import program, rar_of, tree

LIMITS = Limits(max_bytes=1_000_000, max_members=20, timeout_s=10)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.fixture
def stubs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where programs are looked for, and nowhere else."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


def run(work: Path, limits: Limits = LIMITS, operation: Operation | None = None) -> dict[str, bytes]:
    files = programs.unrar(work.parent / "x.rar", work, Budget(limits, operation or Operation()))
    return {name: path.read_bytes() for name, path in files.items()}


seven_zip = next(filter(None, map(shutil.which, ("7zr", "7zz", "7z"))), None)


@pytest.mark.skipif(seven_zip is None, reason="7-Zip is not installed")
def test_a_real_7z(work: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "d").mkdir(parents=True)
    (source / "a.bin").write_bytes(b"1" * 100_000)
    (source / "d/b").write_bytes(b"2")
    (source / "link").symlink_to("/etc/passwd")
    subprocess.run([seven_zip, "a", "-bd", "-snl", tmp_path / "x.7z", "."], cwd=source, check=True, capture_output=True)
    files = programs.un7z(tmp_path / "x.7z", work, Budget(LIMITS, Operation()))
    assert {name: path.read_bytes() for name, path in files.items()} == {"a.bin": b"1" * 100_000, "b": b"2"}


@pytest.mark.skipif(seven_zip is None, reason="7-Zip is not installed")
def test_a_7z_that_is_none(work: Path, tmp_path: Path) -> None:
    (tmp_path / "x.7z").write_bytes(b"7z\xbc\xaf\x27\x1c rubbish")
    with pytest.raises(PackageError, match=r"7z.* ended with 2 and said .*Is not archive"):
        programs.un7z(tmp_path / "x.7z", work, Budget(LIMITS, Operation()))


@pytest.mark.skipif(seven_zip is None, reason="7-Zip is not installed")
def test_a_7z_bomb(work: Path, tmp_path: Path) -> None:
    (tmp_path / "zeros").write_bytes(bytes(3_000_000))
    subprocess.run([seven_zip, "a", "-bd", "x.7z", "zeros"], cwd=tmp_path, check=True, capture_output=True)
    with pytest.raises(PackageError):
        programs.un7z(tmp_path / "x.7z", work, Budget(LIMITS, Operation()))
    assert (work / "content/zeros").stat().st_size <= LIMITS.max_bytes


@pytest.mark.skipif(not any(map(shutil.which, ("unrar", "unrar-free"))), reason="unrar is not installed")
def test_a_real_rar(work: Path, tmp_path: Path) -> None:
    (tmp_path / "x.rar").write_bytes(rar_of({"d/a.bin": b"1" * 1000, "b": b"2"}))
    assert run(work) == {"a.bin": b"1" * 1000, "b": b"2"}


def test_how_unrar_is_run(work: Path, stubs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    program(stubs, "unrar", 'ls -A > ../before; echo "$@" > arguments; env > environment; pwd > place; cat > input')
    found = run(work)
    assert found["arguments"].decode() == f"e -idq -y -- {work.parent}/x.rar\n"
    assert b"SECRET" not in found["environment"]
    assert found["place"].decode().strip() == f"{work}/content"
    assert (found["input"], (work / "before").read_text()) == (b"", "")


def test_debians_unrar_is_one_of_two(work: Path, stubs: Path) -> None:
    program(stubs, "unrar-free", 'echo "$@" > arguments')
    (stubs / "unrar").symlink_to("unrar-free")
    assert run(work)["arguments"].startswith(b"--extract-no-paths --force -- /")


def test_a_missing_program(work: Path, stubs: Path) -> None:
    with pytest.raises(PackageError, match="the program unrar is missing; install the Debian package unrar"):
        run(work)
    with pytest.raises(PackageError, match="the program 7za is missing; install the Debian package 7zip"):
        programs.un7z(work.parent / "x.7z", work, Budget(LIMITS, Operation()))


def test_a_program_that_fails(work: Path, stubs: Path) -> None:
    program(stubs, "unrar", "echo no such archive; exit 7")
    with pytest.raises(PackageError, match="unrar ended with 7 and said 'no such archive'"):
        run(work)


def test_a_program_that_takes_too_long_is_killed_with_its_children(work: Path, stubs: Path) -> None:
    program(stubs, "unrar", "sleep 100 & echo $! > child; sleep 100")
    with pytest.raises(PackageError, match=r"unrar took more than 0\.3 seconds"):
        run(work, Limits(timeout_s=0.3))
    assert_gone(int((work / "content/child").read_text()))


def test_children_that_outlive_their_program_are_killed(work: Path, stubs: Path) -> None:
    program(stubs, "unrar", "sleep 100 & echo $! > child")
    assert_gone(int(run(work)["child"]))


@pytest.mark.parametrize(
    "script",
    [
        "head -c 2000000 /dev/zero > x",
        "for i in 1 2 3; do head -c 400000 /dev/zero > $i; done",
        "for i in 1 2 3; do head -c 400000 /dev/zero > $i; done; sleep 100",
        "i=0; while [ $i -lt 30 ]; do i=$((i+1)); mkdir $i; done; sleep 100",
    ],
)
def test_a_program_that_unpacks_too_much(work: Path, stubs: Path, script: str) -> None:
    program(stubs, "unrar", f"exec 2> /dev/null; {script}")
    with pytest.raises(PackageError, match=r"unpacks more than 1000000 bytes or 20 files|ended with"):
        run(work)
    assert sum(map(len, tree(work / "content").values())) <= 1_200_000


def test_what_the_program_prints_is_bounded_too(work: Path, stubs: Path) -> None:
    program(stubs, "unrar", "yes")
    with pytest.raises(PackageError):
        run(work)
    assert (work / "output").stat().st_size <= 1_000_000


def test_modes_do_not_count(work: Path, stubs: Path) -> None:
    program(stubs, "unrar", "umask 777; echo 1 > a")
    assert run(work) == {"a": b"1\n"}
    assert (work / "content/a").stat().st_mode & 0o777 == 0o600


def test_links_and_devices_are_left_out(work: Path, stubs: Path) -> None:
    (work.parent / "secret").write_text("secret")
    links = "ln -s /etc/passwd l; ln ../../secret h; mkfifo f; ln -s / d"
    program(stubs, "unrar", f"{links}; echo ok > a; mkdir e; echo > e/b")
    assert run(work) == {"a": b"ok\n", "e/b": b"\n"}


def test_cancelling_kills_the_program(work: Path, stubs: Path) -> None:
    program(stubs, "unrar", "echo $$ > pid; sleep 100 & echo $! > child; wait")
    operation = Operation()
    threading.Timer(0.3, operation.cancel).start()
    begun = time.monotonic()
    with pytest.raises(OperationCancelledError):
        run(work, operation=operation)
    assert time.monotonic() - begun < 3
    assert_gone(int((work / "content/pid").read_text()))
    assert_gone(int((work / "content/child").read_text()))


def test_the_program_dies_with_the_server(work: Path, stubs: Path) -> None:
    program(stubs, "unrar", "echo $$ > pid; exec sleep 100")
    pid = os.fork()
    if pid == 0:
        run(work)
    wait_for(lambda: (work / "content/pid").exists() and (work / "content/pid").read_text().strip())
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert_gone(int((work / "content/pid").read_text()))


def test_the_supervisor_is_killed(work: Path, stubs: Path) -> None:
    program(stubs, "unrar", "kill -9 $PPID; echo $$ > pid; exec sleep 100")
    with pytest.raises(PackageError, match="the supervisor of foreign programs was killed"):
        run(work)


def test_no_descriptor_is_left_open(work: Path, stubs: Path) -> None:
    program(stubs, "unrar", "ls /proc/self/fd > fds")
    before = sorted(os.listdir("/proc/self/fd"))
    assert run(work)["fds"].split() == [b"0", b"1", b"2", b"3"]  # the last is that of ls itself
    assert sorted(os.listdir("/proc/self/fd")) == before


HUB = """
from gevent import monkey
monkey.patch_all()
import subprocess, sys, time
from pathlib import Path
import gevent
from gevent.threadpool import ThreadPool
from provd.model.operation import Operation
from provd.plugins.firmware import programs
from provd.plugins.firmware.limits import Budget, Limits

if sys.argv[2] == "with children":
    subprocess.run(["/bin/true"])  # from now on gevent takes away the status of every child
gaps, last = [], time.monotonic()
def tick():
    global last
    while True:
        gevent.sleep(0.005)
        gaps.append(time.monotonic() - last)
        last = time.monotonic()
gevent.spawn(tick)
work = Path(sys.argv[1])
done = ThreadPool(1).spawn(programs.unrar, work / "x.rar", work, Budget(Limits(), Operation()))
print(sorted(done.get()), max(gaps) < 0.2, len(gaps) > 20)
"""


@pytest.mark.parametrize("children", ["with children", "without"])
def test_under_gevent_the_hub_goes_on(work: Path, stubs: Path, children: str) -> None:
    program(stubs, "unrar", "sleep 0.5; echo 1 > a")
    command = [sys.executable, "-c", HUB, work, children]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (result.stdout, result.stderr) == ("['a'] True True\n", "")


def wait_for(condition: object) -> None:
    deadline = time.monotonic() + 10
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def assert_gone(pid: int) -> None:
    """The process has ended, or is about to."""

    def gone() -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
        except (FileNotFoundError, ProcessLookupError):
            return True

    wait_for(gone)
