"""Upgrade, remove, purge and install again: what Debian's policy says stays stays, and no phone is refused."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from provd import __version__
from tests.appliance.bed import SECURITY_LOG, SERVER, UNIT, Bed
from tests.appliance.phones import Load, assert_nothing_refused, phones_files

NEWER = f"{__version__}.1"


@pytest.fixture(scope="module")
def newer(packages: list[Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same packages with a higher version, which the program tells too."""
    folder = tmp_path_factory.mktemp("newer")
    made = []
    for package in packages:
        tree = folder / package.stem
        subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
        for file in (tree / "DEBIAN" / "control", *tree.glob("usr/lib/xivo-provd/provd/__init__.py")):
            file.write_text(file.read_text().replace(__version__, NEWER))
        made.append(folder / package.name.replace(__version__, NEWER))
        subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, made[-1]], check=True, capture_output=True)
    return made


def what_is_left(bed: Bed) -> set[str]:
    """Every file of the server that has the package's name, but for the package manager's own notes."""
    found = bed.exec(
        "find", "/", "(", "-path", "/proc", "-o", "-path", "/sys", "-o", "-path", "/shared", ")",
        "-prune", "-o", "-name", "*xivo*provd*", "-print",
    )  # fmt: skip
    return set(found.split())


def test_an_upgrade_keeps_everything_and_refuses_nobody(
    loaded: Bed, newer: list[Path], figure: Callable[[str, str], None]
) -> None:
    changed = '[general]\nlog_level = "warning"\n'
    loaded.write("/etc/xivo-provd/provd.toml", changed)
    before, pid = phones_files(loaded), loaded.show("MainPID")
    socket_since = loaded.show("ActiveEnterTimestampMonotonic", "xivo-provd.socket")
    load = Load(loaded)
    time.sleep(1)
    loaded.install(*newer)
    assert loaded.is_active()
    time.sleep(2)
    result = load.stop()
    assert_nothing_refused(result)
    figure("longest wait for a file in an upgrade", f"{result['longest_s']:.1f} s")
    assert loaded.show("MainPID") != pid
    assert loaded.show("ActiveEnterTimestampMonotonic", "xivo-provd.socket") == socket_since
    assert loaded.status()["version"] == NEWER
    assert phones_files(loaded) == before
    assert loaded.exec("cat", "/etc/xivo-provd/provd.toml") == changed


def test_removed_it_leaves_state_settings_and_log(loaded: Bed) -> None:
    loaded.exec("apt-get", "-q", "-y", "remove", "xivo-provd", "xivo-provd-plugins", timeout_s=120)
    assert loaded.exec("ss", "-Hlntu", "sport = :69 or sport = :8667 or sport = :8666") == ""
    assert loaded.exec("find", "/run/xivo-provd", "-type", "s") == ""
    assert loaded.show("LoadState") == "not-found"
    assert loaded.exec("systemctl", "list-units", "--failed", "--plain", "--no-legend", "xivo-provd*") == ""
    left = what_is_left(loaded)
    assert {"/etc/xivo-provd", "/etc/default/xivo-provd", "/var/lib/xivo-provd", SECURITY_LOG} <= left
    assert not {"/usr/lib/xivo-provd", "/usr/share/xivo-provd", "/usr/sbin/xivo-provd"} & left


def test_installed_again_it_goes_on_where_it_was(loaded: Bed, newer: list[Path]) -> None:
    loaded.install(*newer)
    loaded.wait_active()
    devices = loaded.status()["counts"]["devices"]
    phones_files(loaded)
    assert devices == loaded.status()["counts"]["devices"] > 0


def test_purged_it_leaves_nothing_but_its_user(loaded: Bed) -> None:
    loaded.exec("logrotate", "--force", "/etc/logrotate.d/xivo-provd")
    loaded.write("/etc/xivo-provd/conf.d/mine.toml", "[general]\n")
    loaded.exec("apt-get", "-q", "-y", "purge", "xivo-provd", "xivo-provd-plugins", timeout_s=120)
    assert what_is_left(loaded) == set()
    assert loaded.show("LoadState") == "not-found"
    assert loaded.show("LoadState", "xivo-provd.socket") == "not-found"
    assert loaded.show("LoadState", "xivo-provd-dhcp.socket") == "not-found"
    assert loaded.exec("find", "/", "-xdev", "-user", "xivo-provd", "-not", "-path", "/proc/*") == ""


def test_after_a_purge_it_begins_anew(loaded: Bed, packages: list[Path]) -> None:
    loaded.install(*packages)
    loaded.wait_active()
    assert loaded.status()["counts"]["devices"] == 0
    assert loaded.client("curl", "-sSf", "--max-time", "20", f"tftp://{SERVER}/00085D237429.cfg")
    assert "conf.d" in loaded.exec("ls", "/etc/xivo-provd")
    assert loaded.show("UnitFileState") == "enabled"
    assert loaded.show("Id") == UNIT
