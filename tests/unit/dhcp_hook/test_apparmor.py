"""The rule that lets ISC dhcpd run the hook: right in itself, and as a part of Debian's profile."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.dhcp_hook.hook import ROOT

RULES = ROOT / "dhcp" / "apparmor.d" / "dhcpd.d" / "xivo-provd"
INSTALLED = "/usr/libexec/xivo-provd/xivo-provd-dhcp-hook"
DEBIANS_PROFILE = Path("/etc/apparmor.d/usr.sbin.dhcpd")

pytestmark = [
    pytest.mark.skipif(not RULES.exists(), reason="these are not the sources, but an installed program"),
    pytest.mark.skipif(not shutil.which("apparmor_parser"), reason="apparmor_parser is missing: apt install apparmor"),
]


def parse(profile: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    """What AppArmor's compiler makes of a profile; nothing reaches the kernel."""
    command = ["apparmor_parser", "--skip-kernel-load", "--skip-cache", *options, profile]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_rule_is_well_formed(tmp_path: Path) -> None:
    profile = tmp_path / "profile"
    profile.write_text(f'profile test /usr/sbin/dhcpd {{\n  include "{RULES}"\n}}\n')
    result = parse(profile)
    assert result.returncode == 0, result.stderr
    profile.write_text("profile test /usr/sbin/dhcpd {\n  nonsense,\n}\n")
    assert parse(profile).returncode != 0


def test_the_rule_lets_the_hook_run_outside_of_the_profile() -> None:
    rules = [line for line in RULES.read_text().splitlines() if not line.startswith("#")]
    assert rules == [f"{INSTALLED} PUx,"]


@pytest.mark.skipif(not DEBIANS_PROFILE.exists(), reason="isc-dhcp-server is not installed")
def test_the_rule_fits_into_debians_profile(tmp_path: Path) -> None:
    shutil.copytree(DEBIANS_PROFILE.parent, tmp_path / "apparmor.d")
    (tmp_path / "apparmor.d" / "dhcpd.d").mkdir(exist_ok=True)
    shutil.copy(RULES, tmp_path / "apparmor.d" / "dhcpd.d")
    profile = tmp_path / "apparmor.d" / DEBIANS_PROFILE.name
    result = parse(profile, "--base", tmp_path / "apparmor.d", "--preprocess")
    assert result.returncode == 0, result.stderr
    assert f"{INSTALLED} PUx," in result.stdout
    assert parse(profile, "--base", tmp_path / "apparmor.d").returncode == 0
