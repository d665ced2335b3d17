"""The packages as they are built."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from provd import __version__
from tests.appliance.bed import ROOT


def test_lintian_finds_nothing(packages: list[Path]) -> None:
    (changes,) = packages[0].parent.glob("*.changes")
    command = ["lintian", "--allow-root", "--fail-on", "error,warning", str(changes)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_packages_have_the_programs_version(packages: list[Path]) -> None:
    assert [each.name for each in packages] == [
        f"xivo-provd-plugins_{__version__}_all.deb",
        f"xivo-provd_{__version__}_all.deb",
    ]


def test_the_same_source_gives_the_same_packages(packages: list[Path], tmp_path: Path) -> None:
    before = {each.name: each.read_bytes() for each in packages}
    subprocess.run(["make", "-C", ROOT, "deb"], check=True, capture_output=True, timeout=300)
    assert {each.name: each.read_bytes() for each in packages} == before


@pytest.mark.parametrize("page", ["man5/provd.toml.5.gz", "man8/xivo-provd.8.gz", "man8/xivo-provd-dhcp-hook.8.gz"])
def test_the_manual_pages_are_there(packages: list[Path], page: str) -> None:
    listing = subprocess.run(["dpkg-deb", "--contents", packages[1]], capture_output=True, text=True, check=True)
    assert f"./usr/share/man/{page}\n" in listing.stdout
