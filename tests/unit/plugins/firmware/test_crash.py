"""A server that is killed, an operation that is cancelled: at any moment there is the old state or the new one."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provd.errors import PackageError
from provd.model.operation import Operation, OperationCancelledError
from provd.plugins.firmware.manager import PackageManager

from .sample import Plugin

OLD = {"S/a": b"1", "S/same": b"s", "S/old/gone": b"g", "S/shared": b"x"}
NEW = {"S/a": b"2", "S/same": b"s", "S/new/n": b"n", "S/shared": b"x"}
OTHER = {"S/shared": b"x"}
RENDERED = {"S/phone.cfg": b"secret"}

WRITING = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "shutil.rmtree"}
"""What changes the disk, as Python's audit hooks call it."""

MOST_EVENTS = 400


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plugin:
    """One with another package, and with a rendered file."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # slow, and of no use when only a process is killed
    plugin = Plugin(tmp_path / "xivo-sample-1.0")
    plugin.offer_files("other", OTHER)
    plugin.offer_files("base", {"B/base": b"b"})
    plugin.install("other")
    (plugin.root / "S/phone.cfg").write_bytes(RENDERED["S/phone.cfg"])
    return plugin


def install(manager: PackageManager, operation: Operation) -> None:
    manager.install("fw", operation)


def upgrade(manager: PackageManager, operation: Operation) -> None:
    manager.upgrade("fw", operation)


def uninstall(manager: PackageManager, operation: Operation) -> None:
    manager.uninstall("fw", operation)


def prepare(plugin: Plugin, action: Callable[[PackageManager, Operation], None]) -> tuple[list[dict[str, bytes]], str]:
    """Bring the plugin into the state before the action; returns the trees before and after it, and its version."""
    rest = OTHER | RENDERED
    plugin.offer_files("fw", OLD, version="1")
    if action is install:
        return [rest, rest | OLD], "1"
    plugin.install("fw")
    if action is uninstall:
        return [rest | OLD, rest], "1"
    plugin.offer_files("fw", NEW, version="2", more="depends: base")
    return [rest | OLD, rest | NEW | {"B/base": b"b"}], "2"


def killed_at(event: int, plugin: Plugin, action: Callable[[PackageManager, Operation], None]) -> bool:
    """Do the action in a child process that is killed just before it changes the disk the nth time."""
    child = os.fork()
    if child == 0:
        left = event

        def hook(name: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            if name in WRITING and str(plugin.folder) in repr(arguments):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            action(plugin.manager, Operation())
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def events(plugin: Plugin, step: int = 1) -> Iterator[int]:
    """1, 2, 3, … each time with what has been done so far undone again; with another `step`, fewer of them."""
    for event in range(1, MOST_EVENTS, step):
        yield event
        for name in ("fw", "base"):
            if name in plugin.manager.installed():
                plugin.manager.uninstall(name)
        assert plugin.tree() == OTHER | RENDERED
        for path in (plugin.folder / "var/cache").glob("fw*"):
            path.unlink()
    pytest.fail("it never ended")


@pytest.mark.parametrize("action", [install, upgrade, uninstall])
def test_a_crash_at_any_moment(plugin: Plugin, action: Callable[[PackageManager, Operation], None]) -> None:
    seen = []
    for event in events(plugin):
        trees, version = prepare(plugin, action)
        killed = killed_at(event, plugin, action)

        plugin.manager.recover()
        tree = plugin.tree()
        if action is upgrade and tree == trees[0] | {"B/base": b"b"}:
            tree = trees[0]  # what the new version needs is there already, and whole
        assert tree in trees, event
        assert plugin.leftovers() == []
        new = trees.index(tree) == 1
        assert ("fw" in plugin.manager.installed()) is (new if action is install else not new or action is upgrade)
        if action is not uninstall and new:
            assert plugin.manager.installed()["fw"].version == version
        if not killed:
            break
        seen.append(new)
        if not new:
            action(plugin.manager, Operation())
            assert plugin.tree() == trees[1]
    assert new
    assert len(seen) > 10
    assert seen == sorted(seen)  # first old, from some moment on new
    assert {False, True} == set(seen)


def test_the_next_operation_recovers_too(plugin: Plugin) -> None:
    for event in events(plugin, 6):
        trees, _ = prepare(plugin, upgrade)
        killed = killed_at(event, plugin, upgrade)
        plugin.manager.upgrade("fw", Operation())
        assert plugin.tree() == trees[1]
        assert os.listdir(plugin.folder / "var/.packages/pkg/fw") == ["lock"]
        if not killed:
            break


def test_an_interrupted_removal_is_finished_by_removing_again(plugin: Plugin) -> None:
    half = 0
    for event in events(plugin):
        trees, _ = prepare(plugin, uninstall)
        killed = killed_at(event, plugin, uninstall)
        half += killed and plugin.tree() not in trees
        if "fw" in os.listdir(plugin.folder / "var/installed"):
            plugin.manager.uninstall("fw")
        assert (plugin.tree(), plugin.leftovers()) == (trees[1], [])
        if not killed:
            break
    assert half > 2


def test_a_crash_while_a_crash_is_recovered_from(plugin: Plugin) -> None:
    for event in events(plugin):
        trees, _ = prepare(plugin, upgrade)
        mended = Operation()
        plugin.install("base")
        assert killed_at(60, plugin, upgrade)
        killed = killed_at(event, plugin, lambda manager, _: manager.recover())
        plugin.manager.recover()
        assert plugin.tree() in (trees[0] | {"B/base": b"b"}, trees[1])
        assert plugin.leftovers() == []
        plugin.manager.upgrade("fw", mended)
        assert plugin.tree() == trees[1]
        if not killed:
            break


def test_what_was_put_in_the_way_after_a_crash_stays(plugin: Plugin) -> None:
    prepare(plugin, upgrade)
    plugin.install("base")
    assert any(killed_at(event, plugin, upgrade) and b"n" in plugin.tree().values() for event in range(40, 90))
    (plugin.root / "S/a").unlink()
    (plugin.root / "S/a").symlink_to("phone.cfg")
    (plugin.root / "S/new/n").write_bytes(b"mine")
    plugin.manager.recover()
    assert plugin.manager.installed()["fw"].version == "1"
    assert plugin.tree() == OTHER | RENDERED | OLD | {"B/base": b"b", "S/a": b"secret", "S/new/n": b"mine"}


class Late(threading.Event):
    """Is set when it is looked at the nth time."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.left = number

    def is_set(self) -> bool:
        self.left -= 1
        return self.left <= 0


