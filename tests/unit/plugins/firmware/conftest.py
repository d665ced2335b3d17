"""What all tests of firmware packages need."""

from __future__ import annotations

from pathlib import Path

import pytest

from .sample import Plugin


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    return Plugin(tmp_path / "xivo-sample-1.0")
