"""A socket such as provd's, for the hook to write to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.dhcp_hook.hook import HOOK, PYTHON, Listener


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    if not HOOK.exists() or not PYTHON.exists():
        pytest.skip("the hook needs the sources and Debian's Python")
    made = Listener(tmp_path / "dhcp.sock")
    yield made
    made.socket.close()