@pytest.mark.parametrize("action", [install, upgrade, uninstall])
def test_cancelling_at_any_moment(plugin: Plugin, action: Callable[[PackageManager, Operation], None]) -> None:
    for event in events(plugin):
        trees, _ = prepare(plugin, action)
        operation = Operation()
        operation._cancelled = Late(event)
        try:
            action(plugin.manager, operation)
        except OperationCancelledError:
            assert plugin.tree() == trees[0]
            assert operation.error == "the operation was cancelled"
        else:
            assert plugin.tree() == trees[1]
            assert event > (12 if action is not uninstall else 0)
            break
        assert plugin.leftovers() == []


def test_what_is_being_done_is_left_alone(plugin: Plugin) -> None:
    """A manager that begins, or is asked to recover, while another one is at work."""
    plugin.offer_files("fw", OLD)
    inner: list[str] = []

    class Nosy(Operation):
        def sub(self, label: str | None = None, end: int | None = None) -> Operation:
            plugin.manager.recover()
            for action in (install, upgrade):
                try:
                    action(plugin.manager, Operation())
                except PackageError as error:
                    inner.append(str(error))
            return super().sub(label, end)

    plugin.manager.install("fw", Nosy())
    assert set(inner) == {"an install operation for pkg fw is already in progress"}
    assert plugin.tree() == OTHER | RENDERED | OLD
