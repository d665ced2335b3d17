"""Fixtures of the appliance's tests: the packages, the booted Debian, the installed service; and the figures."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.appliance.bed import ROOT, Bed, obstacle
from tests.appliance.phones import MACS, phones_files, put_firmware

FIGURES: dict[str, str] = {}
EXEMPTION = "".join(
    f"[{jail}]\nignoreip = 10.55.0.0/24 fd55::/64\n"
    for jail in ("xivo-provd", "xivo-provd-enumeration", "xivo-provd-new-devices")
)
"""The clients play many phones with one address; only the tests of bans have them banned."""
ADMISSION = "[admission]\naddress_burst = 1000\n"
"""For the same reason."""


@pytest.fixture(scope="session")
def figure() -> Callable[[str, str], None]:
    """Notes a figure that is printed at the end."""
    return FIGURES.__setitem__


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if FIGURES:
        terminalreporter.section("figures")
        for name, value in FIGURES.items():
            terminalreporter.line(f"{name:42} {value}")


@pytest.fixture(scope="session")
def able() -> None:
    """This machine can boot the appliance; where it cannot, tests are skipped, but in CI they fail."""
    reason = obstacle()
    if reason and os.environ.get("CI"):
        pytest.fail(f"the appliance is not tested: {reason}", pytrace=False)
    if reason:
        pytest.skip(f"the appliance is not tested: {reason}")


@pytest.fixture(scope="session")
def packages(able: None) -> list[Path]:
    """The packages, built from this checkout."""
    result = subprocess.run(["make", "-C", ROOT, "deb"], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    return sorted((ROOT / "build" / "deb").glob("*.deb"))


@pytest.fixture(scope="session")
def bed(able: None, figure: Callable[[str, str], None]) -> Iterator[Bed]:
    """The machines. They are gone after the tests; what is expensive to make stays in their folder's cache."""
    place = hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]
    bed = Bed(Path(os.environ.get("TESTBED_DIR") or f"/var/tmp/provd-appliance-{place}"))
    try:
        bed.boot()  # makes the root file system, if it is not there
        bed.reset()
        figure("boot of the whole machine", f"{bed.boot():.1f} s")
        yield bed
    finally:
        bed.destroy()


@pytest.fixture(scope="module")
def appliance(bed: Bed, packages: list[Path]) -> Bed:
    """A new Debian on which the packages have just been installed, for the tests of one module."""
    bed.reset()
    bed.boot()
    bed.write("/etc/fail2ban/jail.d/xivo.local", EXEMPTION)
    bed.write("/etc/xivo-provd/conf.d/clients.toml", ADMISSION)
    bed.install(*packages)
    return bed


@pytest.fixture(scope="module")
def loaded(appliance: Bed) -> Bed:
    """The appliance with phones that are known, and a large file for them."""
    assert len(set(phones_files(appliance))) == len(MACS)
    put_firmware(appliance)
    return appliance
