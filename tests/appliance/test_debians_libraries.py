"""The installed program passes its unit tests with the libraries of the booted Debian."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from tests.appliance.bed import ROOT, Bed

TREES = ("tests", "plugins", "etc", "bench", "docs", "dhcp", "fail2ban", "pyproject.toml")
"""What the tests need besides the program, which is the package's."""


def test_the_unit_tests_pass(appliance: Bed, figure: Callable[[str, str], None]) -> None:
    appliance.push(*(ROOT / each for each in TREES), to="/opt/provd")
    start = time.monotonic()
    said = appliance.exec(
        "env", "--chdir=/opt/provd", "PYTHONPATH=/usr/lib/xivo-provd", "PYTHONDONTWRITEBYTECODE=1",
        "python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit",
        timeout_s=400, check=False,
    )  # fmt: skip
    summary = said.rstrip().rpartition("\n")[2]
    figure("unit tests with Debian's libraries", f"{summary.strip('= ')} ({time.monotonic() - start:.0f} s)")
    assert re.search(r"\d+ passed", summary), said
    assert not re.search(r"failed|error", summary), said
    where = "import provd, tftpy, gevent, jinja2; print(provd.__file__, tftpy.__file__, gevent.__file__)"
    assert appliance.exec("env", "PYTHONPATH=/usr/lib/xivo-provd", "python3", "-B", "-c", where).split() == [
        "/usr/lib/xivo-provd/provd/__init__.py",
        "/usr/lib/xivo-provd/tftpy/__init__.py",
        "/usr/lib/python3/dist-packages/gevent/__init__.py",
    ]
